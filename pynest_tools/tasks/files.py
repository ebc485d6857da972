# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading a user's data: .npz, .csv, IDX images, OpenML."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..archive import names_in, read_archive
from ..errors import UserError
from .csv_file import read_csv
from .idx import TEST, TRAINING, idx_pair, labels_beside, read_idx_pair
from .preprocessing import check_lengths, checked_features
from .samples import FloatArray
from .targets import check_finite_targets

OPENML = "openml:"
TABLES = (".csv", ".tsv", ".txt")
ARRAYS = ("x", "y", "x_train", "y_train", "x_test", "y_test")  # of an .npz, in any case
FORMATS = '.npz, .csv, IDX images (a folder or file, ".gz" too), or "openml:NAME"'


@dataclass(frozen=True, eq=False)
class Contents:
    """All that a file holds: what is for training, and a test set if there is one.

    Attributes
    ----------
    x, x_test : ndarray, shape (n, features), or None
        Features.
    y, y_test : ndarray, shape (n,) or (n, n_targets), or None
        Targets.
    feature_names, target_names : tuple of str
        Columns, if they have names.
    image_shape : tuple of int, optional
        Rows and columns, if samples are images.
    """

    x: FloatArray | None
    y: NDArray[Any] | None
    x_test: FloatArray | None = None
    y_test: NDArray[Any] | None = None
    feature_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None


class Raw(NamedTuple):
    """New data for a network that has learned: features (n, features), targets or None, and the names of the columns."""

    x: FloatArray
    y: NDArray[Any] | None
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]


def read_file(source: str, target: Sequence[str] = (), features: Sequence[str] = ()) -> Contents:
    """Everything in a file.

    Parameters
    ----------
    source : str
        Path of a file or of a folder with IDX images, or "openml:NAME".
    target : sequence of str
        Columns of the target in a table; none: the last.
    features : sequence of str
        Columns of the features in a table; none: all but the target.

    Raises
    ------
    UserError
        If it cannot be read; the message says why, and what to do.
    """
    if source.startswith(OPENML):
        return _checked(source, read_openml(source.removeprefix(OPENML)))
    path = existing(source)
    name = path.name.removesuffix(".gz")
    if path.is_dir():
        found = _idx_folder(path)
    elif "idx3" in name:
        found = _images(path, *read_idx_pair(path, labels_beside(path)))
    elif name.endswith(".npz"):
        found = _npz(path)
    elif name.endswith(TABLES) and name == path.name:
        x, y, feature_names, target_names = read_csv(path, target, features)
        found = Contents(x, y, feature_names=tuple(feature_names), target_names=tuple(target_names))
    else:
        raise UserError(f"{path} is none of what can be read: {FORMATS}")
    return _checked(source, found)


def read_raw(source: str, target: Sequence[str] = (), features: Sequence[str] = ()) -> Raw:
    """New data for a network that has learned: a file's test set if it has one, else all of it.

    Parameters
    ----------
    source : str
        Path of a file or of a folder with IDX images, or "openml:NAME".
    target, features : sequence of str
        Columns of a table, as they were learned: `Preprocessing.target_names` and `feature_names`. The target may be missing.

    Returns
    -------
    Raw
        Features, targets or None, names.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    found = read_file(source, target, features)
    x, y = (found.x, found.y) if found.x_test is None else (found.x_test, found.y_test)
    if x is None:
        raise UserError(f"{source} has no samples")
    return Raw(x, y, found.feature_names, found.target_names)


def existing(source: str) -> Path:
    """The path of a file that is there; raises UserError otherwise."""
    path = Path(source).expanduser()
    if not path.exists():
        raise UserError(f"there is no file {path.absolute()}: give the path of the data, {FORMATS}")
    if path.is_file() and path.stat().st_size == 0:
        raise UserError(f"{path} is empty: it has 0 bytes")
    return path


def sha256(source: str, contents: Contents) -> str:
    """SHA-256 of a file; of the digests of a folder's IDX files, training before test; of the arrays of an OpenML data set."""
    digest = hashlib.sha256()
    if source.startswith(OPENML):
        for part in (contents.x, contents.y):
            digest.update(np.ascontiguousarray(part).tobytes())
        return str(digest.hexdigest())
    path = existing(source)
    if path.is_file():
        return str(_file_digest(path).hexdigest())
    for pair in (idx_pair(path, TRAINING), idx_pair(path, TEST)):
        for file in pair or ():
            digest.update(_file_digest(file).digest())
    return str(digest.hexdigest())


