"""The invariants S1–S10, looked at after every step, each at constant cost.

A reference state applies every record once, when a peer first takes it for committed; everybody
else is compared with it by chain and hash. What a peer promised or acknowledged is compared with
what its volume durably holds at that moment, so that a rule is found broken before harm is done.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bazaar_peer.core import effects as ef
from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.journal import chain_hash
from bazaar_peer.core.messages import Stored
from bazaar_peer.core.records import voters_of
from bazaar_peer.core.types import PeerId, Role
from bazaar_peer.core.vector_clock import decode_stamp
from bazaar_peer.simulation.committed import Committed
from bazaar_peer.simulation.reach import Reach
from bazaar_peer.simulation.violation import Violation, must

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.simulation.host import Host
    from bazaar_peer.simulation.world import World


class Checkers:
    """Looks at every input, effect and state of every peer."""

    def __init__(self, world: World, genesis: Stored) -> None:
        self.world = world
        self.reach = Reach(world)
        self.committed = Committed(world, genesis)
        self.reigns: dict[int, int] = {}
        """Epoch → its trader (S1)."""
        self.given: dict[int, dict[int, int]] = defaultdict(dict)
        """Per peer: epoch → to whom it was promised, as others were told (S2)."""
        self.stood: dict[tuple[int, int], int] = {}
        """(peer, epoch) → the process's life in which it stood for it (R1)."""
        self.top: dict[int, int] = defaultdict(int)
        """Per peer: the highest epoch promised, as others were told."""
        self.ends: dict[tuple[int, int], bytes] = {(0, 1): genesis.chain}
        """(epoch, last index) of every record ever written → chain (S3, R7)."""
        self.stamps: dict[tuple[int, int], tuple[int, int]] = {}
        self.stamped: dict[tuple[int, int], bytes] = {}
        self.commit_epochs: list[tuple[int, int]] = [(0, 1)]
        """(epoch in which it was committed, index), both growing (S4)."""

    # ---- a process's life ----

    def recovered(self, host: Host, recovered: ef.Recovered) -> None:
        top = self.top[host.id]
        if host.id == self.world.restoring.life:
            return  # it has forgotten, and is held to what it says of it
        must(recovered.hard.promised >= top, "S2", f"peer {host.id} forgot its promise of {top}")

    def started(self, host: Host, peer: Peer) -> None:
        host.commit = peer.commit
        host.applied = -1

    def crashing(self, host: Host, peer: Peer) -> None:
        self.reach.crashing(host, peer)

    def halted(self, host: Host, effect: ef.Halt) -> None:
        """Only an old release may stop, where the ring has raised the version (U1)."""
        peer = host.peer
        assert peer is not None
        if peer.state.machine.version < self.committed.state.version:
            self.world.reach("old_release_stopped")
            return
        raise Violation("R6" if "committed" in effect.reason else "halt", effect.reason)

    # ---- turns ----

    def before(self, host: Host, peer: Peer, events: list[ev.Event]) -> None:
        for event in events:
            if type(event) is ev.Received:
                self.reach.received(host, peer, event)

    def after(self, host: Host, peer: Peer) -> None:
        """See what a peer takes for committed, and what it applied."""
        commit = peer.commit
        if commit != host.commit:
            must(commit > host.commit, "S4", f"peer {host.id}'s commit index fell to {commit}")
            host.commit = commit
            self._commit(host, peer, commit)
        index = peer.state.index
        if index != host.applied:
            host.applied = index
            expected = self.committed.hashes.get(index)
            must(expected is not None, "S5", f"peer {host.id} applied {index}, not committed")
            same = expected == peer.state.hash
            must(same, "S10", f"peer {host.id} has another state at {index}")

    def _commit(self, host: Host, peer: Peer, commit: int) -> None:
        done = self.committed
        if commit > done.last:
            must(self._chain(peer, done.last) == done.chain, "S4", f"peer {host.id} at {done.last}")
            for stored in peer.journal.records:
                if done.last < stored.last <= commit:
                    fits = chain_hash(done.chain, stored.blob) == stored.chain
                    must(fits and stored.first == done.last + 1, "S3", f"record {stored.first}")
                    self.reach.committed(host, peer, stored)
                    done.learn(stored)
            must(done.last == commit, "S4", f"peer {host.id} committed {commit}, part of a record")
            self._held(peer, commit, done.chain)
            self.commit_epochs.append((peer.epoch, commit))
        elif commit in done.chains:
            same = self._chain(peer, commit) == done.chains[commit]
            must(same, "S4", f"peer {host.id} committed another entry {commit}")
        else:
            raise Violation("S4", f"peer {host.id} committed {commit}, inside a record")

    def _held(self, peer: Peer, last: int, chain: bytes) -> None:
        """S4, R9: what is committed is durable on a majority of the voters at that moment.

        The voters are the newest in the journal; a change that the same step wrote came after.
        """
        hosts, found = self.world.hosts, []
        for voters in self._voters(peer, last):
            held = sum(v in hosts and hosts[v].held(last, chain) for v in voters)
            found.append((held, len(voters)))
        enough = any(held >= count // 2 + 1 for held, count in found)
        must(enough, "S4", f"{last} is committed and durable on (held, of) {found} only")

    @staticmethod
    def _voters(peer: Peer, last: int) -> list[tuple[PeerId, ...]]:
        """Return the newest voters, and those before a change that is not committed."""
        configs = peer.journal.configs
        told = configs[-2:] if configs[-1][0] > last else configs[-1:]
        return [voters_of(change) for _, change in told]

    @staticmethod
    def _chain(peer: Peer, index: int) -> bytes:
        """Return the chain of a peer's journal at the end of a record, or nothing."""
        journal = peer.journal
        if index == journal.base[1]:
            return journal.base_chain
        ends = journal.ends
        if not ends or journal.epoch_at(index) < 0:
            return b""
        at = len(ends) - 1
        while ends[at] > index:
            at -= 1
        return journal.records[at].chain

    # ---- effects ----

    def written(self, host: Host, effect: Any) -> None:
        if type(effect) is ef.WriteRecord:
            stored = effect.record
            place = (stored.epoch, stored.last)
            chain = self.ends.setdefault(place, stored.chain)
            must(chain == stored.chain, "S3", f"two contents at {place}, one at peer {host.id}")
        elif type(effect) is ef.Truncate:
            self.reach.truncated(host, effect)

    def saved(self, effect: ef.SaveCheckpoint, parts: list[bytes]) -> None:
        self.committed.compare(effect.index, parts)

    def sent(self, host: Host, effect: ef.Send) -> None:
        message, old = effect.message, self.world.restoring.life
        must(host.id != old, "R14", f"an old copy of volume {old} is heard: {message}")
        if isinstance(message, msg.Append):
            self._append(host, message)
        elif isinstance(message, msg.Appended):
            self._acknowledged(host, effect.to[0], message)
        elif isinstance(message, msg.Promise):
            self._promised(host, message.epoch, effect.to[0])
        elif isinstance(message, msg.IWon):
            self._promised(host, message.epoch, host.id)
            life = self.stood.setdefault((host.id, message.epoch), host.life)
            must(life == host.life, "R1", f"peer {host.id} stands for {message.epoch} again")
        elif isinstance(message, msg.Submit):
            self._submitted(host, message)

    def _append(self, host: Host, message: msg.Append) -> None:
        epoch, me = message.epoch, host.id
        trader = self.reigns.get(epoch)
        if trader is None:
            self._reign(host, epoch)
        else:
            must(trader == me, "S1", f"{trader} and {me} both trade in epoch {epoch}")
        hard = host.volume.hard
        mine = (hard.promised, hard.promised_to) == (epoch, me)
        must(mine, "R1", f"peer {me} sends Append({epoch}), promised {hard.promised}")

    def _reign(self, host: Host, epoch: int) -> None:
        """S4: a trader begins with all that was committed in earlier epochs."""
        self.reigns[epoch] = host.id
        peer = host.peer
        assert peer is not None
        known = [index for at, index in self.commit_epochs if at < epoch]
        index = known[-1]
        lacks = peer.journal.base[1] <= index
        lacks = lacks and self._chain(peer, index) != self.committed.chains[index]
        must(not lacks, "S4", f"trader {host.id} of epoch {epoch} lacks committed entry {index}")

    def _promised(self, host: Host, epoch: int, to: int) -> None:
        me, hard = host.id, host.volume.hard
        durable = (hard.promised, hard.promised_to) == (epoch, to)
        must(durable, "R4", f"peer {me} promised ({epoch}, {to}) before that was durable")
        must(epoch >= self.top[me], "S2", f"peer {me} promised {epoch} after {self.top[me]}")
        if self.reigns.get(epoch) == to:
            self.given[me][epoch] = to  # R2: a majority invested it, its name replaces another
        other = self.given[me].setdefault(epoch, to)
        must(other == to, "S2", f"peer {me} promised epoch {epoch} to {other} and to {to}")
        self.top[me] = epoch

    def _acknowledged(self, host: Host, trader: int, message: msg.Appended) -> None:
        """R2, R4, R6: an acknowledgement is durable, fenced, and of the trader's own journal."""
        me, epoch, hard = host.id, message.epoch, host.volume.hard
        fenced = (hard.promised, hard.promised_to) == (epoch, trader)
        must(fenced, "R2", f"peer {me} acknowledges epoch {epoch}, promised {hard.promised}")
        must(epoch >= self.top[me], "S2", f"peer {me} acknowledged {epoch}")
        self.top[me] = epoch
        self.given[me][epoch] = trader
        match, chains = message.match, host.volume.chains
        if match > host.volume.base[1]:
            must(match in chains, "R4", f"peer {me} acknowledges {match} before it is durable")
            other = self.world.hosts[trader].peer
            if other is not None and other.role is Role.TRADER and other.epoch == epoch:
                theirs = self._chain(other, match) or chains[match]
                must(theirs == chains[match], "R6", f"peer {me} acknowledges another {match}")

    def _submitted(self, host: Host, message: msg.Submit) -> None:
        """T1, T2: a stamp is made once, and ticks never come again."""
        for sub in message.submissions:
            if sub.kind == msg.OPEN_PEER:
                continue
            name, tick = (sub.session, sub.number), decode_stamp(sub.stamp)[host.id]
            first = self.stamps.setdefault((host.id, tick), name)
            must(first == name, "T2", f"peer {host.id} used tick {tick} for {first} and {name}")
            if host.peer is not None and sub.session == host.peer.ingress.session:
                same = self.stamped.setdefault(name, sub.stamp) == sub.stamp
                must(same, "T1", f"peer {host.id} stamped {name} again")

    # ---- notes ----

    def note(self, host: Host, effect: ef.Note) -> None:
        if effect.kind == "second_trader":
            raise Violation("S1", f"peer {host.id} heard of {effect.fields}")
        self.reach.note(host, effect)
