"""One failover, step by step: what of a story lies between the last trade and the next one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bazaar_peer.core.types import ordinal_of
from bazaar_peer.record.merge import Told

BEFORE_S, BEHIND_S = 5.0, 30.0
MARKS_MAX = 48
NOTES = {
    "trader_lost": "loss noticed",
    "hand_over": "post closed",
    "successor_named": "successor named",
    "election": "election begun",
    "poll": "polls everybody",
    "attempt_failed": "attempt failed",
    "nominee": "stands",
    "nominee_failed": "candidacy failed",
    "promised": "promise",
    "invested": "caught up",
    "epoch_started": "epoch {epoch} started",
    "reign_begun": "reigns",
}
"""What is told of a note; all others are left out."""
GOT = {"Election": "token here", "Nominated": "nominated"}


@dataclass(frozen=True)
class Done:
    """What was done to a ring: a fault's number, moment (the story's seconds), victim and name."""

    number: int
    at: float
    peer: int
    what: str


def timeline(told: Iterable[Told], done: Done, epoch: int) -> dict[str, Any] | None:
    """Return the steps to the reign of an epoch; None: the story does not have them.

    Marks are in milliseconds from the fault, in order.
    """
    at = done.at
    story = [one for one in told if at - BEFORE_S <= one["at"] <= at + BEHIND_S]
    reign = _first(story, lambda one: _is_reign(one, epoch))
    if reign is None:
        return None
    last, first = _last_trade(story, epoch), _first_trade(story, reign)
    begins = min(last["at"], at) if last else at
    ends = first["at"] if first else reign["at"]
    between = [one for one in story if begins <= one["at"] <= ends]
    marks = [_mark(one, what, at) for one in between if (what := _what(one, epoch))]
    marks.append({"peer": done.peer, "ms": 0.0, "what": done.what})
    if last is not None:
        marks.append(_mark(last, "last trade", at))
    if first is not None:
        marks.append(_mark(first, "first trade", at))
    marks.sort(key=lambda mark: float(mark["ms"]))
    lanes = sorted({ordinal_of(one["peer"]) for one in story} | {done.peer})
    return {"fault": done.number, "zero": at, "lanes": lanes, "marks": _bounded(marks)}


def _is_reign(one: Told, epoch: int) -> bool:
    return one.get("note") == "reign_begun" and one["fields"].get("epoch") == epoch


def _first(story: list[Told], wanted: Any) -> Told | None:
    return next((one for one in story if wanted(one)), None)


def _last_trade(story: list[Told], epoch: int) -> Told | None:
    """Return the last growth of the commit index at whoever reigned before."""
    commits: dict[int, int] = {}
    found: Told | None = None
    for one in story:
        if one["kind"] not in {"moved", "key"} or _epoch_of(one) >= epoch:
            continue
        if one["kind"] == "moved" and one["commit"] > commits.get(one["peer"], one["commit"]):
            found = one
        commits[one["peer"]] = one["commit"]
    return found


def _first_trade(story: list[Told], reign: Told) -> Told | None:
    """Return the next trader's first commit behind the entry that its reign began with."""
    began = int(reign["fields"].get("index", 0))
    return _first(
        story,
        lambda one: (
            one["kind"] == "moved"
            and one["peer"] == reign["peer"]
            and one["at"] >= reign["at"]
            and one["commit"] > began
        ),
    )


def _epoch_of(one: Told) -> int:
    return int(one["epoch"])


def _what(one: Told, epoch: int) -> str:
    """Return what a step is called, or nothing: it is none of this failover."""
    if one["kind"] == "note":
        fields = one["fields"]
        if one["note"] in {"promised", "epoch_started", "reign_begun", "nominee"}:
            return NOTES[one["note"]].format(**fields) if fields.get("epoch") == epoch else ""
        return NOTES.get(one["note"], "").format(**fields)
    if one["kind"] == "got":  # who passes a token on does so at once
        return GOT.get(one["message"], "")
    return ""


def _mark(one: Told, what: str, at: float) -> dict[str, Any]:
    ms = round((one["at"] - at) * 1e3, 3)
    return {"peer": ordinal_of(one["peer"]), "ms": ms, "what": what}


def _bounded(marks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave the middle out of what nobody could read; both ends tell most."""
    if len(marks) <= MARKS_MAX:
        return marks
    return marks[: MARKS_MAX // 2] + marks[-MARKS_MAX // 2 :]
