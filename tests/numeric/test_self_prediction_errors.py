# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test tells of a circuit's own predictions is the same in NEST and in numpy."""

import pytest

from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.training import train


@pytest.mark.slow
def test_rate_networks_of_nest_and_numpy_fail_alike_to_predict_themselves(nest):
    """Errors on each set and distances, while both learn; the two share no code but that of the means."""
    runs = [
        train(RunSpecification.for_task("self_prediction", {"backend": backend, "training": {"epochs": 3}})).records
        for backend in ("rate", "ode")
    ]
    assert [record["epoch"] for record in runs[0]] == [0, 1, 2, 3]
    for ours, wanted in zip(*runs, strict=True):
        of_sets = [
            f"{name}_{error}"
            for name in ("train", "validation")
            for error in ("loss", "apical_error", "interneuron_error")
        ]
        for key in [*of_sets, *(("apical_error", "interneuron_error") if wanted["epoch"] > 0 else ())]:
            # potentials and weights agree to 1e-12 over 8 samples, errors are of the order of 1e-3 and more
            assert ours[key] == pytest.approx(wanted[key], rel=1e-8), (key, wanted["epoch"])
        assert ours["distance"] == pytest.approx(wanted["distance"], rel=1e-9)
        assert set(ours["distance"]) == {"pi_1", "ip_1"}
