# SPDX-License-Identifier: GPL-2.0-or-later
"""Archive and synapses against the rule as a plain sum (plasticity_oracle.py), which shares no code with them."""

import numpy as np
import pytest

from plasticity_oracle import Rule, trace, weight_at_end, weights_at_spikes

H = 0.1
RECEPTORS = {"basal": 2, "apical": 3}
# presynaptic rates in Hz, from a spike in two seconds to 10 spikes in every step
RATES = (0.5, 5.0, 50.0, 1000.0, 9000.0, 100_000.0)


def spike_counts(rate, n_steps, rng):
    """Steps >= 1 with spikes and how many there are, Poisson with the rate in Hz; at least two spikes."""
    counts = rng.poisson(rate * H * 1e-3, n_steps)
    counts[:2] = 0
    if counts.sum() < 2:
        counts[rng.choice(np.arange(2, n_steps - 40), 2, replace=False)] = 1
    steps = np.flatnonzero(counts)
    return steps, counts[steps]


class Circuit:
    """A cell with noisy dendrites, and parrots that emit prescribed spikes."""

    def __init__(self, nest, n_steps, *, seed=1, rates=RATES, threads=1, **neuron):
        nest.local_num_threads = threads
        nest.rng_seed = seed
        self.nest = nest
        self.n_steps = n_steps
        rng = np.random.default_rng(seed)
        self.cell = nest.Create("pyramidal_neuron", params={"psi": 10.0, **neuron})
        noise = nest.Create("poisson_generator", 2, {"rate": 2000.0})
        relays = nest.Create("parrot_neuron", 2)
        nest.Connect(noise, relays, "one_to_one")
        for receptor in RECEPTORS.values():
            nest.Connect(relays, self.cell, syn_spec={"weight": [[0.4, -0.35]], "delay": H, "receptor_type": receptor})
        self.recorder = nest.Create("multimeter", params={"interval": H, "record_from": ["error_basal", "error_apical"]})
        nest.Connect(self.recorder, self.cell)
        # emitted by the generator at n - 1, by the parrot at n
        self.trains = [spike_counts(rate, n_steps, rng) for rate in rates]
        self.inputs = nest.Create("parrot_neuron", len(rates))
        for parrot, (steps, counts) in zip(self.inputs, self.trains):
            generator = nest.Create(
                "spike_generator",
                params={"spike_times": np.round((steps - 1) * H, 1), "spike_multiplicities": counts},
            )
            nest.Connect(generator, parrot, syn_spec={"delay": H})

    def connect(self, rule, receptor, delay, model="dendritic_error_synapse", weight=0.0):
        name = f"{model}_{receptor}_{delay}_{rule.eta}"
        if name not in self.nest.synapse_models:
            parameters = {"eta": rule.eta, "tau_s": rule.tau_s, "tau_Delta": rule.tau_Delta}
            if np.isfinite(rule.Wmax):
                parameters |= {"Wmin": rule.Wmin, "Wmax": rule.Wmax}
            self.nest.CopyModel(model, name, parameters)
        self.nest.Connect(
            self.inputs,
            self.cell,
            syn_spec={
                "synapse_model": name,
                "weight": weight,
                "delay": delay * H,
                "receptor_type": RECEPTORS[receptor],
            },
        )
        return name

    def weights(self, name):
        connections = self.nest.GetConnections(synapse_model=name)
        order = np.argsort(connections.source)
        return np.atleast_1d(connections.weight)[order]

    def errors(self, receptor):
        events = self.recorder.get("events")
        errors = np.array(events[f"error_{receptor}"])
        assert np.allclose(events["times"], np.arange(1, errors.size + 1) * H)
        return errors


TIME_CONSTANTS = {
    "equal": (1.0, 1.0),
    "tau_s slightly below": (1.0, 1.0 + 1e-7),
    "tau_s slightly above": (1.0 + 1e-7, 1.0),
    "tau_s below": (1.0, 30.0),
    "tau_s above": (10.0, 1.0),
    "one step": (0.1, 3.0),
    "long": (100.0, 30.0),
    "no filter": (3.0, 0.0),
}


@pytest.mark.parametrize("tau_s, tau_Delta", TIME_CONSTANTS.values(), ids=TIME_CONSTANTS.keys())
def test_weights_equal_the_sum(nest, tau_s, tau_Delta):
    n_steps = 20_000
    circuit = Circuit(nest, n_steps)
    rules = {"basal": Rule(1e-12, tau_s, tau_Delta), "apical": Rule(-1e-12, tau_s, tau_Delta)}
    names = {(r, d): circuit.connect(rules[r], r, d) for r in rules for d in (1, 2, 17)}
    nest.Simulate(n_steps * H)
    for (receptor, delay), name in names.items():
        errors = circuit.errors(receptor)
        # the recorder misses the last step
        errors = np.append(errors, circuit.cell.get(f"error_{receptor}"))
        assert errors.size == n_steps
        for weight, (steps, counts) in zip(circuit.weights(name), circuit.trains):
            expected = weight_at_end(rules[receptor], errors, steps, counts, delay, 0.0)
            assert expected != 0
            # rounding of running sums that span e^2; measured 1e-12
            assert weight == pytest.approx(expected, rel=1e-9, abs=0)
