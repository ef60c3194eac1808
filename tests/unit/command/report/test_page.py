"""The page says what the figures say, loudly where something is wrong, and holds nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bazaar_peer.command.report import drill as told
from bazaar_peer.command.report import drill_json, words, write
from bazaar_peer.command.report.page import POLICY, Section, Tile, page, table

HOSTILE = '<script>alert(1)</script><img src=x onerror="x()">\' & $\\frac$ \x07 \u202e🧂'


class Reader(HTMLParser):
    """Collects the elements, the attributes and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data.replace(words.SPACE, " ")


def read(folder: Path, drill: dict[str, Any]) -> Reader:
    found = Reader()
    found.feed(write.write(folder, drill)[0].read_text(encoding="utf-8"))
    return found


def headline(folder: Path, drill: dict[str, Any]) -> tuple[str, str]:
    """Return the class and the text of the page's verdict."""
    text = write.write(folder, drill)[0].read_text(encoding="utf-8")
    found = re.findall(r'<h1 class="(\w+)">(.*?)</h1>', text)
    assert len(found) == 1
    return found[0][0], found[0][1].replace(words.SPACE, " ")


@pytest.mark.usefixtures("bare")
def test_a_clean_drill_says_so_with_its_figures(tmp_path: Path, drill: dict[str, Any]) -> None:
    drill["interregnum_ms"] |= {"p50": 4.25}
    said = "Nothing lost, nothing done twice, in 2 faults: interregnum 4.2 ms at the median, "

    assert headline(tmp_path, drill) == ("good", f"{said}12.5 ms at most.")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lost": 1}, "1 acknowledged order LOST, in 2 faults."),
        ({"twice": 3}, "3 orders DONE TWICE, in 2 faults."),
        (
            {"lost": 2, "twice": 1},
            "2 acknowledged orders LOST and 1 order DONE TWICE, in 2 faults.",
        ),
        ({"verify": "entry 7 differs"}, "The audit of the journals FOUND VIOLATIONS."),
    ],
    ids=["lost", "twice", "both", "audit"],
)
@pytest.mark.usefixtures("bare")
def test_planted_damage_stands_on_top(
    tmp_path: Path, drill: dict[str, Any], wrong: dict[str, Any], said: str
) -> None:
    assert headline(tmp_path, {**drill, **wrong}) == ("bad", said)


@pytest.mark.usefixtures("bare")
def test_ring_that_was_not_audited_has_no_figures_of_an_audit(
    tmp_path: Path, drill: dict[str, Any]
) -> None:
    drill |= {"lost": None, "twice": None, "verify": "not audited", "unaudited": "nobody answers"}
    mood, said = headline(tmp_path, drill)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")

    assert mood == "bad"
    assert said.startswith("The ring could NOT be audited")
    assert "VIOLATIONS" not in text
    assert "The audit could not be run: nobody answers" in text
    assert '<div class="bad"><dt>lost</dt><dd>unknown</dd></div>' in text


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("interregnum_ms", "The longest interregnum is told as 9.5 ms, and is 12.5 ms."),
        ("gap_ms", "The longest wait for an answer is told as 9.5 ms, and is 37.5 ms."),
        ("latency_ms", "The longest order is told as 9.5 ms, and is 41.5 ms."),
    ],
)
@pytest.mark.usefixtures("bare")
def test_planted_figures_that_contradict_the_raw_ones_are_seen(
    tmp_path: Path, drill: dict[str, Any], field: str, said: str
) -> None:
    drill[field]["max"] = 9.5

    assert headline(tmp_path, drill) == (
        "bad",
        "Do not trust this report: its figures contradict each other.",
    )
    assert said in read(tmp_path, drill).text


def test_a_sample_may_lack_the_slowest_order(drill: dict[str, Any]) -> None:
    drill["latency_ms"]["max"] = 900.0

    assert drill_json.of(drill).contradictions
    assert not drill_json.of({**drill, "orders_sampled_of": 4000}).contradictions
    drill["latency_ms"]["max"] = 9.5
    assert drill_json.of({**drill, "orders_sampled_of": 4000}).contradictions


