"""What is drawn is what the file says: points, bands, lines and the words beside them."""

from __future__ import annotations

import itertools
from itertools import combinations
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from bazaar_peer.command.report import drill_json, lab, words
from bazaar_peer.command.report.drill import about_requests
from bazaar_peer.command.report.figures import drill as drawing
from bazaar_peer.command.report.figures import failover, interregna, requests, style

WIDTHS = pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for text in figure.findobj(Text)]
    return [text.replace(words.SPACE, " ") for text in found if text]


def points(figure: Figure) -> set[tuple[float, float]]:
    axes: Any = figure.axes[0]
    return {(float(x), float(y)) for cloud in axes.collections for x, y in cloud.get_offsets()}


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


@WIDTHS
def test_every_request_is_a_point(drill: dict[str, Any], narrow: bool) -> None:
    with style.styled():
        figure = requests.draw(drill_json.of(drill), narrow=narrow)

    assert points(figure) == {(order[0], order[1]) for order in drill["orders"]}
    assert "slowest: 41.5 ms, at 4.0 s, peer 1" in texts(figure)


def test_colour_is_the_outcome_and_shape_the_peer(drill: dict[str, Any]) -> None:
    with style.styled():
        figure = requests.draw(drill_json.of(drill), narrow=False)
    axes: Any = figure.axes[0]
    clouds = {str(one.get_label()): one for one in axes.collections}

    assert set(clouds) >= {"ok-0", "ok-1", "ok-2", "rejected-2"}
    shapes = {clouds[f"ok-{peer}"].get_paths()[0].vertices.tobytes() for peer in range(3)}
    assert len(shapes) == 3
    colours = {clouds[name].get_facecolor().tobytes() for name in ("ok-2", "rejected-2")}
    assert len(colours) == 2


def test_a_band_goes_from_the_fault_to_the_first_trade(drill: dict[str, Any]) -> None:
    drill["faults"][0]["first_ok"] = 6.5
    drill["faults"][1]["first_ok"] = None  # nobody traded any more
    with style.styled():
        figure = requests.draw(drill_json.of(drill), narrow=False)
    bands = [patch.get_extents().transformed(figure.axes[0].transData.inverted())
             for patch in figure.axes[0].patches]  # fmt: skip

    assert [(round(band.x0, 6), round(band.x1, 6)) for band in bands] == [(4.0, 6.5), (8.0, 10.0)]


@pytest.mark.parametrize("faults", [3, 34, 100, 1000])
@WIDTHS
def test_fault_numbers_do_not_overlap(drill: dict[str, Any], faults: int, narrow: bool) -> None:
    drill["faults"] = [
        {**drill["faults"][0], "number": k + 1, "at": k * 10 / faults, "first_ok": None}
        for k in range(faults)
    ]
    for fault in drill["faults"]:
        fault["first_ok"] = fault["at"]
    with style.styled():
        figure = requests.draw(drill_json.of(drill), narrow=narrow)
        figure.draw_without_rendering()
    numbers = [one for one in figure.axes[0].texts if one.get_text().isdecimal()]
    boxes = sorted((one.get_window_extent() for one in numbers), key=lambda box: float(box.x0))

    assert len(boxes) >= 3
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(boxes))


@WIDTHS
def test_interregna_are_written_on_their_curve(drill: dict[str, Any], narrow: bool) -> None:
    with style.styled():
        said = texts(drawn(interregna.draw(drill_json.of(drill), narrow=narrow)))

    own = drill["interregnum_ms"]
    assert [text for text in said if text.startswith(("p50", "p90", "p99", "max"))] == [
        f"{name}  {words.ms(own[name])}".replace(words.SPACE, " ")
        for name in ("p50", "p90", "p99", "max")
    ]


def test_planned_and_unplanned_stand_apart(drill: dict[str, Any]) -> None:
    drill["faults"][1]["planned"] = True
    with style.styled():
        said = texts(drawn(interregna.draw(drill_json.of(drill), narrow=False)))

    assert {"planned, 1", "unplanned, 1", "p50  4.2 ms", "p50  12.5 ms"} <= set(said)


@WIDTHS
def test_a_failover_has_a_row_for_each_event_and_a_figure_between(
    drill: dict[str, Any], narrow: bool
) -> None:
    with style.styled():
        said = texts(drawn(failover.draw(drill_json.of(drill), narrow=narrow)))

    assert [text for text in said if text in {"5.5 ms", "0.25 ms", "12.2 ms"}] == [
        "5.5 ms",
        "0.25 ms",
        "12.2 ms",
    ]
    assert {"last trade", "loss noticed", "promise", "first trade", "−3.0 ms", "+15.0 ms"} <= set(
        said
    )


def test_too_many_events_are_counted_and_left_out(drill: dict[str, Any]) -> None:
    drill["timeline"]["marks"] = [
        {"peer": k % 3, "ms": k / 10, "what": "token passed on"} for k in range(200)
    ]
    with style.styled():
        said = " ".join(texts(drawn(failover.draw(drill_json.of(drill), narrow=False))))

    assert "140 later events left out" in said


