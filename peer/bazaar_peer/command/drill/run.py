"""A drill from its options to its exit code."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bazaar_peer.command.drill import screen
from bazaar_peer.command.drill.cluster import ClusterRing
from bazaar_peer.command.drill.engine import Engine, Screen
from bazaar_peer.command.drill.local import LocalRing
from bazaar_peer.command.drill.place import Place
from bazaar_peer.command.drill.plan import DrillError, Options, check
from bazaar_peer.command.drill.verdict import Verdict, judge
from bazaar_peer.command.report import write as report
from bazaar_peer.command.report.drill_json import ReportError
from bazaar_peer.record.collect import Story
from bazaar_peer.record.story import write_story

FILE, STORY = "drill.json", "drill.story"


def found(options: Options) -> Place:
    """Return the ring that options name; called in the loop that uses it.

    Raises:
        MisuseError: it is none that can be drilled.
    """
    return ClusterRing(options) if options.name else LocalRing(options)


def run(options: Options, *, as_json: bool, find: Callable[[Options], Place] = found) -> int:
    """Drill, show and write; return 0 if all is well, else 1.

    Raises:
        MisuseError: options that cannot be.
        DrillError: there is nothing to show.
    """
    check(options)
    with screen.Terminal(options) as terminal:
        drill, verdict, story = asyncio.run(_drill(options, terminal, find))
    drill |= {"wrong": verdict.wrong, "tolerated": verdict.tolerated}
    if as_json:
        sys.stdout.write(json.dumps(drill) + "\n")
        terminal.say(verdict.sentence(drill))
    else:
        screen.show(drill, verdict)
    if options.report is not None:
        for path in write(options.report, drill, story):
            terminal.say(f"written: {path}")
    return 1 if verdict.wrong else 0


async def _drill(
    options: Options, terminal: Screen, find: Callable[[Options], Place]
) -> tuple[dict[str, Any], Verdict, Story | None]:
    place, left = find(options), ""
    engine = Engine(options, place, terminal)
    with engine.ends:
        try:
            drill = await engine.run()
            verdict = judge(drill, options, engine.stopped)
            if verdict.wrong and options.report is not None:
                await _keep(options, place, options.report, verdict)
        finally:
            left = await _closed(place)
            if left:
                terminal.say(left)
    if left:
        verdict.tolerated.append(left)
    if engine.interrupted:
        verdict.tolerated.append(f"interrupted after {len(drill['faults'])} of {options.times}")
    return drill, verdict, engine.story


async def _keep(options: Options, place: Place, folder: Path, verdict: Verdict) -> None:
    """Keep what a drill that failed can be audited with again: its lists go with it otherwise."""
    url = "URL --token-file FILE" if options.name else place.target
    try:
        await asyncio.to_thread(folder.mkdir, exist_ok=True)
        await place.keep(folder)
    except (DrillError, OSError) as wrong:
        verdict.tolerated.append(f"the list of what was acknowledged could not be kept: {wrong}")
    else:
        verdict.kept = (
            "What was acknowledged is kept, to be looked up again: "
            f"bazaar verify --url {url} --acknowledged {folder / 'acknowledged'}"
        )


async def _closed(place: Place) -> str:
    """Let a ring go; return what stays behind, which costs nobody the result."""
    try:
        await place.close()
    except (DrillError, OSError) as wrong:
        return f"not everything is cleared away: {wrong}"
    return ""


def write(folder: Path, drill: dict[str, Any], story: Story | None = None) -> list[Path]:
    """Write the raw figures, the story and the report drawn of both; return what was written.

    Raises:
        DrillError: the folder cannot be written.
    """
    path, told = folder / FILE, folder / STORY
    try:
        folder.mkdir(exist_ok=True)
        path.write_text(json.dumps(drill) + "\n", encoding="utf-8")
        if story is not None:
            write_story(told, story.header, story.entries)
        drawn = report.write(folder, drill)
    except ReportError as wrong:
        raise DrillError(
            f"{path} is written, and no report could be drawn of it: {wrong}"
        ) from wrong
    except OSError as wrong:
        raise DrillError(f"{wrong.filename or path} cannot be written: {wrong.strerror}") from wrong
    return [path, *([told] if story is not None else []), *drawn]
