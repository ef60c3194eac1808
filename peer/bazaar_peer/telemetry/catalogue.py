"""Every metric of a peer; labels are bounded, and all children begin at 0.

At most 300 series a peer, of a ring of 24 and a market of 32 items, too: docs/metrics.md lists
them, and a test compares the two. Buckets follow what the ring does: answers in milliseconds,
elections in tens of them, and a tail beyond the worst outage.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from bazaar_peer import __version__
from bazaar_peer.telemetry.histogram import Histogram

OUTCOMES = ("ok", "unavailable", "failed")
REJECTED = "rejected"
"""An outcome, too, but one that is only counted: its latency says nothing of the ring."""
PHASES = ("steady", "election")
CAUSES = ("unplanned", "planned")
ELECTION_PHASES = ("noticed", "elected", "begun")
ELECTIONS = ("won", "failed")
REFUSALS = ("busy", "connections", "stalled")
HAND_OVERS = ("done", "reopened")
FULL = ("start", "write")
OTHER = "other"
ITEMS_MAX = 8
"""Items of the market that have series of their own; the rest are `other`."""

REQUEST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 5, 10, 30)
"""1.5 s is what a crash may cost; deadlines reach 60 s, so the tail has to be told apart, too."""
READ_S = (0.001, 0.005, 0.025, 0.1, 1, 5, 30)
ELECTION_S = (0.005, 0.025, 0.1, 0.5, 1, 1.5, 5)
INTERREGNUM_S = (0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 5, 30)
HAND_OVER_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
SYNC_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
BATCH = (1, 8, 64, 512, 4096)
CHECKPOINT_S = (0.01, 0.1, 0.5, 1, 5, 30)


Labels: TypeAlias = Mapping[str, tuple[str, ...]]
"""Every value that each label can have."""


class Catalogue:
    """`items`: of the market; `peers`: ordinals that the ring may have."""

    def __init__(self, items: Sequence[str] = (), peers: int = 1) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.items = tuple(item for item in items if item != OTHER)[:ITEMS_MAX]
        self.peers = peers
        self._totals: dict[Counter, int] = {}
        ProcessCollector(registry=self.registry)
        self._requests()
        self._reigns()
        self._ring(peers)
        self._journal()
        self._market()

    def _requests(self) -> None:
        self.requests = self._histogram(
            "request_duration_seconds",
            "Commands of this peer's clients and agents, by outcome, and whether they met an"
            " interregnum",
            REQUEST_S,
            {"outcome": OUTCOMES, "phase": PHASES},
        )
        self.rejected = self._counter(
            "requests_rejected", "Commands that can never be done, or not now"
        )
        self.reads = self._histogram(
            "read_duration_seconds", "Reads that waited for an index or for the trader", READ_S
        )
        self.reads_failed = self._counter("reads_failed", "Reads without an answer in time")
        self.in_flight = self._gauge("requests_in_flight", "Requests that wait for an answer")
        self.duplicates = self._counter(
            "request_duplicates_suppressed", "Answers known from before: the key was executed once"
        )
        self.refused = self._counter(
            "requests_refused", "Not taken, by reason", {"reason": REFUSALS}
        )

    def _reigns(self) -> None:
        self.is_trader = self._gauge("is_trader", "1 while this peer trades")
        self.trader = self._gauge("trader_ordinal", "Whom this peer takes for the trader; -1: none")
        self.epoch = self._gauge("epoch", "The highest epoch that this peer promised")
        self.trader_changes = self._counter("trader_changes", "Reigns that this peer saw begin")
        self.second_traders = self._counter(
            "second_traders_refused", "Appends of a second sender of one epoch, all refused (R2)"
        )
        labels = {"reason": CAUSES, "result": ELECTIONS}
        self.elections = self._counter("election", "Candidacies of this peer", labels)
        self.election = self._histogram(
            "election_duration_seconds",
            "Phases of the unplanned interregna that this peer ended as the next trader",
            ELECTION_S,
            {"phase": ELECTION_PHASES},
        )
        self.interregnum = self._histogram(
            "interregnum_seconds",
            "Without a trader, as this peer saw it: from the last sign of the old to the new reign",
            INTERREGNUM_S,
            {"cause": CAUSES},
        )
        self.interregnum_at = self._gauge(
            "interregnum_last_end_timestamp_seconds", "When the last one ended; 0: none so far"
        )
        self.hand_over = self._histogram(
            "hand_over_duration_seconds",
            "From closing the post to the end of the reign",
            HAND_OVER_S,
        )
        self.hand_overs = self._counter(
            "hand_overs", "Begun here, by result", {"result": HAND_OVERS}
        )

    def _ring(self, peers: int) -> None:
        self.ready = self._gauge("ready", "1 while this peer is ready for clients (K1)")
        self.members = self._gauge("ring_members", "Members of the ring, as this peer knows them")
        self.voters = self._gauge("ring_voters", "Of these, those that vote")
        self.expected = self._gauge("ring_members_expected", "Members that are wished for")
        self.connected = self._gauge(
            "ring_peers_connected", "Other peers with a connection to here"
        )
        self.heard_at = self._gauge(
            "heartbeat_last_received_timestamp_seconds", "When the trader was last heard"
        )
        self.certificate_ends = self._gauge(
            "certificate_expiry_timestamp_seconds",
            "When the first of the certificates ends that other peers show here; 0: they show none",
        )
        ordinals = tuple(map(str, range(peers)))
        self.lag = self._gauge(
            "replication_lag_entries",
            "At the trader: entries of its journal that a peer has not acknowledged",
            {"peer": ordinals},
        )
        self.queue = self._gauge("trader_queue_depth", "Commands that wait for the next batch")
        self.oldest = self._gauge(
            "trader_queue_oldest_seconds", "While some wait: since the last batch was cut"
        )
        self.reordered = self._counter(
            "batches_reordered", "Batches in which the causal order was not that of arrival"
        )

    def _journal(self) -> None:
        self.batch = self._histogram("journal_batch_entries", "Entries in one record", BATCH)
        self.sync = self._histogram(
            "journal_sync_duration_seconds", "One group of writes, until it is durable", SYNC_S
        )
        self.commit_index = self._gauge("commit_index", "Committed entries, as known here")
        self.applied_index = self._gauge("applied_index", "Executed entries")
        self.journal_bytes = self._gauge("journal_bytes", "Journal behind the last checkpoint")
        self.checkpoint = self._histogram(
            "checkpoint_duration_seconds", "From the order to write one until it is durable",
            CHECKPOINT_S,
        )  # fmt: skip
        self.checkpoint_bytes = self._gauge("checkpoint_bytes", "Size of the last one")
        self.checkpoint_at = self._gauge(
            "checkpoint_last_success_timestamp_seconds", "When the last one was durable; 0: none"
        )
        self.full = self._counter(
            "disk_full", "Waits for room on the volume (D4): at a start, or with a write",
            {"at": FULL},
        )  # fmt: skip
        self.copies_sent = self._counter("checkpoints_sent", "Copies begun for other peers")
        self.copies_taken = self._counter("checkpoints_installed", "Copies taken from other peers")
        self.copies_refused = self._counter(
            "checkpoints_refused", "Copies of other peers that cannot be, and were not taken"
        )
        self.recovery = self._gauge(
            "recovery_duration_seconds", "From the start of this life to the first reign it saw"
        )
        self.recovered = self._gauge(
            "recovery_replayed_entries", "Entries of the journal read at the start of this life"
        )

    def _market(self) -> None:
        items = {"item": (*self.items, OTHER)}
        self.on_offer = self._gauge("goods_on_offer", "Goods that can be bought, applied", items)
        self.sold = self._counter("goods_sold", "Goods sold, applied", items)
        self.trades = self._counter("trades", "Orders filled, applied by this process")
        self.paid = self._counter("money_paid", "Paid by all buyers, in minor units, applied")
        self.commission = self._counter("money_commission", "Of this the traders' commission")
        self.build = Info("bazaar_build", "What runs here", registry=self.registry)
        self.build.info({"version": __version__, "python": platform.python_version()})

    def raise_to(self, counter: Counter, total: int) -> None:
        """Bring a counter to a total that only grows, whoever's life counts it."""
        known = self._totals.get(counter, 0)
        if total > known:
            counter.inc(total - known)
            self._totals[counter] = total

    # ---- makers

    def _counter(self, name: str, what: str, labels: Labels | None = None) -> Counter:
        made = Counter(f"bazaar_{name}", what, tuple(labels or ()), registry=self.registry)
        _begin(made, labels)
        return made

    def _gauge(self, name: str, what: str, labels: Labels | None = None) -> Gauge:
        made = Gauge(f"bazaar_{name}", what, tuple(labels or ()), registry=self.registry)
        _begin(made, labels)
        return made

    def _histogram(
        self, name: str, what: str, bounds: Iterable[float], labels: Labels | None = None
    ) -> Histogram:
        return Histogram(f"bazaar_{name}", what, labels or {}, bounds, self.registry)


def _begin(metric: Counter | Gauge, labels: Labels | None) -> None:
    """Make every child there will be."""
    for values in product(*(labels or {}).values()):
        if values:
            metric.labels(*values)