@pytest.mark.parametrize(("peers", "lines"), [(5, [5]), (6, [6]), (3, [5, 6])])
def test_the_lab_reports_means_are_lines(
    drill: dict[str, Any], peers: int, lines: list[int]
) -> None:
    found = drill_json.of({**drill, "peers": peers})
    with style.styled():
        figure = drawn(drawing.latency(found, narrow=False))
    axes: Any = figure.axes[0]
    drawn_at = {float(line.get_ydata()[0]) for line in axes.lines}

    assert {lab.REPORT_MS[nodes] for nodes in lines} <= drawn_at
    assert found.mean_ms in drawn_at
    assert not {ms for n, ms in lab.REPORT_MS.items() if n not in lines} & drawn_at


def test_a_sample_stands_by_its_median(drill: dict[str, Any]) -> None:
    drill["orders_sampled_of"] = 4000
    with style.styled():
        said = texts(drawn(drawing.latency(drill_json.of(drill), narrow=False)))

    assert "this drill: median 1.3 ms" in said


def test_colours_of_a_picture_become_the_pages(drill: dict[str, Any]) -> None:
    picture = drawing.pictures(drill_json.of(drill))["failover"]

    for colour in (style.PAPER, style.INK, style.MUTED):
        assert colour not in picture.svg
    assert "var(--ink)" in picture.svg


def test_words_have_a_unit_and_as_many_digits_as_say_something() -> None:
    shown = [words.ms(value) for value in (None, 0.0, 0.123, 4.25, 99.96, 850.05, 1190.1, 12_345.0)]

    assert [text.replace(words.SPACE, " ") for text in shown] == [
        "unknown", "0.00 ms", "0.12 ms", "4.2 ms", "100.0 ms", "850 ms", "1,190 ms", "12.3 s",
    ]  # fmt: skip


@pytest.fixture
def crowded(drill: dict[str, Any]) -> dict[str, Any]:
    """A large ring, all outcomes, many faults of both kinds, and long words everywhere."""
    drill["peers"] = 24
    drill["command"] = "bazaar drill crash --times 100 " + "--url http://10.0.0.1:8600 " * 12
    drill["orders"] += [[k / 4, 90.0 * k + 1, "unknown", k % 24, 9] for k in range(1, 40)]
    drill["counts"]["failed"] = 39
    drill["faults"] = [
        {**drill["faults"][0], "number": k + 1, "at": k / 10, "planned": k % 2 == 1,
         "interregnum_ms": 3.0 + k % 2 * 9 + k / 40, "gap_ms": 20.0 + k * k / 4}
        for k in range(100)
    ]  # fmt: skip
    drill["timeline"]["lanes"] = list(range(24))
    drill["timeline"]["marks"] = [
        {"peer": k % 24, "ms": 5000.25 * k - 3, "what": "the token is passed on to the next peer"}
        for k in range(30)
    ]
    return drill


@pytest.mark.parametrize("name", drawing.DRAWN)
@WIDTHS
def test_no_word_leaves_its_picture(crowded: dict[str, Any], name: str, narrow: bool) -> None:
    with style.styled():
        figure = drawn(drawing.DRAWN[name](drill_json.of(crowded), narrow=narrow))
        figure.draw_without_rendering()
        page, axes = figure.bbox, figure.axes[0]
        legends = [text for legend in axes.findobj(Legend) for text in legend.get_texts()]
        shown = [*figure.texts, *axes.texts, *legends, axes.xaxis.label]
        boxes = [(one.get_text(), one.get_window_extent()) for one in shown]

    assert len(boxes) > 5
    assert [
        text
        for text, box in boxes
        if box.x0 < page.x0 or box.x1 > page.x1 or box.y0 < page.y0 or box.y1 > page.y1
    ] == []


@pytest.mark.parametrize("name", drawing.DRAWN)
@WIDTHS
def test_no_two_labels_overlap(crowded: dict[str, Any], name: str, narrow: bool) -> None:
    with style.styled():
        figure = drawn(drawing.DRAWN[name](drill_json.of(crowded), narrow=narrow))
        figure.draw_without_rendering()
        shown = [*figure.texts, *figure.axes[0].texts]
        boxes = [(one.get_text(), one.get_window_extent().padded(-1)) for one in shown]

    assert [
        (one, other)
        for (one, box), (other, others) in combinations(boxes, 2)
        if one and other and box.overlaps(others)
    ] == []


@WIDTHS
def test_nobody_is_named_where_a_service_chose_who_was_asked(
    drill: dict[str, Any], narrow: bool
) -> None:
    drill["orders"] = [[*order[:3], -1, order[4]] for order in drill["orders"]]
    with style.styled():
        figure = requests.draw(drill_json.of(drill), narrow=narrow)

    said = texts(figure)
    assert "slowest: 41.5 ms, at 4.0 s" in said
    assert not [text for text in said if "peer" in text]
    assert not [text for text in about_requests(drill_json.of(drill)) if "peer" in text]
