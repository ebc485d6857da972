# SPDX-License-Identifier: GPL-2.0-or-later
"""What the table of a study holds: axes and reports, and how they are chosen, counted and written.

A table has one row a run: first the columns of the axes, then ``seed``, ``status``, ``reason``, and one column for each report.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from ..errors import UserError
from ..settings import suggestion


@dataclass(frozen=True)
class Column:
    """An axis of the study: its values in the order in which they are shown, and their words."""

    name: str
    label: str
    numeric: bool
    values: tuple[Any, ...]
    words: Mapping[Any, str]

    def named(self, value: Any, digits: int | None = None) -> str:
        """The value with the name of its column, "delay = 0.1 ms"; a text that speaks for itself alone."""
        if self.speaks_for_itself(value):
            return self.words[value]
        word = self.words[value] if digits is None or not self.numeric else number_text(value, digits)
        words, unit = words_and_unit(self.label)
        return f"{words} = {word} {unit}".rstrip()

    def speaks_for_itself(self, value: Any) -> bool:
        """Whether a value is words, which need no name of a column beside them."""
        word = self.words[value]
        return not self.numeric and word not in ("true", "false") and any(letter.isalpha() for letter in word)

    @property
    def logarithmic(self) -> bool:
        """Whether positive numbers span more than a factor 10, and lie more evenly by their logarithms."""
        if not self.numeric or len(self.values) < 2 or self.values[0] <= 0 or self.values[-1] <= 10 * self.values[0]:
            return False
        gaps = np.diff(np.array(self.values, dtype=float)), np.diff(np.log(np.array(self.values, dtype=float)))
        linear, logarithmic = (float(np.std(gap) / np.mean(gap)) for gap in gaps)
        return logarithmic <= linear

    def at(self, value: Any) -> float:
        """Where a value stands along an axis."""
        return float(value) if self.numeric else float(self.values.index(value))


@dataclass(frozen=True)
class Report:
    """A column of results: what it is called, and how it is written."""

    name: str
    label: str
    percent: bool
    r2: bool
    stable: bool

    def text(self, value: float) -> str:
        """As written in a figure."""
        return f"{100.0 * value:.3g} %" if self.percent else number_text(value, 3)


def part_of(table: DataFrame, only: Mapping[str, Any]) -> DataFrame:
    """The runs with given values.

    Parameters
    ----------
    table : DataFrame
        One row a run.
    only : mapping of str to value
        Values by column. They are compared as numbers where both are numbers, else as text, and also as figures and tables write them.

    Returns
    -------
    DataFrame
        The rows for which all are so.

    Raises
    ------
    UserError
        If there is no such column, or no such run.
    """
    for name, wanted in only.items():
        refuse_unknown(table, name)
        column = column_of(name, {}, normal(table, [name]))
        text = _text(wanted).casefold()
        fitting = [
            value
            for value in column.values
            if text in (_text(value).casefold(), column.words[value].casefold())
            or (column.numeric and _is_number(text) and math.isclose(float(text), value, rel_tol=1e-9))
        ]
        if not fitting:
            told = ", ".join(column.words.values()) or "none"
            raise UserError(f"no run has {name} = {_text(wanted)}; give one of its values: {told}")
        table = table[normal(table, [name])[name].isin(fitting)]
    return table


def axes_of(table: DataFrame) -> list[str]:
    """The columns before that of the seed."""
    names = [str(name) for name in table.columns]
    return names[: names.index("seed")] if "seed" in names else []


def refuse_unknown(table: DataFrame, *names: str | None) -> None:
    """Refuse what is no column of the table."""
    for name in names:
        if name is not None and name not in table.columns:
            known = [str(column) for column in table.columns]
            raise UserError(f"the table has no column {name}; {suggestion(name, known)}")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def normal(table: DataFrame, names: Iterable[str]) -> DataFrame:
    """The table with each of the columns either of numbers or of text."""
    table = table.copy()
    for name in names:
        values = table[name]
        if name == "seed" or not _is_numeric(values):
            table[name] = values.map(_text, na_action="ignore")
    return table


def _is_numeric(values: Series[Any]) -> bool:
    kinds = pd.api.types
    return bool(kinds.is_numeric_dtype(values) and not kinds.is_bool_dtype(values))


def column_of(name: str, labels: Mapping[str, str], *tables: DataFrame) -> Column:
    """A column of normal tables: numbers in their order, texts as they come."""
    values = list(dict.fromkeys(value for table in tables for value in table[name].dropna().tolist()))
    numeric = all(not isinstance(value, str) for value in values)
    if numeric:
        values.sort()
    words = dict(zip(values, _spelled(values), strict=True)) if numeric else {value: str(value) for value in values}
    return Column(name, labels.get(name, name.replace("_", " ")), numeric, tuple(values), words)


def report_of(name: str, labels: Mapping[str, str], metrics: Mapping[str, str]) -> Report:
    """A report, and by its name or by what it is of how it is written."""
    words = f"{name} {metrics.get(name, '')}".lower()
    percent, r2 = "accuracy" in words, "r2" in words
    label = labels.get(name, "R²" if name == "r2" else name.replace("_", " "))
    return Report(name, f"{label} (%)" if percent and "%" not in label else label, percent, r2, "stable_from" in words)


def hidden_axes(table: DataFrame, named: Sequence[str]) -> list[str]:
    """Axes in which runs differ that are the same in those that are named."""
    parts = grouped(table, named).values()
    return [name for name in axes_of(table) if name not in named and any(part[name].nunique() > 1 for part in parts)]


def grouped(table: DataFrame, names: Sequence[str]) -> dict[tuple[Hashable, ...], DataFrame]:
    """Runs by their values of the columns, in the order of the table."""
    if not names:
        return {(): table}
    return {tuple(key): part for key, part in table.groupby(list(names), sort=False)}


def values_of(table: DataFrame, name: str) -> Series[float]:
    """Results as numbers, not a number where there is none."""
    values = np.asarray(pd.to_numeric(table[name], errors="coerce"), dtype=float)
    return Series(np.where(np.isfinite(values), values, np.nan), index=table.index)


def known_values(table: DataFrame, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Results of the runs that have one."""
    return values_of(table, name).dropna().to_numpy(dtype=float)


