"""Who buys and who sells: given by the spec, or drawn from a seed."""

from __future__ import annotations

import re
from enum import StrEnum
from random import Random

COUNTS = re.compile(r"buyers=([0-9]{1,6}),sellers=([0-9]{1,6})")


class Role(StrEnum):
    BUYER = "buyer"
    SELLER = "seller"
    BOTH = "both"

    @property
    def buys(self) -> bool:
        return self is not Role.SELLER

    @property
    def sells(self) -> bool:
        return self is not Role.BUYER


def assign_roles(spec: str, peers: int, seed: int) -> list[Role]:
    """Roles by peer id for `both`, `random` or `buyers=K,sellers=M`.

    A draw in which nobody buys, or nobody sells, makes peer 0 do both: there is always a trade.

    Raises:
        ValueError: The spec is none of these or does not fit; says how to mend it.
    """
    if peers < 1:
        raise ValueError(f"a ring needs at least one peer, not {peers}: set peers to 1 or more")
    if spec == "both":
        return [Role.BOTH] * peers
    if spec == "random":
        return _draw(peers, Random(seed))  # noqa: S311 (roles are no secret)
    counts = COUNTS.fullmatch(spec)
    if counts is None:
        raise ValueError(
            f"roles {spec!r} are not understood: write `both`, `random`,"
            f" or two counts like `buyers={peers - peers // 2},sellers={peers // 2}`"
        )
    buyers, sellers = int(counts[1]), int(counts[2])
    if buyers + sellers != peers:
        raise ValueError(
            f"{buyers} buyers + {sellers} sellers = {buyers + sellers} roles, but the ring has"
            f" {peers} peers: the counts must add up to {peers}"
        )
    return [Role.BUYER] * buyers + [Role.SELLER] * sellers


def role_of(spec: str, peer: int, peers: int, seed: int) -> Role:
    """Return one peer's role in a ring that began with so many; who came later does both.

    Counts fit a ring of any size here: they name the first peers, and the others do both.

    Raises:
        ValueError: as `assign_roles`.
    """
    counts = COUNTS.fullmatch(spec)
    named = int(counts[1]) + int(counts[2]) if counts else peers
    roles = assign_roles(spec, named, seed)
    return roles[peer] if peer < len(roles) else Role.BOTH


def _draw(peers: int, prng: Random) -> list[Role]:
    choices = list(Role)
    roles = [choices[int(prng.random() * len(choices))] for _ in range(peers)]
    if not any(role.buys for role in roles) or not any(role.sells for role in roles):
        roles[0] = Role.BOTH
    return roles
