"""The command line against a ring: answers, `--json`, and exit codes 0, 1 and 2."""

from __future__ import annotations

import pytest

from bench.rig import Ring
from tests.integration.ring.conftest import bazaar, one_object


def test_ring_names_trader_and_every_peer(trading: Ring) -> None:
    found = one_object("ring", "--url", f"http://127.0.0.1:{trading.port + 1}")

    trader = found["trader"]
    assert {"trader", "epoch", "commit_index", "peers"} <= found.keys()
    assert [peer["id"] for peer in found["peers"]] == [0, 1, 2]
    for peer in found["peers"]:
        assert peer["url"] == f"http://127.0.0.1:{trading.port + peer['id']}"
        assert peer["pid"] > 0
        assert (peer["trader"], peer["epoch"]) == (trader, found["epoch"])
        assert (peer["role"] == "trader") == (peer["id"] == trader)
        assert peer["applied_index"] > 0
        assert peer["clock"]
        assert peer["suspected"] is False


def test_selling_buying_and_withdrawing_through_different_peers(trading: Ring) -> None:
    urls = [f"http://127.0.0.1:{trading.port + peer}" for peer in range(3)]

    sold = one_object("sell", "wool", 10, "--price", 7, "--seller", "ann", "--url", urls[0])
    bought = one_object("buy", "wool", 3, "--buyer", "eve", "--key", "w1", "--url", urls[1])
    again = one_object("buy", "wool", 3, "--buyer", "eve", "--key", "w1", "--url", urls[2])
    taken = one_object("withdraw", sold["lot"], 7, "--url", urls[2])
    at = ("--url", urls[0])
    trade = one_object("trades", "--after", bought["index"] - 1, *at)["trades"][0]

    assert (sold["outcome"], bought["outcome"], bought["paid"]) == ("deposited", "filled", 21)
    assert again == bought
    assert (taken["outcome"], taken["quantity"]) == ("withdrawn", 7)
    assert (trade["index"], trade["buyer"], trade["paid"]) == (bought["index"], "eve", 21)
    assert "wool" not in one_object("stock", *at)["items"]
    assert one_object("accounts", *at)["accounts"]["eve"]["paid"] in {21, "21"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("buy", "Wool!", "3"), 2, "item"),
        (("buy", "wool", "0"), 2, "quantity"),
        (("withdraw", "0", "1"), 2, "lot"),
        (("sell", "wool", "3"), 2, "--price"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else None,
)
def test_misuse_is_told_in_words(
    trading: Ring, words: tuple[str, ...], code: int, said: str
) -> None:
    done = bazaar(*words, "--url", f"http://127.0.0.1:{trading.port}")

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_there_is_a_failure_and_no_misuse() -> None:
    done = bazaar("stock", "--url", "http://127.0.0.1:9")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("bazaar: no answer from http://127.0.0.1:9")
