# SPDX-License-Identifier: GPL-2.0-or-later
"""What tasks with a fixed training set share: an epoch is that set in random order, and yardsticks are fitted to it."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..settings import Settings
from .protocol import Kind, kind_of
from .samples import FloatArray, Samples

LOGISTIC_ITERATIONS = (50, 1000)  # at least and at most
LOGISTIC_WORK = 3e10  # samples x inputs x classes x iterations: 5 s on one core
FEW_INPUTS = 16  # below that, rates of the first layer grow no more
RIDGE_STRENGTHS = np.logspace(-4.0, 2.0, 7)  # for inputs of 0 to 1


class DatasetTask(Settings):
    """A task whose samples are divided into training, validation and test set; a subclass of a regression says so by its `kind`."""

    @abstractmethod
    def training_set(self) -> Samples:
        """Samples that are learned."""

    @abstractmethod
    def validation_set(self) -> Samples:
        """Samples by which models are chosen."""

    @abstractmethod
    def test_set(self) -> Samples:
        """Samples that decide nothing."""

    def epoch(self, rng: np.random.Generator) -> Samples:
        """One epoch: the training set, every sample once, shuffled.

        Parameters
        ----------
        rng : numpy.random.Generator
            Decides the order.
        """
        samples = self.training_set()
        return samples.take(rng.permutation(len(samples)))

    def baselines(self) -> dict[str, dict[str, float]]:
        """What simple models reach that are fitted to the training set: `yardsticks`."""
        return yardsticks(kind_of(self), self.training_set(), validation=self.validation_set(), test=self.test_set())


def yardsticks(kind: Kind, train: Samples, **parts: Samples) -> dict[str, dict[str, float]]:
    """Scores of scikit-learn's linear model and of the best constant answer.

    A logistic regression stops after 1000 iterations, on large sets earlier, so that a yardstick does not take longer than the run: on
    MNIST after 76 (5 s, 92.4 % of the test set).

    Parameters
    ----------
    kind : str
        "classification": accuracy of a logistic regression and of the most frequent class, chance. "regression": R² of a ridge
        regression, its strength found by leaving out one training sample after the other, and of the mean of the training targets; R²
        of all outputs together, each weighted by its variance.
    train : Samples
        What the models are fitted to.
    **parts : Samples
        On which they are scored, by name.
    """
    from sklearn.metrics import accuracy_score, r2_score  # slow to import

    def scores(
        score: Callable[..., float], predict: Callable[[FloatArray], NDArray[np.generic]], **truth: NDArray[np.generic]
    ) -> dict[str, float]:
        return {name: float(score(truth[name], predict(part.stimuli))) for name, part in parts.items()}

    if kind == "regression":
        ridge = _ridge(train)
        mean = np.mean(train.targets, axis=0)
        r2 = partial(r2_score, multioutput="variance_weighted")
        values = {name: part.targets for name, part in parts.items()}
        return {
            "linear model": scores(r2, lambda x: ridge.predict(x).reshape(len(x), -1), **values),
            "mean": scores(r2, lambda x: np.tile(mean, (len(x), 1)), **values),
        }
    classifier = _logistic(train)
    majority = np.bincount(train.labels).argmax()
    labels = {name: part.labels for name, part in parts.items()}
    return {
        "linear classifier": scores(accuracy_score, classifier.predict, **labels),
        "chance": scores(accuracy_score, lambda x: np.full(len(x), majority), **labels),
    }


def _logistic(train: Samples) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    work = train.stimuli.size * train.targets.shape[1]
    iterations = int(np.clip(LOGISTIC_WORK / work, *LOGISTIC_ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # that it stops early is said above
        return LogisticRegression(max_iter=iterations).fit(train.stimuli, train.labels)


def _ridge(train: Samples) -> Any:
    from sklearn.linear_model import RidgeCV

    return RidgeCV(alphas=RIDGE_STRENGTHS).fit(train.stimuli, train.targets)


def stratified_split(
    labels: NDArray[np.int64], shares: list[float], rng: np.random.Generator, least: int = 1
) -> list[NDArray[np.int64]]:
    """Divide samples at random so that every part has the same share of each class.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        Class of each sample.
    shares : list of float
        Share of each class in every part but the first, which gets the rest.
    rng : numpy.random.Generator
        Decides which.
    least : int
        Samples of each class that every part but the first has at least.

    Returns
    -------
    list of ndarray of int
        Indices of the samples of each part: the rest, then those of `shares`.
    """
    parts: list[list[NDArray[np.int64]]] = [[] for _ in range(len(shares) + 1)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        for i, share in enumerate(shares, start=1):
            n = max(least, round(share * np.count_nonzero(labels == label)))
            parts[i].append(members[:n])
            members = members[n:]
        parts[0].append(members)
    return [np.concatenate(part) for part in parts]


def table_run(kind: Kind, n_inputs: int, hidden: Sequence[int], duration: float = 10.0) -> dict[str, Any]:
    """Entries of a run for any table of features: sharp transfer, aligned feedback, rates that suit the number of cells.

    Rates of inputs are taken to be about 0.5/ms. Learning rates are inverse to the number of presynaptic cells (of at least 16
    inputs), so that a sample moves a cell as far whatever its number of inputs. They and the bounds were chosen on the validation sets
    of eight small data sets, five of classes and three of values, with three to five seeds each, at steady states.

    Parameters
    ----------
    kind : str
        "classification" or "regression".
    n_inputs : int
        Number of input cells.
    hidden : sequence of int
        Cells of the hidden layers.
    duration : float
        For how long a sample is learned, t_pres - t_learn_on (ms).
    """
    # mV ms, of a sample's change at 1/ms and all inputs
    first, later = (180.0, 0.05) if kind == "classification" else (300.0, 0.2)
    return {
        "network": {
            "hidden": list(hidden),
            "neuron": {"beta": 8.0, "gamma": 0.125, "g_nudge": 0.06, "g_target": 0.06},
            "weights": {
                # potentials of about 1 mV in the first layer, 0.3 mV in the next ones
                "up": [3.0 / n_inputs**0.5, *(0.5 * (3.0 / n) ** 0.5 for n in hidden)],
                "down": 0.1,
                "aligned": True,
            },
            "plasticity": {
                "eta_up": [first / max(n_inputs, FEW_INPUTS) / duration, *(later / n / duration for n in hidden)],
                "eta_ip": "match",
                "eta_pi": 0.0,
                "Wmin": -20.0,
                "Wmax": 20.0,
            },
            # a free phase, in which interneurons learn to follow the outputs without a teacher too: without it many runs lost their
            # self-prediction. Three dendrites in a row, 1 ms each, have settled before either phase is learned
            "trial": {
                "t_pres": 28.0,
                "t_free_learn_on": 8.0,
                "t_target_on": 16.0,
                "t_learn_on": 18.0,
                "free_learning": ["ip"],
                "t_readout_on": 20.0,
                "t_pres_test": 50.0,  # somata of the outputs settle with C_m / (g_L + g_b) = 7.7 ms
                "t_readout_on_test": 30.0,
            },
            "simulation": {"h": 0.5, "delay": 0.5},
        },
        "training": {
            "epochs": 100,
            "test_interval": 10,
            "schedule": {"up": {"kind": "cosine"}},
        },
    }
