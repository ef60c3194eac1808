"""A story's file is looked through line by line, and whatever is wrong names its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bazaar_peer.page import story_file
from bazaar_peer.page.story_file import StoryError, StoryFile
from tests.browser.stories import calm, header, realistic

BEAT = {"at": 5.0, "peer": 1, "boot": 1, "seq": 1, "kind": "beat", "from": 0, "epoch": 1}


def written(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "ring.story"
    text = "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines)
    path.write_bytes(text.encode())
    return path


def test_a_whole_story_is_taken_and_given_again(tmp_path: Path) -> None:
    made = realistic()
    path = tmp_path / "ring.story"
    path.write_text(made.lines())

    story = StoryFile(path)

    assert story.count == len(made.entries)
    assert json.loads(story.header) == made.header
    assert [e for batch in story.batches(700) for e in json.loads(batch)] == made.entries


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "line 2: Input data was truncated"),
        ({**BEAT, "kind": "bet"}, "line 2: Invalid value 'bet' - at `$.kind`"),
        ({**BEAT, "peer": "one"}, "line 2: Expected `int`, got `str` - at `$.peer`"),
        ({k: v for k, v in BEAT.items() if k != "seq"}, "line 2: Object missing required field"),
        ({**BEAT, "at": None}, "line 2: Expected `float`, got `null` - at `$.at`"),
        ({**BEAT, "at": -0.1}, "line 2: Expected `float` >= 0.0 - at `$.at`"),
        ({**BEAT, "at": 1e15}, "line 2: Expected `float` <= 100000000000.0 - at `$.at`"),
        ({**BEAT, "peer": -1}, "line 2: Expected `int` >= 0 - at `$.peer`"),
        (json.dumps(BEAT).replace(" ", "\r", 1), "line 2: a carriage return within it"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: object, why: str) -> None:
    with pytest.raises(StoryError) as wrong:
        StoryFile(written(tmp_path, header(), line))

    assert why in str(wrong.value)


def test_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    text = "".join(json.dumps(line) + "\r\n" for line in (header(), BEAT))
    path = tmp_path / "ring.story"
    path.write_bytes(text.encode())

    assert [b"\r" in batch for batch in StoryFile(path).batches(9)] == [False]


def test_an_entry_before_the_one_before_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoryError, match=r"line 3: `at` 4.0 is before 5.0"):
        StoryFile(written(tmp_path, header(), BEAT, {**BEAT, "at": 4.0}))


def test_a_file_that_is_no_story_is_refused(tmp_path: Path) -> None:
    for lines, why in [
        ((), "is empty"),
        ((BEAT,), "line 1: Object missing required field `bazaar_story`"),
        (({**header(), "bazaar_story": 2},), "line 1: Invalid enum value 2"),
    ]:
        with pytest.raises(StoryError, match=why):
            StoryFile(written(tmp_path, *lines))
    with pytest.raises(StoryError, match="cannot be read: No such file"):
        StoryFile(tmp_path / "none")


def test_a_line_without_end_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story_file, "LINE_MAX_BYTES", 1 << 10)
    with pytest.raises(StoryError, match="line 2: longer than"):
        StoryFile(written(tmp_path, header(), "x" * 2000))


def test_a_calm_story_of_three_is_a_story(tmp_path: Path) -> None:
    path = tmp_path / "ring.story"
    path.write_text(calm().lines())

    assert StoryFile(path).count > 100
