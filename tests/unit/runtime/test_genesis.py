"""A ring's first record is the same on all its first volumes, whatever release formatted them."""

from __future__ import annotations

import msgspec
import pytest

from bazaar_peer.core.types import Limits
from bazaar_peer.runtime.genesis import genesis

CHAIN = "f421d45bdb73bc2027be8c08f8e9a9f0"
"""Of the releases so far. Another default limit, or another encoding, is another genesis: volumes
of one ring that two releases formatted in a first start would never agree. A release that needs it
has to have the operator name the genesis when it has a volume formatted."""


def test_first_record_is_that_of_earlier_releases() -> None:
    assert genesis("ring-1", 3, 25).chain.hex() == CHAIN


@pytest.mark.parametrize("limit", Limits.__struct_fields__)
def test_every_limit_is_part_of_it(limit: str) -> None:
    """Peers that bound their replicated state differently must not take each other for equals."""
    other = msgspec.structs.replace(Limits(), **{limit: 7})

    assert genesis("ring-1", 3, 25, other).chain.hex() != CHAIN
