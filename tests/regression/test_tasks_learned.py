# SPDX-License-Identifier: GPL-2.0-or-later
"""What READMEs say that known tasks and own data reach."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_classification

from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.training import train, train_seeds

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def accuracies(spec, seeds):
    results = train_seeds(spec, seeds)
    assert results[0].diverged is None
    return [result.test["accuracy"] for result in results]


@pytest.mark.slow
def test_digits_at_steady_states():
    spec = RunSpecification.from_toml(EXPERIMENTS / "digits" / "steady.toml")
    assert np.mean(accuracies(spec, [1, 2, 3])) > 0.97


@pytest.mark.nightly
def test_yin_yang_at_steady_states():
    assert np.mean(accuracies(RunSpecification.for_task("yin_yang"), [1, 2, 3, 4, 5])) > 0.975


@pytest.mark.nightly
@pytest.mark.skipif(
    "PYRAMIDAL_MNIST" not in os.environ, reason="PYRAMIDAL_MNIST names no folder with the files of MNIST"
)
def test_mnist_at_steady_states():
    spec = RunSpecification.for_task("mnist", {"task": {"data": os.environ["PYRAMIDAL_MNIST"]}})
    assert np.mean(accuracies(spec, [1, 2, 3])) > 0.97


def own(path, task=None, **entries):
    """The default run of a file's data."""
    return RunSpecification.for_task("data", {"task": {"data": str(path), **(task or {})}, **entries})


def yardstick(result):
    return next(iter(result.baselines.values()))["test"]  # the linear model


@pytest.fixture
def sine(tmp_path):
    rng = np.random.default_rng(3)
    x = rng.uniform(0.0, 2.0 * np.pi, (400, 1))
    np.savez(tmp_path / "sine.npz", x=x, y=np.sin(x) + 0.05 * rng.normal(size=x.shape))
    return tmp_path / "sine.npz"


@pytest.fixture
def houses(tmp_path):
    """1000 x 8, like the housing data: products, squares and saturation of features, and a tenth of noise."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1000, 8))
    y = np.sin(2.0 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3] ** 2 + x[:, 4] + 0.1 * rng.normal(size=1000)
    np.savez(tmp_path / "houses.npz", x=x, y=y)
    return tmp_path / "houses.npz"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "backend"),
    [
        ("sine", "spiking"),
        ("sine", "steady"),
        ("houses", "steady"),
        pytest.param("houses", "spiking", marks=pytest.mark.nightly),  # minutes
    ],
)
def test_values_are_learned_better_than_by_a_linear_model(request, data, backend):
    result = train(own(request.getfixturevalue(data), backend=backend))
    assert result.test["r2"] > yardstick(result) + 0.1


@pytest.mark.slow
def test_four_classes_are_learned_with_spikes(tmp_path):
    x, y = make_classification(300, 12, n_informative=6, n_classes=4, random_state=1)
    np.savez(tmp_path / "classes.npz", x=x, y=np.array(["north", "east", "south", "west"])[y])
    spec = own(tmp_path / "classes.npz", network={"hidden": [20]})
    assert spec.network.sizes == (12, 20, 4)
    assert spec.backend == "spiking"
    result = train(spec)
    # of 60 samples, whose standard error is 6 %: not worse than the linear model by more than two of these
    assert result.test["accuracy"] > yardstick(result) - 2 * 0.06 > result.baselines["chance"]["test"] + 0.2
