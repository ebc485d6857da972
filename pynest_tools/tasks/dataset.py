# SPDX-License-Identifier: GPL-2.0-or-later
"""What tasks with a fixed training set share: an epoch is that set in random order, and yardsticks are fitted to it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..settings import Settings
from .protocol import Kind
from .samples import FloatArray, Samples


class DatasetTask(Settings):
    """A task whose samples are divided into training, validation and test set."""

    @property
    def kind(self) -> Kind:
        """Classification, unless a subclass says otherwise."""
        return "classification"

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
        return yardsticks(self.kind, self.training_set(), validation=self.validation_set(), test=self.test_set())


def yardsticks(kind: Kind, train: Samples, **parts: Samples) -> dict[str, dict[str, float]]:
    """Scores of scikit-learn's linear model and of the best constant answer.

    Parameters
    ----------
    kind : str
        "classification": accuracy of a logistic regression and of the most frequent class, chance; "regression": R² of a ridge
        regression, mean over outputs, and of the mean of the training targets.
    train : Samples
        What the models are fitted to.
    **parts : Samples
        On which they are scored, by name.
    """
    from sklearn.linear_model import LogisticRegression, Ridge  # slow to import
    from sklearn.metrics import accuracy_score, r2_score

    def scores(
        score: Callable[..., float], predict: Callable[[FloatArray], NDArray[np.generic]], **truth: NDArray[np.generic]
    ) -> dict[str, float]:
        return {name: float(score(truth[name], predict(part.stimuli))) for name, part in parts.items()}

    if kind == "regression":
        ridge = Ridge().fit(train.stimuli, train.targets)
        mean = np.mean(train.targets, axis=0)
        values = {name: part.targets for name, part in parts.items()}
        return {
            "linear model": scores(r2_score, lambda x: ridge.predict(x).reshape(len(x), -1), **values),
            "mean": scores(r2_score, lambda x: np.tile(mean, (len(x), 1)), **values),
        }
    classifier = LogisticRegression(max_iter=1000).fit(train.stimuli, train.labels)
    majority = np.bincount(train.labels).argmax()
    labels = {name: part.labels for name, part in parts.items()}
    return {
        "linear classifier": scores(accuracy_score, classifier.predict, **labels),
        "chance": scores(accuracy_score, lambda x: np.full(len(x), majority), **labels),
    }


def stratified_split(
    labels: NDArray[np.int64], shares: list[float], rng: np.random.Generator
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

    Returns
    -------
    list of ndarray of int
        Indices of the samples of each part: the rest, then those of `shares`.
    """
    parts: list[list[NDArray[np.int64]]] = [[] for _ in range(len(shares) + 1)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        for i, share in enumerate(shares, start=1):
            n = round(share * np.count_nonzero(labels == label))
            parts[i].append(members[:n])
            members = members[n:]
        parts[0].append(members)
    return [np.concatenate(part) for part in parts]