def told_of_left_out(table: DataFrame, name: str, *, means: bool = True) -> str:
    """Which runs have no value, and why; and which are in means though they did not end well. Empty if there is nothing to tell."""
    has = values_of(table, name).notna()
    status = table["status"].astype(str) if "status" in table.columns else Series("done", index=table.index)
    lost, kept = (_tally(status[chosen]) for chosen in (~has, has & (status != "done")))
    total, sentences = len(table), []
    if lost:
        told = "; means are over the others" if means and has.any() else ""
        sentences.append(f"{_listed(lost, total)}{told}.")
    if kept and means:
        told = "counts with the value it had" if sum(kept.values()) == 1 else "count with the values they had"
        sentences.append(f"{_listed(kept, total, more=bool(lost))}, and {told}.")
    return " ".join(sentences)


def _tally(status: Series[str]) -> Counter[str]:
    words = {"failed": "failed", "diverged": "diverged", "pruned": "pruned", "done": "without a value"}
    return Counter(status.map(lambda name: words.get(name, "not done yet")))


def _listed(counts: Counter[str], total: int, *, more: bool = False) -> str:
    (first, n), *rest = counts.most_common()
    verb = {"pruned": "was " if n == 1 else "were ", "diverged": "", "failed": ""}.get(
        first, "is " if n == 1 else "are "
    )
    head = (
        f"{n} others" if more and n > 1 else "1 other" if more else f"{n} of {total} {'run' if total == 1 else 'runs'}"
    )
    return ", ".join([f"{head} {verb}{first}", *(f"{count} {word}" for word, count in rest)])


def number_text(value: float, digits: int) -> str:
    """A number with so many digits; powers of ten where it is very small or large."""
    rounded = float(f"{value:.{digits}g}")
    if rounded != 0.0 and not 1e-4 <= abs(rounded) < 1e5:
        mantissa, power = f"{rounded:.{digits - 1}e}".split("e")
        mantissa = f"{float(mantissa):g}"
        ten = "10" + str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return ten if mantissa == "1" else f"-{ten}" if mantissa == "-1" else f"{mantissa}·{ten}"
    return f"{rounded:.12g}"


def _spelled(values: Sequence[float]) -> list[str]:
    """Numbers with as few digits as tell them apart; whole ones in full."""
    for digits in range(3, 13):
        words = [str(int(v)) if v == int(v) and abs(v) < 1e5 else number_text(v, digits) for v in values]
        if len(set(words)) == len(words):
            break
    return words


def words_and_unit(label: str) -> tuple[str, str]:
    """Words and unit of a label such as "delay (ms)"."""
    words, bracket, unit = label.rpartition(" (")
    return (words, unit[:-1]) if bracket and unit.endswith(")") and len(unit) <= 12 else (label, "")
