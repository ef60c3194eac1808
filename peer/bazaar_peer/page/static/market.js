/** The market of a living ring: what is on offer, what was sold last; buying; changing the ring. */

import { adminHeaders, confirmed, freshKey, get, post, whyOf } from "./asking.js";
import { count } from "./format.js";
import { put } from "./ring.js";

const $ = (id) => document.getElementById(id);
const ASK_MS = 1000;
const ROWS = 8;
/** Trades are looked for so many entries back. */
const BACK = 300;
const SCALED =
  "How many peers there are is the resource's to say: kubectl scale bazaar NAME --replicas=N";
const LOOKS_ONLY =
  "This page looks, and buys; it cannot show the ring's token to a pod. Change the ring so: " +
  "kubectl scale bazaar NAME --replicas=N, or kubectl delete pod of the trader, which hands over.";
const NONE_LEFT = "unavailable: that much is not on offer";

export class Market {
  /** @param {import("./stream.js").Stream} stream */
  constructor(stream) {
    this.stream = stream;
    this.ring = null;
    /** Its peers are pods, and an operator says how many. */
    this.cluster = false;
    this.tried = { order: "", key: "" };
    this.asked = 0;
    this.timer = 0;
    $("buy").addEventListener("submit", (event) => {
      event.preventDefault();
      this._buy();
    });
    $("admin-form").addEventListener("submit", (event) => event.preventDefault());
    $("resign").addEventListener("click", () => this._resign());
    $("scale").addEventListener("click", () => this._scale());
  }

  /** Ask from now on; a recorded ring has no market. */
  start() {
    if (this.timer) return;
    this.timer = setInterval(() => this._ask(), ASK_MS);
    this._ask();
  }

  /** What cannot be done from here is not offered. @param {boolean} only it is looked at */
  _limit(only) {
    $("admin").hidden = only;
    $("scale").hidden = $("size-label").hidden = this.cluster;
    $("elsewhere").hidden = !(only || this.cluster);
    put($("elsewhere"), only ? LOOKS_ONLY : SCALED);
  }

  async _ask() {
    if (document.hidden || this.asked) return;
    if (this.stream.failed) {
      put($("market-when"), "as it was last known");
      return;
    }
    this.asked += 1;
    try {
      const base = this.stream.url;
      const [ring, stock] = await Promise.all([get(base, "/v1/ring"), get(base, "/v1/stock")]);
      this.ring = ring;
      this._limit(ring.looks_only === true);
      $("market").hidden = false;
      this.stream.learn(ring.peers.map((peer) => peer.url));
      const after = Math.max(0, stock.index - BACK);
      const { trades } = await get(base, `/v1/trades?after=${after}&limit=1000`);
      this._showStock(stock.items);
      this._showTrades(trades);
      put($("market-when"), "");
    } catch {
      put($("market-when"), "as it was last known");
    } finally {
      this.asked -= 1;
    }
  }

  _showStock(items) {
    const names = Object.keys(items).sort();
    rows(
      $("stock"),
      names.slice(0, ROWS).map((name) => {
        const { on_offer: left, lots } = items[name];
        return [name, count(left), lots.length ? `at ${count(lots[0].price)}` : ""];
      }),
      "nothing is on offer",
    );
    const list = $("items");
    const told = names.join();
    if (list.dataset.told === told) return;
    list.dataset.told = told;
    list.replaceChildren(
      ...names.slice(0, 50).map((name) => {
        const option = document.createElement("option");
        option.value = name;
        return option;
      }),
    );
  }

  _showTrades(trades) {
    rows(
      $("trades"),
      trades
        .slice(-ROWS)
        .reverse()
        .map((trade) => {
          return [`${trade.buyer}: ${count(trade.quantity)} ${trade.item}`, count(trade.paid)];
        }),
      "no trades so far",
    );
  }

  async _buy() {
    const order = { item: $("buy-item").value, quantity: Number($("buy-quantity").value) };
    if ($("buy-buyer").value) order.buyer = $("buy-buyer").value;
    const same = JSON.stringify(order);
    // The same order again, after an answer that was lost, is a repeat and not a second one.
    if (this.tried.order !== same) this.tried = { order: same, key: freshKey() };
    put($("bought"), "ordered …");
    try {
      const told = await post(location.origin, "/v1/orders", order, {
        "Idempotency-Key": this.tried.key,
      });
      const filled = `bought ${count(order.quantity)} ${order.item} for ${count(told.paid ?? 0)}`;
      put($("bought"), `${told.outcome === "filled" ? filled : NONE_LEFT} (entry ${told.index})`);
      this.tried.order = "";
    } catch (error) {
      put($("bought"), `Not known to be done: ${whyOf(error)}. ${this._elsewhere()}`);
    }
  }

  _elsewhere() {
    if (this.stream.url === location.origin)
      return "Press Buy again: it is the same order, and takes effect once.";
    return `The peer that this page came from is gone; open ${this.stream.url} to buy.`;
  }

  async _resign() {
    const { trader, epoch, peers } = this.ring ?? {};
    const row = peers?.find((peer) => peer.id === trader);
    if (!row) {
      put($("changed"), "There is no trader now.");
      return;
    }
    const words =
      `Trader ${trader} hands its reign of epoch ${epoch} over to another peer. ` +
      "Requests that are under way wait some milliseconds; none is lost.";
    if (!(await confirmed(`Let trader ${trader} resign?`, words, "Let it resign"))) return;
    const own = location.origin;
    const base = row.pid !== undefined ? this.stream.url : row.url;
    await this._change(base === own ? own : base, "/v1/resign", {}, "It hands over.");
  }

  async _scale() {
    const size = Number($("size").value);
    const ring = this.ring;
    if (!Number.isInteger(size) || size < 1 || !ring) {
      put($("changed"), "Say how many peers there should be.");
      return;
    }
    const way =
      size < ring.size
        ? "go, from the highest down; what they hold the others hold too"
        : "come, copy the state, and then vote";
    const words =
      `The ring has ${ring.size} peers and goes to ${size}, one at a time, while it trades. ` +
      `Peers ${way}.`;
    if (!(await confirmed(`Scale to ${size} peers?`, words, "Scale"))) return;
    const body = { size, generation: ring.generation + 1 };
    await this._change(this.stream.url, "/v1/members", body, `It goes to ${size} peers.`);
  }

  async _change(base, path, body, done) {
    try {
      await post(base, path, body, adminHeaders($("token").value));
      put($("changed"), done);
    } catch (error) {
      put($("changed"), `Not done: ${whyOf(error)}.`);
    }
  }
}

/** @param {HTMLElement} body @param {string[][]} wanted @param {string} none */
function rows(body, wanted, none) {
  const shown = wanted.length ? wanted : [[none]];
  while (body.rows.length > shown.length) body.deleteRow(-1);
  shown.forEach((cells, i) => {
    const row = body.rows[i] ?? body.insertRow();
    while (row.cells.length > cells.length) row.deleteCell(-1);
    cells.forEach((text, j) => {
      const cell = row.cells[j] ?? row.insertCell();
      cell.className = j ? "num" : wanted.length ? "" : "quiet";
      put(cell, text);
    });
  });
}
