"""A ring of peers in a few rules: what a peer answers, and how members change, tick by tick.

It shows the operator the behaviour of real peers (R10, R11, R14), and it counts what must not be:
every trader change, and every volume formatted in another one's place.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from bazaar_operator.trust import mark_of
from bazaar_operator.views import REQUIRED
from tests.integration.operator.store import Object
from tests.integration.operator.trusting import is_trusted

CATCH_UP_TICKS = 2


@dataclass
class Volume:
    id: str
    ordinal: int
    ring: str = ""
    incarnation: int = 0
    retired: bool = False
    full: bool = False
    given: bool = False
    """A backup lies there, of which its peer is to make its ring."""
    lacks: int = 0
    """So many entries at the end of the ring's journal are not on it."""


@dataclass
class Tls:
    """What a process was given of its ring's certificates."""

    mode: str
    trusts: str
    certificate: str
    key: str
    nudged: str = ""
    why: str = ""
    token_mode: str = ""

    def told(self) -> Object:
        return {
            "mode": self.mode,
            "trust": mark_of(self.trusts),
            "certificate": mark_of(self.certificate),
            "why": self.why,
        }


@dataclass
class Process:
    """A peer's process; it reads its settings once, when it starts."""

    ordinal: int
    volume: Volume
    ring: str
    genesis: int
    former: tuple[str, ...] = ()
    recovers: str = ""
    """The former ring of whose volume it makes its ring."""
    restores: str = ""
    """The backup that its ring begins with."""
    lags: int = CATCH_UP_TICKS
    leaving: bool = False
    silent: bool = False
    tls: Tls | None = None
    https: bool = True
    """It serves clients by TLS, if it has a certificate; those of a former release do not."""


@dataclass
class Life:
    ordinal: int
    incarnation: int
    voter: bool
    volume: str
    genesis: bool = False
    """A member of the first hour: the ring never says which volume it has."""


@dataclass
class Ring:
    size: int
    lives: dict[int, Life]
    epoch: int = 0
    trader: int = -1
    generation: int = 0
    last: dict[int, int] = field(default_factory=dict)
    asking: dict[int, str] = field(default_factory=dict)
    changes: list[int] = field(default_factory=list)
    """Who became trader, in order."""
    heir: int = -1
    given_up: bool = False
    genesis: bool = True
    """It began with nothing, and all of its first peers at once."""

    @property
    def voters(self) -> set[int]:
        return {life.ordinal for life in self.lives.values() if life.voter}


