# SPDX-License-Identifier: GPL-2.0-or-later
"""The rate network of NEST is the one of numpy, step for step, with every option; the two share no code but what is drawn."""

import numpy as np
import pytest
from circuit_variants import BOUNDS, LEARNING, SHORT, VARIANTS

from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.ode import OdeMicrocircuit
from pynest_tools.networks.rate import RateMicrocircuit
from pynest_tools.networks.weights import initial_weights


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_rate_network_of_nest_is_the_one_of_numpy(nest, variant):
    """Two learning runs and a test: potentials and weights, and missing synapses at the same places."""
    entries = {"sizes": (5, 8, 6, 3), "plasticity": LEARNING, "weights": BOUNDS, "trial": SHORT, **variant}
    circuit = Microcircuit.model_validate(entries)
    weights = initial_weights(circuit, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    stimuli, targets = rng.uniform(0.0, 1.0, (6, 5)), rng.uniform(0.0, 1.0, (6, 3))
    targets[0, 0] = np.nan  # an output without a target
    seed = np.random.SeedSequence(5)
    found = []
    for network in (RateMicrocircuit(circuit, weights, seed), OdeMicrocircuit(circuit, weights, 1, seed)):
        results = [network.run(stimuli[part], targets[part], learn=True) for part in (slice(0, 4), slice(4, 6))]
        results.append(network.run(stimuli, None, learn=False))
        found.append((results, network.get_weights()))
    (of_nest, weights_of_nest), (of_numpy, weights_of_numpy) = found
    # sums of tens of products in another order differ by 1e-15; inhibitory partners in NEST have a leak of 1e-12 of their conductance
    for got, wanted in zip(of_nest, of_numpy):
        for name in ("V_soma", "prediction", "apical_error", "interneuron_error"):
            np.testing.assert_allclose(getattr(got, name), getattr(wanted, name), rtol=0, atol=1e-12, err_msg=name)
    for (name, got), (_, wanted), (_, before) in zip(
        weights_of_nest.named(), weights_of_numpy.named(), weights.named(), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12, err_msg=name)
        learns = not name.startswith("down") or circuit.plasticity.down != "static"
        assert (np.nanmax(np.abs(got - before)) > 0.005) == learns, name
