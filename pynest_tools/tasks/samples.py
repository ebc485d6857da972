# SPDX-License-Identifier: GPL-2.0-or-later
"""Labelled samples, kept together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Samples(NamedTuple):
    """n samples in the order of presentation.

    Attributes
    ----------
    stimuli : ndarray, shape (n, n_inputs)
        Rates of the input cells (1/ms, normalised).
    targets : ndarray, shape (n, n_outputs)
        Potentials that the output cells should reach (mV).
    labels : ndarray of int, shape (n,)
        Class of each sample: the index of its largest target.
    """

    stimuli: NDArray[np.float64]
    targets: NDArray[np.float64]
    labels: NDArray[np.int64]

    def take(self, order: NDArray[np.int64]) -> Samples:
        """The samples at the indices `order`; stimulus, target and label of a sample move together."""
        return Samples(self.stimuli[order], self.targets[order], self.labels[order])


def one_hot(stimuli: NDArray[np.float64], labels: NDArray[np.int64], n_classes: int) -> Samples:
    """Samples whose target is 1 mV at the output of their class and 0 mV elsewhere.

    Parameters
    ----------
    stimuli : ndarray, shape (n, n_inputs)
        Rates of the input cells (1/ms, normalised).
    labels : ndarray of int, shape (n,)
        Class of each sample, 0 ... n_classes - 1.
    n_classes : int
        Number of outputs.
    """
    return Samples(stimuli, np.eye(n_classes)[labels], labels)


def linear_accuracy(train: Samples, test: Samples) -> float:
    """Accuracy on the test set of a linear classifier: scikit-learn's logistic regression, fitted to the training set."""
    from sklearn.linear_model import LogisticRegression  # slow to import

    classifier = LogisticRegression(max_iter=1000).fit(train.stimuli, train.labels)
    return float(classifier.score(test.stimuli, test.labels))


def majority_accuracy(train_labels: NDArray[np.int64], test_labels: NDArray[np.int64]) -> float:
    """Accuracy on the test set of always answering the most frequent class of the training set: chance."""
    return float(np.mean(test_labels == np.bincount(train_labels).argmax()))