class Peers:
    """All processes of one Bazaar, by ordinal, and the rings that lie on their volumes."""

    def __init__(self) -> None:
        self.running: dict[int, Process] = {}
        self.rings: dict[str, Ring] = {}
        self.amnesiacs: list[str] = []
        """Volumes formatted under a life that another one has: what that one promised is gone."""
        self._ids = itertools.count(1)

    def new_volume(self, ordinal: int) -> Volume:
        return Volume(f"vol-{next(self._ids)}", ordinal)

    # ---- what a peer says

    def view(self, ordinal: int) -> Object | None:
        mine = self.running.get(ordinal)
        if mine is None or mine.silent:
            return None
        told: Object = {
            "state": self.state(mine), "why": self._why(mine), "ring": mine.ring,
            "ordinal": ordinal, "volume": self._volume_told(mine), "release": "1",
        }  # fmt: skip
        if mine.tls:
            told["tls"] = mine.tls.told()
        if told["state"] == "foreign":
            return told | {"found": mine.volume.ring}
        if told["state"] == "former":
            return told | {"found": mine.volume.ring} | self._end(mine.volume)
        if told["state"] != "serving":
            return told
        ring = self.rings[mine.ring]
        life = ring.lives.get(ordinal)
        return told | {
            "incarnation": mine.volume.incarnation,
            "ready": self.is_ready(mine),
            "role": "trader" if ring.trader == ordinal else "follower",
            "trader": ring.trader,
            "epoch": ring.epoch,
            "commit_index": ring.epoch * 10,
            "applied_index": ring.epoch * 10 - mine.lags,
            **self._end(mine.volume),
            "voter": life is not None and life.voter,
            "size": ring.size,
            "generation": ring.generation,
            "waits": "",
            "members": [
                {"id": m.ordinal, "incarnation": m.incarnation, "voter": m.voter,
                 "volume": "" if m.genesis else m.volume}
                for m in sorted(ring.lives.values(), key=lambda m: m.ordinal)
            ],
            "retired": [],
        }  # fmt: skip

    def _volume_told(self, mine: Process) -> str:
        return "" if self.state(mine) in {"starting", "full"} else mine.volume.id

    def _why(self, mine: Process) -> str:
        if self.state(mine) == "awaiting":
            return f"give it {mine.restores}"
        return "its volume is full" if mine.volume.full else ""

    def _end(self, volume: Volume) -> Object:
        epoch = self.rings[volume.ring].epoch
        return {"last_epoch": epoch, "last_index": epoch * 10 - volume.lacks}

    def state(self, mine: Process) -> str:
        if mine.tls and not mine.tls.mode:
            return "starting"  # it waits for a certificate
        if mine.volume.full:
            return "full"
        if not mine.volume.ring:
            awaits = mine.restores and mine.ordinal == 0 and not mine.volume.given
            return "awaiting" if awaits else "empty"
        if mine.volume.ring in mine.former:
            return "former"
        if mine.volume.ring != mine.ring:
            return "foreign"
        return "unwanted" if mine.volume.retired else "serving"

    def is_ready(self, mine: Process) -> bool:
        return (
            self.state(mine) == "serving"
            and self.rings[mine.ring].epoch > 0
            and mine.ordinal in self.rings[mine.ring].lives
            and mine.lags == 0
            and not mine.leaving
        )

    def live(self, ring: Ring) -> set[int]:
        """Voters that run and are up to date."""
        mine = {o: p for o, p in self.running.items() if self.rings.get(p.ring) is ring}
        return {o for o in ring.voters if o in mine and self.is_ready(mine[o])}

    def whole(self, name: str) -> set[int]:
        """Voters that run, ready or silent, and have the volume with which they vote."""
        return {
            o
            for o, p in self.running.items()
            if o in self.rings[name].voters and p.volume.ring == p.ring == name
        }

    # ---- what it is told

    def post(self, ordinal: int, path: str, body: Object) -> tuple[int, Object]:
        mine = self.running.get(ordinal)
        if mine is None or mine.silent:
            return 0, {}
        match path:
            case "/v1/format":
                return self._format(mine, body)
            case "/v1/members":
                return self._wish(mine, body)
            case "/v1/resign":
                ring = self.rings.get(mine.ring)
                if ring is None or ring.trader != ordinal:
                    return 409, {"detail": "not the trader"}
                ring.heir = body.get("successor", -1)
                return 202, {"resigning": True}
            case _:
                return 404, {}

    def _format(self, mine: Process, body: Object) -> tuple[int, Object]:
        same = (mine.ring, mine.ordinal, mine.volume.id)
        if same != (body["ring"], body["ordinal"], body["volume"]):
            return 409, {"detail": "another volume"}
        if mine.volume.ring == mine.ring:
            return 200, {"outcome": "formatted"}
        if mine.volume.ring or mine.ordinal >= mine.genesis:
            return 409, {"detail": "not a new one"}
        if mine.restores != body.get("restores", ""):
            return 409, {"detail": "the ring is to begin otherwise"}
        if mine.restores:
            return self._begin_with_backup(mine)
        if mine.ring in self.rings and not self.rings[mine.ring].genesis:
            self.amnesiacs.append(mine.volume.id)  # two rings of one id
        ring = self.rings.setdefault(mine.ring, _genesis(mine.genesis))
        life = ring.lives.get(mine.ordinal)
        if life is None or life.volume not in {"", mine.volume.id}:
            self.amnesiacs.append(mine.volume.id)
        mine.volume.ring = mine.ring
        if life:
            life.volume = mine.volume.id
        return 200, {"outcome": "formatted"}

    def _begin_with_backup(self, mine: Process) -> tuple[int, Object]:
        """Make the ring of a backup: one vote, and a place for everybody else."""
        if mine.ordinal != 0 or not mine.volume.given:
            return 409, {"detail": "no backup lies here"}
        if mine.ring in self.rings:
            self.amnesiacs.append(mine.volume.id)  # two rings of one id
        lives = {o: Life(o, 1, voter=False, volume="") for o in range(mine.genesis)}
        lives[0] = Life(0, 1, voter=True, volume=mine.volume.id)
        self.rings[mine.ring] = Ring(size=mine.genesis, lives=lives, epoch=7, genesis=False)
        mine.volume.ring, mine.volume.incarnation = mine.ring, 1
        return 200, {"outcome": "formatted"}

    def _wish(self, mine: Process, body: Object) -> tuple[int, Object]:
        ring = self.rings.get(mine.ring)
        if ring is None or ring.trader < 0:
            return 503, {"detail": "no trader"}
        if (body["size"], body["generation"]) != (ring.size, ring.generation):
            if body["generation"] <= ring.generation:
                return 409, {"detail": "older"}
            ring.size, ring.generation = body["size"], body["generation"]
        return 200, {"outcome": "noted"}

    # ---- what happens by itself

    def tick(self) -> None:
        for mine in self.running.values():
            if mine.volume.retired and mine.ordinal < self.rings[mine.ring].size:
                mine.volume.__dict__.update(self.new_volume(mine.ordinal).__dict__)  # set aside
            if self.state(mine) == "former" and mine.recovers == mine.volume.ring:
                self._recover(mine)
            ring = self.rings.get(mine.ring)
            waits = self.state(mine) in {"empty", "awaiting", "former"}
            if waits and ring and self._is_heard(mine, ring):
                ring.asking[mine.ordinal] = _asks(mine)
            elif self.state(mine) == "serving" and self.rings[mine.ring].trader >= 0:
                mine.lags = max(0, mine.lags - 1)
        for name, ring in self.rings.items():
            self._elect(name, ring)
            if ring.trader >= 0:
                self._change_members(name, ring)

    def serves_tls(self, ordinal: int) -> Tls | None:
        """What it shows to clients."""
        mine = self.running.get(ordinal)
        return mine.tls if mine and mine.https and mine.tls and mine.tls.mode else None

    def takes_token_in_clear(self, ordinal: int) -> bool:
        shown = self.serves_tls(ordinal)
        return shown is None or shown.token_mode != REQUIRED

    def _is_heard(self, asker: Process, ring: Ring) -> bool:
        """Whether one who waits finds somebody who takes its question: the token goes with it."""
        others = [
            o for o, p in self.running.items()
            if self.state(p) == "serving" and p.ring == asker.ring
        ]  # fmt: skip
        plain = asker.tls is None or asker.tls.token_mode != REQUIRED or not asker.https
        trusts = asker.tls.trusts if asker.tls and asker.https else ""
        return ring.epoch > 0 and any(
            (plain and self.takes_token_in_clear(other))
            or ((shown := self.serves_tls(other)) and is_trusted(shown.certificate, trusts))
            for other in others
        )

    def _able(self, name: str, ring: Ring) -> set[int]:
        return {
            o for o, p in self.running.items()
            if o in ring.voters and p.ring == name and self.state(p) == "serving"
        }  # fmt: skip

    def _elect(self, name: str, ring: Ring) -> None:
        able = self._able(name, ring)
        staying = {o for o in able if not self.running[o].leaving} or able
        majority = 2 * len(able) > len(ring.voters)
        if not majority:
            ring.trader = -1
        elif ring.heir in staying - {ring.trader}:
            self._crown(ring, ring.heir)
        elif ring.trader not in staying:
            self._crown(ring, max(staying))
        ring.heir = -1

    def _crown(self, ring: Ring, who: int) -> None:
        ring.epoch, ring.trader = ring.epoch + 1, who
        ring.changes.append(who)

    def _change_members(self, name: str, ring: Ring) -> None:
        """Take one step, as a trader does: too many, lost, learnt, asked."""
        able = self._able(name, ring)
        beyond = [o for o in sorted(ring.lives, reverse=True) if o >= ring.size]
        lost = [o for o, v in ring.asking.items() if o in ring.lives and ring.lives[o].volume != v]
        for gone in [*beyond[:1], *(o for o in lost if o not in able)]:
            left = ring.voters - {gone}
            if gone in ring.voters and 2 * len(left & able) <= len(left):
                continue
            if gone == ring.trader:
                ring.heir = max(left & able)
                return
            self._retire(name, ring, gone)
            return
        for life in ring.lives.values():
            mine = self.running.get(life.ordinal)
            if not life.voter and mine and mine.volume.id == life.volume and mine.lags == 0:
                life.voter = True
                return
        for ordinal in range(ring.size):
            if ordinal not in ring.lives and ordinal in ring.asking:
                self._admit(name, ring, ordinal, ring.asking.pop(ordinal))
                return

    def _recover(self, mine: Process) -> None:
        """Make a ring of a former one's volume: one vote, and a place for everybody else."""
        old, first = self.rings[mine.volume.ring], self.new_volume(mine.ordinal)
        incarnation = 1 + max(life.incarnation for life in old.lives.values())
        lives = {o: Life(o, incarnation, voter=False, volume="") for o in range(old.size)}
        lives[mine.ordinal] = Life(mine.ordinal, incarnation, voter=True, volume=first.id)
        if mine.ring in self.rings:
            self.amnesiacs.append(first.id)  # two rings of one id
        self.rings[mine.ring] = Ring(size=old.size, lives=lives, epoch=old.epoch + 1)
        first.ring, first.incarnation = mine.ring, incarnation
        mine.volume.__dict__.update(first.__dict__)

    def _retire(self, name: str, ring: Ring, gone: int) -> None:
        ring.last[gone] = ring.lives.pop(gone).incarnation
        mine = self.running.get(gone)
        if mine and mine.volume.ring == name:
            mine.volume.retired = True

    def _admit(self, name: str, ring: Ring, ordinal: int, volume: str) -> None:
        mine = self.running.get(ordinal)
        if mine is None or _asks(mine) != volume:
            return
        incarnation = ring.last.get(ordinal, -1) + 1
        mine.volume.__dict__.update(Volume(volume, ordinal).__dict__)  # a former one is set aside
        mine.volume.ring, mine.volume.incarnation = name, incarnation
        mine.lags = CATCH_UP_TICKS
        ring.lives[ordinal] = Life(ordinal, incarnation, voter=False, volume=volume)


def _asks(mine: Process) -> str:
    """The name of the volume that is to be: what lies there of a former ring is not it."""
    return f"{mine.volume.id}-anew" if mine.volume.ring else mine.volume.id


def _genesis(size: int) -> Ring:
    return Ring(
        size=size, lives={o: Life(o, 0, voter=True, volume="", genesis=True) for o in range(size)}
    )


def is_below_majority(live: set[int], voters: set[int]) -> bool:
    return 2 * len(live & voters) <= len(voters)
