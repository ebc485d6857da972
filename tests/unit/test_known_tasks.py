# SPDX-License-Identifier: GPL-2.0-or-later
"""Tasks that people know: their data are what they are said to be."""

import gzip
import os
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from test_data import write_idx

from pynest_tools.errors import UserError
from pynest_tools.tasks import Autoencoder, FashionMnist, Mnist, Mnist1d, TeacherStudent, YinYang

PARTS = ("training_set", "validation_set", "test_set")


def parts_of(task):
    return [getattr(task, part)() for part in PARTS]


def rows(samples):
    return set(map(tuple, samples.stimuli))


@pytest.mark.parametrize("task", [YinYang(), TeacherStudent(), Autoencoder()], ids=lambda task: task.name)
def test_sets_are_disjoint_and_an_epoch_is_the_training_set_in_random_order(task):
    training, validation, test = parts_of(task)
    for samples in (training, validation, test):
        assert samples.stimuli.shape == (len(samples), task.n_inputs)
        assert samples.targets.shape == (len(samples), task.n_outputs)
        assert samples.stimuli.min() >= 0.0
    n = len(training) + len(validation) + len(test)
    assert len(rows(training) | rows(validation) | rows(test)) == n
    first, again, other = (task.epoch(np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.stimuli, again.stimuli)
    assert np.any(first.stimuli != other.stimuli)
    joined = [np.hstack([samples.stimuli, samples.targets]) for samples in (first, training)]
    np.testing.assert_array_equal(*(a[np.lexsort(a.T)] for a in joined))


def yin_yang_colour(x, y):
    """Another way to draw the figure: halves of a disc, half discs that are added and taken away, then the dots on top."""
    x, y = 2 * x - 1, 2 * y - 1  # unit circle around 0
    left, right = (x + 0.5) ** 2 + y**2, (x - 0.5) ** 2 + y**2
    upper = y > 0
    colour = np.where(upper, 1, 0)
    colour[~upper & (left <= 0.25)] = 1
    colour[upper & (right <= 0.25)] = 0
    colour[(left < 0.04) | (right < 0.04)] = 2
    return colour


@pytest.mark.parametrize("samples", parts_of(YinYang()), ids=PARTS)
def test_yin_yang_is_the_figure(samples):
    x, y, x_left, y_left = samples.stimuli.T
    np.testing.assert_allclose([x + x_left, y + y_left], 1.0, rtol=1e-15)
    assert np.all(np.hypot(x - 0.5, y - 0.5) <= 0.5)
    np.testing.assert_array_equal(samples.labels, yin_yang_colour(x, y))
    assert set(np.unique(samples.targets)) == {0.0, 3.0}
    # Classes are drawn with equal chance: their counts are binomial, four standard deviations are exceeded once in 16 000 times.
    share = np.bincount(samples.labels, minlength=3) / len(samples)
    np.testing.assert_allclose(share, 1 / 3, atol=4 * np.sqrt(2 / 9 / len(samples)))


def test_yin_yang_has_the_sizes_of_its_authors():
    assert [len(samples) for samples in parts_of(YinYang())] == [5000, 1000, 1000]


def test_no_line_divides_yin_yang():
    """The authors report 63.8 +- 1.5 % for a network without hidden layer."""
    assert 0.6 < YinYang().baselines()["linear classifier"]["test"] < 0.68


def test_the_teacher_is_its_equations():
    """One sample with plain loops, from the inputs that the student is shown."""
    task = TeacherStudent(teacher_seed=3)
    rng = np.random.default_rng(3)
    W_1, W_2 = rng.uniform(-1, 1, (15, 15)), rng.uniform(-1, 1, (5, 15))
    sample = task.test_set().take([7])
    s = sample.stimuli[0, :15] - sample.stimuli[0, 15:]
    assert np.all(sample.stimuli[0, :15] * sample.stimuli[0, 15:] == 0.0)  # one of two cells is silent
    r = [0.8 * np.log(1 + np.exp(0.1 / 0.19 * sum(W_1[j, i] * s[i] for i in range(15)))) for j in range(15)]
    u = [0.1 / 0.13 * sum(W_2[k, j] * r[j] for j in range(15)) for k in range(5)]
    np.testing.assert_allclose(sample.targets[0], u, rtol=1e-12)  # 15 terms, rounded to 1e-16 each
    assert (task.kind, [len(part) for part in parts_of(task)]) == ("regression", [2000, 500, 500])


def test_inputs_of_the_teacher_are_uniform_with_either_sign():
    stimuli = TeacherStudent().training_set().stimuli
    s = stimuli[:, :15] - stimuli[:, 15:]
    # 30 000 numbers from [-1, 1]: mean 0, variance 1/3; four standard errors of each
    assert abs(s.mean()) < 4 * np.sqrt(1 / 3 / s.size)
    assert abs(s.var() - 1 / 3) < 4 * np.sqrt(4 / 45 / s.size)
    assert np.abs(s).max() <= 1.0


def test_the_autoencoder_says_what_it_is_shown():
    task = Autoencoder(span=2.0)
    known = rows(type("All", (), {"stimuli": load_digits().data})())
    for samples in parts_of(task):
        np.testing.assert_array_equal(samples.targets, 2.0 * samples.stimuli)
        assert set(map(tuple, task.decode(samples.targets))) <= known
    assert sum(map(len, parts_of(task))) == 1797


def test_yardsticks_of_the_autoencoder():
    """Independent: the share of variance that 16 principal axes of the training images keep, from an eigenvalue problem."""
    task = Autoencoder()
    train, test = task.training_set().targets, task.test_set().targets
    mean = train.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(train.T))
    kept = (test - mean) @ vectors[:, -16:] @ vectors[:, -16:].T
    varied = test.var(axis=0) > 0.0  # of pixels that are white in all images R² is not defined
    expected = 1 - np.sum((test - mean - kept)[:, varied] ** 2) / np.sum((test - test.mean(axis=0)) ** 2)
    baselines = task.baselines()
    assert baselines["PCA (16)"]["test"] == pytest.approx(expected, abs=1e-9)
    assert -0.05 < baselines["mean"]["test"] <= 0.0


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    made = {}
    for which, n in (("train", 36), ("t10k", 10)):
        made[which] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 10, n).astype(np.uint8)
        write_idx(tmp_path / f"{which}-images-idx3-ubyte.gz", made[which][0], gzip.open)
        write_idx(tmp_path / f"{which}-labels-idx1-ubyte.gz", made[which][1], gzip.open)
    return tmp_path, made


