# SPDX-License-Identifier: GPL-2.0-or-later
"""A small network for the tests of plasticity: prescribed presynaptic spikes, noisy errors, all of them recorded."""

import numpy as np

H = 0.1  # ms, resolution that the fixture nest sets
RECEPTORS = {"basal": 2, "apical": 3}
# presynaptic rates in Hz, from a spike in two seconds to 10 spikes in every step
RATES = (0.5, 5.0, 50.0, 1000.0, 9000.0, 100_000.0)


def ms(steps):
    """Steps in ms, free of the rounding of steps * 0.1."""
    return np.round(np.asarray(steps) * H, 1)


def spike_counts(rate, first, last, rng):
    """Steps from first to last with spikes, and how many there are: Poisson with the rate in Hz, but two spikes at least."""
    counts = rng.poisson(rate * H * 1e-3, last - first + 1)
    if counts.sum() < 2:
        counts[rng.choice(counts.size, 2, replace=False)] = 1
    steps = np.flatnonzero(counts)
    return steps + first, counts[steps]


def random_chunks(n_steps, rng, longest=37):
    """Random lengths of consecutive Simulate calls (steps) that add up to n_steps."""
    chunks = []
    while sum(chunks) < n_steps:
        chunks.append(min(int(rng.integers(1, longest + 1)), n_steps - sum(chunks)))
    return chunks


def parrots(nest, trains, delay=1):
    """Neurons that emit these spikes; delay (steps) lies between their generators and them."""
    generators = nest.Create("spike_generator", len(trains))
    for generator, (steps, counts) in zip(generators, trains):
        generator.set(spike_times=ms(steps - delay), spike_multiplicities=counts)
    neurons = nest.Create("parrot_neuron", len(trains))
    nest.Connect(generators, neurons, "one_to_one", {"delay": ms(delay)})
    return neurons


class Circuit:
    """A cell with noisy dendrites, and parrots that emit prescribed spikes.

    Parameters
    ----------
    n_steps : int
        How long the run will be.
    min_delay : int
        Smallest delay of the network (steps).
    quiet : int
        Without input spikes at the end (steps).
    neuron
        Parameters of the cell.
    """

    def __init__(self, nest, n_steps, *, min_delay=1, rates=RATES, quiet=0, seed=1, threads=1, **neuron):
        nest.local_num_threads = threads
        nest.rng_seed = seed
        self.nest = nest
        self.n_steps = n_steps
        self.min_delay = min_delay
        rng = np.random.default_rng(seed)
        delay = ms(min_delay)
        self.cell = nest.Create("pyramidal_neuron", params={"psi": 10.0, **neuron})
        noise = nest.Create("poisson_generator", 2, {"rate": 2000.0})
        relays = nest.Create("parrot_neuron", 2)
        nest.Connect(noise, relays, "one_to_one", {"delay": delay})
        for receptor in RECEPTORS.values():
            syn_spec = {"weight": [[0.4, -0.35]], "delay": delay, "receptor_type": receptor}
            nest.Connect(relays, self.cell, syn_spec=syn_spec)
        self.recorder = nest.Create(
            "multimeter", params={"interval": H, "record_from": ["error_basal", "error_apical"]}
        )
        nest.Connect(self.recorder, self.cell)
        # a parrot repeats the spikes of its generator after the delay
        self.trains = [spike_counts(rate, min_delay + 1, n_steps - quiet, rng) for rate in rates]
        self.inputs = parrots(nest, self.trains, min_delay)

    def connect(self, rule, receptor, delay, model="dendritic_error_synapse", weight=0.0, **parameters):
        """Connect all inputs by synapses of a new model, whose name is returned; the delay is in steps."""
        name = f"plastic_{len(self.nest.synapse_models)}"
        if model == "dendritic_error_synapse" or np.isfinite(rule.Wmax):
            parameters |= {"Wmin": rule.Wmin, "Wmax": rule.Wmax}
        parameters |= {"eta": rule.eta, "tau_s": rule.tau_s, "tau_Delta": rule.tau_Delta, "weight": weight}
        self.nest.CopyModel(model, name, parameters)
        syn_spec = {"synapse_model": name, "delay": ms(delay), "receptor_type": RECEPTORS[receptor]}
        self.nest.Connect(self.inputs, self.cell, syn_spec=syn_spec)
        return name

    def simulate(self, n_steps):
        """Simulate; the smallest delay is the one that was asked for."""
        self.nest.Simulate(float(ms(n_steps)))
        assert self.nest.min_delay == ms(self.min_delay)

    def weights(self, name):
        """Weights of the model in the order of the inputs."""
        connections = self.nest.GetConnections(synapse_model=name)
        return np.atleast_1d(connections.weight)[np.argsort(connections.source)]

    def set_weights(self, name, weights):
        """Set the weights of the model, in the order of the inputs."""
        connections = self.nest.GetConnections(synapse_model=name)
        connections.weight = list(np.asarray(weights)[np.argsort(np.argsort(connections.source))])

    def errors(self, receptor):
        """Errors of all steps of the run; the recorder hands out the last ones only after a further slice."""
        missing = self.n_steps + 2 * self.min_delay - round(self.nest.biological_time / H)
        if missing > 0:
            self.nest.Simulate(float(ms(missing)))
        events = self.recorder.get("events")
        assert np.allclose(events["times"][: self.n_steps], ms(np.arange(1, self.n_steps + 1)))
        return events[f"error_{receptor}"][: self.n_steps]
