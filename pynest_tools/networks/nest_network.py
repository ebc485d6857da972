# SPDX-License-Identifier: GPL-2.0-or-later
"""What the spiking and the rate network in NEST have in common."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..kernel.module import import_nest, install
from ..kernel.parallel import n_processes, sum_over_processes
from .backend import MAX_POTENTIAL, DivergenceError, FloatArray, TrialResult, Weights, cell_name
from .layout import Layout
from .microcircuit import Microcircuit, NeuronParameters
from .variation import Variation
from .weights import weight_limits

MEANS = ("readout_V_soma", "readout_V_basal", "readout_V_apical")
#: What a cell says when it diverges: its number, its potential (mV), the trial.
DIVERGENCE = re.compile(r"the prospective potential of \w+ (\d+) became (\S+) mV in trial (\d+)")


TRANSFER_FUNCTIONS = ("softplus", "logistic", "threshold-linear")  # numbers of the parameter transfer_function

#: Leak of an inhibitory partner cell, as a share of the conductance with which it follows its cell: small against rounding of weights,
#: and not 0, so that the cell has a potential before the first signal.
LEAK_OF_PARTNER = 1e-12

#: Parameters of the tuft, and which of the circuit's they are.
TUFT = {"g_tuft": "g_tuft", "tau_tuft": "tau_apical", "tau_syn_tuft": "tau_syn"}

Cells = Any  # nest.NodeCollection, which is known when NEST is


class _Part(NamedTuple):
    """Connections of one projection from one kind of presynaptic cells: their model, and the columns of their weights."""

    model: str
    pre: Cells
    post: Cells
    columns: slice


def cell_parameters(neuron: NeuronParameters, without: Sequence[str] = ()) -> dict[str, Any]:
    """Parameters of a cell as its model has them."""
    names = (
        *(
            "C_m",
            "g_L",
            "g_basal",
            "g_apical",
            "g_nudge",
            "tau_basal",
            "tau_apical",
            "gamma",
            "beta",
            "theta",
            "psi",
            "t_ref",
        ),
        *("latent_equilibrium", "error_with_h", "error_from_spikes", "sigma_noise", "tau_noise"),
    )
    found = {name: getattr(neuron, name) for name in names if name not in without}
    tau_syn = {f"tau_syn_{dendrite}": neuron.tau_syn for dendrite in ("basal", "apical")}
    return found | tau_syn | {"transfer_function": TRANSFER_FUNCTIONS.index(neuron.transfer)}


class NestMicrocircuit:
    """A dendritic microcircuit in NEST; subclasses say of which models.

    NEST holds one network at a time: building one resets the kernel. All samples of a `run` are scheduled in the cells
    beforehand, so that NEST simulates them without returning to Python.

    Parameters
    ----------
    circuit : Microcircuit
        The specification.
    weights : Weights
        Initial weights (normalised, mV ms), each [post, pre].
    seed : int or numpy.random.SeedSequence
        Source of NEST's seed, or itself one of 1 to 2^32 - 1.

    Attributes
    ----------
    inputs : nest.NodeCollection
        Input cells, P_0.
    pyramidal : list of nest.NodeCollection
        Pyramidal cells P_1, ..., P_N; the last are the output cells.
    interneurons : list of nest.NodeCollection
        Interneurons I_1, ..., I_{N-1}; cell i of I_k has cell i of P_{k+1} as its partner.
    biases : list of nest.NodeCollection
        The always-active cell of every layer but the outputs, if there are biases.
    inhibitory : list of nest.NodeCollection
        With Dale's law, the inhibitory partners of P_0, ..., P_{N-1}, and of their biases.
    teacher : nest.NodeCollection
        Cells that nudge the output cells while targets are presented.

    Raises
    ------
    ModuleError
        If the NEST module cannot be loaded.
    UserError
        If NEST does not know of all MPI processes.
    """

    #: Enough for Python's share of the time to be small, few enough for a progress bar and for Ctrl-C.
    chunk_samples = 100

    #: Models of synapses.
    static_synapse: ClassVar[str]
    plastic_synapse: ClassVar[str]
    alignment_synapse: ClassVar[str]

    #: Whether its cells send a rate with a known noise instead of spikes.
    knows_noise: ClassVar[bool]

    #: Parameters of cells that its models lack.
    lacking: ClassVar[Sequence[str]] = ()

    # What a subclass says in its constructor, before that of this class.
    cell_model: str
    tuft_model: str
    input_model: str
    psi: float  #: What is sent for a rate of 1; weights are divided by it.
    eta_basal: float  #: Learning rate of synapses onto basal dendrites and tufts for a normalised one of 1.
    eta_apical: float  #: The same for apical dendrites.
    eta_alignment: float  #: The same for alignment.
    decay_alignment: float  #: Decay by alignment for a normalised one of 1.
    tau_baseline: float  #: Of the innovation (ms).

    def __init__(self, circuit: Microcircuit, weights: Weights, seed: int | np.random.SeedSequence) -> None:
        self._nest = import_nest()
        self.circuit = circuit
        self._variation = Variation(circuit, seed) if circuit.is_random else None
        if isinstance(seed, np.random.SeedSequence):
            seed = max(1, int(seed.generate_state(1)[0]))
        self.simulation_time_s = 0.0
        self._prepare_kernel(seed)
        self._create_cells()
        self._connect(weights)

    def run(self, stimuli: FloatArray, targets: FloatArray | None, *, learn: bool) -> TrialResult:
        """Present samples one after the other; see `Network.run`."""
        n_samples = len(stimuli)
        duration = self._schedule(stimuli, targets, learn=learn)
        started = time.perf_counter()
        try:
            self._nest.Simulate(n_samples * duration)
        except self._nest.NESTError as error:
            found = DIVERGENCE.search(str(error))
            if found is None:
                raise
            message = (
                f"a prospective potential became {found[2]} mV, but no membrane can be {MAX_POTENTIAL:g} mV from rest; "
                "lower the learning rates or the weights of the feedback"
            )
            place = self._order[self._cells.tolist().index(int(found[1]))]
            raise DivergenceError(message, int(found[3]), cell_name(self.circuit, place)) from error
        finally:
            self.simulation_time_s += time.perf_counter() - started
        V_soma, V_basal, V_apical = self._read_out(n_samples)
        layout = self._layout
        prediction = layout.basal_factor[layout.outputs] * V_basal[:, layout.outputs]
        return layout.result(V_soma, prediction, V_apical[:, layout.hidden])

    def get_weights(self) -> Weights:
        """Present weights (normalised, mV ms)."""
        found: dict[str, list[FloatArray]] = {"up": [], "ip": [], "pi": [], "down": []}
        for name, parts in self._projections.items():
            matrix = np.zeros(self._shapes[name])  # a process knows the synapses onto its own cells
            for part in parts:
                _, entries, values = self._connections(part)
                matrix[:, part.columns][entries] = values * self.psi
            matrix = sum_over_processes(matrix)
            if name in self._missing:
                matrix[self._missing[name]] = np.nan
            found[name.rpartition("_")[0]].append(matrix)
        return Weights(**found)

    def set_weights(self, weights: Weights) -> None:
        """Set every weight exactly (normalised, mV ms)."""
        for name, matrix in weights.named():
            for part in self._projections[name]:
                connections, entries, _ = self._connections(part)
                if len(connections) > 0:
                    connections.set(weight=list(np.atleast_1d(matrix[:, part.columns][entries] / self.psi)))

    def _connections(self, part: _Part) -> tuple[Any, tuple[NDArray[np.int64], NDArray[np.int64]], FloatArray]:
        """Connections of a part, rows (post) and columns (pre) of their weights in its matrix, and these in NEST's units."""
        connections = self._nest.GetConnections(part.pre, part.post, synapse_model=part.model)
        keys = ["target", "source", "weight"]  # at once: PyNEST asks for everything each time
        status = connections.get(keys) if len(connections) > 0 else dict.fromkeys(keys, ())
        rows, columns = (np.atleast_1d(np.asarray(status[key], dtype=np.int64)) for key in keys[:2])
        values = np.atleast_1d(np.asarray(status["weight"], dtype=np.float64))
        return connections, (rows - part.post[0].global_id, columns - part.pre[0].global_id), values

    def _prepare_kernel(self, seed: int) -> None:
        nest, simulation = self._nest, self.circuit.simulation
        if nest.num_processes != n_processes():
            raise UserError(
                f"there are {n_processes()} processes, but NEST knows of {nest.num_processes}: "
                "this NEST has no MPI, or not the one of this mpirun; pyramidal doctor tells, make mpi builds one that has"
            )
        nest.ResetKernel()
        nest.verbosity = nest.VerbosityLevel.ERROR
        nest.resolution = simulation.h
        install()
        nest.local_num_threads = simulation.threads  # before any model is copied
        nest.rng_seed = seed
        # NEST logs every change of its spike buffers; by default they shrink in every silent slice, and the log takes 24 bytes each
        nest.spike_buffer_shrink_limit = 0.0

    def _create_cells(self) -> None:
        nest, circuit, sizes = self._nest, self.circuit, self.circuit.sizes
        free = circuit.trial.free_learning
        *hidden, output = (self._parameters(neuron) for neuron in circuit.neurons)
        above = [*hidden[1:], output]
        point = {"g_apical": 0.0}
        taught = {
            "g_nudge": circuit.neurons[-1].g_target_nS,
            "nudge_ramp_start": circuit.trial.t_target_on,
            "nudge_ramp_duration": circuit.trial.t_target_ramp,
        }
        apical = {"learning_apical": "free" if "pi" in free else "taught"}
        basal = {"learning_basal": "both" if "ip" in free else "taught"}
        with_tuft = circuit.neuron.g_tuft > 0.0
        tuft = {name: getattr(circuit.neuron, other) for name, other in TUFT.items()} if with_tuft else {}
        hidden_model = self.tuft_model if with_tuft else self.cell_model
        self._receptors = {m: nest.GetDefaults(m, "receptor_types") for m in {hidden_model, self.cell_model}}
        self.inputs = nest.Create(self.input_model, sizes[0], {"psi": self.psi})
        self.pyramidal = [
            nest.Create(hidden_model, n, own | apical | tuft) for n, own in zip(sizes[1:-1], hidden, strict=True)
        ]
        self.pyramidal.append(nest.Create(self.cell_model, sizes[-1], output | point | taught))
        self.interneurons = [
            nest.Create(self.cell_model, n, own | point | basal) for n, own in zip(sizes[2:], above, strict=True)
        ]
        self.teacher = nest.Create("stimulus_neuron", sizes[-1])
        self._create_other_sources(hidden)

        self._layout = layout = Layout(circuit)
        self._cells = sum((*self.pyramidal, *self.interneurons))
        places = [np.arange(layer.start, layer.stop) for layer in (*layout.pyramidal, *layout.interneurons)]
        self._order = np.concatenate(places)  # where these cells stand in the layout of results
        # what stays is asked once: PyNEST has a cell tell everything whenever it is asked for anything
        self._local_inputs, self._local_teacher = self._local(self.inputs), self._local(self.teacher)
        self._local_partners = [self._local(cells) for cells in self.inhibitory]
        self._local_biases = [self._local(cells) for cells in self.biases]
        self._local_cells, rows = self._local(self._cells)
        self._places = self._order[rows]

    def _parameters(self, neuron: NeuronParameters) -> dict[str, Any]:
        return cell_parameters(neuron, self.lacking)

    def _create_other_sources(self, hidden: Sequence[Mapping[str, Any]]) -> None:
        """Biases and inhibitory partners, and what every layer has sources of."""
        nest, circuit = self._nest, self.circuit
        rates = {"psi": self.psi}
        layers = [self.inputs, *self.pyramidal[:-1]]
        self._sources = [[cells] for cells in layers]
        self.biases: list[Cells] = []
        self.inhibitory: list[Cells] = []
        if circuit.bias_rate > 0.0:
            self.biases = [nest.Create(self.input_model, 1, rates) for _ in layers]
            for sources, bias in zip(self._sources, self.biases, strict=True):
                sources.append(bias)
        if circuit.dale:
            self.inhibitory = [nest.Create(self.input_model, len(self.inputs), rates)]
            for own, cells in zip(hidden, self.pyramidal, strict=False):
                follows = {"g_L": LEAK_OF_PARTNER, "g_basal": 0.0, "g_apical": 0.0, "g_nudge": 1.0, "sigma_noise": 0.0}
                follows["latent_equilibrium"] = True  # their potential is that of their cells, one delay later
                self.inhibitory.append(nest.Create(self.cell_model, len(cells), {**own, **follows}))
            for sources, cells in zip(self._sources, self.inhibitory, strict=True):
                sources.append(cells)
                if circuit.bias_rate > 0.0:
                    self.biases.append(nest.Create(self.input_model, 1, rates))
                    sources.append(self.biases[-1])

    def _connect(self, weights: Weights) -> None:
        circuit = self.circuit
        layers = [self.inputs, *self.pyramidal]
        self._projections: dict[str, list[_Part]] = {}
        self._shapes = {name: matrix.shape for name, matrix in weights.named()}
        self._missing = {name: gaps for name, matrix in weights.named() if np.any(gaps := np.isnan(matrix))}
        self._limits = weight_limits(circuit)
        for k, matrix in enumerate(weights.up, start=1):
            self._project(
                f"up_{k}", self._sources[k - 1], layers[k], "basal", matrix, circuit.eta_up[k - 1] * self.eta_basal
            )
        for k, interneurons in enumerate(self.interneurons, start=1):
            eta_ip, eta_pi = circuit.eta_ip[k - 1] * self.eta_basal, circuit.eta_pi[k - 1] * self.eta_apical
            self._project(f"ip_{k}", self._sources[k], interneurons, "basal", weights.ip[k - 1], eta_ip)
            self._project(f"pi_{k}", [interneurons], layers[k], "apical", weights.pi[k - 1], eta_pi)
            top_down = "tuft" if circuit.neuron.g_tuft > 0.0 else "apical"
            by_alignment = circuit.plasticity.down == "alignment"
            eta_down = circuit.eta_down[k - 1] * (self.eta_alignment if by_alignment else self.eta_basal)
            self._project(f"down_{k}", [layers[k + 1]], layers[k], top_down, weights.down[k - 1], eta_down)
            self._nudge(layers[k + 1], interneurons)
        self._nudge(self.teacher, self.pyramidal[-1])
        for cells, partners in zip(self.pyramidal, self.inhibitory[1:], strict=False):
            self._nudge(cells, partners)

    def _project(
        self, name: str, sources: Sequence[Cells], post: Cells, receptor: str, matrix: FloatArray, eta: float
    ) -> None:
        """Connect all to all, or those that are there, with normalised weights; a plastic projection has models of its own."""
        self._projections[name] = []
        kind, layer = name.rpartition("_")[::2]
        low, high = self._limits[kind][int(layer) - 1]
        first = 0
        for pre in sources:
            columns = slice(first, first + len(pre))
            model = self._synapse_model(name, eta, float(low[0, first]), float(high[0, first]))
            synapse = self._synapse(model, post, receptor)
            self._join(pre, post, synapse, matrix[:, columns], self._keys(kind, int(layer), columns))
            self._projections[name].append(_Part(model, pre, post, columns))
            first = columns.stop

    def _synapse_model(self, name: str, eta: float, low: float, high: float) -> str:
        """The model of a projection's synapses with these limits (normalised), which is made if need be."""
        plasticity, there = self.circuit.plasticity, self.circuit.connectivity
        kind = name.partition("_")[0]
        per_trial = kind in ("up", "ip") and there.dropconnect < 1.0
        releases = there.release < 1.0 or per_trial
        if eta == 0.0 and not releases:
            return self.static_synapse
        model = f"{name}_{low:g}_{high:g}" if self.circuit.dale else name
        if model in self._nest.synapse_models:
            return model
        rule: dict[str, Any] = {"eta": eta}
        if eta > 0.0:
            rule |= {"Wmin": low / self.psi, "Wmax": high / self.psi}
        if kind == "down" and plasticity.down == "alignment":
            rule |= {
                "alpha": plasticity.decay_down * self.decay_alignment,
                "tau_innovation": plasticity.tau_innovation,
                "tau_baseline": self.tau_baseline,
            }
            self._nest.CopyModel(self.alignment_synapse, model, rule)
            return model
        rule |= {"tau_s": plasticity.tau_s, "tau_Delta": plasticity.tau_Delta}
        if releases:
            rule |= {
                "release_probability": there.dropconnect if per_trial else there.release,
                "release_per_trial": per_trial,
            }
        self._nest.CopyModel(f"releasing_{self.plastic_synapse}" if releases else self.plastic_synapse, model, rule)
        return model

    def _keys(self, kind: str, layer: int, columns: slice) -> NDArray[np.int64] | None:
        """What decides in which samples a synapse is there: the same for `up` into the next layer and `ip`."""
        if kind not in ("up", "ip") or self.circuit.connectivity.dropconnect == 1.0:
            return None
        above = layer if kind == "up" else layer + 1
        rows, n = self.circuit.sizes[above], self.circuit.n_sources[above - 1]
        keys = np.arange(rows * n).reshape(rows, n) + sum(
            size * sources for size, sources in zip(self.circuit.sizes[1:above], self.circuit.n_sources, strict=False)
        )
        return keys[:, columns]

    def _join(
        self, pre: Cells, post: Cells, synapse: dict[str, Any], matrix: FloatArray, keys: NDArray[np.int64] | None
    ) -> None:
        """Make the connections of all entries of a matrix that are there."""
        given = {"weight": matrix / self.psi} | ({} if keys is None else {"key": keys})
        there = ~np.isnan(matrix)
        if np.all(there):
            self._nest.Connect(pre, post, "all_to_all", synapse | given)
            return
        rows, columns = np.nonzero(there)
        if len(rows) == 0:
            return
        sources, targets = np.asarray(pre.global_id), np.asarray(post.global_id)
        sources, targets = np.atleast_1d(sources)[columns], np.atleast_1d(targets)[rows]
        each = {name: values[rows, columns] for name, values in given.items()}
        each |= {
            "delay": np.full(len(rows), synapse["delay"]),
            "receptor_type": np.full(len(rows), synapse["receptor_type"]),
        }
        self._nest.Connect(sources, targets, "one_to_one", synapse | each)

    def _nudge(self, pre: Cells, post: Cells) -> None:
        self._nest.Connect(pre, post, "one_to_one", self._synapse("rate_connection_delayed", post, "nudge"))

    def _synapse(self, model: str, post: Cells, receptor: str) -> dict[str, Any]:
        has_tuft = self.circuit.neuron.g_tuft > 0.0 and any(post is cells for cells in self.pyramidal[:-1])
        receptors = self._receptors[self.tuft_model if has_tuft else self.cell_model]
        return {"synapse_model": model, "receptor_type": receptors[receptor], "delay": self.circuit.simulation.delay}

    def _schedule(self, stimuli: FloatArray, targets: FloatArray | None, *, learn: bool) -> float:
        """Hand the course of the samples to the cells; returns the time of one sample (ms)."""
        trial = self.circuit.trial
        is_test = targets is None
        t_pres = trial.t_pres_test if is_test else trial.t_pres
        duration = t_pres + trial.t_relax
        course: Mapping[str, Any] = {
            "trial_start": self._nest.biological_time,
            "trial_duration": duration,
            "trial_reset": trial.between == "reset",
            "stimulus_duration": t_pres,
            "learning": learn,
            "learning_start": trial.t_learn_on,
            "learning_stop": t_pres,
            "free_learning_start": trial.t_free_learn_on,
            "free_learning_stop": trial.t_target_on,
            "readout_start": trial.t_readout_on_test if is_test else trial.t_readout_on,
            "readout_stop": t_pres,
        }
        if len(self._places) > 0:
            self._local_cells.set(course)
        for cells, rows in self._local_partners[1:]:
            if rows:
                cells.set(course)
        if self._variation is not None:
            self._vary(len(stimuli) if learn else 0)
        if targets is None:
            values, lesson = np.full((len(stimuli), len(self.teacher)), np.nan), course
        else:
            on = trial.t_target_on
            values, lesson = targets, {**course, "stimulus_start": on, "stimulus_duration": t_pres - on}
        for (local, rows), columns, shown in (
            (self._local_inputs, stimuli.T, course),
            *((partners, stimuli.T, course) for partners in self._local_partners[:1]),
            *((bias, np.full((1, len(stimuli)), self.circuit.bias_rate), course) for bias in self._local_biases),
            (self._local_teacher, values.T, lesson),
        ):
            if len(rows) > 0:
                local.set([{**shown, "stimulus_values": np.ascontiguousarray(columns[row])} for row in rows])
        return duration

    def _vary(self, n_samples: int) -> None:
        """Tell the cells what differs from sample to sample: who drops out, and the known noise of rates; nothing in tests."""
        assert self._variation is not None
        gain, noise = self._variation.draw(n_samples)
        for name, values in (("output_gain_values", gain), ("noise_values", noise if self.knows_noise else None)):
            if values is None:
                continue
            columns = np.ascontiguousarray(values.T)
            if len(self._places) > 0:
                self._local_cells.set([{name: columns[place]} for place in self._places])
            if name == "noise_values":  # of the cells alone: spikes of their partners are drawn independently, too
                continue
            for (cells, rows), layer in zip(self._local_partners[1:], self._layout.pyramidal, strict=False):
                if rows:
                    cells.set([{name: columns[layer.start + row]} for row in rows])

    def _read_out(self, n_samples: int) -> FloatArray:
        """Means over the read-out windows of soma, basal and apical dendrite, shape (3, n_samples, n_cells) (mV)."""
        means = np.zeros((len(MEANS), self._layout.n_cells, n_samples))
        if len(self._places) > 0:
            found = self._local_cells.get()  # one name after the other would take as long for each
            for potential, name in zip(means, MEANS, strict=True):
                potential[self._places] = np.array(found[name], dtype=np.float64, ndmin=2)
        return np.ascontiguousarray(sum_over_processes(means).swapaxes(1, 2))

    def _local(self, cells: Any) -> tuple[Any, list[int]]:
        """The cells of this process, and which ones they are among all."""
        rows = np.flatnonzero(np.atleast_1d(cells.get("local"))).tolist()
        return cells if len(rows) == len(cells) or not rows else cells[rows], rows
