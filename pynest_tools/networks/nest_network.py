# SPDX-License-Identifier: GPL-2.0-or-later
"""What the spiking and the rate network in NEST have in common."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..kernel.module import import_nest, install
from ..kernel.parallel import n_processes, sum_over_processes
from .backend import MAX_POTENTIAL, DivergenceError, FloatArray, TrialResult, Weights, cell_name
from .layout import Layout
from .microcircuit import Microcircuit, NeuronParameters

SOMA, BASAL, APICAL, NUDGE = 1, 2, 3, 4  # receptor types of the pyramidal cells
MEANS = ("readout_V_soma", "readout_V_basal", "readout_V_apical")
#: What a cell says when it diverges: its number, its potential (mV), the trial.
DIVERGENCE = re.compile(r"the prospective potential of \w+ (\d+) became (\S+) mV in trial (\d+)")


def cell_parameters(neuron: NeuronParameters, without: Sequence[str] = ()) -> dict[str, Any]:
    """Parameters of a cell as its model has them."""
    names = (
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
    )
    found = {name: getattr(neuron, name) for name in (*names, "latent_equilibrium") if name not in without}
    return found


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
    seed : int
        NEST's seed, 1 to 2^32 - 1.

    Attributes
    ----------
    inputs : nest.NodeCollection
        Input cells, P_0.
    pyramidal : list of nest.NodeCollection
        Pyramidal cells P_1, ..., P_N; the last are the output cells.
    interneurons : list of nest.NodeCollection
        Interneurons I_1, ..., I_{N-1}; cell i of I_k has cell i of P_{k+1} as its partner.
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

    # What a subclass says in its constructor, before that of this class.
    cell_model: str
    input_model: str
    cell_parameters: Mapping[str, Any]
    psi: float  #: What is sent for a rate of 1; weights are divided by it.
    eta_basal: float  #: Learning rate of synapses onto basal dendrites for a normalised one of 1.
    eta_apical: float  #: The same for apical dendrites.

    def __init__(self, circuit: Microcircuit, weights: Weights, seed: int) -> None:
        self._nest = import_nest()
        self.circuit = circuit
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
        for name, (_, pre, post) in self._projections.items():
            matrix = np.zeros((len(post), len(pre)))  # a process knows the synapses onto its own cells
            _, entries, values = self._connections(name)
            matrix[entries] = values * self.psi
            found[name.rpartition("_")[0]].append(sum_over_processes(matrix))
        return Weights(**found)

    def set_weights(self, weights: Weights) -> None:
        """Set every weight exactly (normalised, mV ms)."""
        for name, matrix in weights.named():
            connections, entries, _ = self._connections(name)
            if len(connections) > 0:
                connections.set(weight=list(np.atleast_1d(matrix[entries] / self.psi)))

    def _connections(self, name: str) -> tuple[Any, tuple[NDArray[np.int64], NDArray[np.int64]], FloatArray]:
        """Connections of a projection, rows (post) and columns (pre) of their weights in its matrix, and these in NEST's units."""
        model, pre, post = self._projections[name]
        connections = self._nest.GetConnections(pre, post, synapse_model=model)
        keys = ["target", "source", "weight"]  # at once: PyNEST asks for everything each time
        status = connections.get(keys) if len(connections) > 0 else dict.fromkeys(keys, ())
        rows, columns = (np.atleast_1d(np.asarray(status[key], dtype=np.int64)) for key in keys[:2])
        values = np.atleast_1d(np.asarray(status["weight"], dtype=np.float64))
        return connections, (rows - post[0].global_id, columns - pre[0].global_id), values

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
        nest, sizes = self._nest, self.circuit.sizes
        free = self.circuit.trial.free_learning
        point = {**self.cell_parameters, "g_apical": 0.0}
        hidden = {**self.cell_parameters, "learning_apical": "free" if "pi" in free else "taught"}
        output = point | {"g_nudge": self.circuit.neuron.g_target_nS}
        interneuron = point | {"learning_basal": "both" if "ip" in free else "taught"}
        self.inputs = nest.Create(self.input_model, sizes[0], {"psi": self.psi})
        self.pyramidal = [nest.Create(self.cell_model, n, hidden) for n in sizes[1:-1]]
        self.pyramidal.append(nest.Create(self.cell_model, sizes[-1], output))
        self.interneurons = [nest.Create(self.cell_model, n, interneuron) for n in sizes[2:]]
        self.teacher = nest.Create("stimulus_neuron", sizes[-1])

        self._layout = layout = Layout(self.circuit)
        self._cells = sum((*self.pyramidal, *self.interneurons))
        places = [np.arange(layer.start, layer.stop) for layer in (*layout.pyramidal, *layout.interneurons)]
        self._order = np.concatenate(places)  # where these cells stand in the layout of results
        # what stays is asked once: PyNEST has a cell tell everything whenever it is asked for anything
        self._local_inputs, self._local_teacher = self._local(self.inputs), self._local(self.teacher)
        self._local_cells, rows = self._local(self._cells)
        self._places = self._order[rows]

    def _connect(self, weights: Weights) -> None:
        circuit = self.circuit
        layers = [self.inputs, *self.pyramidal]
        self._projections: dict[str, tuple[str, Any, Any]] = {}
        for k, matrix in enumerate(weights.up, start=1):
            self._project(f"up_{k}", layers[k - 1], layers[k], BASAL, matrix, circuit.eta_up[k - 1] * self.eta_basal)
        for k, interneurons in enumerate(self.interneurons, start=1):
            eta_ip, eta_pi = circuit.eta_ip[k - 1] * self.eta_basal, circuit.eta_pi[k - 1] * self.eta_apical
            self._project(f"ip_{k}", layers[k], interneurons, BASAL, weights.ip[k - 1], eta_ip)
            self._project(f"pi_{k}", interneurons, layers[k], APICAL, weights.pi[k - 1], eta_pi)
            self._project(f"down_{k}", layers[k + 1], layers[k], APICAL, weights.down[k - 1], 0.0)
            self._nudge(layers[k + 1], interneurons)
        self._nudge(self.teacher, self.pyramidal[-1])

    def _project(self, name: str, pre: Any, post: Any, receptor: int, matrix: FloatArray, eta: float) -> None:
        """Connect all to all with normalised weights, by a model of its own if the projection is plastic."""
        model, plasticity = self.static_synapse, self.circuit.plasticity
        if eta > 0.0:
            model = name
            rule = {
                "eta": eta,
                "tau_s": plasticity.tau_s,
                "tau_Delta": plasticity.tau_Delta,
                "Wmin": plasticity.Wmin / self.psi,
                "Wmax": plasticity.Wmax / self.psi,
            }
            self._nest.CopyModel(self.plastic_synapse, model, rule)
        self._nest.Connect(pre, post, "all_to_all", self._synapse(model, receptor) | {"weight": matrix / self.psi})
        self._projections[name] = (model, pre, post)

    def _nudge(self, pre: Any, post: Any) -> None:
        self._nest.Connect(pre, post, "one_to_one", self._synapse("rate_connection_delayed", NUDGE))

    def _synapse(self, model: str, receptor: int) -> dict[str, Any]:
        return {"synapse_model": model, "receptor_type": receptor, "delay": self.circuit.simulation.delay}

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
        if targets is None:
            values, lesson = np.full((len(stimuli), len(self.teacher)), np.nan), course
        else:
            on = trial.t_target_on
            values, lesson = targets, {**course, "stimulus_start": on, "stimulus_duration": t_pres - on}
        for (local, rows), columns, shown in (
            (self._local_inputs, stimuli.T, course),
            (self._local_teacher, values.T, lesson),
        ):
            if len(rows) > 0:
                local.set([{**shown, "stimulus_values": np.ascontiguousarray(columns[row])} for row in rows])
        return duration

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
