"""The report of `bazaar bench`: its figures, its pictures, and raw files that are none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from matplotlib.text import Text

from bazaar_peer.command.report import bench as told
from bazaar_peer.command.report import bench_json, drill_json, lab, words, write
from bazaar_peer.command.report.figures import bench as drawing
from bazaar_peer.command.report.figures import style

CALM = [1.0, 2.0, 1.5, 3.5]
HURT = [0.5, 40.0, 2.0, 61.0]


@pytest.fixture
def bench() -> dict[str, Any]:
    ring = bench_json.Ring(
        peers=5,
        steady=bench_json.Run.of(CALM, []),
        elections=bench_json.Run.of(HURT, [1, 3]),
        pyro4=bench_json.Baseline(mean_ms=1.429, p50_ms=1.32, p99_ms=3.5, max_ms=40.0),
    )
    made = bench_json.Bench(
        version="0.1.0",
        command="bazaar bench --peers 5",
        began="2026-11-24T03:00:00+00:00",
        rings=[ring],
    )
    found = msgspec.to_builtins(made)
    assert isinstance(found, dict)
    return found


def text_of(folder: Path, bench: dict[str, Any]) -> str:
    page = write.write_bench(folder, bench)[0].read_text(encoding="utf-8")
    return re.sub("<svg.*?</svg>", "", page, flags=re.DOTALL).replace(words.SPACE, " ")


def test_a_runs_figures_are_those_of_its_requests() -> None:
    run = bench_json.Run.of(HURT, [1, 3])

    assert (run.mean_ms, run.p50_ms, run.p90_ms, run.max_ms) == (25.875, 40.0, 61.0, 61.0)
    assert run.hit_ms == [40.0, 61.0]


def test_what_is_printed_has_no_single_requests(bench: dict[str, Any]) -> None:
    [ring] = bench_json.of(bench).rings

    assert ring.told() == {
        "peers": 5,
        "requests": 4,
        "mean_ms": 2.0,
        "p50_ms": 2.0,
        "p90_ms": 3.5,
        "p99_ms": 3.5,
        "max_ms": 3.5,
        "report_mean_ms": 850.0509,
        "times_faster": 425.0,
        "elections": {
            "kills": 2,
            "mean_ms": 25.875,
            "p50_ms": 40.0,
            "p90_ms": 61.0,
            "p99_ms": 61.0,
            "max_ms": 61.0,
        },
        "pyro4": {"mean_ms": 1.429, "p50_ms": 1.32, "p99_ms": 3.5, "max_ms": 40.0},
    }


def test_the_page_sets_ours_beside_the_lab_report_and_pyro4(
    tmp_path: Path, bench: dict[str, Any]
) -> None:
    text = text_of(tmp_path, bench)

    assert "5 peers: 2.0 ms a request, where the lab report has 850 ms." in text
    assert "425 × as much" in text
    assert "The Pyro4 baseline: mean 1.4 ms" in text
    assert "killed 2 times" in text
    assert "took 40.0 ms to 61.0 ms; none failed" in text
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "elections-5.png",
        "report.html",
        "steady-5.png",
    ]


@pytest.mark.usefixtures("bare")
def test_a_ring_that_the_lab_report_does_not_know_stands_alone(
    tmp_path: Path, bench: dict[str, Any]
) -> None:
    bench["rings"][0]["peers"] = 4
    text = text_of(tmp_path, bench)

    assert "4 peers: 2.0 ms a request." in text
    assert "as much" not in text


@pytest.mark.usefixtures("bare")
def test_hostile_text_stays_text(tmp_path: Path, bench: dict[str, Any]) -> None:
    text = text_of(tmp_path, {**bench, "command": "<script>x</script>", "version": "<b>"})

    assert "<script" not in text
    assert "<b>" not in text


def test_both_pictures_show_their_own_points_on_one_scale(bench: dict[str, Any]) -> None:
    found = bench_json.of(bench)
    [ring] = found.rings
    assert ring.elections is not None
    with style.styled():
        figures = [drawing.draw(found, ring, run, False) for run in (ring.steady, ring.elections)]
    axes: list[Any] = [figure.axes[0] for figure in figures]

    assert axes[0].get_ylim() == axes[1].get_ylim()
    for own, latencies in zip(axes, (CALM, HURT), strict=True):
        lines = [list(map(float, line.get_ydata())) for line in own.lines]
        assert latencies in lines
        assert [lab.REPORT_MS[5]] * 2 in lines
        assert [words.mean(latencies)] * 2 in lines
    kills = [list(map(float, line.get_xdata())) for line in axes[1].lines]
    assert [1.0, 1.0] in kills
    assert [3.0, 3.0] in kills
    said = [text.get_text() for text in figures[0].findobj(Text)]
    assert f"Pyro4 baseline: mean {words.ms(1.429)}" in said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bazaar_bench": 2}, "bazaar_bench"),
        ({"rings": []}, "rings"),
        ({"rings": [{"peers": 5}]}, "steady"),
    ],
)
def test_what_is_no_measurement_is_refused(
    bench: dict[str, Any], wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(drill_json.ReportError, match=said):
        bench_json.of({**bench, **wrong})


def test_a_kill_at_no_request_is_refused(bench: dict[str, Any]) -> None:
    bench["rings"][0]["elections"]["killed_at"] = [4]

    with pytest.raises(drill_json.ReportError, match="killed_at names no request"):
        bench_json.of(bench)


def test_the_table_has_a_row_a_run(bench: dict[str, Any]) -> None:
    found = told.figures(bench_json.of(bench))

    assert found.count("<tr>") == 5
    for run in ("without re-elections", "with 2 re-elections", "Pyro4 baseline", "lab report"):
        assert f">{run}<" in found