def read_openml(name: str) -> Contents:
    """A data set of openml.org by its name; scikit-learn keeps it in its data folder for the next time.

    Raises
    ------
    UserError
        If there is no such data set, or it cannot be fetched.
    """
    from importlib.util import find_spec

    from sklearn.datasets import fetch_openml  # slow to import

    instead = f"download it elsewhere and give a file: {FORMATS.rsplit(',', 1)[0]}"
    try:
        # pandas reads large data sets in seconds instead of minutes; all that is needed can be had without
        parser = "auto" if find_spec("pandas") else "liac-arff"
        found = fetch_openml(name, as_frame=False, parser=parser, n_retries=1)
    except OSError as error:  # what urllib raises without a network
        raise UserError(
            f"openml.org cannot be reached for {name!r} ({error}): try again with a network, or {instead}"
        ) from error
    except (ValueError, ImportError) as error:
        raise UserError(
            f"openml.org does not give {name!r} ({str(error).splitlines()[0]}): check the name, or {instead}"
        ) from error
    if found.target is None:
        raise UserError(f"the data set {name!r} of openml.org names no target: {instead}")
    if found.data.dtype.kind not in "fiub":
        raise UserError(f"the data set {name!r} of openml.org has features that are no numbers: {instead}")
    y = np.asarray(found.target)
    return Contents(
        x=np.asarray(found.data),
        y=np.array([str(label) for label in y]) if y.dtype.hasobject else y,
        feature_names=tuple(map(str, found.feature_names or ())),
        target_names=tuple(map(str, found.target_names or ())),
    )


def _file_digest(path: Path) -> Any:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest


def _idx_folder(folder: Path) -> Contents:
    training, test = idx_pair(folder, TRAINING), idx_pair(folder, TEST)
    if training is None and test is None:
        raise UserError(
            f"{folder} has no images: it must hold train-images-idx3-ubyte and train-labels-idx1-ubyte, "
            'and may hold those that begin with t10k, plain or with ".gz"'
        )
    x, y = read_idx_pair(*training) if training else (None, None)
    x_test, y_test = read_idx_pair(*test) if test else (None, None)
    return _images(folder, x, y, x_test, y_test)


def _images(
    path: Path,
    x: NDArray[Any] | None,
    y: NDArray[Any] | None,
    x_test: NDArray[Any] | None = None,
    y_test: NDArray[Any] | None = None,
) -> Contents:
    shapes = {images.shape[1:] for images in (x, x_test) if images is not None}
    if len(shapes) > 1:
        raise UserError(
            f"images for training and test in {path} differ in size: {' and '.join(map(str, sorted(shapes)))}"
        )
    rows, columns = shapes.pop()
    return Contents(_flat(x), y, _flat(x_test), y_test, image_shape=(rows, columns))


def _flat(images: NDArray[Any] | None) -> FloatArray | None:
    """Images as rows of 32-bit numbers, which hold pixels of 8 bits exactly in half the memory of 64."""
    return None if images is None else images.reshape(len(images), -1).astype(np.float32)


def _npz(path: Path) -> Contents:
    arrays = {name.lower(): array for name, array in read_archive(path, wanted=lambda n: n.lower() in ARRAYS).items()}
    training = ("x_train", "y_train") if "x_train" in arrays else ("x", "y")
    if training[0] not in arrays and "x_test" not in arrays:
        there = ", ".join(names_in(path)) or "none"
        raise UserError(f"{path} must have the arrays x and y, or x_train, y_train, x_test and y_test; it has {there}")
    x, y, x_test, y_test = (_text(path, name, arrays.get(name)) for name in (*training, "x_test", "y_test"))
    images = x if x is not None else x_test
    if images is not None and images.ndim == 3:
        return _images(path, x, y, x_test, y_test)
    return Contents(x, y, x_test, y_test)


def _text(path: Path, name: str, array: NDArray[Any] | None) -> NDArray[Any] | None:
    """The same, but bytes as the text that they are in UTF-8."""
    if array is None or array.dtype.kind != "S":
        return array
    try:
        return np.asarray(np.char.decode(array, "utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(
            f"the array {name} of {path} is no text in UTF-8 ({error}): save it as text or numbers"
        ) from error


def _checked(source: str, found: Contents) -> Contents:
    """The same with features as numbers; raises UserError if parts do not fit each other."""
    parts = []
    for x, y in ((found.x, found.y), (found.x_test, found.y_test)):
        try:
            features = None if x is None else checked_features(x, found.feature_names)
            if features is not None and y is not None:
                check_lengths(features, y)
                check_finite_targets(y)
        except UserError as error:
            raise UserError(f"{source}: {error}") from error
        parts.append((features, y))
    (x, y), (x_test, y_test) = parts
    if x is not None and x_test is not None and x.shape[1] != x_test.shape[1]:
        raise UserError(f"{source}: training samples have {x.shape[1]} features and test samples {x_test.shape[1]}")
    return Contents(x, y, x_test, y_test, found.feature_names, found.target_names, found.image_shape)
