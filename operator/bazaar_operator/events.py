"""Events of a Bazaar, with stable reasons; they are news, so one that is lost is not repeated."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime

from bazaar_operator import labels
from bazaar_operator.api import Api, ApiError
from bazaar_operator.spec import Bazaar

logger = logging.getLogger(__name__)
MESSAGE_MAX = 1000


async def tell(api: Api, bazaar: Bazaar, kind: str, reason: str, message: str) -> None:
    now = datetime.now(UTC).strftime("%FT%TZ")
    logger.info("%s/%s %s: %s", bazaar.namespace, bazaar.name, reason, message)
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{bazaar.name}.{uuid.uuid4().hex[:16]}",
            "namespace": bazaar.namespace,
        },
        "involvedObject": {
            "apiVersion": labels.API_VERSION,
            "kind": labels.KIND,
            "name": bazaar.name,
            "namespace": bazaar.namespace,
            "uid": bazaar.uid,
        },
        "type": kind,
        "reason": reason,
        "message": message[:MESSAGE_MAX],
        "source": {"component": labels.FIELD_MANAGER},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        await api.create(event)
    except ApiError as error:
        logger.warning("an event was not written: %s", error)
