"""What the dashboard shows, row by row, as data: dashboard.py makes Grafana's JSON of it.

`RING` selects the Bazaar that was chosen above; a panel with alerts links to their runbooks
(docs/runbooks).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

RING = 'namespace="$namespace",bazaar="$bazaar"'
CLAIMS = 'namespace="$namespace",persistentvolumeclaim=~"data-$bazaar-[0-9]+"'
"""The volumes of that Bazaar, in the kubelets' words."""
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
ANSWERED = f"{REQUESTS}_count{{{RING}}}"
FAILED = f'{REQUESTS}_count{{{RING},outcome="failed"}}'

NOW = Row("Now", (
    Panel("Traders", "stat", "short", "1. During a failover 0, for milliseconds; never 2.",
          (Query(f"sum(bazaar_is_trader{{{RING}}})"),), 3,
          ("BazaarNoTrader", "BazaarSecondTrader"), 2),
    Panel("Trader", "stat", "none", "Whoever trades; in an election the highest that lives wins.",
          (Query(f"max(bazaar_trader_ordinal{{{RING}}})"),), 3),
    Panel("Epoch", "stat", "none", "The number of the reign; it only grows.",
          (Query(f"max(bazaar_epoch{{{RING}}})"),), 3),
    Panel("Peers ready of wished", "stat", "short", "Both the same.",
          (Query(f"sum(bazaar_ready{{{RING}}})", "ready"),
           Query(f"max(bazaar_ring_members_expected{{{RING}}})", "wished")), 4,
          ("BazaarRingDegraded", "BazaarMetricsAbsent")),
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
          (Query(f"sum by (outcome) (rate({REQUESTS}_count{{{RING}}}{OVER}))", "{{outcome}}"),
           Query(f"sum(rate(bazaar_requests_rejected_total{{{RING}}}{OVER}))", "rejected")),
          8, ("BazaarRequestsFail",)),
    Panel("Retries and refusals", "lines", "reqps",
          "Suppressed duplicates are retries that did no harm; refusals mean too much load.",
          (Query(f"sum(rate(bazaar_request_duplicates_suppressed_total{{{RING}}}{OVER}))",
                 "duplicates suppressed"),
           Query(f"sum by (reason) (rate(bazaar_requests_refused_total{{{RING}}}{OVER}))",
                 "refused: {{reason}}")), 8),
    Panel("Requests in flight", "lines", "short", "As many as there are clients that wait; flat.",
          (Query(f"sum by (pod) (bazaar_requests_in_flight{{{RING}}})", "{{pod}}"),), 8),
))  # fmt: skip

ELECTIONS = Row("Elections", (
    Panel("Who trades", "states", "none", "One colour for long; each change is an election.",
          (Query(f"max(bazaar_trader_ordinal{{{RING}}})", "trader"),
           Query(f"max(bazaar_epoch{{{RING}}})", "epoch")), 12),
    Panel("Elections by reason and result", "bars", "short",
          "Planned ones with rolls and drains, unplanned ones with faults; hardly any fail.",
          (Query(f"sum by (reason, result) (increase(bazaar_election_total{{{RING}}}{OVER}))",
                 "{{reason}}, {{result}}"),), 12, ("BazaarElectionStorm",)),
    Panel("Interregna", "heatmap", "s", "Planned ones in milliseconds, a crash below a second.",
          (Query(f"sum by (le) (increase(bazaar_interregnum_seconds_bucket{{{RING}}}{OVER}))",
                 "{{le}}"),), 8, ("BazaarFailoverSlow",)),
    Panel("Duration by phase", "lines", "s",
          "Of unplanned ones: noticing takes milliseconds of a crash, and a heartbeat timeout of"
          " who falls silent; the rest takes milliseconds. Hand-overs likewise.",
          (Query(quantile(0.9, "bazaar_election_duration_seconds", by="phase"), "p90 {{phase}}"),
           Query(quantile(0.9, "bazaar_hand_over_duration_seconds"), "p90 hand-over")), 8,
          ("BazaarFailoverSlow",)),
    Panel("Heard from the trader", "lines", "s", "Below the heartbeat interval, on every peer.",
          (Query(f"time() - (bazaar_heartbeat_last_received_timestamp_seconds{{{RING}}} > 0)",
                 "{{pod}}"),), 8),
))  # fmt: skip

WORK = Row("The trader's work", (
    Panel("Commands in the queue", "lines", "short", "Few: they wait for the next batch only.",
          (Query(f"sum(bazaar_trader_queue_depth{{{RING}}})", "commands"),)),
    Panel("Age of the queue", "lines", "s", "Milliseconds: a batch is cut as soon as one can be.",
          (Query(f"max(bazaar_trader_queue_oldest_seconds{{{RING}}})", "since the last batch"),)),
    Panel("Entries in a batch", "lines", "short", "The more load, the larger.",
          quantiles("bazaar_journal_batch_entries")),
    Panel("Syncs of the journal, p99", "lines", "s", "Below some milliseconds, alike on all peers.",
          (Query(quantile(0.99, "bazaar_journal_sync_duration_seconds", by="pod"), "{{pod}}"),), 12,
          ("BazaarJournalSlow",)),
    Panel("Followers lack", "lines", "short",
          "Entries, near 0; a peer that learns comes down from above.",
          (Query(f"max by (peer) (bazaar_replication_lag_entries{{{RING}}}) > 0 or"
                 f" max(bazaar_replication_lag_entries{{{RING}}})", "peer {{peer}}"),), 12),
))  # fmt: skip

