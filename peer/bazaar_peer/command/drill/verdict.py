"""Whether a drill went well, in sentences: what is wrong, and what is tolerated and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bazaar_peer.command.drill.plan import Kind, Options
from bazaar_peer.core.quorum import majority


@dataclass
class Verdict:
    """Nothing `wrong` is a drill that went well."""

    wrong: list[str] = field(default_factory=list)
    tolerated: list[str] = field(default_factory=list)
    kept: str = ""
    """How a drill that failed can be audited again."""

    def sentence(self, drill: dict[str, Any]) -> str:
        """Return the one sentence that a drill is summed up in."""
        if self.wrong:
            return f"FAILED: {'; '.join(self.wrong)}" + (f". {self.kept}" if self.kept else "")
        counts, count = drill["counts"], len(drill["faults"])
        return (
            f"every one of {counts['acknowledged']} acknowledged orders took effect once, over "
            f"{count} {'fault' if count == 1 else 'faults'}"
        )


def judge(drill: dict[str, Any], options: Options, stopped: str = "") -> Verdict:
    """Judge drill.json; `stopped` says why a drill ended before its time, if it did."""
    verdict, counts = Verdict(), drill["counts"]
    wrong = verdict.wrong
    if stopped:
        wrong.append(stopped)
    if not drill["faults"]:
        wrong.append("no fault was seen to its end")
    if not counts["acknowledged"] and not stopped:
        wrong.append("no order was acknowledged")
    if drill["lost"] or drill["twice"]:
        lost, twice = drill["lost"], drill["twice"]
        wrong.append(f"{lost} acknowledged orders are lost, {twice} took effect more than once")
    if drill["unaudited"] is not None:
        wrong.append(
            f"the ring could not be audited, so nobody knows whether anything is lost or doubled: "
            f"{drill['unaudited']}"
        )
    elif drill["verify"] != "clean":
        wrong.append(f"bazaar verify: {drill['verify']}")
    if counts["rejected"]:
        wrong.append(f"{counts['rejected']} orders were rejected for good")
    if counts["failed"]:
        _failed(verdict, drill, options.kind)
    if options.max_interregnum_ms is not None:
        _interregna(verdict, drill, options.max_interregnum_ms)
    return verdict


def _failed(verdict: Verdict, drill: dict[str, Any], kind: Kind) -> None:
    """An order may come late through another peer, but only without a majority may it fail."""
    failed, peers = drill["counts"]["failed"], drill["peers"]
    if kind.lasts and peers - 1 < majority(range(peers)):
        verdict.tolerated.append(
            f"{failed} orders failed, which is tolerated: without the peer that was stopped or cut "
            f"off, a ring of {peers} has no majority, and takes nothing until it is back"
        )
    else:
        verdict.wrong.append(f"{failed} orders failed: nobody took them by their deadline")


def _interregna(verdict: Verdict, drill: dict[str, Any], limit_ms: float) -> None:
    for fault in drill["faults"]:
        found, where, reigns = fault["interregnum_ms"], f"fault {fault['number']}", fault["reigns"]
        if found is None and reigns:
            verdict.wrong.append(f"{where}: the peers do not tell how long there was no trader")
        elif found is not None and found > limit_ms:
            several = f" ({reigns} reigns, {fault['interregna_ms']:g} ms in all)"
            verdict.wrong.append(
                f"{where}: no trader for {found:g} ms, more than {limit_ms:g} ms"
                + (several if reigns > 1 else "")
            )
