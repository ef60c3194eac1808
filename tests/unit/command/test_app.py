"""The command line as a whole: what stands before any command."""

from __future__ import annotations

from typer.testing import CliRunner

from bazaar_peer import __version__
from bazaar_peer.command.app import app


def test_version_is_told() -> None:
    told = CliRunner().invoke(app, ["--version"])

    assert (told.exit_code, told.stdout) == (0, f"bazaar {__version__}\n")


def test_every_command_has_examples() -> None:
    shown = [one for one in app.registered_commands if not one.hidden]

    assert len(shown) > 20
    assert [one.callback for one in shown if "bazaar " not in (one.epilog or "")] == []
