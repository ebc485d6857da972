# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables as text: a header, numbers in all columns but that of the target; read in parts."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..memory import require_memory
from ..settings import suggestion
from .samples import FloatArray

ROWS = 20_000  # read at once
LONGEST_LINE = 2**24  # characters; what is longer is no table
MOST_LINES = 1000  # of a row, whose texts may hold line breaks between quotation marks
SAMPLE = 2**16  # characters from which the delimiter and the length of a line are taken
DELIMITERS = ",;\t"
TEXT = 40.0  # bytes of a target, which is text at first, and its place among the others
TRUTH = {"true": True, "false": False}


def read_csv(
    path: Path, target: Sequence[str] = (), features: Sequence[str] = ()
) -> tuple[FloatArray, NDArray[Any] | None, list[str], list[str]]:
    """Features and targets of a table with a header.

    Parameters
    ----------
    path : Path
        The file, in UTF-8; columns are separated by comma, semicolon or tab.
    target : sequence of str
        Columns of the target; none: the last column.
    features : sequence of str
        Columns of the features, of a table for which something was learned: others are left out, and the target may be missing.
        None: all but the target.

    Returns
    -------
    x : ndarray, shape (n, features)
        Features.
    y : ndarray, shape (n,) or (n, n_targets), or None
        Target: whole numbers, other numbers, truth values or text, whichever fits all of a column; None if it is missing.
    feature_names, target_names : list of str
        Their columns.

    Raises
    ------
    UserError
        If the file cannot be read, is no such table, or does not fit in memory.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            sample = file.read(SAMPLE)
            file.seek(0)
            if not sample.strip():
                raise UserError(f"{path} is empty: a table has a header and a line for each sample")
            table = _Table(path, file, _delimiter(sample))
            inputs, outputs = _columns(path, table.header, target, features)
            _check_size(path, sample, len(inputs), len(outputs))
            return table.read(inputs, outputs)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8 ({error}): save the table as CSV in UTF-8") from error
    except (OSError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {error}") from error


class _Table:
    """The rows of a file, with the number of their line for messages."""

    def __init__(self, path: Path, file: TextIO, delimiter: str) -> None:
        self._path, self._file = path, file
        self._lines_of_row = 0
        self._rows = csv.reader(self._lines(), delimiter=delimiter)
        self.header = [name.strip() for name in next(self._rows, [])]

    def read(
        self, inputs: list[int], outputs: list[int]
    ) -> tuple[FloatArray, NDArray[Any] | None, list[str], list[str]]:
        parts: list[FloatArray] = []
        texts: list[list[str]] = [[] for _ in outputs]
        known: dict[str, str] = {}  # a label is kept once, however often it occurs
        rows = self._numbered()
        while chunk := list(islice(rows, ROWS)):
            parts.append(self._numbers(chunk, inputs))
            for column, text in zip(outputs, texts, strict=True):
                for line, row in chunk:
                    label = row[column].strip()
                    if not label:
                        raise UserError(
                            f"{self._at(line, column)} is empty: a sample has a target; fill it in or leave the line out"
                        )
                    text.append(known.setdefault(label, label))
        if not parts:
            raise UserError(f"{self._path} has a header and no samples")
        y = None
        if outputs:
            columns = [_typed(text) for text in texts]
            y = columns[0] if len(columns) == 1 else self._together(columns, outputs)
        names = [[self.header[i] for i in columns] for columns in (inputs, outputs)]
        return np.concatenate(parts), y, names[0], names[1]

    def _numbered(self) -> Iterator[tuple[int, list[str]]]:
        for row in self._rows:
            self._lines_of_row = 0
            if not row:
                continue  # an empty line
            if len(row) != len(self.header):
                raise UserError(
                    f"line {self._rows.line_num} of {self._path} has {len(row)} columns, and the header has {len(self.header)}"
                )
            yield self._rows.line_num, row

    def _lines(self) -> Iterator[str]:
        while line := self._file.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE:
                raise UserError(f"{self._path} has a line of more than {LONGEST_LINE} characters: it is no table")
            self._lines_of_row += 1
            if self._lines_of_row > MOST_LINES:
                raise UserError(
                    f"{self._path} has a row of more than {MOST_LINES} lines: a quotation mark is not closed"
                )
            yield line

    def _numbers(self, chunk: list[tuple[int, list[str]]], inputs: list[int]) -> FloatArray:
        try:
            numbers = np.array([[row[i] for i in inputs] for _, row in chunk], dtype=np.float64)
        except ValueError:
            self._blame(chunk, inputs)
            # nobody to blame: white space that Python knows and numpy does not
            numbers = np.array([[float(row[i].strip()) for i in inputs] for _, row in chunk])
        if not np.all(np.isfinite(numbers)):
            self._blame(chunk, inputs)
        return numbers

    def _blame(self, chunk: list[tuple[int, list[str]]], inputs: list[int]) -> None:
        for line, row in chunk:
            for column in inputs:
                text = row[column].strip()
                try:
                    if np.isfinite(float(text)):
                        continue
                except ValueError:
                    if text:
                        hint = (
                            "write decimals with a point"
                            if "," in text
                            else "replace text by numbers, categories by columns of 0 and 1"
                        )
                        raise UserError(
                            f"{self._at(line, column)} is the text {text!r}, and features are numbers: {hint}"
                        ) from None
                raise UserError(
                    f"{self._at(line, column)} is {text or 'empty'}: fill it in, or leave out the line or the column"
                )

    def _at(self, line: int, column: int) -> str:
        return f"line {line} of {self._path}, column {self.header[column]!r},"

    def _together(self, columns: list[NDArray[Any]], outputs: list[int]) -> NDArray[Any]:
        for column, values in zip(outputs, columns, strict=True):
            if values.dtype.kind not in "if":
                raise UserError(
                    f"column {self.header[column]!r} of {self._path} is one of several targets and holds {values[0].item()!r}: "
                    "several targets are numbers; name one column to learn classes"
                )
        return np.stack(columns, axis=1).astype(np.float64)


def _delimiter(sample: str) -> str:
    header = sample.splitlines()[0]
    return max(DELIMITERS, key=header.count)


def _columns(
    path: Path, header: list[str], target: Sequence[str], features: Sequence[str]
) -> tuple[list[int], list[int]]:
    """Positions of the columns of features and of targets."""
    twice = sorted(name for name, n in Counter(header).items() if n > 1)
    if twice:
        raise UserError(
            f"{path} has more than one column named {', '.join(map(repr, twice))}: give each a name of its own"
        )
    place = {name: i for i, name in enumerate(header)}
    if features:
        for name in features:
            if name not in place:
                raise UserError(f"{path} has no column {name!r}, which was learned; {suggestion(name, header)}")
        there = target if all(name in place for name in target) else ()
        return [place[name] for name in features], [place[name] for name in there]
    if all(_is_number(name) for name in header):
        raise UserError(f"{path} begins with numbers, {', '.join(header[:4])}: the first line must name the columns")
    if len(header) < 2:
        raise UserError(
            f"{path} has one column, {header[0]!r}: there must be a feature and a target, between comma, semicolon or tab"
        )
    target = target or header[-1:]
    for name in target:
        if name not in place:
            raise UserError(f"{path} has no column {name!r} for the target; {suggestion(name, header)}")
    if len(target) == len(header):
        raise UserError(f"all columns of {path} are targets: there must be a feature")
    return [i for i, name in enumerate(header) if name not in target], [place[name] for name in target]


def _check_size(path: Path, sample: str, inputs: int, outputs: int) -> None:
    lines = max(1, sample.count("\n"))
    rows = path.stat().st_size * lines / len(sample)
    require_memory(
        rows * (8.0 * inputs + TEXT * outputs), f"{path}, about {rows:.3g} lines of {inputs + outputs} columns,"
    )


def _typed(texts: list[str]) -> NDArray[Any]:
    """A column as whole numbers, else numbers, else truth values, else text."""
    for kind in (np.int64, np.float64):
        try:
            return np.array(texts, dtype=kind)
        except (ValueError, OverflowError):
            continue
    if {text.lower() for text in texts} <= set(TRUTH):
        return np.array([TRUTH[text.lower()] for text in texts])
    return np.array(texts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
