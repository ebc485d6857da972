# SPDX-License-Identifier: GPL-2.0-or-later
"""The microcircuit with scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from ..errors import UserError
from ..networks import NUMPY_BACKENDS, Backend, build_network
from ..networks.backend import FloatArray, Weights
from ..networks.microcircuit import TrialParameters
from ..settings import merged
from ..tasks import Samples
from ..tasks.dataset import stratified_split, table_run
from ..tasks.encoding import EncodingName
from ..tasks.preprocessing import Preprocessing
from ..tasks.protocol import Kind
from .specification import RunSpecification
from .training import outputs, train

LARGEST_SEED = 2**31 - 1
SIDE_BY_SIDE = 5  # samples


@dataclass
class _Table:
    """Samples in memory as a task. What is tested in training is the validation set; the test set is the user's: predict, score."""

    kind: Kind
    training: Samples
    validation: Samples
    name: str = field(default="table", init=False)

    @property
    def n_inputs(self) -> int:
        return int(self.training.stimuli.shape[1])

    @property
    def n_outputs(self) -> int:
        return int(self.training.targets.shape[1])

    def epoch(self, rng: np.random.Generator) -> Samples:
        return self.training.take(rng.permutation(len(self.training)))

    def validation_set(self) -> Samples:
        return self.validation

    def test_set(self) -> Samples:
        return self.validation


class _MicrocircuitEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share: data in, a run, potentials out.

    Attributes
    ----------
    preprocessing_ : Preprocessing
        How features become rates and targets potentials, fitted to the training data.
    specification_ : RunSpecification
        What was trained.
    result_ : TrainingResult
        The course of the last training, with the weights.
    n_features_in_ : int
        Number of features.
    """

    _kind: Literal["classification", "regression"]

    def __init__(
        self,
        hidden: Sequence[int] = (30,),
        backend: Backend = "steady",
        *,
        epochs: int = 100,
        batch_size: int | Literal["auto"] = "auto",
        encoding: EncodingName = "complement",
        validation_fraction: float = 0.0,
        patience: int = 0,
        network: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden = hidden
        self.backend = backend
        self.epochs = epochs
        self.batch_size = batch_size
        self.encoding = encoding
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.network = network
        self.training = training
        self.random_state = random_state

    def _fit(self, X: NDArray[Any], y: NDArray[Any]) -> None:
        """Train anew."""
        with _as_value_error():
            self.preprocessing_ = Preprocessing.fit(X, y, kind=self._kind, encoding=self.encoding)
            self._train(self.preprocessing_.samples(X, y), self.epochs)

    def _train(self, samples: Samples, epochs: int, weights: Weights | None = None) -> None:
        seed = int(check_random_state(self.random_state).randint(LARGEST_SEED))
        training, validation = self._divided(samples, seed)
        entries: dict[str, Any] = {
            "backend": self.backend,
            "seed": seed,
            "network": dict(self.network or {}),
            "training": {
                "epochs": epochs,
                "test_interval": 1 if self.patience > 0 else max(1, epochs),  # nobody looks unless it decides something
                "batch_size": self._batch_size,
                "patience": self.patience,
                **(self.training or {}),
            },
        }
        trial = (self.network or {}).get("trial")  # one of the user's own takes the place of the default one
        if trial is None:
            default = table_run(self._kind, training.stimuli.shape[1], self.hidden)
        else:
            times = TrialParameters(**trial)
            duration = times.t_pres - times.t_learn_on
            default = table_run(self._kind, training.stimuli.shape[1], self.hidden, duration)
            del default["network"]["trial"]
        self.specification_ = RunSpecification.for_task(
            _Table(self._kind, training, validation), merged(default, entries)
        )
        self.result_ = train(self.specification_, weights=weights)
        if self.result_.interrupted:
            raise KeyboardInterrupt
        if self.result_.diverged is not None:
            raise ValueError(f"the network diverged: {self.result_.diverged}")

    @property
    def _batch_size(self) -> int:
        if self.batch_size == "auto":
            return SIDE_BY_SIDE if self.backend in NUMPY_BACKENDS else 1
        return self.batch_size

    def _divided(self, samples: Samples, seed: int) -> tuple[Samples, Samples]:
        """Training and validation set; without a part for validation the training set is both."""
        if self.validation_fraction <= 0.0:
            return samples, samples
        labels = samples.labels if self._kind == "classification" else np.zeros(len(samples), dtype=np.int64)
        rest, chosen = stratified_split(labels, [self.validation_fraction], np.random.default_rng(seed))
        return samples.take(rest), samples.take(chosen)

    def _potentials(self, X: ArrayLike) -> FloatArray:
        """Potentials of the output cells, shape (n, n_outputs) (mV)."""
        check_is_fitted(self)
        features = validate_data(self, X, reset=False)
        spec, result = self.specification_, self.result_
        chosen = result.best_weights if self.patience > 0 else result.weights
        assert chosen is not None  # there is a validation set
        network = build_network(spec.backend, spec.network, chosen, np.random.SeedSequence(spec.seed, spawn_key=(4,)))
        return outputs(network, self.preprocessing_.rates(features))


_PARAMETERS = """
    Parameters
    ----------
    hidden : sequence of int
        Cells of the hidden layers.
    backend : str
        What computes the circuit: "steady" and "ode" in numpy, "rate" and "spiking" in NEST, or "backprop".
    epochs : int
        Epochs of training.
    batch_size : int or "auto"
        Samples learned side by side; "auto": 1 in NEST, else 5, which learns as one by one to first order, in less time.
    encoding : str
        From features to rates: "complement", "range", "quantile" or "onoff" (docs/data.md); fitted to the training data.
    validation_fraction : float
        Part of the training data by which training ends early and the best weights are chosen; 0: all is trained on.
    patience : int
        Epochs without a better one after which training ends, with the best weights; 0: all epochs. Needs validation_fraction.
    network, training : mapping, optional
        Entries of the tables [network] and [training] of a configuration that differ from those of `table_run`, such as
        ``{"neuron": {"psi": 50.0}}``. A table "trial" takes the place of the default one as a whole.
    random_state : int, RandomState or None
        Determines weights, order of samples and spikes.
