"""Who buys and who sells."""

from __future__ import annotations

import pytest

from bazaar_peer.agents.roles import Role, assign_roles


def test_both_gives_everybody_both() -> None:
    assert assign_roles("both", 3, 1) == [Role.BOTH] * 3


def test_counts_give_buyers_the_lowest_ids() -> None:
    assert assign_roles("buyers=2,sellers=1", 3, 1) == [Role.BUYER, Role.BUYER, Role.SELLER]


def test_random_draws_the_same_from_the_same_seed_and_others_from_others() -> None:
    assert assign_roles("random", 6, 7) == assign_roles("random", 6, 7)
    assert len({tuple(assign_roles("random", 6, seed)) for seed in range(50)}) > 10


@pytest.mark.parametrize("peers", [1, 2, 3, 6])
def test_random_always_leaves_somebody_who_buys_and_somebody_who_sells(peers: int) -> None:
    for seed in range(200):
        roles = assign_roles("random", peers, seed)

        assert len(roles) == peers
        assert any(role.buys for role in roles)
        assert any(role.sells for role in roles)


@pytest.mark.parametrize(
    ("spec", "peers", "complaint"),
    [
        ("buyers=2,sellers=1", 6, "must add up to 6"),
        ("buyer=2,sellers=1", 3, "`buyers=2,sellers=1`"),
        ("", 4, "`buyers=2,sellers=2`"),
        ("buyers=-1,sellers=4", 3, "not understood"),
        ("buyers=３,sellers=0", 3, "not understood"),
        ("both", 0, "set peers to 1 or more"),
    ],
)
def test_wrong_spec_is_refused_with_what_to_write_instead(
    spec: str, peers: int, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        assign_roles(spec, peers, 1)