@pytest.mark.usefixtures("bare")
def test_what_the_audit_said_is_told(tmp_path: Path, drill: dict[str, Any]) -> None:
    seen = read(tmp_path, {**drill, "verify": "entry 7 differs"})

    assert "entry 7 differs" in seen.text


@pytest.mark.usefixtures("bare")
def test_orders_that_nobody_answered_take_the_shine_off(
    tmp_path: Path, drill: dict[str, Any]
) -> None:
    drill["counts"]["failed"] = 2
    mood, said = headline(tmp_path, drill)

    assert mood == "warn"
    assert said.endswith("in 2 faults, but 2 orders were answered by nobody in time.")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<div class="bad"><dt>answered by nobody</dt><dd>2</dd></div>' in page


@pytest.mark.usefixtures("bare")
def test_what_the_drill_calls_wrong_is_wrong_here(tmp_path: Path, drill: dict[str, Any]) -> None:
    wrong = ["fault 1: no trader for 12.5 ms, more than 10 ms"]
    mood, said = headline(tmp_path, {**drill, "wrong": wrong})

    assert mood == "bad"
    assert said.startswith("FAILED. ")
    assert wrong[0] in said


@pytest.mark.usefixtures("bare")
def test_the_figures_of_the_file_stand_in_the_text(tmp_path: Path, drill: dict[str, Any]) -> None:
    drill["timeline"]["zero"] = 812.5  # of the record, which began long before
    seen = read(tmp_path, drill)

    assert "p50 1.3 ms, p90 1.6 ms, p99 41.5 ms and max 41.5 ms" in seen.text
    assert "p50 12.5 ms, p90 12.5 ms, p99 12.5 ms and max 12.5 ms" in seen.text
    assert "p50 37.5 ms" in seen.text
    assert "Fault 1, injected at 4.00 s: 4 events of 3 peers in 18.0 ms." in seen.text
    assert "40 orders sent: 39 acknowledged, 1 rejected" in seen.text
    assert seen.tags.count("tr") == 1 + len(drill["faults"])


@pytest.mark.usefixtures("bare")
def test_planned_and_unplanned_interregna_are_never_summed_up_together(
    tmp_path: Path, drill: dict[str, Any]
) -> None:
    drill["faults"][1]["planned"] = True
    seen = read(tmp_path, drill)

    assert "unplanned interregnum 12.5 ms; planned interregnum 4.2 ms." in seen.text
    assert "1 planned interregnum, by the peers' own records: p50 4.2 ms" in seen.text
    assert "1 unplanned interregnum, by the peers' own records: p50 12.5 ms" in seen.text


def test_hostile_text_stays_text(tmp_path: Path, drill: dict[str, Any]) -> None:
    plain = read(tmp_path, drill)
    fields = ("command", "target", "kind", "version", "began", "verify")
    seen = read(tmp_path, {**drill, **dict.fromkeys(fields, HOSTILE)})

    assert seen.text.count(HOSTILE) >= 4
    assert set(seen.tags) == set(plain.tags)
    assert not {"script", "img"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]


def test_hostile_marks_and_faults_stay_text(tmp_path: Path, drill: dict[str, Any]) -> None:
    drill["timeline"]["marks"][0]["what"] = HOSTILE
    drill["faults"][0]["kind"] = HOSTILE
    seen = read(tmp_path, drill)

    assert HOSTILE in seen.text
    assert "script" not in seen.tags


def test_the_page_loads_nothing(tmp_path: Path, drill: dict[str, Any]) -> None:
    drill["orders"] *= 50  # so many that points become an image inside the picture
    seen = read(tmp_path, drill)
    loads = [
        value
        for name, value in seen.attributes
        if name in {"src", "href", "xlink:href", "data", "poster", "srcset"}
    ]

    assert any(value.startswith("data:image/png") for value in loads)
    assert [value for value in loads if not value.startswith(("#", "data:image/png"))] == []
    assert "link" not in seen.tags
    assert ("content", POLICY) in seen.attributes