@pytest.mark.parametrize("task", [Mnist, FashionMnist])
def test_images_of_a_folder(images, task):
    folder, made = images
    found = task(data=str(folder))
    training, validation, test = parts_of(found)
    assert [len(part) for part in (training, validation, test)] == [33, 3, 10]  # the last twelfth is for validation
    together = np.concatenate([training.stimuli, validation.stimuli])
    np.testing.assert_allclose(together, made["train"][0].reshape(36, -1) / 255, atol=1e-7)  # rates of 32 bits
    np.testing.assert_array_equal(np.concatenate([training.labels, validation.labels]), made["train"][1])
    np.testing.assert_array_equal(test.labels, made["t10k"][1])
    assert training.stimuli.dtype == np.float32
    epoch = found.epoch(np.random.default_rng(0))
    label_of = {tuple(row): label for row, label in zip(training.stimuli, training.labels)}
    assert [label_of[tuple(row)] for row in epoch.stimuli] == epoch.labels.tolist()
    assert found.describe()["samples"] == {"training": 33, "validation": 3, "test": 10}


def test_images_of_openml(monkeypatch, images):
    """One table with 60 000 training images first."""
    from sklearn.utils import Bunch

    pixels = np.zeros((60_012, 784), dtype=np.uint8)
    pixels[:, 0] = np.arange(60_012) % 251
    labels = np.array([str(i % 10) for i in range(60_012)], dtype=object)
    made = Bunch(data=pixels, target=labels, feature_names=None, target_names=None)
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda name, **options: {"Fashion-MNIST": made}[name])
    task = FashionMnist()
    assert [len(part) for part in parts_of(task)] == [55_000, 5000, 12]
    np.testing.assert_array_equal(task.test_set().labels, np.arange(60_000, 60_012) % 10)


def test_images_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match=r'no folder .*gone: give the one with train-images.*task.data = "openml"'):
        Mnist(data=str(tmp_path / "gone")).test_set()
    with pytest.raises(UserError, match="has no train-images-idx3-ubyte"):
        Mnist(data=str(tmp_path)).test_set()


def test_images_that_are_others(tmp_path):
    for which in ("train", "t10k"):
        write_idx(tmp_path / f"{which}-images-idx3-ubyte", np.zeros((12, 4, 5), np.uint8))
        write_idx(tmp_path / f"{which}-labels-idx1-ubyte", np.zeros(12, np.uint8))
    with pytest.raises(UserError, match=r"must have images of 28 x 28 pixels .* got 20 pixels .* use the task data"):
        Mnist(data=str(tmp_path)).test_set()


@pytest.mark.skipif(
    "PYRAMIDAL_MNIST" not in os.environ, reason="PYRAMIDAL_MNIST names no folder with the files of MNIST"
)
def test_the_real_mnist():
    """Counts and mean intensity as they are known: 0.1307 of the 60 000 training images."""
    training, validation, test = parts_of(Mnist(data=os.environ["PYRAMIDAL_MNIST"]))
    assert [len(part) for part in (training, validation, test)] == [55_000, 5000, 10_000]
    counts = np.bincount(training.labels) + np.bincount(validation.labels)
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    mean = (55 * training.stimuli.mean(dtype=np.float64) + 5 * validation.stimuli.mean(dtype=np.float64)) / 60
    assert mean == pytest.approx(0.1307, abs=5e-5)
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]


@pytest.mark.slow
def test_mnist1d():
    pytest.importorskip("mnist1d")
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    training, validation, test = parts_of(Mnist1d())
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert (len(training) + len(validation), len(test)) == (4000, 1000)
    assert len(validation) == pytest.approx(500, abs=5)  # an eighth of each of ten classes, in whole samples
    for samples in (training, validation, test):
        assert samples.stimuli.shape[1] == 80
        assert np.all(samples.stimuli[:, :40] * samples.stimuli[:, 40:] == 0.0)
        # drawn by class: 500 of each among 5000, then shuffled
        np.testing.assert_allclose(np.bincount(samples.labels) / len(samples), 0.1, atol=0.04)
    assert not rows(training) & rows(test)


def test_mnist1d_without_its_package(monkeypatch):
    from pynest_tools.tasks import mnist1d

    mnist1d._signals.cache_clear()
    monkeypatch.setitem(sys.modules, "mnist1d.data", None)
    monkeypatch.setitem(sys.modules, "mnist1d", None)
    with pytest.raises(UserError, match=r"pip install 'nest-pyramidal\[mnist1d\]'"):
        Mnist1d().training_set()
