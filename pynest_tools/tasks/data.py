# SPDX-License-Identifier: GPL-2.0-or-later
"""Own data: a file of features and targets becomes a task."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from ..errors import UserError
from ..settings import merged
from .dataset import DatasetTask, stratified_split, table_run
from .encoding import EncodingName
from .files import OPENML, Contents, existing, read_file, sha256
from .preprocessing import Preprocessing
from .protocol import kind_of
from .samples import FloatArray, Samples
from .targets import ClassTargets, StatedKind, kind_of_targets

HIDDEN = [20]  # cells of the default circuit
PRESENTATIONS, LEAST_EPOCHS = 60_000, 5  # of the default run; with spikes 60 000 take some minutes
MANY_FEATURES = 8  # of classes: the sum of so many rates hardly varies, and does what a bias does
LEAST_OF_A_PART = 2  # samples of a regression; R² of one is not defined
TRAINING, VALIDATION, TEST = "training", "validation", "test"

Columns = Annotated[
    str | tuple[str, ...], BeforeValidator(lambda names: tuple(names) if isinstance(names, list) else names)
]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Data(DatasetTask):
    """The samples of a file, divided into training, validation and test set.

    The file is read once for the same target, and again when it has changed. What encodes features and targets is fitted to the
    training set alone. Formats, and equations of the encodings, are in docs/data.md.
    """

    name: Literal["data"] = Field(default="data", description="data of a file")
    data: str = Field(
        description='the data: path of an .npz, a .csv, or IDX images (a folder or file), or "openml:NAME"'
    )
    target: Columns = Field(
        default="", description="column of the target in a table, or a list of columns; empty: the last one"
    )
    kind: StatedKind = Field(
        default="auto", description="classification, regression, or auto: by what the targets are; then replaced by it"
    )
    encoding: Literal["auto", EncodingName] = Field(
        default="auto",
        description=(
            "of features as rates; range: smallest to largest; complement: the same and what is left to the largest; "
            "quantile: rank; onoff: two cells for either sign; auto, replaced by it: range for images and for classes "
            "of 8 features and more, else complement"
        ),
    )
    low: float = Field(default=0.0, ge=0.0, description="smallest rate of an input cell, 1/ms")
    high: float = Field(default=1.0, ge=0.0, description="largest rate of an input cell, 1/ms")
    target_low: float = Field(
        default=0.0, description="target for a class not shown, or the smallest training target of a regression, mV"
    )
    target_high: float = Field(
        default=1.0, description="target for the class shown, or the largest training target of a regression, mV"
    )
    validation: Share = Field(
        default=0.15, description="share of the training samples that models are chosen by, of each class"
    )
    test: Share = Field(
        default=0.2, description="share that decides nothing, of each class, where the file has no test set"
    )
    split_seed: int = Field(
        default=0, ge=0, description="seed of the split; apart from the run's, so that runs compare"
    )

    @model_validator(mode="after")
    def _ranges(self) -> Data:
        for low, high, unit in (("low", "high", "1/ms"), ("target_low", "target_high", "mV")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(
                    f"{low} must lie below {high} = {getattr(self, high)} {unit}, got {getattr(self, low)} {unit}"
                )
        return self

    @model_validator(mode="after")
    def _nothing_stays_auto(self) -> Data:
        found = self.__dict__  # frozen for everyone else
        if self.kind == "auto":
            found["kind"] = _explained(self, kind_of_targets, _training_contents(self).y)
        if self.encoding == "auto":
            contents = _training_contents(self)
            assert contents.x is not None
            many = contents.x.shape[1] >= MANY_FEATURES and self.kind == "classification"
            found["encoding"] = "range" if many or contents.image_shape is not None else "complement"
        return self

    @property
    def n_inputs(self) -> int:
        """Number of input cells: one for each feature, two with encoding complement or onoff."""
        return self.preprocessing.n_inputs

    @property
    def n_outputs(self) -> int:
        """Number of classes, or of targets of a regression."""
        return self.preprocessing.n_outputs

    @property
    def preprocessing(self) -> Preprocessing:
        """What encodes features and targets, fitted to the training set."""
        return _prepared(self, _stamp(self.data)).preprocessing

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the targets of a regression; of a classification none."""
        return () if self.kind == "classification" else _names_of_targets(self.preprocessing)

    def training_set(self) -> Samples:
        """Samples that are learned."""
        return _prepared(self, _stamp(self.data)).parts[TRAINING]

    def validation_set(self) -> Samples:
        """Samples by which models are chosen."""
        return _prepared(self, _stamp(self.data)).parts[VALIDATION]

    def test_set(self) -> Samples:
        """Samples that decide nothing."""
        return _prepared(self, _stamp(self.data)).parts[TEST]

    def decode(self, potentials: FloatArray) -> NDArray[Any]:
        """Labels, or values in the data's unit, of potentials (n, n_outputs) (mV)."""
        return self.preprocessing.decode(potentials)

    def default_run(self) -> dict[str, Any]:
        """Entries of a `RunSpecification` for any data: `table_run` with 20 hidden cells, and fewer epochs of more samples."""
        entries = table_run(kind_of(self), self.n_inputs, HIDDEN)
        n = _prepared(self, _stamp(self.data)).description["samples"][TRAINING]
        epochs = min(entries["training"]["epochs"], max(LEAST_EPOCHS, PRESENTATIONS // n))
        return merged(entries, {"training": {"epochs": epochs, "test_interval": max(1, epochs // 10)}})

    def describe(self) -> dict[str, Any]:
        """What a run's folder keeps of the data: where they are from, their SHA-256, what they hold, how they are divided, notes."""
        return dict(_prepared(self, _stamp(self.data)).description)


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What comes of a file."""

    preprocessing: Preprocessing
    parts: dict[str, Samples]
    description: dict[str, Any]


@lru_cache(maxsize=1)
def _contents(source: str, target: tuple[str, ...], stamp: tuple[Any, ...]) -> Contents:
    """What the file holds; `stamp` tells versions of it apart."""
    return read_file(source, target)


@lru_cache(maxsize=2)
def _prepared(task: Data, stamp: tuple[Any, ...]) -> _Prepared:
    contents = _training_contents(task)
    found: _Prepared = _explained(task, _prepare, task, contents)
    return found


def _prepare(task: Data, contents: Contents) -> _Prepared:
    x, y = contents.x, contents.y
    assert x is not None
    assert y is not None
    assert task.encoding != "auto"
    chosen = _divide(task, y, has_test=contents.x_test is not None)
    preprocessing = Preprocessing.fit(
        x[chosen[TRAINING]],
        y[chosen[TRAINING]],
        kind=task.kind,
        encoding=task.encoding,
        low=task.low,
        high=task.high,
        target_low=task.target_low,
        target_high=task.target_high,
        feature_names=contents.feature_names,
        target_names=contents.target_names,
        image_shape=contents.image_shape,
    )
    targets = {part: y[order] for part, order in chosen.items()}
    parts = {part: preprocessing.samples(x[order], targets[part]) for part, order in chosen.items()}
    if contents.x_test is not None:
        assert contents.y_test is not None
        targets[TEST] = contents.y_test
        parts[TEST] = preprocessing.samples(contents.x_test, contents.y_test)
    description = _description(task, contents, preprocessing, targets)
    return _Prepared(preprocessing, parts, description)


def _training_contents(task: Data) -> Contents:
    """Contents with which a network can be trained; raises UserError if targets are missing."""
    target = (task.target,) if isinstance(task.target, str) else task.target
    contents = _contents(task.data, tuple(name for name in target if name), _stamp(task.data))
    if contents.x is None:
        raise UserError(f"{task.data} has a test set and nothing to train with")
    if contents.y is None:
        raise UserError(f"{task.data} has samples without targets: to train, give a target for each")
    if contents.x_test is not None and contents.y_test is None:
        raise UserError(
            f"{task.data} has a test set without targets: add them, or leave the test set out and predict it later"
        )
    return contents


def _stamp(source: str) -> tuple[Any, ...]:
    """What changes with a file: time and size, of every file of a folder."""
    if source.startswith(OPENML):
        return ()
    path = existing(source)
    files = [path, *sorted(path.iterdir())] if path.is_dir() else [path]
    return tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files)


def _divide(task: Data, y: NDArray[Any], *, has_test: bool) -> dict[str, NDArray[np.int64]]:
    """Indices of the samples of each part, of every class the same share."""
    test = 0.0 if has_test else task.test
    shares = {VALIDATION: task.validation * (1.0 - test)} | ({} if has_test else {TEST: test})
    rng = np.random.default_rng(task.split_seed)
    names = [TRAINING, *shares]
    if task.kind == "classification":
        coder = ClassTargets.fit(y, 0.0, 1.0)
        labels = coder.indices(y)
        counts = np.bincount(labels)
        if counts.min() < len(names):
            label, n = coder.classes[counts.argmin()], counts.min()
            raise UserError(
                f"class {label!s} has {n} sample{'s' if n > 1 else ''}, and each of the {len(names)} sets ({', '.join(names)}) needs "
                "one: give more samples of it or leave the class out"
            )
    else:
        labels = np.zeros(len(y), dtype=np.int64)
        if len(y) < LEAST_OF_A_PART * len(names):
            raise UserError(
                f"there are {len(y)} samples, and each of the {len(names)} sets ({', '.join(names)}) needs {LEAST_OF_A_PART}: "
                "give more samples"
            )
    least = 1 if task.kind == "classification" else LEAST_OF_A_PART
    parts = stratified_split(labels, list(shares.values()), rng, least)
    return dict(zip(names, parts, strict=True))


def _description(
    task: Data, contents: Contents, preprocessing: Preprocessing, targets: dict[str, NDArray[Any]]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "data": task.data,
        "sha256": sha256(task.data, contents),
        "kind": task.kind,
        "features": preprocessing.n_features,
        "feature_names": list(preprocessing.feature_names),
        "target_names": list(preprocessing.target_names),
        "image_shape": list(preprocessing.image_shape or ()),
        "samples": {part: len(y) for part, y in targets.items()},
        "test_set": "of the file" if contents.x_test is not None else f"{task.test:g} of the file's samples",
        "split_seed": task.split_seed,
        "notes": list(preprocessing.notes),
    }
    if isinstance(preprocessing.outputs, ClassTargets):
        labels = [str(label) for label in preprocessing.classes_]
        counts = {
            part: np.bincount(preprocessing.outputs.indices(y), minlength=len(labels)).tolist()
            for part, y in targets.items()
        }
        found["classes"] = {label: {part: counts[part][i] for part in counts} for i, label in enumerate(labels)}
    else:
        low, high = preprocessing.outputs.smallest, preprocessing.outputs.largest
        names = _names_of_targets(preprocessing)
        found["target_range"] = {name: [float(a), float(b)] for name, a, b in zip(names, low, high, strict=True)}
    return found


def _names_of_targets(preprocessing: Preprocessing) -> tuple[str, ...]:
    return preprocessing.target_names or tuple(f"target {i}" for i in range(preprocessing.n_outputs))


def _explained(task: Data, function: Any, *arguments: Any) -> Any:
    """What the function returns; its errors with the name of the data before them."""
    try:
        return function(*arguments)
    except UserError as error:
        raise UserError(f"{task.data}: {error}") from error
