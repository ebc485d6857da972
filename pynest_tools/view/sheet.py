# SPDX-License-Identifier: GPL-2.0-or-later
"""A figure of equal panels with text around them, none of which lies on another or is cut off."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from .figures import GREY, INK, tidy

MOST_PANELS = 4  # in a row

#: Width and height of the axes of a panel (inches) by the number of panels in a row.
SIZES = {1: (4.9, 3.1), 2: (4.0, 2.8), 3: (3.4, 2.6), 4: (2.7, 2.4)}


def size_of(n: int) -> tuple[float, float]:
    """Width and height (inches) of the axes of each of n panels."""
    return SIZES[_row_length(n)]


def _row_length(n: int) -> int:
    """How many of n panels stand in a row, so that rows are about equally long."""
    return math.ceil(n / math.ceil(n / MOST_PANELS))


class Sheet:
    """A figure of equal panels, whose axes have a given size whatever stands around them.

    Parameters
    ----------
    n : int
        Panels; at most four in a row.
    width, height : float
        Of each panel's axes (inches).
    share_x : bool
        Whether all are drawn along the same x. They always share y.
    """

    def __init__(self, n: int, width: float, height: float, *, share_x: bool = True) -> None:
        self._n, self._width, self._height, self._share_x = n, width, height, share_x
        self._across = _row_length(n)
        self._down = math.ceil(n / self._across)
        size = (self._across * (width + 0.3) + 0.8, self._down * (height + 0.9) + 0.5)
        self.figure = Figure(figsize=size, dpi=150, layout="constrained")
        FigureCanvasAgg(self.figure)
        grid = self.figure.subplots(self._down, self._across, squeeze=False, sharex=share_x, sharey=True).ravel()
        for spare in grid[n:]:
            spare.remove()
        self.panels: list[Axes] = list(grid[:n])

    @property
    def rightmost(self) -> Axes:
        """The panel at the right end of the first row."""
        return self.panels[self._across - 1]

    def tidy(self, axes: Axes, heading: str, x: str, y: str) -> None:
        """Style of the project; labels of shared axes only where they end."""
        i = self.panels.index(axes)
        first, lowest = i % self._across == 0, i + self._across >= self._n or not self._share_x
        tidy(
            axes,
            wrapped_text(plain(heading), self._width, 10.0, weight="bold"),
            wrapped_text(x, self._width, 9.0) if lowest else "",
            wrapped_text(y, self._height, 9.0) if first else "",
        )
        axes.tick_params(labelleft=first, labelbottom=True)

    def finish(
        self, title: str, handles: Sequence[Any], words: Sequence[str], heading: str, note: str, below: str = ""
    ) -> None:
        """Write title and legend above, a note below, and give all of it room.

        Parameters
        ----------
        title, note : str
            Above, and small and grey below; wrapped.
        handles, words : sequence
            Of the legend.
        heading : str
            Of the legend.
        below : str
            Small and grey below the title.
        """
        figure = self.figure
        engine: Any = figure.get_layout_engine()
        engine.set(w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.03)
        canvas: Any = figure.canvas
        figure.draw_without_rendering()
        box, (wide, high) = self.panels[0].get_position(), figure.get_size_inches()
        left = box.x0 * wide
        wide = max(wide + self._across * (self._width - box.width * wide), 4.2)
        high += self._down * (self._height - box.height * high)
        room = wide - left - 0.15
        head, texts = 0.1, []
        for text, size, color in ((title, 11.0, INK), (below, 9.0, GREY)):
            if text:
                wrapped = wrapped_text(plain(text), room, size)
                texts.append((head, wrapped, size, color))
                head += (wrapped.count("\n") + 1) * size * 1.25 / 72.0 + 0.05
        legend_at = head
        legend = None
        if handles:
            legend = self._legend(
                handles, [wrapped_text(plain(word), room - 0.6, 9.0) for word in words], heading, room
            )
            head += legend.get_window_extent(canvas.get_renderer()).height / figure.dpi + 0.08
        foot = 0.0
        if note:
            note = wrapped_text(note, room, 8.0)
            foot = (note.count("\n") + 1) * 8.0 * 1.25 / 72.0 + 0.1
        figure.set_size_inches(wide, high + head + foot)
        total = high + head + foot
        engine.set(rect=(0.0, foot / total, 1.0, high / total))
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        left = self.panels[0].get_position().x0
        for at, text, size, color in texts:
            figure.text(left, 1.0 - at / total, text, fontsize=size, color=color, va="top", linespacing=1.2)
        if legend is not None:
            legend.set_bbox_to_anchor((left, 1.0 - legend_at / total), transform=figure.transFigure)
        if note:
            figure.text(left, 0.08 / total, note, fontsize=8, color=GREY, va="bottom", linespacing=1.2)

    def _legend(self, handles: Sequence[Any], words: Sequence[str], heading: str, room: float) -> Any:
        """A legend with as many columns as there is room for (inches)."""
        canvas: Any = self.figure.canvas
        lines = any(handle.get_linestyle() != "None" for handle in handles if isinstance(handle, Line2D))
        for columns in range(len(handles), 0, -1):
            legend = self.figure.legend(
                handles, words, loc="upper left", ncols=columns, frameon=False, fontsize=9, labelcolor=INK,
                title=heading or None, title_fontsize=9, alignment="left", borderpad=0.0, borderaxespad=0.0,
                handlelength=2.2 if lines else 1.0, columnspacing=1.6, handler_map={tuple: HandlerTuple(ndivide=None, pad=0.6)},
            )  # fmt: skip
            legend.get_title().set_color(GREY)
            if columns == 1 or legend.get_window_extent(canvas.get_renderer()).width / self.figure.dpi <= room:
                break
            legend.remove()
        return legend


def plain(text: str) -> str:
    """Text of the user's in which a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line of text."""
    font = FontProperties(size=size, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, is_math_text(text))
    return float(width) / 72.0


def wrapped_text(text: str, room: float, size: float, weight: str = "normal") -> str:
    """Text in lines of at most so many inches; one with a formula stays in one."""
    width = width_of(text, size, weight)
    if width <= room or is_math_text(text):
        return text
    for letters in range(min(len(text) - 1, int(1.3 * len(text) * room / width) + 1), 0, -1):
        lines = textwrap.wrap(text, letters)
        if all(width_of(line, size, weight) <= room for line in lines):
            break
    return "\n".join(lines)
