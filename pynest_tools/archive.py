# SPDX-License-Identifier: GPL-2.0-or-later
"""NumPy archives (.npz) read without trust: nothing is unpickled, and no size is believed before it is checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from .errors import UserError
from .memory import COPIES, require_memory

LARGEST_DEFLATE_RATIO = 1032  # bytes that can come of one compressed byte: 258 of two bits (deflate, RFC 1951)
LARGEST_RATIO = {ZIP_STORED: 1, ZIP_DEFLATED: LARGEST_DEFLATE_RATIO}
KINDS = "fiubcSU"  # of arrays: numbers, truth values, text
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_archive(
    path: Path, *, copies: int = COPIES, wanted: Callable[[str], bool] = lambda _: True
) -> dict[str, NDArray[Any]]:
    """Arrays of an .npz file.

    Parameters
    ----------
    path : Path
        The file.
    copies : int
        How many times what it holds will be in memory.
    wanted : callable
        Which names to read; all by default.

    Returns
    -------
    dict of str to ndarray
        Numbers, truth values or text.

    Raises
    ------
    UserError
        If it cannot be read, is damaged, holds Python objects, or claims more than it can hold or memory can.
    """
    with _opened(path) as archive:
        members = {name: member for name, member in _members(archive).items() if wanted(name)}
        _refuse_false_sizes(path, list(members.values()))
        require_memory(float(sum(member.file_size for member in members.values())), str(path), copies)
        return {name: _array(archive, member, path) for name, member in members.items()}


def names_in(path: Path) -> list[str]:
    """Names of the arrays of an .npz file; raises UserError if it cannot be read."""
    with _opened(path) as archive:
        return list(_members(archive))


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    """The archive; what goes wrong with it is a UserError."""
    try:
        with ZipFile(path) as archive:
            yield archive
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # of damaged bytes zipfile, zlib and numpy raise whatever they stumble over
        raise UserError(f"cannot read {path}: it is damaged, or no file of numpy.savez: {error}") from error


def _members(archive: ZipFile) -> dict[str, ZipInfo]:
    return {member.filename.removesuffix(".npy"): member for member in archive.infolist()}


def _refuse_false_sizes(path: Path, members: list[ZipInfo]) -> None:
    """Refuse members that claim more bytes than can come of the file."""
    if sum(member.compress_size for member in members) > path.stat().st_size:
        raise UserError(f"cannot read {path}, it is damaged: its members claim more bytes than the file has")
    for member in members:
        ratio = LARGEST_RATIO.get(member.compress_type)
        if ratio is None:
            raise UserError(f"{path} is compressed in a way that numpy does not write: save it with numpy.savez")
        if member.file_size > ratio * member.compress_size:
            raise UserError(
                f"cannot read {path}, it is damaged: {member.filename} claims {member.file_size} bytes, which "
                f"{member.compress_size} stored ones cannot hold"
            )


def _array(archive: ZipFile, member: ZipInfo, path: Path) -> NDArray[Any]:
    """One array, if its header promises just what the member holds."""
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise UserError(f"the array {name} of {path} has fields with names: save each as an array of its own")
        shape, _, kind = _HEADERS[version](file)
        if kind.hasobject:
            raise UserError(
                f"the array {name} of {path} holds Python objects, which could run code when read: save numbers or text, "
                f"such as {name}.astype(float) or {name}.astype(str)"
            )
        if kind.kind not in KINDS or (kind.itemsize == 0 and math.prod(shape) > 0):
            raise UserError(f"the array {name} of {path} is of type {kind}: save numbers or text")
        there = member.file_size - file.tell()
        if min(shape, default=0) < 0 or math.prod(shape) * kind.itemsize != there:
            raise UserError(
                f"cannot read {path}, it is damaged: {name} has {there} bytes, and its header promises shape {shape} of {kind}"
            )
    with archive.open(member) as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
