# SPDX-License-Identifier: GPL-2.0-or-later
"""IDX files, in which MNIST and its kin are distributed: plain or gzip (LeCun, Cortes and Burges)."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..archive import LARGEST_DEFLATE_RATIO as LARGEST_RATIO
from ..errors import UserError
from ..memory import require_memory

#: Types of numbers by the third byte of a file, all with the most significant byte first.
NUMBERS = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_DIMENSIONS = 3
TRAINING, TEST = "train", "t10k"  # how the names of the four files begin


def read_idx(path: Path) -> NDArray[Any]:
    """The array of an IDX file, plain or gzip.

    Raises
    ------
    UserError
        If the file is no IDX file, ends too early, or does not fit in memory.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in NUMBERS:
                raise UserError(f"{path} is no IDX file: it does not begin with two zero bytes and a type of numbers")
            if head[3] > MOST_DIMENSIONS:
                raise UserError(
                    f"{path} holds an array of {head[3]} dimensions, and images have 3: samples, rows, columns"
                )
            dimensions = file.read(4 * head[3])
            if len(dimensions) < 4 * head[3]:
                raise UserError(f"{path} is truncated: it ends within its head; copy or download it again")
            shape = [int.from_bytes(dimensions[i : i + 4], "big") for i in range(0, len(dimensions), 4)]
            kind = np.dtype(NUMBERS[head[2]])
            expected = math.prod(shape) * kind.itemsize
            _refuse_false_size(path, expected)
            require_memory(4.0 * math.prod(shape), f"{path}, {' x '.join(map(str, shape))} numbers of 32 bits,")
            content = file.read(expected)
    except (EOFError, zlib.error) as error:
        raise UserError(f"{path} is truncated or damaged ({error}); copy or download it again") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if len(content) < expected:
        raise _truncated(path, len(content), expected)
    found = np.frombuffer(content, kind).reshape(shape)
    return found.astype(kind.newbyteorder("="), copy=False)


def _refuse_false_size(path: Path, expected: int) -> None:
    """Refuse a head that promises more bytes than can come of the file, before memory is allocated for them."""
    there = path.stat().st_size * (LARGEST_RATIO if path.suffix == ".gz" else 1)
    if expected > there:
        raise _truncated(path, there, expected)


def _truncated(path: Path, there: int, expected: int) -> UserError:
    return UserError(
        f"{path} is truncated: it has {there} of the {expected} bytes that its head promises; copy or download it again"
    )


def idx_pair(folder: Path, which: str) -> tuple[Path, Path] | None:
    """Files of images and of labels that begin with `which` ("train" or "t10k"); None if there are none of them.

    Raises
    ------
    UserError
        If there is one without the other.
    """
    images, labels = (_find(folder, which, what) for what in ("images-idx3", "labels-idx1"))
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        there, missing = (images, "labels-idx1") if labels is None else (labels, "images-idx3")
        raise UserError(f"{folder} has {there.name if there else ''} but no {which}-{missing}-ubyte[.gz] beside it")
    return images, labels


def read_idx_pair(images: Path, labels: Path | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Images (n, rows, columns) and labels (n,), if there is a file of them.

    Raises
    ------
    UserError
        If one cannot be read, or they are not of the same samples.
    """
    x = read_idx(images)
    if x.size == 0:
        raise UserError(f"{images} holds no images: its head says {' x '.join(map(str, x.shape))}")
    if x.ndim != 3:
        raise UserError(f"{images} holds an array of {x.ndim} dimensions, and images have 3: samples, rows, columns")
    if labels is None:
        return x, None
    y = read_idx(labels)
    if y.ndim != 1 or len(y) != len(x):
        raise UserError(
            f"{images} has {len(x)} images and {labels} has labels of shape {y.shape}: they are not of one set"
        )
    return x, y


def labels_beside(images: Path) -> Path | None:
    """The file of labels that belongs to a file of images by its name, if it is there."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    beside = [images.with_name(name), images.with_name(name.removesuffix(".gz")), images.with_name(f"{name}.gz")]
    return next((path for path in beside if path != images and path.is_file()), None)


def _find(folder: Path, which: str, what: str) -> Path | None:
    names = [f"{which}-{what}-ubyte", f"{which}-{what.replace('-idx', '.idx')}-ubyte"]
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None
