"""One line an event, as text or JSON: `time level peer=3 event field=value … mono_ns=…`.

`mono_ns` is the machine's monotonic clock, so that lines of several peers of one machine can be
put in order to the microsecond.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

PLAIN = re.compile(r"[A-Za-z0-9_.:+-]+")


class Lines(logging.Formatter):
    """Formats a record; `fields` of its `extra` follow the event's name."""

    def __init__(self, peer: int, *, as_json: bool) -> None:
        super().__init__()
        self.peer = peer
        self.as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, a traceback folded into it."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        fields: dict[str, object] = {"peer": self.peer, "event": record.getMessage()}
        fields |= getattr(record, "fields", {})
        fields["mono_ns"] = getattr(record, "mono_ns", None) or time.monotonic_ns()
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        if self.as_json:
            return json.dumps({"time": when, "level": record.levelname, **fields})
        told = " ".join(f"{name}={_plain(value)}" for name, value in fields.items())
        return f"{when} {record.levelname} {told}"


def _plain(value: object) -> str:
    text = str(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text)


def start(path: Path | None, peer: int, *, as_json: bool, level: str = "INFO") -> None:
    """Send this process's log to a file, behind what earlier boots wrote, or to stdout."""
    handler: logging.Handler = logging.StreamHandler(sys.stdout)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path)
    handler.setFormatter(Lines(peer, as_json=as_json))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)')


def parse(line: str) -> dict[str, str]:
    """Read a line back, text or JSON; an unreadable one gives nothing."""
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            return {}
        return {name: str(value) for name, value in found.items()}
    return {
        name: json.loads(value) if value.startswith('"') else value
        for name, value in FIELD.findall(line)
    }
