# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel, what a user does with it, and a book of all that; life_check.py compares what came of it with the oracle.

All times are in steps. What is on its way in NEST 3.10 while something is created, connected or disconnected may reach the wrong
synapse or crash it, with static_synapse, too; so such things are done when no spike is on its way (`come_to_rest`).
"""

import math
from dataclasses import replace

import numpy as np
from kernel_setup import fresh_kernel
from life_book import RATE_PLASTIC, SIGNALS, Cell, Model, Synapse
from life_oracle import CLOCK, DENDRITES, PYRAMIDAL, Course, H

LATEST = 1500  # steps; devices are silent afterwards
RECEPTORS = DENDRITES | {"nudge": 4}
RECORDED = ("V_soma", "V_basal", "V_apical", "error_basal", "error_apical", "V_prospective", "rate", "V_nudge")


def ms(steps):
    """Steps in ms, free of the rounding of steps * 0.1."""
    return round(steps * H, 1)


class Life:
    """A kernel from its beginning until it is reset.

    Parameters
    ----------
    threads, seed : int
    min_delay, max_delay : int
        Range of delays of the network (steps).
    constants : dict
        Rule of the plastic synapses onto each dendrite.
    """

    def __init__(self, nest, *, threads, seed, min_delay, max_delay, constants):
        fresh_kernel(nest, threads=threads, seed=seed + 1)
        nest.set(min_delay=ms(min_delay), max_delay=ms(max_delay))
        self.nest = nest
        self.rng = np.random.default_rng(seed)
        self.min_delay, self.max_delay = min_delay, max_delay
        self.constants = constants
        self.now = 0
        self.prepared = False
        self.cells, self.synapses, self.models = [], [], []
        self.defaults = {}
        self.growths = [0]  # when something was created or connected
        self.multimeter = nest.Create("multimeter", params={"interval": H, "record_from": RECORDED})
        self.stimulus_meter = nest.Create(
            "multimeter", params={"interval": H, "record_from": ["V_prospective", "rate"]}
        )
        self.recorder = nest.Create("spike_recorder")
        self.n_spikes = self.n_runs = 0
        self.quiet_since = 0

    # ---- structure ------------------------------------------------------------------------------------------------------

    def create(self, kind, n, **settings):
        """Create cells; parrots come with trains of spikes, pyramidal cells with noise on both dendrites."""
        self.growths.append(self.now)
        nodes = self.nest.Create(kind, n, settings or None)
        known = PYRAMIDAL if kind.startswith("pyramidal") else CLOCK
        made = [Cell(node, id, kind, Course(self.now, known)) for node, id in zip(nodes, nodes.tolist())]
        delay = {"delay": ms(self.min_delay)}
        if kind != "pyramidal_rate_neuron":
            self.nest.Connect(nodes, self.recorder, syn_spec=delay)
        if kind != "parrot_neuron":
            self.nest.Connect(self.multimeter if made[0].is_pyramidal else self.stimulus_meter, nodes, syn_spec=delay)
        for cell in made:
            cell.course.set(self.defaults.get(kind, {}) | settings)
            if kind == "parrot_neuron":
                self.nest.Connect(self._generator(), cell.node, syn_spec=delay)
            elif cell.is_pyramidal:
                self._drive(cell)
        self.cells += made
        return made

    def _generator(self):
        """A device whose spikes come in bursts, between which it is silent."""
        chance = np.repeat(self.rng.choice([0.0, 0.0, 0.05, 0.7], LATEST // 10), 10)
        counts = self.rng.poisson(chance)
        steps = self.now + 1 + np.flatnonzero(counts)
        params = {"spike_times": np.round(steps * H, 1), "spike_multiplicities": counts[counts > 0]}
        return self.nest.Create("spike_generator", params=params)

    def _drive(self, cell):
        """Noise from devices in every step, so that errors are never zero."""
        steps = self.now + np.arange(1, LATEST)
        for dendrite, port in DENDRITES.items():
            weights = self.rng.normal(0.0, 0.05, steps.size)
            params = {"spike_times": np.round(steps * H, 1), "spike_weights": weights}
            drive = self.nest.Create("spike_generator", params=params)
            self.nest.Connect(drive, cell.node, syn_spec={"delay": ms(self.min_delay), "receptor_type": port})
            cell.drives[dendrite] = (steps, weights)

    def copy_model(self, kind, receptor, rule=None, recorded=False):
        """Make a synapse model."""
        model = Model(f"synapse_{len(self.models)}", kind, receptor, rule)
        parameters = {}
        if rule:
            keys = ["eta", "tau_s", "tau_Delta", "Wmin", "Wmax"] + ["tau_m"] * (rule.tau_m is not None)
            parameters = {key: getattr(rule, key) for key in keys} | {"weight": rule.clip(0.0)}
            if recorded and kind != RATE_PLASTIC and not model.steps:
                self.growths.append(self.now)
                model.recorder = parameters["weight_recorder"] = self.nest.Create("weight_recorder")
        self.nest.CopyModel(kind, model.name, parameters)
        self.models.append(model)
        return model

    def connect(self, sources, targets, model, conn_spec, delay, weight):
        """Connect, and look what has come of it; returns the new synapses."""
        self.growths.append(self.now)
        syn_spec = {"synapse_model": model.name, "delay": ms(delay), "weight": weight}
        syn_spec["receptor_type"] = RECEPTORS[model.receptor]
        there = {synapse.key for synapse in self.present()}
        self.nest.Connect(self.nodes(sources), self.nodes(targets), conn_spec, syn_spec)
        found = self.nest.GetConnections(synapse_model=model.name)
        by_id = {cell.id: cell for cell in self.cells}
        made = []
        pairs = zip(found.sources(), found.targets()) if len(found) else []
        for source, target in sorted(pairs):  # threads find them in any order
            if (source, target, model.name) not in there:
                synapse = Synapse(by_id[source], by_id[target], model, delay, weight, self.now, model.rule)
                synapse.kept_since, _ = synapse.target.kept_since.setdefault(synapse.place, (self.now, self.n_runs))
                made.append(synapse)
        assert len(made) == len({synapse.key for synapse in made})
        self.synapses += made
        return made

    def disconnect(self, synapses):
        """Remove synapses; what has been kept for others than stepping ones stays, since a spike may be under way."""
        for synapse in synapses:
            self.connection(synapse).disconnect()
            synapse.until = self.now
            is_last = all(
                other.place != synapse.place or other.target is not synapse.target for other in self.present()
            )
            if is_last and synapse.rule:
                _, run = synapse.target.kept_since[synapse.place]
                if synapse.model.steps or run == self.n_runs:  # nothing has been kept so far
                    del synapse.target.kept_since[synapse.place]

    # ---- settings -------------------------------------------------------------------------------------------------------

    def set(self, cells, **settings):
        """Set parameters of cells."""
        reading = [cell for cell in cells if cell.is_pyramidal]
        if "trial_start" in settings and reading:  # they will be emptied
            self.read_out(reading)
        if cells:
            self.nodes(cells).set(settings)
        for cell in cells:
            cell.course.set(settings)

    def set_defaults(self, kind, **settings):
        """Change what new cells begin with."""
        self.nest.SetDefaults(kind, settings)
        self.defaults[kind] = self.defaults.get(kind, {}) | settings

    def set_bounds(self, model, Wmin, Wmax):
        """Change the bounds of the weights of a model, by SetDefaults."""
        self.nest.SetDefaults(model.name, {"Wmin": Wmin, "Wmax": Wmax})
        model.rule = replace(model.rule, Wmin=Wmin, Wmax=Wmax)
        for synapse in self.present():
            if synapse.model is model:
                synapse.history.append(("bounds", self.now, model.rule))

    def set_weight(self, synapse, weight):
        """Set the weight of a synapse."""
        self.connection(synapse).weight = weight
        synapse.history.append(("set", self.now, weight))

    # ---- time -----------------------------------------------------------------------------------------------------------

    def run(self, n):
        """Simulate for n steps, or run if the kernel is prepared; some steps more if NEST would forget records afterwards."""
        if not self.prepared:
            self._begin_records()
        end = self.now + n
        while any(self._forgets_records(cell, end) for cell in self.cells):
            end += 1
        (self.nest.Run if self.prepared else self.nest.Simulate)(ms(end - self.now))
        for cell in self.cells:
            if not cell.course.settings["frozen"]:
                cell.next_record += end - self.now
            cell.course.go_on(end)
        self.now = end
        n_spikes = self.recorder.n_events
        if n_spikes != self.n_spikes:
            self.n_spikes, self.quiet_since = n_spikes, end

    def prepare(self):
        """Begin a session of nest.Run."""
        self._begin_records()
        self.nest.Prepare()
        self.prepared = True

    def cleanup(self):
        """End it."""
        self.nest.Cleanup()
        self.prepared = False

    def come_to_rest(self):
        """Go on until no spike is on its way, and to the end of a slice if there are signals; returns whether that could be."""
        has_signals = any(synapse.model.kind in SIGNALS for synapse in self.synapses)
        for _ in range(6):
            is_quiet = self.quiet_since <= self.arrival(self.now) - self.min_delay
            if is_quiet and not (has_signals and self.now % self.min_delay):
                return True
            self.run(self.min_delay - self.now % self.min_delay)
        return False

    def _origin(self, time):
        """Beginning of the slice of a time."""
        return time // self.min_delay * self.min_delay

    def _begin_records(self):
        """What NEST's UniversalDataLogger does when a Simulate begins: a cell that is behind was frozen, and begins anew."""
        self.n_runs += 1
        for cell in self.cells:
            if cell.next_record < self._origin(self.now):
                cell.next_record = self.now

    def _forgets_records(self, cell, end):
        """Whether it would begin anew after a run until this time, and drop what the multimeter has not fetched."""
        frozen = cell.course.settings["frozen"]
        next_record = cell.next_record + (0 if frozen else end - self.now)
        origin = self._origin(end)
        fetched = origin - self.min_delay * (end == origin)
        return next_record < origin and (cell.course.last_awake if frozen else end) > fetched

    # ---- what is there --------------------------------------------------------------------------------------------------

    def read(self):
        """Read all weights."""
        present = self.present()
        if not present:
            return
        found = self.nest.GetConnections().get(["source", "target", "synapse_model", "weight"])
        columns = [found[key] for key in ("source", "target", "synapse_model", "weight")]
        weights = {key: weight for *key, weight in zip(*columns) for key in [tuple(key)]}
        for synapse in present:
            synapse.history.append(("read", self.now, weights[synapse.key]))

    def read_out(self, cells):
        """Read the means of the trials, and the settings; their names and values for every cell."""
        names = [*(f"readout_V_{part}" for part in ("soma", *DENDRITES)), *PYRAMIDAL, "archive_bytes"]
        columns = self.nodes(cells).get(names)
        rows = [
            {name: columns[name][i] if len(cells) > 1 else columns[name] for name in names} for i in range(len(cells))
        ]
        for cell, row in zip(sorted(cells, key=lambda cell: cell.id), rows):
            means = {name: list(row[name]) for name in names[:3]}
            cell.readouts.append((self.now, cell.course.emptied, means))
        return rows

    def present(self):
        """Synapses that there are."""
        return [synapse for synapse in self.synapses if synapse.until is None]

    def pyramidal(self):
        """Cells with dendrites."""
        return [cell for cell in self.cells if cell.is_pyramidal]

    def arrival(self, n):
        """When what was sent in step n is delivered: with the slice that begins then."""
        return math.ceil(n / self.min_delay) * self.min_delay

    def connection(self, synapse):
        """The connection of a synapse."""
        found = self.nest.GetConnections(synapse.source.node, synapse.target.node, synapse_model=synapse.model.name)
        assert len(found) == 1
        return found

    def nodes(self, cells):
        """NodeCollection of cells, sorted as NEST wants it."""
        return self.nest.NodeCollection(sorted({cell.id for cell in cells}))
