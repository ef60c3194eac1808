"""A record that was given up says so, with the reason; the peer answers everything else."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bazaar_peer.record.recorder import Recorder
from bazaar_peer.runtime.client_port import ClientPort, make_app
from bazaar_peer.runtime.driver import Driver
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.stub import Nothing

from .conftest import Core, Served


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    found = Recorder(tmp_path, 1)
    found.keep((1, "started", {}))
    return found


@pytest.fixture
async def served(recorder: Recorder) -> AsyncIterator[Served]:
    core: Any = Core()
    nothing: Any = Nothing()
    driver = Driver(core, nothing, nothing)
    settings = ProcessSettings(me=0, peers=1, ring="stub", volume="")
    app = make_app(driver, core, settings, recorder=recorder)
    port = ClientPort(app, driver, "127.0.0.1", 0)
    await port.start()
    driver.start()
    async with aiohttp.ClientSession() as session:
        yield Served(core, driver, port, session)
    await port.close()
    await driver.close()
    recorder.close()


def broken(*_asked: object) -> bytes:
    raise OSError(5, "Input/output error")


async def test_a_sound_record_is_given(served: Served) -> None:
    status, told, _ = await served.ask("GET", "/v1/record")
    assert (status, [entry[3] for entry in told["entries"]]) == (200, ["started"])


async def test_a_record_that_was_given_up_is_not_found_and_says_why(
    served: Served, recorder: Recorder
) -> None:
    recorder.give_up(OSError(28, "No space left on device"))
    status, told, _ = await served.ask("GET", "/v1/record")
    assert status == 404
    assert "gave its record up" in told["detail"]
    assert "No space left on device" in told["detail"]


async def test_a_record_that_cannot_be_read_is_given_up(
    served: Served, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pread", broken)
    status, told, _ = await served.ask("GET", "/v1/record")
    assert status == 404
    assert "Input/output error" in told["detail"]
    assert recorder.given_up == told["detail"]
    assert (await served.ask("GET", "/v1/ring"))[0] == 200
