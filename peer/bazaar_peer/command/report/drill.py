"""What a drill's report says in words: verdict, sentences, tiles, tables."""

from __future__ import annotations

from bazaar_peer.command.report import lab, words
from bazaar_peer.command.report.drill_json import NAME, Drill, Percentiles
from bazaar_peer.command.report.page import Mood, Tile, table

ROWS_MAX = 1000


def verdict(drill: Drill) -> str:
    """Return the one sentence that stands on top."""
    faults = words.count(len(drill.faults), "fault")
    if drill.contradictions:
        return "Do not trust this report: its figures contradict each other."
    if drill.unaudited is not None:
        return f"The ring could NOT be audited: whether anything is lost is unknown, in {faults}."
    wrong = []
    if drill.lost:
        wrong.append(f"{words.count(drill.lost, 'acknowledged order')} LOST")
    if drill.twice:
        wrong.append(f"{words.count(drill.twice, 'order')} DONE TWICE")
    if wrong:
        return f"{words.listed(wrong)}, in {faults}."
    if not drill.clean:
        return "The audit of the journals FOUND VIOLATIONS."
    said = f"Nothing lost, nothing done twice, in {faults}"
    if drill.wrong:
        return f"FAILED. {said}, but: {'; '.join(drill.wrong)}."
    if drill.counts.failed:
        nobody = words.count(drill.counts.failed, "order was", "orders were")
        return f"{said}, but {nobody} answered by nobody in time."
    own = drill.interregnum_ms if drill.interregnum_ms.p50 is not None else drill.gap_ms
    if own.p50 is None:
        return f"{said}."
    if len(drill.spells) > 1:
        told = (_most(f"{name} interregnum", drill.spells_of(name)) for name in drill.spells)
        return f"{said}: {'; '.join(told)}."
    what = "interregnum" if own is drill.interregnum_ms else "wait for an answer"
    return f"{said}: {_most(what, own)}."


def _most(what: str, own: Percentiles) -> str:
    if own.p50 == own.max:
        return f"{what} {words.ms(own.max)}"
    return f"{what} {words.ms(own.p50)} at the median, {words.ms(own.max)} at most"


def mood(drill: Drill) -> Mood:
    """Return how the page looks on top."""
    if not drill.clean or drill.wrong or drill.contradictions:
        return "bad"
    return "warn" if drill.counts.failed else "good"


def sentences(drill: Drill) -> list[str]:
    """Return what stands below the verdict."""
    counts = drill.counts
    found = [
        f"{words.count(drill.peers, 'peer')} at {drill.target}; kind of fault: {drill.kind}; "
        f"{drill.seconds:,.1f} s from {words.moment(drill.began)} on.",
        f"{words.count(counts.sent, 'order')} sent: {counts.acknowledged:,} acknowledged, "
        f"{counts.rejected:,} rejected, {counts.failed:,} answered by nobody in time; "
        f"{counts.retried:,} took more than one attempt.",
    ]
    found += drill.tolerated
    found += drill.contradictions
    if drill.unaudited is not None:
        found.append(f"The audit could not be run: {drill.unaudited}")
    elif drill.verify != "clean":
        found.append(f"The audit said: {drill.verify}")
    if not drill.clean and drill.wrong:
        found.append(f"The drill said: {'; '.join(drill.wrong)}")
    return found


def tiles(drill: Drill) -> list[Tile]:
    spells = {"interregnum": drill.interregnum_ms}
    if len(drill.spells) > 1:
        spells = {f"{name} interregnum": drill.spells_of(name) for name in drill.spells}
    return [
        Tile(_known(drill.lost), "lost", bad=drill.lost != 0),
        Tile(_known(drill.twice), "done twice", bad=drill.twice != 0),
        Tile(f"{drill.counts.failed:,}", "answered by nobody", bad=drill.counts.failed > 0),
        *(
            Tile(words.ms(getattr(own, share)), f"{name} {share}")
            for name, own in spells.items()
            for share in ("p50", "p99", "max")
        ),
        Tile(words.ms(drill.latency_ms.max), "slowest request"),
    ]


def figures(own: Percentiles) -> str:
    """Return percentiles as a part of a sentence."""
    return words.listed(
        f"{name} {words.ms(getattr(own, name))}" for name in ("p50", "p90", "p99", "max")
    )


