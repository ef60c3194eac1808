"""What the dashboard shows, row by row, as data: dashboard.py makes Grafana's JSON of it.

`RING` selects the Bazaar that was chosen above; a panel whose alert fires names it, and with it its
runbook (docs/runbooks).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

RING = 'namespace="$namespace",bazaar="$bazaar"'
OVER = "[$__rate_interval]"
Kind = Literal["stat", "lines", "bars", "heatmap", "states"]


class Query(NamedTuple):
    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """`good` says what good looks like; `width` of 24."""

    title: str
    kind: Kind
    unit: str
    good: str
    queries: tuple[Query, ...]
    width: int = 8
    alerts: tuple[str, ...] = ()
    bad_from: float | None = None
    """Values from here on are red, in a stat."""


class Row(NamedTuple):
    title: str
    panels: tuple[Panel, ...]


def quantile(share: float, histogram: str, more: str = "", by: str = "") -> str:
    grouped = f"le, {by}" if by else "le"
    rate = f"rate({histogram}_bucket{{{RING}{more}}}{OVER})"
    return f"histogram_quantile({share}, sum by ({grouped}) ({rate}))"


def quantiles(histogram: str, more: str = "", name: str = "") -> tuple[Query, ...]:
    return tuple(
        Query(quantile(share, histogram, more), f"p{share * 100:g} {name}".strip())
        for share in (0.5, 0.9, 0.99)
    )


REQUESTS = "bazaar_request_duration_seconds"
ANSWERED = f'{REQUESTS}_count{{{RING},outcome!="rejected"}}'
FAILED = f'{REQUESTS}_count{{{RING},outcome="failed"}}'

NOW = Row("Now", (
    Panel("Traders", "stat", "none", "1. During a failover 0, for milliseconds; never 2.",
          (Query(f"sum(bazaar_is_trader{{{RING}}})"),), 3,
          ("BazaarNoTrader", "BazaarSecondTrader"), 2),
    Panel("Trader", "stat", "none", "Whoever trades; in an election the highest that lives wins.",
          (Query(f"max(bazaar_trader_ordinal{{{RING}}})"),), 3),
    Panel("Epoch", "stat", "none", "The number of the reign; it only grows.",
          (Query(f"max(bazaar_epoch{{{RING}}})"),), 3),
    Panel("Peers ready of wished", "stat", "none", "Both the same.",
          (Query(f"sum(bazaar_ready{{{RING}}})", "ready"),
           Query(f"max(bazaar_ring_members_expected{{{RING}}})", "wished")), 4,
          ("BazaarRingDegraded",)),
    Panel("Requests without an answer", "stat", "percentunit", "0, over elections, too.",
          (Query(f"sum(rate({FAILED}{OVER})) / sum(rate({ANSWERED}{OVER}))"),), 4,
          ("BazaarRequestsFail",), 0.01),
    Panel("p99 of answers", "stat", "s", "Some milliseconds; an election shows.",
          (Query(quantile(0.99, REQUESTS, ',outcome="ok"')),), 3,
          ("BazaarLatencyBudgetBurns",), 0.25),
    Panel("Since the last interregnum", "stat", "s", "As long as nobody drills.",
          (Query(f"time() - (max(bazaar_interregnum_last_end_timestamp_seconds{{{RING}}}) > 0)"),),
          4),
))  # fmt: skip

LATENCY = Row("What clients see", (
    Panel("Latency of answers", "heatmap", "s",
          "A narrow band of milliseconds; an election is a short column above it.",
          (Query(f'sum by (le) (increase({REQUESTS}_bucket{{{RING},outcome="ok"}}{OVER}))',
                 "{{le}}"),), 12),
    Panel("Percentiles, steady and over elections", "lines", "s",
          "Steady ones flat; those that met an election end within a heartbeat timeout.",
          (*quantiles(REQUESTS, ',outcome="ok",phase="steady"', "steady"),
           *quantiles(REQUESTS, ',outcome="ok",phase="election"', "election")), 12,
          ("BazaarLatencyBudgetBurns",)),
    Panel("Requests by outcome", "bars", "reqps",
          "`ok`, and `unavailable` where goods run out. `failed` stays away.",
          (Query(f"sum by (outcome) (rate({REQUESTS}_count{{{RING}}}{OVER}))", "{{outcome}}"),),
          12, ("BazaarRequestsFail",)),
    Panel("Retries and refusals", "lines", "reqps",
          "Suppressed duplicates are retries that did no harm; refusals mean too much load.",
          (Query(f"sum(rate(bazaar_request_duplicates_suppressed_total{{{RING}}}{OVER}))",
                 "duplicates suppressed"),
           Query(f"sum by (reason) (rate(bazaar_requests_refused_total{{{RING}}}{OVER}))",
                 "refused: {{reason}}"),
           Query(f"sum(bazaar_requests_in_flight{{{RING}}})", "in flight")), 12),
))  # fmt: skip

ELECTIONS = Row("Elections", (
    Panel("Who trades", "states", "none", "One colour for long; each change is an election.",
          (Query(f"max(bazaar_trader_ordinal{{{RING}}})", "trader"),
           Query(f"max(bazaar_epoch{{{RING}}})", "epoch")), 12),
    Panel("Elections by reason and result", "bars", "none",
          "Planned ones with rolls and drains, unplanned ones with faults; hardly any fail.",
          (Query(f"sum by (reason, result) (increase(bazaar_election_total{{{RING}}}{OVER}))",
                 "{{reason}}, {{result}}"),), 12, ("BazaarElectionStorm",)),
    Panel("Interregna", "heatmap", "s", "Planned ones in milliseconds, a crash below a second.",
          (Query(f"sum by (le) (increase(bazaar_interregnum_seconds_bucket{{{RING}}}{OVER}))",
                 "{{le}}"),), 8, ("BazaarFailoverSlow",)),
    Panel("Elections and hand-overs take", "lines", "s", "Milliseconds.",
          (*quantiles("bazaar_election_duration_seconds", name="election"),
           Query(quantile(0.99, "bazaar_hand_over_duration_seconds"), "p99 hand-over")), 8),
    Panel("Heard from the trader", "lines", "s", "Below the heartbeat interval, on every peer.",
          (Query(f"time() - (bazaar_heartbeat_last_received_timestamp_seconds{{{RING}}} > 0)",
                 "{{pod}}"),), 8),
))  # fmt: skip

WORK = Row("The trader's work", (
    Panel("Queue", "lines", "none", "Short, and never old.",
          (Query(f"sum(bazaar_trader_queue_depth{{{RING}}})", "commands"),
           Query(f"max(bazaar_trader_queue_oldest_seconds{{{RING}}})", "age of the oldest, s")), 6),
    Panel("Entries in a batch", "lines", "none", "The more load, the larger.",
          quantiles("bazaar_journal_batch_entries"), 6),
    Panel("Syncs of the journal, p99", "lines", "s", "Below some milliseconds, alike on all peers.",
          (Query(quantile(0.99, "bazaar_journal_sync_duration_seconds", by="pod"), "{{pod}}"),), 6,
          ("BazaarJournalSlow",)),
    Panel("Followers lack", "lines", "none", "Near 0; a peer that learns comes down from above.",
          (Query(f"max by (peer) (bazaar_replication_lag_entries{{{RING}}}) > 0 or"
                 f" max(bazaar_replication_lag_entries{{{RING}}})", "peer {{peer}}"),), 6),
))  # fmt: skip

MARKET = Row("The market", (
    Panel("Goods sold", "lines", "none", "Per second, by item.",
          (Query(f"max by (item) (rate(bazaar_goods_sold_total{{{RING}}}{OVER}))", "{{item}}"),)),
    Panel("Goods on offer", "lines", "none", "Sellers keep up with buyers.",
          (Query(f"max by (item) (bazaar_goods_on_offer{{{RING}}})", "{{item}}"),)),
    Panel("Money", "lines", "none", "Per second, in minor units.",
          (Query(f"max(rate(bazaar_money_paid_total{{{RING}}}{OVER}))", "paid"),
           Query(f"max(rate(bazaar_money_commission_total{{{RING}}}{OVER}))", "commission"))),
))  # fmt: skip

MACHINES = Row("Disks, processes and the operator", (
    Panel("Journal behind the checkpoint", "lines", "bytes", "A saw.",
          (Query(f"bazaar_journal_bytes{{{RING}}}", "{{pod}}"),), 6, ("BazaarCheckpointStale",)),
    Panel("Checkpoints take", "lines", "s", "Far less than they are apart.",
          quantiles("bazaar_checkpoint_duration_seconds"), 6, ("BazaarCheckpointStale",)),
    Panel("CPU", "lines", "none", "Cores; the trader's is the highest.",
          (Query(f"rate(process_cpu_seconds_total{{{RING}}}{OVER})", "{{pod}}"),), 6),
    Panel("Memory", "lines", "bytes", "Flat.",
          (Query(f"process_resident_memory_bytes{{{RING}}}", "{{pod}}"),), 6),
    Panel("Phase", "states", "none", "Running.",
          (Query(f"max by (phase) (bazaar_operator_cluster_phase{{{RING}}}) > 0", "{{phase}}"),),
          8, ("BazaarStuck", "BazaarOperatorDown")),
    Panel("Reconciles", "bars", "none", "`ok`; errors are tried again.",
          (Query(f"sum by (result) (rate(bazaar_operator_reconcile_total{OVER}))", "{{result}}"),),
          8),
    Panel("Second senders refused", "lines", "none", "0, for ever.",
          (Query(f"sum(increase(bazaar_second_traders_refused_total{{{RING}}}{OVER}))",
                 "refused"),), 8, ("BazaarSecondTrader",)),
))  # fmt: skip

ROWS = (NOW, LATENCY, ELECTIONS, WORK, MARKET, MACHINES)

ANNOTATIONS = (
    ("Elections", "red",
     f'sum(increase(bazaar_election_total{{{RING},reason="unplanned",result="won"}}[1m])) > 0'),
    ("Hand-overs", "blue",
     f'sum(increase(bazaar_election_total{{{RING},reason="planned",result="won"}}[1m])) > 0'),
)  # fmt: skip
"""Name, colour and query of what is drawn over all panels."""