MARKET = Row("The market", (
    Panel("Trades", "lines", "ops", "As the busiest peer applies them; all the same.",
          (Query(f"max(rate(bazaar_trades_total{{{RING}}}{OVER}))", "trades"),), 6),
    Panel("Goods sold", "lines", "cps", "By item, as clients ask for them.",
          (Query(f"max by (item) (rate(bazaar_goods_sold_total{{{RING}}}{OVER}))", "{{item}}"),),
          6),
    Panel("Goods on offer", "lines", "short", "Sellers keep up with buyers.",
          (Query(f"max by (item) (bazaar_goods_on_offer{{{RING}}})", "{{item}}"),), 6),
    Panel("Money", "lines", "cps", "Minor units; the commission is a fixed share.",
          (Query(f"max(rate(bazaar_money_paid_total{{{RING}}}{OVER}))", "paid"),
           Query(f"max(rate(bazaar_money_commission_total{{{RING}}}{OVER}))", "commission")), 6),
))  # fmt: skip

MACHINES = Row("Disks, processes and the operator", (
    Panel("Volumes used", "lines", "percentunit",
          "Far below 100 %. Empty where Prometheus does not scrape the kubelets.",
          (Query(f"kubelet_volume_stats_used_bytes{{{CLAIMS}}}"
                 f" / kubelet_volume_stats_capacity_bytes{{{CLAIMS}}}",
                 "{{persistentvolumeclaim}}"),), 8, ("BazaarVolumeFills",)),
    Panel("Journal behind the checkpoint", "lines", "bytes", "A saw.",
          (Query(f"bazaar_journal_bytes{{{RING}}}", "{{pod}}"),), 8, ("BazaarCheckpointStale",)),
    Panel("Checkpoints take", "lines", "s", "Far less than they are apart.",
          quantiles("bazaar_checkpoint_duration_seconds"), 8, ("BazaarCheckpointStale",)),
    Panel("Full disks, bad copies", "lines", "short",
          "0: who waits for room acknowledges nothing.",
          (Query(f"sum by (at) (increase(bazaar_disk_full_total{{{RING}}}{OVER}))",
                 "waits for room: {{at}}"),
           Query(f"sum(increase(bazaar_checkpoints_refused_total{{{RING}}}{OVER}))",
                 "copies refused")), 6, ("BazaarVolumeFills",)),
    Panel("Second senders refused", "lines", "short", "0, for ever.",
          (Query(f"sum(increase(bazaar_second_traders_refused_total{{{RING}}}{OVER}))",
                 "refused"),), 6, ("BazaarSecondTrader",)),
    Panel("Certificates are good for", "lines", "s",
          "More than 30 days. Empty where peers speak plainly.",
          (Query(f"(bazaar_certificate_expiry_timestamp_seconds{{{RING}}} > 0) - time()",
                 "{{pod}}"),), 6, ("BazaarCertificateEnds",)),
    Panel("CPU", "lines", "percentunit", "Of one core; the trader's is the highest.",
          (Query(f"rate(process_cpu_seconds_total{{{RING}}}{OVER})", "{{pod}}"),), 6),
    Panel("Memory", "lines", "bytes", "Flat.",
          (Query(f"process_resident_memory_bytes{{{RING}}}", "{{pod}}"),), 8),
    Panel("Phase", "states", "none", "Running.",
          (Query(f"max by (phase) (bazaar_operator_cluster_phase{{{RING}}}) > 0", "{{phase}}"),),
          8, ("BazaarStuck", "BazaarOperatorDown")),
    Panel("Reconciles", "bars", "ops", "`ok`; errors are tried again.",
          (Query(f"sum by (result) (rate(bazaar_operator_reconcile_total{OVER}))", "{{result}}"),),
          8),
))  # fmt: skip

ROWS = (NOW, LATENCY, ELECTIONS, WORK, MARKET, MACHINES)

WON = f'sum(increase(bazaar_election_total{{{RING},reason="%s",result="won"}}[1m])) > 0'
LATER_REIGN = (
    f"max(bazaar_epoch{{{RING}}} and bazaar_is_trader{{{RING}}} == 1)"
    f" > max(max_over_time(bazaar_epoch{{{RING}}}[1h] offset 1m))"
)
"""Peers that started since the last scrape count from 0, and nothing grew; an epoch only grows."""

ANNOTATIONS = (
    ("Elections", "red", f"{WON % 'unplanned'} or {LATER_REIGN} unless {WON % 'planned'}"),
    ("Hand-overs", "blue", WON % "planned"),
)
"""Name, colour and query of what is drawn over all panels."""
