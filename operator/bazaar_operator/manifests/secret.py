"""The Secret with the token of those who may change members, hand over and format volumes."""

from __future__ import annotations

import base64

from bazaar_operator import labels
from bazaar_operator.manifests.metadata import Manifest, head
from bazaar_operator.spec import Bazaar

TOKEN_KEY = "token"  # noqa: S105 - the name of a key


def admin_secret(bazaar: Bazaar, token: str) -> Manifest:
    """To be created once: who overwrote it would lock out the peers that read the former one."""
    base = head(bazaar, "v1", "Secret", labels.admin_secret(bazaar.name))
    return base | {
        "type": "Opaque",
        "data": {TOKEN_KEY: base64.b64encode(token.encode()).decode()},
    }
