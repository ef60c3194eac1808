"""Secrets: the token of those who may change members, hand over and format volumes, and others."""

from __future__ import annotations

import base64

from bazaar_operator import labels
from bazaar_operator.manifests.metadata import Manifest, head
from bazaar_operator.spec import Bazaar

TOKEN_KEY = "token"  # noqa: S105 - the name of a key


def admin_secret(bazaar: Bazaar, token: str) -> Manifest:
    """To be created once: who overwrote it would lock out the peers that read the former one."""
    return opaque_secret(bazaar, labels.admin_secret(bazaar.name), {TOKEN_KEY: token})


def opaque_secret(bazaar: Bazaar, name: str, texts: dict[str, str]) -> Manifest:
    """Return a Secret of these texts."""
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return head(bazaar, "v1", "Secret", name) | {"type": "Opaque", "data": data}
