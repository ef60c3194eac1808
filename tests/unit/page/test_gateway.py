"""The server that stands for a ring in a cluster: for programs, and for that one ring alone."""

from __future__ import annotations

import pytest
from yarl import URL

from bazaar_peer.page.gateway import make_app
from tests.unit.page.test_cluster import Cluster, served


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({}, "/v1/stock", 200),
        ({}, "/peers/0/v1/stock", 200),
        ({}, "/peers/1/v1/stock", 503),
        ({}, "/peers/none/v1/stock", 503),
        ({}, "/peers/0/../../../../secrets/admin", 503),
        ({}, "/peers/0/%2e%2e/%2e%2e/secrets/admin", 503),
        ({"Origin": "http://evil.example"}, "/v1/stock", 403),
        ({"Host": "evil.example"}, "/v1/stock", 403),
    ],
)
async def test_it_leads_to_peers_and_serves_no_page_in_a_browser(
    headers: dict[str, str], path: str, status: int
) -> None:
    cluster = Cluster()
    cluster.held.set()
    async with (
        served(cluster, make_app) as (url, http),
        http.get(URL(url + path, encoded=True), headers=headers) as answer,
    ):
        assert answer.status == status
