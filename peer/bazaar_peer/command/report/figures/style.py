"""How all pictures look, and how they become files.

A picture is drawn once, in the colours of a light page. Its PNG keeps them; in its SVG the colours
of paper, ink, lines and data become CSS variables, which the page sets for light, dark and print.
Text is drawn as shapes, so that it looks the same everywhere and can never be markup.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.style import context
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bazaar_peer.command.report.words import shortened

PAPER, INK, MUTED, GRID = "#fffffe", "#1f2328", "#5c6670", "#dfe3e8"
OK, REJECTED, UNKNOWN = "#2a78c2", "#e69f00", "#d1420f"
PLANNED, UNPLANNED = "#0f9d78", "#c44e7f"
VARIABLES = {
    PAPER: "--paper",
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    OK: "--ok",
    REJECTED: "--rejected",
    UNKNOWN: "--unknown",
    PLANNED: "--planned",
    UNPLANNED: "--unplanned",
}
MARKERS = "os^DvP*X"
RASTER_FROM = 1500
"""So many points and more are an image inside the SVG: shapes of each would weigh megabytes."""
WIDE_IN, NARROW_IN = 9.6, 4.2
PNG_DPI = 160

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.parse_math": False,  # a command with dollars in it is no formula
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3.5,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "figure.facecolor": PAPER,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.labelcolor": MUTED,
    "svg.fonttype": "path",
    "svg.hashsalt": "bazaar",
    "savefig.facecolor": PAPER,
}


@dataclass(frozen=True)
class Words:
    """What stands round a picture: its finding, how to read it, and where it is from."""

    title: str
    how: str
    foot: str


@dataclass(frozen=True)
class Picture:
    """One picture as files: for a folder, and for the page at two widths."""

    name: str
    png: bytes
    svg: str
    svg_narrow: str


@contextmanager
def styled() -> Iterator[None]:
    """Draw in our style, and nobody else's; letters that the font lacks become boxes."""
    with context(RC, after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def sheet(words: Words, height: float, *, narrow: bool, top: float = 0.0) -> tuple[Figure, Axes]:
    """Return a figure with its words and room for axes; `top`: inches for a legend above them."""
    width = NARROW_IN if narrow else WIDE_IN
    figure = Figure(figsize=(width, height))
    left, right = (0.62, 0.14) if narrow else (0.78, 0.25)
    letters = int((width - 0.3) / 0.078)
    title = wrapped(words.title, int((width - 0.3) / 0.107))
    how = wrapped(words.how, letters)
    head = 0.22 * (title.count("\n") + 1) + 0.165 * (how.count("\n") + 1) + 0.22
    foot = wrapped(shortened(words.foot, 220), int((width - 0.3) / 0.066))
    bottom = 0.62 + 0.14 * (foot.count("\n") + 1)
    axes = figure.add_axes(
        (
            left / width,
            bottom / height,
            (width - left - right) / width,
            (height - bottom - head - top) / height,
        )
    )
    x = 0.16 / width
    figure.text(x, 1 - 0.12 / height, title, size=12, weight="bold", va="top", linespacing=1.2)
    under = 0.16 + 0.22 * (title.count("\n") + 1)
    figure.text(x, 1 - under / height, how, size=9, color=MUTED, va="top", linespacing=1.25)
    figure.text(x, 0.1 / height, foot, size=7.5, color=MUTED, va="bottom", linespacing=1.25)
    return figure, axes


def wrapped(text: str, letters: int) -> str:
    """Break a text into lines at its spaces."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > letters:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".lstrip()
    return "\n".join([*lines, line])


def halo() -> list[patheffects.AbstractPathEffect]:
    """Return what keeps a label legible on top of data."""
    return [patheffects.withStroke(linewidth=3, foreground=PAPER)]


def legend(
    axes: Axes, entries: Sequence[Line2D | Patch], columns: int, x_in: float, y_in: float
) -> None:
    """Add a legend so many inches right of and above the upper left corner of the axes."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    box = axes.get_position()
    width, height = figure.get_figwidth() * box.width, figure.get_figheight() * box.height
    axes.add_artist(
        Legend(
            axes,
            list(entries),
            [str(entry.get_label()) for entry in entries],
            loc="lower left",
            bbox_to_anchor=(x_in / width, 1 + y_in / height),
            ncols=columns,
            handletextpad=0.35,
            columnspacing=1.2,
            borderpad=0,
            borderaxespad=0,
            labelspacing=0.42,
            handlelength=1.2,
        )
    )


def log_ms(axis: Axes, which: str = "y") -> None:
    """Make an axis logarithmic, with ticks that name their unit."""
    (axis.set_yscale if which == "y" else axis.set_xscale)("log")
    scale = axis.yaxis if which == "y" else axis.xaxis
    low, high = axis.get_ylim() if which == "y" else axis.get_xlim()
    subs = (1.0,) if high / low > 300 else (1.0, 3.0) if high / low > 20 else (1.0, 2.0, 5.0)
    scale.set_major_locator(LogLocator(subs=subs))
    scale.set_major_formatter(FuncFormatter(lambda value, _: tick_ms(value)))
    scale.set_minor_formatter(NullFormatter())
    scale.set_tick_params(which="minor", size=0)


def tick_ms(value: float) -> str:
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"


def png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return file.getvalue()


def svg(figure: Figure, name: str) -> str:
    """Return an `<svg>` element for a page, with names of its own and colours by variable."""
    file = io.StringIO()
    figure.savefig(file, format="svg", dpi=PNG_DPI, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    head, end, rest = text.partition(">")
    # The page gives it its width; the view box keeps its shape.
    return re.sub(r' (?:width|height)="[^"]*"', "", head) + end + rest


def pictures(drawings: dict[str, Callable[[bool], Figure | None]]) -> dict[str, Picture]:
    """Draw each picture at both widths; those that return None are left out."""
    found: dict[str, Picture] = {}
    with styled():
        for name, draw in drawings.items():
            wide, narrow = draw(False), draw(True)
            if wide is not None and narrow is not None:
                shapes = svg(wide, name), svg(narrow, f"{name}-narrow")
                found[name] = Picture(name, png(wide), *shapes)
    return found