def test_every_name_in_the_page_is_given_once(tmp_path: Path, drill: dict[str, Any]) -> None:
    names = [value for name, value in read(tmp_path, drill).attributes if name == "id"]

    assert len(names) == len(set(names))


def test_the_raw_file_is_left_as_it_is(tmp_path: Path, drill: dict[str, Any]) -> None:
    raw = json.dumps(drill)
    (tmp_path / "drill.json").write_text(raw)
    files = write.write(tmp_path, drill)

    assert (tmp_path / "drill.json").read_text() == raw
    assert [path.name for path in files] == [
        "report.html",
        "requests.png",
        "interregna.png",
        "failover.png",
        "latency.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files[1:])


def test_a_drill_without_a_record_says_why_a_picture_is_missing(
    tmp_path: Path, drill: dict[str, Any]
) -> None:
    for fault in drill["faults"]:
        fault["interregnum_ms"] = None
    seen = read(tmp_path, {**drill, "timeline": None, "interregnum_ms": {}})

    assert write.NO_FAILOVER in seen.text
    assert write.NO_INTERREGNUM in seen.text
    assert "wait for an answer 37.5 ms." in seen.text


def test_an_empty_drill_has_a_page(tmp_path: Path, drill: dict[str, Any]) -> None:
    empty: dict[str, Any] = {"orders": [], "faults": [], "timeline": None, "orders_sampled_of": 0}
    none: dict[str, Any] = {key: {} for key in ("interregnum_ms", "gap_ms", "latency_ms")}

    assert "in 0 faults" in read(tmp_path, {**drill, **empty, **none}).text


def test_every_name_that_is_used_is_given(tmp_path: Path, drill: dict[str, Any]) -> None:
    seen = read(tmp_path, drill)
    names = {value for name, value in seen.attributes if name == "id"}
    links = [value for name, value in seen.attributes if name == "xlink:href"]
    used = {link[1:] for link in links if link.startswith("#")}
    used |= {one for _, value in seen.attributes for one in re.findall(r"url\(#([^)]+)\)", value)}

    assert used
    assert used <= names


def test_every_place_of_a_page_is_escaped() -> None:
    found = Reader()
    section = Section(HOSTILE, [HOSTILE], svg="<svg></svg>", svg_narrow="<svg></svg>")
    missing = Section(HOSTILE, [], missing=HOSTILE, table=table([HOSTILE], [[HOSTILE]], {HOSTILE}))
    found.feed(
        page(
            HOSTILE,
            HOSTILE,
            mood="good",
            sentences=[HOSTILE],
            tiles=[Tile(HOSTILE, HOSTILE)],
            sections=[section, missing],
            foot=HOSTILE,
            raw=HOSTILE,
        )
    )

    assert found.text.count(HOSTILE) == 14
    assert not {"script", "img"} & set(found.tags)
    assert found.attributes.count(("aria-label", HOSTILE)) == 2


@pytest.mark.usefixtures("bare")
def test_without_matplotlib_the_figures_stand_and_the_page_says_how_to_get_it(
    tmp_path: Path, drill: dict[str, Any]
) -> None:
    seen = read(tmp_path, drill)

    assert write.INSTALL in seen.text
    assert "svg" not in seen.tags
    assert "p50 12.5 ms" in seen.text
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_long_list_of_faults_is_cut_and_says_so(tmp_path: Path, drill: dict[str, Any]) -> None:
    drill["faults"] = [{**drill["faults"][0], "number": k} for k in range(told.ROWS_MAX + 5)]
    found = told.faults(drill_json.of(drill))

    assert found.count("<tr>") == told.ROWS_MAX + 1
    assert "5 more faults are in drill.json" in found


def test_the_command_line_starts_without_matplotlib() -> None:
    code = "import sys, bazaar_peer.command.app; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
