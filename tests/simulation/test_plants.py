"""G2: every planted bug is found, by biased schedules or by a named script; else a test fails."""

from __future__ import annotations

import pytest

from bazaar_peer.simulation.plants import PLANTS, planted
from bazaar_peer.simulation.run import simulate
from bazaar_peer.simulation.scripts import SCRIPTS

BUDGET = 250
BY_SCRIPT = {plant for _, plants in SCRIPTS.values() for plant in plants}
RARE = {
    "acknoepoch",
    "alone_for_ever",
    "applied_at_once",
    "badbest",
    "believes_in_silence",
    "cfgstale",
    "commitold",
    "expiry_ignored",
    "failed_on_stepping_down",
    "fetch",
    "fetchnoprev",
    "forgotten_too_early",
    "full_queue_refuses",
    "further_journal_unheard",
    "handover",
    "higher_token_lives_for_ever",
    "hint_inside_a_record",
    "install_acknowledged_early",
    "later_life_says_nothing",
    "leaver_goes_at_once",
    "leaver_stands_again",
    "leavers_nominated",
    "no_jitter",
    "nobody_excluded",
    "number_body_not_compared",
    "old_generation_accepted",
    "older_boot_opens",
    "one_memory_decides",
    "orphans_circle",
    "post_stays_closed",
    "promised_while_hearing",
    "received_again",
    "refusals_unheard",
    "removed_though_no_majority_is_left",
    "reuse",
    "rivals_undo_copies",
    "sent_called_never_sent",
    "stale_nomination_obeyed",
    "stalled_disk_unseen",
    "stalled_sockets_read",
    "submitted_once",
    "takes_its_post_back",
    "version_told_too_early",
}
"""They need a certain order of events: a script has it, few schedules do."""
BY_SCHEDULES = [name for name in PLANTS if name not in RARE]


def test_every_rare_plant_has_a_script() -> None:
    assert set() == RARE - BY_SCRIPT


@pytest.mark.parametrize("name", BY_SCHEDULES)
def test_planted_bug_is_found_by_schedules(name: str) -> None:
    found = simulate(0, schedules=BUDGET, plant=name, first_only=True).violations

    assert found, f"{BUDGET} schedules do not show {name}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_scenario_holds(name: str) -> None:
    scenario, _ = SCRIPTS[name]

    scenario()


@pytest.mark.parametrize(
    ("name", "plant"), [(name, plant) for name, (_, all_) in SCRIPTS.items() for plant in all_]
)
def test_scenario_shows_the_planted_bug(name: str, plant: str) -> None:
    scenario, _ = SCRIPTS[name]

    with planted(plant), pytest.raises(Exception):  # noqa: B017, PT011 - a rule or a stated fact
        scenario()


def test_plants_leave_no_trace() -> None:
    before = simulate(5, schedules=3)
    with planted("dedupe"):
        pass
    after = simulate(5, schedules=3)

    assert (before.events, before.reached) == (after.events, after.reached)
