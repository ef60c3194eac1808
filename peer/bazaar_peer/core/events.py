"""Inputs of the core: everything that can happen to a peer."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from bazaar_peer.core.messages import Message
from bazaar_peer.core.types import Nanos, PeerId


class Received(Struct, gc=False, frozen=True):
    sender: PeerId
    message: Message


class LinkUp(Struct, gc=False, frozen=True):
    """Messages to this peer can be sent (again)."""

    peer: PeerId


class LinkLost(Struct, gc=False, frozen=True):
    """The connection closed; `refused`: and a new one was refused at once, which proves a crash."""

    peer: PeerId
    refused: bool


class DiskDone(Struct, gc=False, frozen=True):
    """Every write up to and including this number is durable (R4)."""

    number: int


class Command(Struct, gc=False, frozen=True, kw_only=True):
    """A client's request. `session` 0: in this peer's own session, `number` and `floor` unused."""

    request: int
    kind: int
    body: bytes
    client: str
    key: str = ""
    deadline: Nanos
    session: int = 0
    number: int = 0
    floor: int = 0
    after_index: int = 0
    """`Bazaar-Index`: act only once this index is applied (T5)."""


class Read(Struct, gc=False, frozen=True, kw_only=True):
    """Answer with `ReadReady` once `after_index` is applied and, if `linearizable`, R12 holds."""

    request: int
    linearizable: bool
    deadline: Nanos
    after_index: int = 0


class Forget(Struct, gc=False, frozen=True):
    """The client of this request hung up: no reply is wanted."""

    request: int


class CheckpointSaved(Struct, gc=False, frozen=True):
    """The checkpoint at this index is durable and can be read; `size` in bytes."""

    epoch: int
    index: int
    size: int


class PartRead(Struct, gc=False, frozen=True):
    """Answer to the effect `ReadPart`; `data` empty: the checkpoint is gone."""

    peer: PeerId
    base_epoch: int
    base_index: int
    number: int
    last: bool
    data: bytes


class Installed(Struct, gc=False, frozen=True):
    """The checkpoint that came from another peer is durable under its final name (C5)."""

    index: int


class Resign(Struct, gc=False, frozen=True):
    """Hand over (R11). `leaving`: and stop afterwards. `successor` -1: the most caught up."""

    leaving: bool
    successor: int = -1


class Outlived(Struct, gc=False, frozen=True):
    """Another peer has met a later boot of this life: this volume is an old copy (R14)."""


class Tick(Struct, gc=False, frozen=True):
    """A deadline passed; nothing else happened."""


Event: TypeAlias = (
    Received
    | LinkUp
    | LinkLost
    | DiskDone
    | Command
    | Read
    | Forget
    | CheckpointSaved
    | PartRead
    | Installed
    | Resign
    | Outlived
    | Tick
)
