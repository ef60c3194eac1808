"""What a peer notes, in a sentence; repeats of several peers are folded into one line."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.markup import escape

LINES_MAX = 200
FOLD_S = 2.0

SENTENCES: Mapping[str, str] = {
    "trader_lost": "lost trader {trader} of epoch {epoch}: {why}",
    "election": "hears no trader and starts an election, attempt {attempt}",
    "poll": "asks who hears a trader of epoch {epoch}",
    "nominated": "nominates {nominee} for the epoch after {epoch}",
    "nominee": "stands for epoch {epoch}",
    "promised": "promised epoch {epoch} to {to}",
    "invested": "has {promises} promises for epoch {epoch}",
    "nominee_failed": "did not become trader of epoch {epoch}: {why}",
    "attempt_failed": "gives this election up, and waits",
    "reign_begun": "trades: epoch {epoch} has begun",
    "follows": "follows trader {trader} of epoch {epoch}",
    "hears_again": "hears trader {trader} of epoch {epoch} again",
    "hand_over": "hands its reign of epoch {epoch} over",
    "successor_named": "names {successor} for its successor",
    "post_reopened": "found nobody to take it, and trades on",
    "stepped_down": "steps down from epoch {epoch}: {why}",
    "members_changed": "changes the members: {voters} vote",
    "second_trader": "refused {second}, a second sender of epoch {epoch}",
    "checkpoint_sent": "sends its state up to {index} to {to}",
    "checkpoint_installed": "took a state up to {index}",
    "removed": "is removed from the ring",
}


def sentence(kind: str, fields: Mapping[str, Any]) -> str:
    """Return what happened, without who; empty for what is no story."""
    words = SENTENCES.get(kind)
    if words is None:
        return ""
    told = {name: escape(str(value)) for name, value in fields.items()}
    return words.format_map(_Unknown(told))


class _Unknown(dict[str, str]):
    """A field that an older or newer peer does not tell."""

    def __missing__(self, name: str) -> str:
        return "?"


@dataclass
class Line:
    """One sentence, and the peers of whom it is true."""

    at: float
    words: str
    peers: list[int] = field(default_factory=list)

    def text(self) -> str:
        return f"{_listed(self.peers)} {_plural(self.words) if self.peers[1:] else self.words}"


class Story:
    """The newest lines, oldest first."""

    def __init__(self) -> None:
        self.lines: deque[Line] = deque(maxlen=LINES_MAX)

    def tell(self, at: float, peer: int, kind: str, fields: Mapping[str, Any]) -> None:
        """Add what a peer noted; the same of another peer, a moment later, joins its line."""
        words = sentence(kind, fields)
        if not words:
            return
        for line in reversed(self.lines):
            if at - line.at > FOLD_S:
                break
            if line.words == words and peer not in line.peers:
                line.peers.append(peer)
                line.peers.sort()
                return
        self.lines.append(Line(at, words, [peer]))


def _listed(peers: list[int]) -> str:
    if len(peers) == 1:
        return f"peer {peers[0]}"
    return f"peers {', '.join(map(str, peers[:-1]))} and {peers[-1]}"


def _plural(words: str) -> str:
    """Let the verb agree with several peers; only sentences of followers are ever folded."""
    verb, _, rest = words.partition(" ")
    several = {"follows": "follow", "hears": "hear", "asks": "ask", "is": "are", "gives": "give"}
    return f"{several.get(verb, verb)} {rest}"
