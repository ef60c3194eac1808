"""How a ring's peers speak, with each other and with whoever shows the ring's token.

From what is latched to what is wished, a step at a time: nobody may require what another one, who
runs or is about to start, does not speak.
"""

from __future__ import annotations

from bazaar_operator.observation import Observation
from bazaar_operator.views import OFFERED, REQUIRED

MODE_FILE, TOKEN_FILE = "mode", "token-mode"


def mode_of(seen: Observation) -> str:
    """Return how the ring's peers are to speak with each other; empty: plainly."""
    wished, mode = seen.bazaar.spec.tls.enabled, seen.bazaar.status.tls.mode
    told = [pod.peer for pod in seen.pods]
    if seen.trust is not None and seen.trust.foreign:
        return mode
    if mode == "":
        if wished and _is_unborn(seen):
            return REQUIRED
        required = any(peer and peer.tls and peer.tls.mode == REQUIRED for peer in told)
        return OFFERED if wished or required else ""
    if mode == REQUIRED:
        return REQUIRED if wished else OFFERED
    if wished:
        all_know = all(peer and peer.tls and not peer.tls.why for peer in told)
        return REQUIRED if _is_rolled(seen) and all_know else OFFERED
    written = seen.trust is not None and seen.trust.files.get(MODE_FILE) == OFFERED
    offer = all(peer and (not peer.tls or peer.tls.mode == OFFERED) for peer in told)
    return "" if written and offer else OFFERED


def token_mode_of(seen: Observation) -> str:
    """Return Required if the ring's token goes by TLS alone from now on; empty: not yet.

    Who has none to speak with must still get in: peers of a former release serve clients no TLS,
    and a network may let the operator reach the one port and not the other.
    """
    mode, latched = mode_of(seen), seen.bazaar.status.tls
    if mode != REQUIRED:
        return ""
    if latched.token or (seen.trust is not None and seen.trust.foreign):
        return latched.token
    if _is_unborn(seen):
        return REQUIRED
    verified = all(pod.peer and pod.peer.verified for pod in seen.pods)
    return REQUIRED if latched.mode == REQUIRED and _is_rolled(seen) and verified else ""


def _is_unborn(seen: Observation) -> bool:
    """Whether no pod is there, and those that come are of the operator's own release."""
    found = seen.statefulset
    nobody = not seen.pods and (found is None or found.replicas == 0)
    return nobody and seen.peers_image == seen.image


def _is_rolled(seen: Observation) -> bool:
    return seen.ring is not None and seen.template_stands and not seen.old
