# SPDX-License-Identifier: GPL-2.0-or-later
"""What all specification models share: immutable, no unknown keys, readable errors, commented TOML."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from typing import Any, get_args

import tomlkit
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from tomlkit.container import Container
from tomlkit.items import Table

from .errors import UserError

MOST_KNOWN = 100  # names in a message
COMMENT_COLUMN = 34  # characters before the comments of a written TOML file; longer entries push theirs out


class Settings(BaseModel):
    """Base of every specification model: frozen, unknown keys and non-finite numbers refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionary `base` with the entries of `changes` put over it, table by table."""
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        both_tables = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = merged(below, value) if both_tables else value  # type: ignore[arg-type]
    return result


def nested(key: str, value: Any) -> dict[str, Any]:
    """The nested dictionary that has `value` at a dotted key."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def parse_entry(text: str) -> dict[str, Any]:
    """Nested dictionary of one KEY=VALUE; raises UserError if it is none."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set needs KEY=VALUE, such as network.neuron.psi=50, got {text!r}")
    return nested(key.strip(), parse_value(value))


def parse_value(text: str) -> Any:
    """A value as people write it: TOML, numbers or words with commas between them, or else a text."""
    for toml in (text, f"[{text}]"):
        with suppress(ValueError):
            found = parse_toml(f"value = {toml}")
            if list(found) == ["value"]:  # and no other lines
                return found["value"]
    text = text.strip()
    return text.split(",") if re.fullmatch(r"\w+(,\w+)+", text) else text


def parse_toml(text: str) -> dict[str, Any]:
    """Nested dictionary of a TOML document; raises ValueError if it is none."""
    try:
        return tomlkit.parse(text).unwrap()
    except RecursionError as error:
        raise ValueError("its tables or lists are nested too deeply") from error
    except Exception as error:  # besides its own, tomlkit lets through what conversions raise
        raise ValueError(str(error)) from error


def suggestion(word: str, known: list[str]) -> str:
    """'; did you mean ...?' for a close match of `word`, else the list of what is known."""
    close = difflib.get_close_matches(word, known, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    more = f" and {len(known) - MOST_KNOWN} more" if len(known) > MOST_KNOWN else ""
    return f"known are {', '.join(known[:MOST_KNOWN])}{more}"


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """One sentence per fault: dotted key, what it must be, what was given, what it means.

    Parameters
    ----------
    error : ValidationError
        What pydantic found.
    model : type
        The model that was validated; its field descriptions hold meaning, unit and source.

    Returns
    -------
    str
        Sentences, one a line.
    """
    return "\n".join(_sentence(fault, model) for fault in error.errors())


def _sentence(fault: Any, model: type[BaseModel]) -> str:
    path, owner, field = _locate(fault["loc"], model)
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        return f"{key} is not a known key; {suggestion(path[-1], list(owner.model_fields))}"
    if fault["type"] == "value_error":
        message = str(fault["ctx"]["error"])
        return f"{key}: {message}" if key else message
    meaning = f" ({field.description})" if field is not None and field.description else ""
    if fault["type"] == "missing":
        return f"{key} is missing{meaning}"
    must = fault["msg"].replace("Input should be", "must be", 1)
    return f"{key} {must}, got {fault['input']!r}{meaning}"


def _locate(
    location: tuple[int | str, ...], model: type[BaseModel]
) -> tuple[list[str], type[BaseModel], FieldInfo | None]:
    """Dotted path, model that owns its last key, and that key's field, for pydantic's error location."""
    path: list[str] = []
    owner, field = model, None
    inside: tuple[type[BaseModel], ...] = (model,)
    for part in location:
        if isinstance(part, int):
            path[-1] += f"[{part}]"
            continue
        tagged = [m for m in inside if "name" in m.model_fields and m.model_fields["name"].default == part]
        if (
            tagged and part not in inside[0].model_fields
        ):  # pydantic inserts the tag of a discriminated union, which is no key
            inside = (tagged[0],)
            continue
        owner = inside[0]
        field = owner.model_fields.get(part)
        path.append(part)
        inside = _models(field.annotation) if field is not None else ()
        if not inside:
            inside = (owner,)
    return path, owner, field


def _models(annotation: Any) -> tuple[type[BaseModel], ...]:
    candidates = get_args(annotation) or (annotation,)
    return tuple(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))


def to_toml(settings: BaseModel, title: str) -> str:
    """TOML text of a model with each field's description (meaning, unit, source) as a comment.

    Parameters
    ----------
    settings : BaseModel
        The model; nested models become tables.
    title : str
        Comment of the first line.

    Returns
    -------
    str
        TOML that gives the same model when read.
    """
    document = tomlkit.document()
    document.add(tomlkit.comment(title))
    document.add(tomlkit.nl())
    _fill(document, settings)
    return tomlkit.dumps(document)


def _fill(table: Container | Table, settings: BaseModel) -> None:
    fields = type(settings).model_fields
    tables = {name: value for name in fields if _is_table(value := getattr(settings, name))}
    for name, field in fields.items():
        if name in tables:
            continue
        value = getattr(settings, name)
        item = tomlkit.item(list(value) if isinstance(value, tuple) else value)
        if field.description:
            item.comment(_meaning(field, value))
            item.trivia.comment_ws = " " * max(2, COMMENT_COLUMN - len(f"{name} = {item.as_string()}"))
        table.add(name, item)
    for name, value in tables.items():
        child = tomlkit.table()
        if fields[name].description:
            child.comment(str(fields[name].description))
        if isinstance(value, BaseModel):
            _fill(child, value)
        else:  # a user's own object with a name, such as a task
            entries = asdict(value) if is_dataclass(value) and not isinstance(value, type) else {}
            for key, entry in {"name": value.name, **entries}.items():
                child.add(key, list(entry) if isinstance(entry, tuple) else entry)
        table.add(name, child)


def _is_table(value: Any) -> bool:
    return not isinstance(value, str | int | float | list | tuple | Mapping)


def _meaning(field: FieldInfo, value: Any) -> str:
    """Description of a field; where the value is not the thesis's, that one is told."""
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    given = list(value) if isinstance(value, tuple) else value
    return (
        str(field.description)
        if given == default
        else str(field.description).replace("(thesis)", f"(thesis: {default})")
    )
