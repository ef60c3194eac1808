"""From figures to files: a page, and its pictures beside it; the raw JSON is left untouched."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bazaar_peer.command.report import bench as bench_told
from bazaar_peer.command.report import bench_json, drill_json, words
from bazaar_peer.command.report import drill as told
from bazaar_peer.command.report.bench_json import Bench
from bazaar_peer.command.report.drill_json import Drill, of
from bazaar_peer.command.report.page import Section, page

if TYPE_CHECKING:
    from bazaar_peer.command.report.figures.style import Picture

PAGE = "report.html"
INSTALL = (
    "The pictures need matplotlib, which is not installed here: pip install 'bazaar[pictures]' "
    "adds it, and `bazaar report FOLDER` then draws them."
)
NO_INTERREGNUM = "No picture: no peer recorded an interregnum in this drill."
NO_FAILOVER = "No picture: this drill kept no record of a failover, event by event."


def can_draw() -> bool:
    return find_spec("matplotlib") is not None


def write(folder: Path, drill: dict[str, Any]) -> list[Path]:
    """Write the report of a drill into its folder; return the files, the page first.

    Raises:
        ReportError: this is no drill's result.
        OSError: a file cannot be written.
    """
    found = of(drill)
    pictures = _pictures(found) if can_draw() else None
    text = page(
        f"bazaar drill {found.kind}",
        told.verdict(found),
        mood=told.mood(found),
        sentences=told.sentences(found),
        tiles=told.tiles(found),
        sections=_sections(found, pictures),
        foot=f"{found.command} · bazaar {found.version} · {words.moment(found.began)}",
        raw=drill_json.NAME,
    )
    return _save(folder, text, pictures or {})


def write_bench(folder: Path, bench: dict[str, Any]) -> list[Path]:
    """Write the report of a measurement into its folder; return the files, the page first.

    Raises:
        ReportError: this is no measurement.
        OSError: a file cannot be written.
    """
    found = bench_json.of(bench)
    pictures = _bench_pictures(found) if can_draw() else None
    sections: list[Section] = [Section("All figures", [], table=bench_told.figures(found))]
    for ring in found.rings:
        steady = bench_told.about_steady(ring)
        title = words.count(ring.peers, "peer")
        sections.append(_section(title, f"steady-{ring.peers}", steady, pictures))
        if ring.elections is not None:
            told_ = bench_told.about_elections(ring.elections)
            name = f"elections-{ring.peers}"
            sections.append(_section(f"{title}, with re-elections", name, told_, pictures))
    text = page(
        "bazaar bench",
        bench_told.verdict(found),
        mood="good",
        sentences=bench_told.sentences(found),
        tiles=bench_told.tiles(found),
        sections=sections,
        foot=f"{found.command} · bazaar {found.version} · {words.moment(found.began)}",
        raw=bench_json.NAME,
    )
    return _save(folder, text, pictures or {})


def _save(folder: Path, text: str, pictures: dict[str, Picture]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / PAGE]
    files[0].write_text(text, encoding="utf-8")
    for picture in pictures.values():
        files.append(folder / f"{picture.name}.png")
        files[-1].write_bytes(picture.png)
    return files


def _pictures(drill: Drill) -> dict[str, Picture]:
    from bazaar_peer.command.report.figures import drill as drawing  # noqa: PLC0415 - needs matplotlib

    return drawing.pictures(drill)


def _bench_pictures(bench: Bench) -> dict[str, Picture]:
    from bazaar_peer.command.report.figures import bench as drawing  # noqa: PLC0415 - likewise

    return drawing.pictures(bench)


def _sections(drill: Drill, pictures: dict[str, Picture] | None) -> list[Section]:
    return [
        _section("Every request", "requests", told.about_requests(drill), pictures),
        _section(
            "Interregna", "interregna", told.about_interregna(drill), pictures, NO_INTERREGNUM
        ),
        _section("One failover", "failover", told.about_failover(drill), pictures, NO_FAILOVER),
        _section("Beside the lab report", "latency", told.about_latency(drill), pictures),
        Section("Every fault", [], table=told.faults(drill)),
    ]


def _section(
    title: str,
    name: str,
    sentences: list[str],
    pictures: dict[str, Picture] | None,
    why_not: str = "",
) -> Section:
    """Put a picture to its sentences, or say why there is none."""
    picture = None if pictures is None else pictures.get(name)
    if picture is None:
        return Section(title, sentences, missing=INSTALL if pictures is None else why_not)
    return Section(title, sentences, svg=picture.svg, svg_narrow=picture.svg_narrow)
