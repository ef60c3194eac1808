"""Pictures of characters: bars, and latency over time with the epochs below it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.text import Text

EIGHTHS = " ▏▎▍▌▋▊▉█"
P50, P99 = "■", "□"
LABEL = 9
"""Columns of the axis on the left."""
COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_red")
"""Of epochs, one after the other; the number always stands beside them."""


class Sample(NamedTuple):
    """Of one second or so; in ms, NaN without an answer; `trader`: −1 where there was none."""

    p50_ms: float
    p99_ms: float
    epoch: int
    trader: int


def colour_of(epoch: int) -> str:
    return COLOURS[epoch % len(COLOURS)]


def shown_ms(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def bar(value: int, most: int, width: int) -> str:
    """Draw a number of 0 to `most`, as powers of two: a few are seen beside thousands."""
    if value <= 0:
        return ""
    share = min(1.0, math.log2(1 + value) / math.log2(1 + max(most, 2)))
    eighths = max(1, round(share * width * 8))
    return EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def latency_chart(samples: Iterable[Sample], width: int, height: int) -> Text:
    """Draw p50 and p99 on a logarithmic axis, the newest at the right, and below it the epochs."""
    shown = list(samples)[-max(1, width - LABEL) :]
    values = [v for one in shown for v in (one.p50_ms, one.p99_ms) if v > 0]
    if not values:
        return Text("no order was answered so far", "dim")
    low, high = _bounds(min(values), max(values))
    rows = [_row(shown, row, height - 1, low, high) for row in range(height - 1)]
    for row, label in ((0, high), (height - 2, low)):
        rows[row] = Text(f"{shown_ms(label):>{LABEL - 1}} ", "dim") + rows[row]
    rows[1:-1] = [Text(" " * LABEL) + row for row in rows[1:-1]]
    return Text("\n").join([*rows, Text(f"{'epoch':>{LABEL - 1}} ", "dim") + _band(shown)])


def _bounds(low: float, high: float) -> tuple[float, float]:
    """Return powers of ten round the values, a decade apart at least."""
    below, above = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return 10.0**below, 10.0 ** max(above, below + 1)


def _row(samples: Sequence[Sample], row: int, rows: int, low: float, high: float) -> Text:
    """Return one line of the chart, counted from the top."""

    def at(value: float) -> int:
        if not value > 0:
            return -1
        share = math.log(value / low) / math.log(high / low)
        return rows - 1 - min(rows - 1, max(0, int(share * rows)))

    text = Text()
    for one in samples:
        if at(one.p50_ms) == row:
            text.append(P50, "green")
        elif at(one.p99_ms) == row:
            text.append(P99, "yellow")
        else:
            text.append(" ")
    return text


def _band(samples: Sequence[Sample]) -> Text:
    """Return the epochs as a band: each with its number where it begins, × without a trader."""
    text, number = Text(), ""
    for at, one in enumerate(samples):
        if at == 0 or one.epoch != samples[at - 1].epoch:
            number = str(one.epoch)
        style = f"{colour_of(one.epoch)} reverse"
        if one.trader < 0:
            text.append("×", "bold red")
        elif number:
            text.append(number[0], style)
            number = number[1:]
        else:
            text.append(" ", style)
    return text