def about_requests(drill: Drill) -> list[str]:
    found = [f"Latency of the orders that were done: {figures(drill.latency_ms)}."]
    slowest = drill.slowest
    if slowest is not None:
        found.append(
            f"The slowest that was done was due at {slowest.due_s:,.2f} s and took "
            f"{words.ms(slowest.latency_ms)} ({words.count(slowest.attempts, 'attempt')}"
            + (f", peer {slowest.peer} last)." if slowest.peer >= 0 else ").")
        )
    if drill.orders_sampled_of > len(drill.orders):
        found.append(
            f"The picture has {len(drill.orders):,} of {drill.orders_sampled_of:,} requests, the "
            "slowest ones among them; the figures count all."
        )
    return found


def about_interregna(drill: Drill) -> list[str]:
    found = [f"Interregna, by the peers' own records: {figures(drill.interregnum_ms)}."]
    if len(drill.spells) > 1:
        found = [
            f"{words.count(len(spells), f'{name} interregnum', f'{name} interregna')}, by the "
            f"peers' own records: {figures(drill.spells_of(name))}."
            for name, spells in drill.spells.items()
        ]
    several = [fault for fault in drill.faults if (fault.reigns or 0) > 1]
    if several:
        longest = max(fault.interregna_ms or 0.0 for fault in several)
        found.append(
            f"Behind {words.count(len(several), 'fault')} more than one reign began before the "
            f"ring had settled: the longest interregnum of each counts, up to {words.ms(longest)} "
            "without a trader in all."
        )
    unknown = sum(fault.interregnum_ms is None for fault in drill.faults)
    if unknown:
        found.append(
            f"No record of {words.count(unknown, 'interregnum', 'interregna')} of "
            f"{words.count(len(drill.faults), 'fault')}: the trader stayed, or no peer kept one."
        )
    found.append(
        f"The longest wait between two answers, as buyers saw it: {figures(drill.gap_ms)}."
    )
    return found


def about_failover(drill: Drill) -> list[str]:
    timeline = drill.timeline
    if timeline is None or not timeline.marks:
        return []
    marks = sorted(timeline.marks, key=lambda mark: mark.ms)
    # Of the fault itself: a record may count its seconds from another zero.
    found = [fault.at for fault in drill.faults if fault.number == timeline.fault]
    at = f", injected at {found[0]:,.2f} s" if found else ""
    return [
        f"Fault {timeline.fault}{at}: "
        f"{words.count(len(marks), 'event')} of {words.count(len(timeline.lanes), 'peer')} in "
        f"{words.ms(marks[-1].ms - marks[0].ms)}."
    ]


def about_latency(drill: Drill) -> list[str]:
    told = words.listed(f"{words.ms(ms)} at {n} nodes" for n, ms in lab.REPORT_MS.items())
    theirs = (
        f"The lab report that this system comes from tells means of {told}, of another machine."
    )
    if drill.mean_ms is not None:
        return [f"The mean of what was done is {words.ms(drill.mean_ms)}.", theirs]
    return [f"The median is {words.ms(drill.latency_ms.p50)}.", theirs]


def faults(drill: Drill) -> str:
    """Return a table of the faults, one a row."""
    rows = [
        (
            f"{fault.number}",
            fault.kind,
            _id(fault.victim),
            f"{fault.at:,.2f} s",
            f"{_id(fault.epoch_before)} → {_id(fault.epoch_after)}",
            _id(fault.trader_after),
            "planned" if fault.planned else "unplanned",
            words.ms(fault.interregnum_ms),
            words.ms(fault.gap_ms),
        )
        for fault in drill.faults[:ROWS_MAX]
    ]
    columns = (
        *("fault", "kind", "peer", "at", "epoch", "next trader", "cause", "interregnum"),
        "longest wait",
    )
    left_out = len(drill.faults) - len(rows)
    more = words.count(left_out, "more fault is", "more faults are")
    return table(columns, rows, left={"kind", "cause"}) + (
        f"<p>{more} in {NAME}.</p>" if left_out else ""
    )


def _known(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"


def _id(number: int | None) -> str:
    return "–" if number is None else str(number)
