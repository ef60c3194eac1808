"""A volume whose life is over is set aside, never deleted, and makes room for the next (R14).

    set-aside/NAME/…   what lay in the folder, as it was
    leaving            there while the move is under way: the next start finishes it

The move is one rename a file, within one file system; nothing of it may be left half done, or a
peer would start from half a volume.
"""

from __future__ import annotations

import os
from pathlib import Path

from bazaar_peer.runtime.files import Files, place_file, unused

FOLDER = "set-aside"
FLAG = "leaving"
RECOVERED = "recovered"
KEPT = {FOLDER, FLAG, "lock", "asks", RECOVERED}
"""What stays: the lock is held, the name by which the next volume asks is its own, and so is what
a recovery made (recovering.py)."""


def set_aside(path: Path, name: str, files: Files | None = None) -> Path:
    """Move a volume's files into a folder of its own beside them; return that folder."""
    files = files or Files()
    place = unused(path / FOLDER / name)
    os.close(place_file(files, path / FLAG, place.name.encode()))
    return _move(path, place, files)


def finish_setting_aside(path: Path, files: Files | None = None) -> None:
    """Go on with a move that was interrupted, if there is one."""
    flag = path / FLAG
    if flag.exists():
        files = files or Files()
        _move(path, path / FOLDER / files.read(flag).decode(), files)


def _move(path: Path, place: Path, files: Files) -> Path:
    files.make_folder(place)
    for entry in sorted(path.iterdir()):
        if entry.name not in KEPT:
            files.rename(entry, place / entry.name)
    files.sync_folder(place)
    files.sync_folder(place.parent)
    files.sync_folder(path)
    files.remove(path / FLAG)
    files.sync_folder(path)
    return place
