"""What is done to a node, from outside of Kubernetes: processes, networks, the API server.

kind's nodes are containers. Cuts are made in the network namespace of a pod, with the node's own
iptables, so that they hold whether two pods share a node (and its bridge) or not.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.tools import attempt, run, until

VOLUMES = "/var/local-path-provisioner"
"""Where the default storage class of kind keeps volumes."""
KEPT = "/var/log/bazaar-e2e"
KEEP_LOGS = (
    f"exec 9>/run/bazaar-e2e.lock; flock -n 9 || exit; mkdir -p {KEPT}; "
    "while sleep 0.5; do for f in /var/log/pods/*/*/*.log; do "
    "d=${f#/var/log/pods/}; t=${d//\\//@}; "
    f'[ -e "{KEPT}/$t" ] || ln "$f" "{KEPT}/$t" 2>/dev/null; done; done'
)
"""Links every container's log to where it stays when its pod goes.

Bash, for two processes made for each log each time took their part of the two cores.
"""
HEADER = re.compile(r"^==> (\S+) <==\n", re.MULTILINE)
"""What `tail -v` writes above each file; a container's lines begin with their time."""
JOURNAL_LINES = 5000
FROM_API = '"kubernetes.io/config.source":"api"'
"""What a kubelet notes of a pod that is no file of its own."""
PROCESSES = (
    "for p in $(grep -lsE '{uid}|{other}' /proc/[0-9]*/cgroup); do p=${{p%/cgroup}}; "
    'echo "${{p#/proc/}} $(tr "\\0" " " <$p/cmdline)"; done 2>/dev/null'
)


@dataclass(frozen=True)
class Node:
    """A node by its name, which is its container's, too."""

    name: str

    def do(self, *words: object, seconds: float = 60.0) -> str:
        return run("docker", "exec", self.name, *words, seconds=seconds)

    def keep_logs(self) -> None:
        """Keep what containers log from now on, for as long as the node lives."""
        run("docker", "exec", "-d", self.name, "bash", "-c", KEEP_LOGS)

    def drop_logs(self, namespace: str) -> None:
        """Drop what was kept of an earlier namespace of that name."""
        self.do("sh", "-c", f"rm -f {KEPT}/{namespace}_*")

    def kept_logs(self, namespace: str) -> dict[str, str]:
        """Return kept logs of a namespace by their names, POD_UID@CONTAINER@N.log."""
        there = f"cd {KEPT} && tail -v -n +1 -- {namespace}_*@*.log 2>/dev/null || true"
        told = HEADER.split(self.do("sh", "-c", there))
        pairs = zip(told[1::2], told[2::2], strict=True)
        return {name.removeprefix(f"{namespace}_"): log for name, log in pairs}

    def keep_volumes(self, namespace: str, path: Path) -> None:
        """Copy the volumes of a namespace that lie on this node, as a packed archive."""
        packed = f"/tmp/{namespace}.tgz"
        # A file may change or go while it is read: what is there is better than nothing.
        pack = f"cd {VOLUMES} && tar -czf {packed} --ignore-failed-read *_{namespace}_*"
        attempt("docker", "exec", self.name, "sh", "-c", pack, seconds=120)
        attempt("docker", "cp", f"{self.name}:{packed}", path, seconds=120)
        attempt("docker", "exec", self.name, "rm", "-f", packed)

    def journal(self, *options: str) -> str:
        """Return what the services that run containers have told, the last of it."""
        read = ("journalctl", "--no-pager", "-u", "kubelet", "-u", "containerd", *options)
        done = attempt("docker", "exec", self.name, *read, "-n", JOURNAL_LINES, seconds=60)
        return done.stdout + done.stderr

    def changes(self) -> list[str]:
        """Return the lines in which the first process of the node tells of those services."""
        return self.journal("_PID=1", "-o", "short-iso").splitlines()

    def pid(self, uid: str, program: str = "bazaar") -> int:
        """Return the process of a pod, by the pod's uid, as the node numbers it.

        The pod's control group names it, on every node image and whatever tools that has.
        """
        found = self.do("sh", "-c", PROCESSES.format(uid=uid, other=uid.replace("-", "_")))
        told = [line.split(" ", 1) for line in found.splitlines()]
        pids = [int(pid) for pid, command in told if program in command]
        assert pids, f"{self.name} runs no {program} of pod {uid}: {found}"
        return min(pids)

    def kill(self, pid: int) -> None:
        self.do("sh", "-c", f"kill -9 {pid}")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop everything on the node, and let it go on."""
        run("docker", "pause", self.name)
        try:
            yield
        finally:
            run("docker", "unpause", self.name)

    @contextlib.contextmanager
    def cut(self, pid: int, addresses: list[str]) -> Iterator[None]:
        """Drop all packets between a pod, known by a process of it, and those addresses."""
        inside = ("nsenter", "-t", pid, "-n", "iptables")
        rules = [
            rule
            for address in addresses
            for rule in (("INPUT", "-s", address), ("OUTPUT", "-d", address))
        ]
        try:
            for chain, *match in rules:
                self.do(*inside, "-I", chain, *match, "-j", "DROP")
            yield
        finally:
            for chain, *match in rules:
                attempt("docker", "exec", self.name, *inside, "-D", chain, *match, "-j", "DROP")


@dataclass(frozen=True)
class ControlPlane(Node):
    """The node on which the API server runs."""

    @contextlib.contextmanager
    def api_stopped(self) -> Iterator[None]:
        """Stop the API server's process, and let it go on.

        Controllers and scheduler end whenever they lose their leases, and the kubelet lets them
        wait longer each time, up to five minutes; it forgets that when it starts anew.
        """
        self.do("pkill", "-STOP", "-x", "kube-apiserver")
        try:
            yield
        finally:
            self.do("pkill", "-CONT", "-x", "kube-apiserver")
            until(lambda: self._asked("/readyz"), "the API server answers again")
            self.do("systemctl", "restart", "kubelet")
            # Whoever wants a program run in a pod, before the kubelet knows its pods, is refused.
            until(self._knows_pods, "the kubelet knows its pods again")

    def _knows_pods(self) -> bool:
        """Tell whether it has heard of the API server's pods: it hears of all of them at once."""
        return FROM_API in self._asked(f"/api/v1/nodes/{self.name}/proxy/pods")

    def _asked(self, path: str) -> str:
        """Ask the API server; no text: no answer."""
        ask = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "get", "--raw", path)
        done = attempt("docker", "exec", self.name, *ask, seconds=30)
        return done.stdout if done.returncode == 0 else ""
