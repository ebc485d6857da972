# SPDX-License-Identifier: GPL-2.0-or-later
"""Standard output that never ends a run: what cannot be written there is lost, and not the work."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO, cast

import click
from rich.console import Console

from ..kernel.parallel import rank

#: How to spell what an encoding lacks; anything else becomes a question mark.
SPELLED = {
    "²": "^2", "ψ": "psi", "±": "+-", "→": "->", "−": "-", "–": "-", "×": "x", "…": "...", "µ": "u", "─": "-", "━": "-",
}  # fmt: skip


class Output(io.TextIOBase):
    """A text stream in front of another one.

    Parameters
    ----------
    stream : file
        Where to write. Characters that its encoding lacks are spelled.
    tell : callable
        Called once with a sentence when nothing can be written any more: the pipe is closed, or the disk full.
    """

    def __init__(self, stream: TextIO, tell: Callable[[str], object]) -> None:
        self._stream, self._tell, self._lost = stream, tell, False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream; rich draws with what it has."""
        return self._stream.encoding or "utf-8"

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Of the stream."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Write, or lose."""
        if not self._lost:
            try:
                self._stream.write(spelled(text, self.encoding))
            except OSError as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Write what is held back, or lose it."""
        if not self._lost:
            try:
                self._stream.flush()
            except OSError as error:
                self._lose(error)

    def _lose(self, error: OSError) -> None:
        self._lost = True
        with suppress(OSError, ValueError):  # what Python still holds back would fail once more at its end
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        reason = "nobody reads it" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
        with suppress(OSError):  # the same may be true of standard error
            self._tell(f"the output is lost from here on ({reason}), and the work goes on")


def new_console() -> Console:
    """Where to print; of several MPI processes, the first one prints."""
    return Console(file=cast(TextIO, Output(sys.stdout, note)), highlight=False, quiet=rank() > 0)


def note(sentence: object) -> None:
    """Tell on standard error what a user should know; of several MPI processes, the first one tells."""
    if rank() == 0:
        click.echo(f"note: {sentence}", err=True)


def spelled(text: str, encoding: str) -> str:
    """The text, with what the encoding lacks in other characters."""
    return text.encode(encoding, "pynest_tools.spelled").decode(encoding)


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(SPELLED.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


codecs.register_error("pynest_tools.spelled", _spell)
