# SPDX-License-Identifier: GPL-2.0-or-later
"""Tasks: samples, splits, baselines."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pynest_tools.errors import UserError
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.tasks import BUILT_IN as TASKS
from pynest_tools.tasks import Bars, Digits, Samples, Task, find_task


def test_every_task_has_what_tasks_have():
    for name, task in TASKS.items():
        assert task.model_fields["name"].default == name
        assert callable(task.default_run)


@pytest.mark.parametrize("task", [Bars(), Digits()], ids=lambda task: task.name)
def test_samples_fit_the_task(task):
    assert isinstance(task, Task)
    for samples in (task.epoch(np.random.default_rng(0)), task.validation_set(), task.test_set()):
        n = len(samples.labels)
        assert samples.stimuli.shape == (n, task.n_inputs)
        assert samples.targets.shape == (n, task.n_outputs)
        np.testing.assert_array_equal(samples.targets.argmax(axis=1), samples.labels)
        np.testing.assert_array_equal(samples.targets.sum(axis=1), 1.0)
        assert samples.stimuli.min() == task.lo
        assert samples.stimuli.max() == task.hi
    assert RunSpecification.for_task(task.name).task == task


@pytest.mark.parametrize("task", [Bars(), Digits()], ids=lambda task: task.name)
def test_order_of_an_epoch_follows_the_seed(task):
    first, again, other = (task.epoch(np.random.default_rng(seed)).stimuli for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_bars_are_eight_patterns_of_three_kinds():
    images = Bars(lo=0.0).test_set()
    pixels, labels = images.stimuli, images.labels
    pictures = {
        "".join("#" if pixel else "." for pixel in stimulus): label
        for stimulus, label in zip(pixels, labels, strict=True)
    }
    assert pictures == {
        "###......": 0, "...###...": 0, "......###": 0,
        "#..#..#..": 1, ".#..#..#.": 1, "..#..#..#": 1,
        "#...#...#": 2, "..#.#.#..": 2,
    }  # fmt: skip


def test_an_epoch_of_bars_shows_each_pattern_three_times():
    samples = Bars().epoch(np.random.default_rng(3))
    patterns, counts = np.unique(samples.stimuli, axis=0, return_counts=True)
    assert (len(patterns), set(counts)) == (8, {3})


def test_bars_baselines():
    baselines = Bars().baselines()
    assert set(baselines["chance"].values()) == {3 / 8}
    assert all(3 / 8 < accuracy < 1.0 for accuracy in baselines["linear classifier"].values())


def test_no_linear_classifier_tells_bars_apart():
    """Sums of the horizontal and of the vertical bars are equal, and so are sums of any linear function of them."""
    patterns = Bars().test_set()
    horizontal, vertical = (patterns.stimuli[patterns.labels == kind] for kind in (0, 1))
    np.testing.assert_allclose(horizontal.sum(axis=0), vertical.sum(axis=0), rtol=1e-15)


def test_digits_split_is_disjoint_complete_and_stratified():
    data = load_digits()
    task = Digits(lo=0.0, hi=16.0)
    train, validation, test = task.training_set(), task.validation_set(), task.test_set()
    rows = [tuple(row) for part in (train, validation, test) for row in part.stimuli]
    assert len(set(rows)) == len(rows) == len(data.data)  # no two images of the set are equal
    assert sorted(rows) == sorted(map(tuple, data.data))
    for part, share in ((test, 0.2), (validation, 0.1)):
        held_out = np.bincount(part.labels) / np.bincount(data.target)
        np.testing.assert_allclose(held_out, share, atol=0.004)  # half a sample of the smallest class, 174 images


def test_digits_keep_image_and_label_together():
    data = load_digits()
    label_of = {tuple(image): label for image, label in zip(data.data, data.target, strict=True)}
    task = Digits(lo=0.0, hi=16.0)
    for samples in (task.epoch(np.random.default_rng(5)), task.test_set()):
        assert [label_of[tuple(image)] for image in samples.stimuli] == list(samples.labels)


def test_digits_split_follows_its_own_seed():
    first, again, other = (Digits(split_seed=seed).test_set().labels for seed in (0, 0, 1))
    first_images, other_images = (Digits(split_seed=seed).test_set().stimuli for seed in (0, 1))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(np.bincount(first), np.bincount(other))
    assert np.any(first_images != other_images)


def test_digits_baselines():
    baselines = Digits().baselines()
    assert list(baselines) == ["linear classifier", "chance"]
    for part in ("validation", "test"):
        assert 0.93 < baselines["linear classifier"][part] < 0.99
        assert 0.09 < baselines["chance"][part] < 0.11


def test_an_unknown_task_gets_a_suggestion():
    with pytest.raises(UserError, match=r"task 'digit' is unknown; did you mean digits\?"):
        find_task("digit")


def test_samples_of_arrays():
    x = [[0.0, 0.5], [1.0, 0.0]]
    np.testing.assert_array_equal(Samples.from_arrays(x, [1, 0], high=2.0).targets, [[0.0, 2.0], [2.0, 0.0]])
    np.testing.assert_array_equal(Samples.from_arrays(x, [0.5, 1.5]).targets, [[0.5], [1.5]])
    with pytest.raises(UserError, match=r"x\[0, 1\] is -0.5: a rate is not negative"):
        Samples.from_arrays([[0.0, -0.5]], [0])
    with pytest.raises(UserError, match="x has 2 samples and y has 3"):
        Samples.from_arrays(x, [0, 1, 1])
