"""The entry point of `bazaar` and of `python -m bazaar_peer`."""

import os
import signal
import sys


def end_if_first() -> None:
    """Let SIGTERM end a container's first process while it still imports.

    The kernel keeps it from the first process of a container until something handles it: a pod
    deleted in its first second would wait for the whole of its grace period.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))


def kubectl_plugin() -> None:
    """Run as `kubectl bazaar`: the ring is the Bazaar `bazaar` of the present namespace."""
    os.environ.setdefault("BAZAAR_URL", "kube:bazaar")
    main("kubectl bazaar")


def main(program: str = "bazaar") -> None:
    end_if_first()
    # Either takes most of a second. A peer that starts takes it from the others of its node.
    if sys.argv[1:2] == ["serve"]:
        # aiohttp reads whom the whole system trusts; a peer trusts its ring's authority alone.
        os.environ |= dict.fromkeys(("SSL_CERT_FILE", "SSL_CERT_DIR"), os.devnull)
        from bazaar_peer.command.serve import main as run  # noqa: PLC0415
    else:
        from bazaar_peer.command.app import main as run  # noqa: PLC0415
    run(program)


if __name__ == "__main__":
    main()
