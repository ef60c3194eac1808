"""A ring is backed up while it trades, and another one begins with the backup."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.cluster import IMAGE, ROOT, Cluster
from tests.e2e.conftest import MakeRing
from tests.e2e.load import Load
from tests.e2e.ring import PRICELESS, Ring
from tests.e2e.tools import OWN_PATH, run, until

TOKEN = "--token-file /etc/bazaar-admin/token"
SOLD = ("sell", "salt", 7, "--price", PRICELESS, "--key", "own")


def shell(cluster: Cluster, words: str) -> str:
    """Run a line as a user types it."""
    return run("sh", "-ec", words, env=cluster.env | {"PATH": OWN_PATH})


def test_backup_of_a_ring_that_trades_becomes_another_ring(
    cluster: Cluster, make_ring: MakeRing, tmp_path: Path
) -> None:
    ring = make_ring("bazaar")
    lot, file = ring.traded(*SOLD)["lot"], tmp_path / "fair.backup"
    inside = f"kubectl -n {ring.namespace} exec"
    load = Load(cluster, ring.namespace, ring.name)
    load.start()
    shell(cluster, f"{inside} bazaar-0 -c peer -- bazaar backup - {TOKEN} > {file}")
    held = json.loads(shell(cluster, f"bazaar restore {file} --json"))
    assert (held["ring"], held["peers"]) == (ring.status()["ringId"], 3)
    assert load.stop()["failed"] == 0
    code, said = load.verify()
    assert code == 0, said
    ring.kubectl("delete", "pod", load.pod, "--now")

    again = Ring(cluster, ring.namespace, "again")
    again.apply(storage={"restoreFrom": held["backup"]})
    give = f"{inside} -i again-0 -c peer -- bazaar restore - --url http://127.0.0.1:8600 {TOKEN}"
    waits = f"begins with backup {held['backup']}"
    until(lambda: waits in again.condition("Ready").get("message", ""), again.told)
    assert again.status()["volumes"] == {}
    shell(cluster, f"{give} < {file}")
    again.wait("Available", 180)
    again.wait_settled()

    assert again.traded(*SOLD)["lot"] == lot, "a repeat is answered as before"
    assert again.traded("withdraw", lot, 7)["outcome"] == "withdrawn"
    assert ring.traded("withdraw", lot, 7)["outcome"] == "withdrawn", "each has its own"
    load = Load(cluster, again.namespace, again.name)
    load.start()
    load.stop()
    code, said = load.verify()
    assert (code, "no violation found" in said) == (0, True), said
    life = {m["id"]: m["incarnation"] for m in again.wait_settled()["members"]}[0]
    again.lose_volume(0, life)  # it learns from the others: the backup counts once


def test_backups_are_made_and_kept_by_a_cron_job(cluster: Cluster, make_ring: MakeRing) -> None:
    ring = make_ring("bazaar", peers=1)
    sample = (ROOT / "k8s/backup.yaml").read_text()
    assert sample.count("image: bazaar:dev") == 1
    ring.kubectl("apply", "-f", "-", stdin=sample.replace("image: bazaar:dev", f"image: {IMAGE}"))

    for job in ("first", "second"):
        ring.kubectl("create", "job", "--from=cronjob/bazaar-backup", job)
        done = ("wait", "--for=condition=Complete", f"job/{job}", "--timeout=120s")
        ring.kubectl(*done, seconds=150)
        said = ring.kubectl("logs", f"job/{job}")
        assert f"all that ring {ring.status()['ringId']} had up to index" in said
