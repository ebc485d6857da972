# SPDX-License-Identifier: GPL-2.0-or-later
"""Properties of plastic synapses in random networks, against the rule as a plain sum (plasticity_oracle.py).

HYPOTHESIS_EXAMPLES=1000 in the environment makes a long random search of it; without it the examples are always the same.
"""

import itertools
import math
import os
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from kernel_setup import fresh_kernel
from plasticity_circuit import RECEPTORS, H, ms, parrots
from plasticity_oracle import Replay, Rule, clipped_weights, largest_sum, weight_course

from pynest_tools.kernel.module import import_nest

N_EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "0"))


def examples(n):
    """Settings for a test with n examples, or as many as the environment asks for."""
    return settings(
        max_examples=N_EXAMPLES or n,
        derandomize=not N_EXAMPLES,
        database=None,
        print_blob=bool(N_EXAMPLES),
        deadline=None,
        # every example empties the kernel of the fixture first, and is a large one
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


# ---- random networks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clock:
    """Course of the trials of a cell and when it learns (steps), as in docs/trials.md."""

    start: int = 0
    duration: int = 0
    reset: bool = False
    learning_start: int = 0
    learning_stop: int | None = None
    free_learning_start: int = 0
    free_learning_stop: int = 0
    basal: str = "taught"
    apical: str = "taught"

    def parameters(self):
        """Parameters of the cell (ms)."""
        return {
            "trial_start": float(ms(self.start)),
            "trial_duration": float(ms(self.duration)),
            "trial_reset": self.reset,
            "learning_start": float(ms(self.learning_start)),
            "learning_stop": math.inf if self.learning_stop is None else float(ms(self.learning_stop)),
            "free_learning_start": float(ms(self.free_learning_start)),
            "free_learning_stop": float(ms(self.free_learning_stop)),
            "learning_basal": self.basal,
            "learning_apical": self.apical,
        }

    def phase(self, t):
        """Steps since the onset of the trial, in the step that begins at time t; None before the first trial."""
        if t < self.start:
            return None
        return (t - self.start) % self.duration if self.duration else t - self.start

    def resets(self, t):
        """Whether the cell returns to rest at time t."""
        return self.reset and self.phase(t) == 0

    def learns(self, receptor, t):
        """Whether the error of the dendrite counts in the step that begins at time t."""
        phase = self.phase(t)
        if phase is None:
            return False
        taught = self.learning_start <= phase < (self.learning_stop or math.inf)
        free = self.free_learning_start <= phase < self.free_learning_stop
        return {"taught": taught, "free": free, "both": taught or free}[getattr(self, receptor)]


@dataclass(frozen=True)
class Model:
    """A copy of a synapse model."""

    receptor: str
    rule: Rule
    labelled: bool = False
    recorded: bool = False


@dataclass(frozen=True)
class Synapse:
    """Numbers of its cells and model, delay (steps) and weight (mV ms) with which it is made."""

    source: int
    target: int
    model: int
    delay: int
    weight: float


@dataclass(frozen=True)
class Network:
    """Everything that is random about a network; times in steps, trains as pairs of step and number of spikes."""

    seed: int
    threads: int
    n_steps: int
    min_delay: int
    max_delay: int
    trains: tuple
    clocks: tuple
    models: tuple
    unit: float  # of weights (mV ms)
    synapses: tuple = ()


# shorter than a step, a step, some, hundreds, more than a run
TIME_CONSTANTS = st.one_of(st.sampled_from([1e-4, 0.02, 0.1, 1.0, 3.0, 30.0, 1e4]), st.floats(0.03, 30.0))
NEARLY_ONE = st.sampled_from([1.0, 1.0 + 1e-12, 1.0 - 1e-7, 1.0 + 1e-7, 1.001])
FACTORS = st.one_of(st.just(0.0), st.floats(-20.0, 20.0))  # of weights and bounds, in the unit of the network
CHUNKS = st.one_of(st.integers(1, 5), st.integers(1, 80))  # steps in a call of Simulate, often less than a slice
PAUSES = st.just(0) | CHUNKS
TAU_APICAL = 1.0  # ms
LATEST = 400  # steps, longest run


@st.composite
def trains(draw, min_delay, n_steps):
    """Spikes of a cell: none, some, bursts or a Poisson process."""
    steps = st.integers(min_delay + 1, max(n_steps, min_delay + 1))
    counts = st.integers(1, 4)
    kind = draw(st.sampled_from(["some", "bursts", "Poisson"]))
    if kind == "some":
        return tuple(sorted(draw(st.dictionaries(steps, counts, max_size=8)).items()))
    if kind == "bursts":
        bursts = draw(st.lists(st.tuples(steps, st.integers(1, 20), counts), min_size=1, max_size=3))
        return tuple(sorted({n: count for first, size, count in bursts for n in range(first, first + size)}.items()))
    rate = draw(st.sampled_from([0.3, 0.02, 3.0]))  # per step
    n = np.random.default_rng(draw(st.integers(0, 999))).poisson(rate, n_steps + 1)
    return tuple((k, int(n[k])) for k in range(min_delay + 1, n_steps + 1) if n[k])


@st.composite
def clocks(draw):
    """One trial without end, or several, with and without resets and learning windows."""
    start = draw(st.sampled_from([0, 0, 7, 40]))
    duration = draw(st.one_of(st.just(0), st.integers(1, 20), st.integers(20, 150)))
    learning_start = draw(st.sampled_from([0, 0, 3, 12]))
    learning_stop = draw(st.one_of(st.none(), st.integers(learning_start + 1, 150)))
    reset = draw(st.booleans())
    free = draw(st.sampled_from([(0, 0), (0, 0), (0, 9), (2, 30), (20, 100)]))
    windows = st.sampled_from(["taught", "taught", "free", "both"])
    return Clock(start, duration, reset, learning_start, learning_stop, *free, draw(windows), draw(windows))


@st.composite
def rules(draw):
    """Time constants of all synapses onto one kind of dendrite; eta and bounds are those of their models."""
    tau_s = draw(TIME_CONSTANTS)
    tau_Delta = draw(st.one_of(st.just(0.0), st.just(1e-5), TIME_CONSTANTS, NEARLY_ONE.map(lambda f: tau_s * f)))
    tau_m = None
    if draw(st.booleans()):
        tau_m = draw(st.one_of(TIME_CONSTANTS, st.sampled_from([0.999, 1.001, 1.1]).map(lambda f: tau_s * f)))
    return Rule(1.0, tau_s, tau_Delta, tau_m=None if tau_m == tau_s else tau_m)


def synapses(network):
    """Synapses that a network may have; delays not shorter and not longer than it has."""
    return st.builds(
        lambda source, target, model, delay, factor: Synapse(
            source, target, model, delay, network.models[model].rule.clip(factor * network.unit)
        ),
        st.integers(0, len(network.trains) - 1),
        st.integers(0, len(network.clocks) - 1),
        st.integers(0, len(network.models) - 1),
        st.integers(network.min_delay, network.max_delay),
        FACTORS,
    )


@st.composite
def networks(draw, *, transmits=None, fewest_cells=1):
    """Networks of a few cells.

    Parameters
    ----------
    transmits : bool, optional
        Whether weights are so large that the dendrites feel them, or so small that not even the last digit of a potential does.
    fewest_cells : int
        Postsynaptic cells at least.
    """
    min_delay = draw(st.integers(1, 5))
    n_steps = draw(st.integers(30, LATEST))
    transmits = draw(st.booleans()) if transmits is None else transmits
    unit = 1e-3 if transmits else 1e-150
    constants = {receptor: draw(rules()) for receptor in RECEPTORS}
    models = []
    for _ in range(draw(st.integers(1, 4))):
        receptor = draw(st.sampled_from(sorted(RECEPTORS)))
        eta = draw(st.sampled_from([-1.0, 1.0])) * draw(st.floats(0.1, 3.0)) * unit
        bounds = (-math.inf, math.inf)
        if transmits or draw(st.booleans()):  # without bounds the potentials could grow without end
            bounds = sorted(draw(st.tuples(FACTORS, FACTORS)))
        constants_of_model = replace(constants[receptor], eta=eta, Wmin=bounds[0] * unit, Wmax=bounds[1] * unit)
        models.append(Model(receptor, constants_of_model, draw(st.booleans()), draw(st.booleans())))
    network = Network(
        seed=draw(st.integers(0, 999)),
        threads=draw(st.integers(1, 2)),
        n_steps=n_steps,
        min_delay=min_delay,
        max_delay=min_delay + draw(st.integers(0, 17)),
        trains=tuple(draw(st.lists(trains(min_delay, n_steps), min_size=1, max_size=4))),
        clocks=tuple(draw(st.lists(clocks(), min_size=fewest_cells, max_size=3))),
        models=tuple(models),
        unit=unit,
    )
    return replace(network, synapses=draw(some_synapses(network)))


def some_synapses(network):
    """Different synapses of a network."""
    chosen = st.lists(synapses(network), min_size=1, max_size=8, unique_by=lambda s: (s.source, s.target, s.model))
    return chosen.map(tuple)


@st.composite
def networks_and_chunks(draw, **options):
    """A network, and lengths of Simulate calls that make up its run (steps)."""
    network = draw(networks(**options))
    chunks = draw(st.lists(CHUNKS, min_size=4, max_size=20))
    ends = [end for end in np.cumsum(chunks).tolist() if end < network.n_steps]
    return network, np.diff([0, *ends, network.n_steps]).tolist()


def with_models(network, **changes):
    """The network with these changes of all its models."""
    return replace(network, models=tuple(replace(model, **changes) for model in network.models))


def arrays(spikes):
    """Steps and counts of a dictionary of spikes, in order of time."""
    return np.array(sorted(spikes.items()), dtype=int).reshape(-1, 2).T


# ---- their simulation ---------------------------------------------------------------------------------------------------


@dataclass
class Made:
    """A synapse in the kernel, and what has been done with it: ("read" or "set", time, weight) in order."""

    synapse: Synapse
    receptor: str
    rule: Rule
    name: str  # of the model in the kernel
    time: int  # when it was made
    history: list
    until: int | None = None  # when it was removed


class Experiment:
    """A network in a fresh kernel; all times are in steps.

    Parameters
    ----------
    network : Network
    senders : callable, optional
        Makes the presynaptic cells; without it there are neurons that emit the trains of the network.
    kind : {"neuron", "population"}
        Of the postsynaptic cells.
    """

    def __init__(self, nest, network, senders=None, kind="neuron"):
        fresh_kernel(nest, threads=network.threads, seed=network.seed + 1)
        self.nest = nest
        self.network = network
        self.now = 0
        self.made = []
        delay = float(ms(network.min_delay))
        self.cells = nest.Create(
            f"pyramidal_{kind}", len(network.clocks), {"psi": 2.0, "I_e": 0.05, "tau_apical": TAU_APICAL}
        )
        for cell, clock in zip(self.cells, network.clocks):
            cell.set(clock.parameters())
        self.ids = self.cells.tolist()
        self.clocks = list(network.clocks)
        self.learning = [True] * len(self.clocks)
        self.gates = {(target, receptor): [] for target in range(len(self.clocks)) for receptor in RECEPTORS}
        self.resets = [set() for _ in self.clocks]
        self.archived_from = {}
        # noise in every step, so that a weight of 1e-150 mV ms never is all that a dendrite gets
        times = np.arange(1, LATEST + 20)
        self.drives = {}
        rng = np.random.default_rng(network.seed)
        for target, cell in enumerate(self.cells):
            for receptor, port in RECEPTORS.items():
                weights = rng.normal(0.0, 0.1, times.size)
                self.drives[target, receptor] = list(zip(times.tolist(), weights.tolist()))
                drive = nest.Create("spike_generator", params={"spike_times": ms(times), "spike_weights": weights})
                nest.Connect(drive, cell, syn_spec={"delay": delay, "receptor_type": port})
        self.trains = [dict(train) for train in network.trains]
        if senders:
            self.inputs = senders()
        else:
            self.inputs = parrots(nest, [arrays(train) for train in self.trains], network.min_delay)
        self.sources = self.inputs.tolist()
        # without weight: fixes the range of delays
        for steps in (network.min_delay, network.max_delay):
            syn_spec = {"weight": 0.0, "delay": float(ms(steps)), "receptor_type": 1}
            nest.Connect(self.inputs[0], self.cells[0], syn_spec=syn_spec)
        record_from = [f"error_{receptor}" for receptor in RECEPTORS]
        self.multimeter = nest.Create("multimeter", params={"interval": H, "record_from": record_from})
        nest.Connect(self.multimeter, self.cells, syn_spec={"delay": delay})
        self.recorders = {}
        self.names = [self._make(model) for model in network.models]
        for synapse in network.synapses:
            self.connect(synapse)

    def _make(self, model):
        """Make a model in the kernel; returns its name."""
        name = f"plastic_{len(self.nest.synapse_models)}"
        kind = "dendritic_error_synapse" if model.rule.tau_m is None else "dendritic_error_psp_synapse"
        keys = ["eta", "tau_s", "tau_Delta", "Wmin", "Wmax"] + ["tau_m"] * (model.rule.tau_m is not None)
        parameters = {key: getattr(model.rule, key) for key in keys}
        parameters["weight"] = model.rule.clip(0.0)
        if model.recorded:
            self.recorders[name] = parameters["weight_recorder"] = self.nest.Create("weight_recorder")
        self.nest.CopyModel(kind + "_lbl" * model.labelled, name, parameters)
        return name

    def connect(self, synapse):
        """Make a synapse now."""
        model = self.network.models[synapse.model]
        name = self.names[synapse.model]
        syn_spec = {
            "synapse_model": name,
            "delay": float(ms(synapse.delay)),
            "weight": synapse.weight,
            "receptor_type": RECEPTORS[model.receptor],
        }
        if model.labelled:
            syn_spec["synapse_label"] = len(self.made)
        self.nest.Connect(self.inputs[synapse.source], self.cells[synapse.target], syn_spec=syn_spec)
        self.archived_from.setdefault((synapse.target, model.receptor), self.now)
        self.made.append(Made(synapse, model.receptor, model.rule, name, self.now, []))

    def disconnect(self, made):
        """Remove a synapse now."""
        self.nest.Disconnect(self.connections(made))
        made.until = self.now

    def connections(self, made):
        """The one connection of a synapse."""
        source, target = self.inputs[made.synapse.source], self.cells[made.synapse.target]
        found = self.nest.GetConnections(source, target, synapse_model=made.name)
        assert len(found) == 1
        return found

    def present(self):
        """Synapses that there are."""
        return [made for made in self.made if made.until is None]

    def set_clock(self, target, clock):
        """Give a cell another course of trials now."""
        self.cells[target].set(clock.parameters())
        self.clocks[target] = clock

    def set_learning(self, target, learning):
        """Switch the learning of a cell on or off now."""
        self.cells[target].learning = learning
        self.learning[target] = learning

    def simulate(self, n_steps):
        """Simulate for this time."""
        for t in range(self.now, self.now + n_steps):
            for target, clock in enumerate(self.clocks):
                for receptor in RECEPTORS:
                    self.gates[target, receptor].append(self.learning[target] and clock.learns(receptor, t))
                if clock.resets(t):
                    self.resets[target].add(t)
        self.now += n_steps
        self.nest.Simulate(float(ms(n_steps)))
        range_of_delays = np.round([self.nest.min_delay / H, self.nest.max_delay / H])
        assert range_of_delays.tolist() == [self.network.min_delay, self.network.max_delay]

    def read(self):
        """Weights of all synapses, in the order in which they were made."""
        found = self.nest.GetConnections(self.inputs, self.cells).get(["source", "target", "synapse_model", "weight"])
        columns = [np.atleast_1d(found[key]).tolist() for key in ("source", "target", "synapse_model", "weight")]
        weights = {key: weight for *key, weight in zip(*columns) for key in [tuple(key)]}
        values = []
        for made in self.present():
            key = self.sources[made.synapse.source], self.ids[made.synapse.target], made.name
            values.append(weights[key])
            made.history.append(("read", self.now, values[-1]))
        return values

    def set(self, made, weight):
        """Set the weight of a synapse now."""
        self.connections(made).weight = weight
        made.history.append(("set", self.now, weight))

    def finish(self):
        """End the run; the recorder hands out the last errors only after a further slice."""
        self.nest.Simulate(float(ms(3 * self.network.min_delay)))
        self.n_steps = self.now
        events = self.multimeter.get("events")
        self.raw_errors = {}
        for target, cell in enumerate(self.ids):
            mine = events["senders"] == cell
            assert np.array_equal(np.round(events["times"][mine] / H)[: self.now], np.arange(1, self.now + 1))
            for receptor in RECEPTORS:
                self.raw_errors[target, receptor] = events[f"error_{receptor}"][mine][: self.now]

    def errors(self, made):
        """Errors that the dendrite of a synapse has archived."""
        place = made.synapse.target, made.receptor
        errors = self.raw_errors[place] * self.gates[place]
        errors[: self.archived_from[place]] = 0.0
        return errors

    def arrival(self, n):
        """When spikes of step n are delivered: with the slice that begins then."""
        return math.ceil(n / self.network.min_delay) * self.network.min_delay

    def arrivals(self, made):
        """Spikes that have reached a synapse: counts by step."""
        return {n: count for n, count in self.trains[made.synapse.source].items() if self._reaches(n, made)}

    def _reaches(self, n, made):
        return made.time <= self.arrival(n) < (self.now if made.until is None else made.until)

    def records(self, made):
        """Weights of the spikes that have reached a synapse as its recorder saw them (mV ms): lists by step."""
        events = self.recorders[made.name].get("events")
        mine = events["senders"] == self.sources[made.synapse.source]
        mine &= events["targets"] == self.ids[made.synapse.target]
        records = {}
        for time, weight in zip(events["times"][mine].tolist(), events["weights"][mine].tolist()):
            if self._reaches(round(time / H), made):
                records.setdefault(round(time / H), []).append(weight)
        return records

    def tolerance(self, made):
        """Rounding of the weights of a synapse (mV ms)."""
        # 1e-12 is some thousand roundings; largest_sum is 3 to 100 times the largest change of a weight in a run, and far more only
        # where an error changes its sign all the time or the two exponentials of a trace nearly cancel
        largest = largest_sum(made.rule, self.errors(made), *arrays(self.arrivals(made)))
        # the weight itself is rounded at every spike
        weights = [made.synapse.weight, *(weight for _, _, weight in made.history)]
        return 1e-12 * largest + 1e-13 * max(map(abs, weights))

    def check(self):
        """The weights that were read, and those with which spikes were sent, are those of the rule."""
        sent = []
        for made in self.made:
            spikes = self.arrivals(made)
            tolerance = self.tolerance(made)
            resets = self.resets[made.synapse.target]
            replay = Replay(made.rule, self.errors(made).tolist(), made.synapse.delay, made.synapse.weight, resets)
            sent.append({})
            waiting = sorted(spikes)
            for action, time, weight in [*made.history, ("end", math.inf, 0.0)]:
                while waiting and self.arrival(waiting[0]) < time:
                    n = waiting.pop(0)
                    sent[-1][n] = replay.spikes(n, spikes[n])
                if action == "read":
                    assert abs(replay.read(time) - weight) <= tolerance
                elif action == "set":
                    replay.set(time, weight)
            if made.name in self.recorders:
                records = self.records(made)
                assert {n: len(weights) for n, weights in records.items()} == spikes
                for n, weights in records.items():
                    assert np.all(np.abs(np.subtract(weights, sent[-1][n])) <= tolerance)
        self._check_dendrites(sent)

    def _check_dendrites(self, sent):
        """Apical dendrites got spikes with these weights, and their drive."""
        for target, resets in enumerate(self.resets):
            received = [(n, self.network.min_delay, weight) for n, weight in self.drives[target, "apical"]]
            rounding = 0.0
            for made, weights in zip(self.made, sent):
                if made.synapse.target == target and made.receptor == "apical":
                    received += [(n, made.synapse.delay, sum(spikes)) for n, spikes in weights.items()]
                    rounding += self.tolerance(made) * max(map(len, weights.values()), default=0) / H
            inputs = np.zeros(self.now + 1)
            for n, delay, weight in received:
                lost = any(n <= r < n + delay for r in resets)  # what is on its way at a reset
                if n + delay <= self.now and not lost:
                    inputs[n + delay] += weight
            V = np.zeros(self.now + 1)  # mV
            decay = math.exp(-H / TAU_APICAL)
            for k in range(1, self.now + 1):
                V[k] = (k - 1 not in resets) * decay * V[k - 1] + (1 - decay) * inputs[k] / H
            rounding += 1e-13 * np.abs(V).max()  # of a few hundred steps; what is left of it decays
            assert np.all(np.abs(self.raw_errors[target, "apical"] + V[1:]) <= rounding)


# ---- properties ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@examples(60)
@given(case=networks_and_chunks())
def test_weights_equal_the_sum(nest, case):
    """The weights at the end of the run of any network."""
    network, chunks = case
    experiment = Experiment(nest, network)
    for chunk in chunks:
        experiment.simulate(chunk)
    weights = experiment.read()
    experiment.finish()
    for made, weight in zip(experiment.made, weights, strict=True):
        spikes = experiment.arrivals(made)
        steps, counts = arrays(spikes)
        resets = sorted(experiment.resets[made.synapse.target])
        course = weight_course(made.rule, experiment.errors(made), steps, counts, made.synapse.delay, resets)
        expected = clipped_weights(made.rule, course, [*steps, network.n_steps], made.synapse.weight)[-1]
        assert abs(weight - expected) <= experiment.tolerance(made)


@pytest.mark.slow
@examples(60)
@given(case=networks_and_chunks())
def test_weights_read_at_any_time(nest, case):
    """A weight that is read is the one of that time, errors since the last spike included."""
    network, chunks = case
    experiment = Experiment(nest, network)
    experiment.read()
    for chunk in chunks:
        experiment.simulate(chunk)
        experiment.read()
    experiment.finish()
    experiment.check()


def set_some_weights(experiment, data):
    """Set some weights now and read all."""
    weights = experiment.read()
    factors = data.draw(st.lists(st.none() | FACTORS, min_size=len(weights), max_size=len(weights)))
    for i, (made, factor) in enumerate(zip(experiment.present(), factors)):
        if factor is not None:
            weights[i] = made.rule.clip(factor * experiment.network.unit)
            experiment.set(made, weights[i])
    assert experiment.read() == weights


@pytest.mark.slow
@examples(60)
@given(case=networks_and_chunks(), data=st.data())
def test_weights_set_at_any_time(nest, case, data):
    """What is set is read back exactly, and what was pending is added later on."""
    network, chunks = case
    experiment = Experiment(nest, network)
    for chunk in chunks:
        set_some_weights(experiment, data)
        experiment.simulate(chunk)
    experiment.read()
    experiment.finish()
    experiment.check()


@pytest.mark.slow
@examples(60)
@given(
    case=networks_and_chunks(transmits=False)
)  # the order in which NEST delivers spikes changes the rounding of their sum
def test_chunks_threads_labels_recorders_and_reading_change_nothing(nest, case):
    """Many calls of Simulate, threads, labels, recorders and reading: the weights are the same, bit for bit."""
    network, chunks = case
    bare = replace(with_models(network, labelled=False, recorded=False), threads=1)
    experiment = Experiment(nest, bare)
    experiment.simulate(network.n_steps)
    weights = experiment.read()
    experiment = Experiment(nest, network)
    for chunk in chunks:
        experiment.read()
        experiment.simulate(chunk)
    assert experiment.read() == weights
    for label, made in enumerate(experiment.made):
        if network.models[made.synapse.model].labelled:
            assert nest.GetConnections(synapse_label=label) == experiment.connections(made)


@pytest.mark.slow
@examples(60)
@given(case=networks_and_chunks(transmits=True))
def test_transmitted_weights(nest, case):
    """A recorder sees the weight of the time of each spike, and this is what the dendrite gets."""
    network, chunks = case
    experiment = Experiment(nest, with_models(network, recorded=True))
    for chunk in chunks:
        experiment.simulate(chunk)
    experiment.finish()
    experiment.check()


@st.composite
def senders(draw, network):
    """Cells that emit random spikes, for each kind of them; one for each train of the network."""
    parameters = []
    for _ in network.trains:
        model = draw(st.sampled_from(["stimulus", "pyramidal"]))
        psi = draw(st.sampled_from([0.3, 5.0, 40.0]))
        if model == "pyramidal":
            parameters.append((model, {"psi": psi, "I_e": draw(st.floats(-1.0, 0.3))}))
            continue
        values = draw(st.lists(st.one_of(st.just(math.nan), st.floats(-0.5, 2.0)), min_size=1, max_size=5))
        duration = float(ms(draw(st.integers(10, 200))))
        parameters.append((model, {"psi": psi, "stimulus_values": values, "trial_duration": duration}))
    return parameters


@pytest.mark.slow
@examples(60)
@given(case=networks_and_chunks(), data=st.data())
def test_population_equals_spikes(nest, case, data):
    """A population, whose spikes of a step travel as one event, teaches the synapses the same as spikes one by one."""
    network, chunks = case
    network = with_models(network, recorded=False)  # a recorder sees the event of a population as one spike
    parameters = data.draw(senders(network))
    results = []
    for kind in ("neuron", "population"):
        recorders = []

        def create(kind=kind, recorders=recorders):
            ids = [nest.Create(f"{model}_{kind}", params=values) for model, values in parameters]
            recorders += [nest.Create("spike_recorder") for _ in ids]
            for cell, recorder in zip(ids, recorders):
                nest.Connect(cell, recorder, syn_spec={"delay": float(ms(network.min_delay))})
            return sum(ids[1:], ids[0])

        experiment = Experiment(nest, network, create, kind)
        for chunk in chunks:
            experiment.simulate(chunk)
            experiment.read()
        experiment.finish()
        for source, recorder in enumerate(recorders):
            steps = np.round(recorder.get("events", "times") / H).astype(int)
            counts = np.bincount(steps[steps <= experiment.now])
            experiment.trains[source] = {int(n): int(counts[n]) for n in np.flatnonzero(counts)}
        experiment.check()
        results.append(experiment)
    assert results[0].trains == results[1].trains
    for made, other in zip(results[0].made, results[1].made):
        tolerance = 2 * results[0].tolerance(made)
        for (_, _, weight), (_, _, same) in zip(made.history, other.history):
            assert abs(weight - same) <= tolerance


def with_lasting_synapses(network):
    """The network with synapses of every model from every cell, onto a cell of every thread.

    Otherwise spikes that are on their way while connections are made or removed might reach synapses of other cells in NEST 3.10, or
    crash it, those of static_synapse, too.
    """
    keys = itertools.product(range(len(network.trains)), range(network.threads), range(len(network.models)))
    delays = itertools.cycle(range(network.min_delay, network.max_delay + 1))
    lasting = [Synapse(*key, delay, network.models[key[2]].rule.clip(0.0)) for key, delay in zip(keys, delays)]
    return replace(network, synapses=tuple(lasting))


class Session(RuleBasedStateMachine):
    """Anything that a user may do with a network, in any order."""

    experiment = None

    @initialize(network=networks(fewest_cells=3))
    def begin(self, network):
        self.network = with_lasting_synapses(network)
        self.experiment = Experiment(import_nest(), self.network)

    def simulate(self, n_steps):
        """Simulate for this time, or what is left of the run."""
        n_steps = min(n_steps, self.network.n_steps - self.experiment.now)
        if n_steps > 0:
            self.experiment.simulate(n_steps)

    def any_cell(self, data):
        return data.draw(st.integers(0, len(self.network.clocks) - 1))

    @rule(pause=PAUSES)
    def read(self, pause):
        self.simulate(pause)
        self.experiment.read()

    @rule(pause=PAUSES, data=st.data())
    def set_weights(self, pause, data):
        self.simulate(pause)
        set_some_weights(self.experiment, data)

    @rule(pause=PAUSES, data=st.data())
    def connect(self, pause, data):
        self.simulate(pause)
        taken = {(m.synapse.source, m.synapse.target, m.synapse.model) for m in self.experiment.present()}
        for synapse in data.draw(some_synapses(self.network)):
            if (synapse.source, synapse.target, synapse.model) not in taken:
                self.experiment.connect(synapse)

    @precondition(lambda self: len(self.experiment.present()) > len(self.network.synapses))
    @rule(pause=PAUSES, data=st.data())
    def disconnect(self, pause, data):
        self.simulate(pause)
        later_ones = self.experiment.present()[len(self.network.synapses) :]
        self.experiment.disconnect(data.draw(st.sampled_from(later_ones)))

    @rule(pause=PAUSES, data=st.data(), learning=st.booleans())
    def switch_learning(self, pause, data, learning):
        self.simulate(pause)
        self.experiment.set_learning(self.any_cell(data), learning)

    @rule(pause=PAUSES, data=st.data(), clock=clocks(), later=st.integers(-20, 30))
    def begin_trials(self, pause, data, clock, later):
        self.simulate(pause)
        self.experiment.set_clock(self.any_cell(data), replace(clock, start=max(0, self.experiment.now + later)))

    def teardown(self):
        if self.experiment:
            self.simulate(self.network.n_steps)
            self.experiment.read()
            self.experiment.finish()
            self.experiment.check()


TestSession = pytest.mark.slow(Session.TestCase)
TestSession.settings = settings(examples(60), stateful_step_count=25)