"""


class MicrocircuitClassifier(ClassifierMixin, _MicrocircuitEstimator):  # type: ignore[misc]  # noqa: D101, it has one
    __doc__ = f"""A dendritic microcircuit as a classifier, with an output cell for each class.
{_PARAMETERS}
    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        Labels in the order of the output cells.
    n_features_in_ : int
        Number of features.
    preprocessing_, specification_, result_ : Preprocessing, RunSpecification, TrainingResult
        How features become rates, what was trained, and its course.
    """

    _kind = "classification"

    def fit(self, X: ArrayLike, y: ArrayLike) -> MicrocircuitClassifier:
        """Train anew on features X of shape (n, n_features) and labels y of shape (n,)."""
        features, labels = validate_data(self, X, y)
        check_classification_targets(labels)
        self.classes_ = np.unique(labels)
        self._fit(features, labels)
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> MicrocircuitClassifier:
        """Train for one more epoch on features X of shape (n, n_features) and labels y of shape (n,).

        The first call fits the encoding to its X, which should show the range of every feature, and needs all `classes`.
        """
        first = not hasattr(self, "result_")
        features, labels = validate_data(self, X, y, reset=first)
        check_classification_targets(labels)
        with _as_value_error():
            if first:
                if classes is None:
                    raise ValueError("the first call of partial_fit needs all classes: partial_fit(X, y, classes=...)")
                self.classes_ = np.unique(classes)
                # every class once, whatever the first labels are
                known, all_labels = np.resize(features, (len(self.classes_), features.shape[1])), self.classes_
                self.preprocessing_ = Preprocessing.fit(
                    np.concatenate([features, known]),
                    np.concatenate([labels, all_labels]),
                    kind="classification",
                    encoding=self.encoding,
                )
            elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
                raise ValueError(
                    f"classes={classes!r} is not the same as on last call to partial_fit, was: {self.classes_!r}"
                )
            self._train(self.preprocessing_.samples(features, labels), 1, None if first else self.result_.weights)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Labels, shape (n,): the class whose output cell has the highest potential."""
        answers = np.argmax(self._potentials(X), axis=1)
        return np.asarray(self.classes_[answers])

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Softmax of the output potentials in mV, shape (n, n_classes); it orders classes, but is not calibrated."""
        exponents = self._potentials(X)
        shares = np.exp(exponents - exponents.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))


class MicrocircuitRegressor(RegressorMixin, _MicrocircuitEstimator):  # type: ignore[misc]  # noqa: D101, it has one
    __doc__ = f"""A dendritic microcircuit as a regressor, with an output cell for each target.
{_PARAMETERS}
    Attributes
    ----------
    n_features_in_ : int
        Number of features.
    preprocessing_, specification_, result_ : Preprocessing, RunSpecification, TrainingResult
        How features become rates and targets potentials, what was trained, and its course.
    """

    _kind = "regression"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> MicrocircuitRegressor:
        """Train anew on features X of shape (n, n_features) and values y of shape (n,) or (n, n_targets)."""
        features, values = validate_data(self, X, y, multi_output=True, y_numeric=True)
        if len(features) < 2:
            raise ValueError("n_samples = 1: a range of values needs two samples at least")
        self._one_target = values.ndim == 1
        self._fit(features, values)
        return self

    def predict(self, X: ArrayLike) -> FloatArray:
        """Values, shape (n,) or (n, n_targets), in the unit of those that were learned."""
        values = self._potentials(X)
        decoded = self.preprocessing_.decode(values)
        return np.asarray(decoded[:, 0] if self._one_target else decoded)


@contextmanager
def _as_value_error() -> Iterator[None]:
    """What cannot be learned is a ValueError to scikit-learn."""
    try:
        yield
    except UserError as error:
        raise ValueError(str(error)) from error
