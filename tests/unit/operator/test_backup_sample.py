"""k8s/backup.yaml: what its command says, and what a namespace of the restricted standard wants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from bazaar_operator import labels
from bazaar_peer.command.app import app

FILE = Path(__file__).parents[3] / "k8s/backup.yaml"


def test_it_runs_a_command_that_there_is_as_the_restricted_standard_wants() -> None:
    claim, cron = yaml.safe_load_all(FILE.read_text())
    pod: dict[str, Any] = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    script = container["command"][-1]

    told = CliRunner().invoke(app, ["backup", "--help"])

    assert told.exit_code == 0
    assert all(word in told.stdout for word in ("--url", "--token-file"))
    assert script.startswith("rm -f /backups/*.new ")
    assert 'bazaar backup "/backups/' in script
    assert f"http://{labels.client_service('bazaar')}:{labels.CLIENT_PORT}" in script
    assert pod["volumes"][1]["secret"]["secretName"] == labels.admin_secret("bazaar")
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    security = pod["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"]) == (True, labels.UID)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    own = container["securityContext"]
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False
