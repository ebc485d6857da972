# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole training runs, as in the README."""

import json
import subprocess
import sys

import pytest

from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.training import train_seeds

SEEDS = range(1, 6)


def train(folder, *arguments):
    command = [sys.executable, "-m", "pynest_tools", "train", *map(str, arguments), "--output", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [seed if seed in SEEDS[:3] else pytest.param(seed, marks=pytest.mark.nightly) for seed in SEEDS]
)
def test_bars_are_learned_with_every_seed(tmp_path, seed):
    run = train(tmp_path / "run", "bars", "--seed", seed)
    assert run["test"]["accuracy"] == 1.0
    assert run["stable_from_epoch"] is not None
    assert run["stable_from_epoch"] <= 190  # two tests at least; the thesis, one run: 141
    # 4.3 to 5.2 % on a busy machine: networks built anew after each test, scikit-learn for the baselines, the test at the end
    assert run["python_share"] < 0.07


@pytest.mark.slow
def test_digits_are_learned(tmp_path):
    run = train(tmp_path / "run", "digits", "--epochs", 3)
    assert run["test"]["accuracy"] > 0.8
    assert run["baselines"]["linear classifier"]["test"] > 0.9
    assert run["baselines"]["chance"]["test"] < 0.12


@pytest.mark.nightly  # five seeds for 1000 epochs take minutes; five that learn and stay are in test_latent_equilibrium
@pytest.mark.slow
def test_rates_stay_at_100_percent():
    """All projections plastic, reset before every sample, 1000 epochs; the thesis's rate network fell to 62 to 88 % (C14)."""
    spec = RunSpecification.for_task("bars", {"backend": "ode", "training": {"epochs": 1000, "batch_size": 24}})
    assert min(*spec.network.eta_up, *spec.network.eta_ip, *spec.network.eta_pi) > 0.0
    for seed, result in zip(SEEDS, train_seeds(spec, SEEDS), strict=True):
        assert result.epochs == 1000
        assert result.stable_from_epoch is not None, f"seed {seed}"
        assert result.stable_from_epoch <= 200, f"seed {seed}"  # 20 to 100 were seen
        assert result.records[-1]["train_loss"] < 0.005, f"seed {seed}"


@pytest.mark.nightly  # 24 000 samples: what it adds to the test above and to the agreement of both networks is NEST's delivery
@pytest.mark.slow
def test_the_rate_network_of_nest_stays_at_100_percent(tmp_path):
    run = train(tmp_path / "run", "bars", "--backend", "rate", "--epochs", 1000)
    assert run["epochs"] == 1000
    assert run["stable_from_epoch"] is not None
    assert run["stable_from_epoch"] <= 200
