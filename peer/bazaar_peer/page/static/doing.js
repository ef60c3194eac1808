/** What a person may do with a living ring: buy, and change the ring. */

import { adminHeaders, confirmed, freshKey, get, post, whyOf } from "./asking.js";
import { count } from "./format.js";
import { put } from "./ring.js";

const $ = (id) => document.getElementById(id);
const ASK_MS = 1000;
/** Names of items that are offered to whoever begins to write one. */
const NAMES_MAX = 50;
const SCALED =
  "How many peers there are is the resource's to say: kubectl scale bazaar NAME --replicas=N";
const LOOKS_ONLY =
  "This page looks, and buys; it cannot show the ring's token to a pod. Change the ring so: " +
  "kubectl scale bazaar NAME --replicas=N, or kubectl delete pod of the trader, which hands over.";
const AGAIN = "Press Buy again: it is the same order, and takes effect once.";
const NONE_LEFT = "unavailable: that much is not on offer";

export class Doing {
  /** @param {import("./stream.js").Stream} stream */
  constructor(stream) {
    this.stream = stream;
    this.ring = null;
    /** Its peers are pods, and an operator says how many. */
    this.cluster = false;
    this.tried = { order: "", key: "" };
    this.asked = 0;
    this.timer = 0;
    $("buy-item").addEventListener("focus", () => this._nameItems());
    $("buy").addEventListener("submit", (event) => {
      event.preventDefault();
      this._buy();
    });
    $("admin-form").addEventListener("submit", (event) => event.preventDefault());
    $("resign").addEventListener("click", () => this._resign());
    $("scale").addEventListener("click", () => this._scale());
  }

  /** Ask from now on; in a recorded ring nothing can be done. */
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
    if (document.hidden || this.asked || this.stream.failed) return;
    this.asked += 1;
    try {
      const ring = await get(this.stream.url, "/v1/ring");
      this.ring = ring;
      this._limit(ring.looks_only === true);
      this.stream.learn(ring.peers.map((peer) => peer.url));
    } catch {
      // The stream finds out by itself whether that peer is gone.
    } finally {
      this.asked -= 1;
    }
  }

  /** Offer the names of what can be bought now. */
  async _nameItems() {
    try {
      const { items } = await get(this.stream.url, "/v1/stock");
      const names = Object.keys(items).sort().slice(0, NAMES_MAX);
      $("items").replaceChildren(...names.map((name) => new Option(name, name)));
    } catch {
      // Whoever writes a name needs no list.
    }
  }

  async _buy() {
    const order = { item: $("buy-item").value, quantity: Number($("buy-quantity").value) };
    if ($("buy-buyer").value) order.buyer = $("buy-buyer").value;
    const same = JSON.stringify(order);
    // The same order again, after an answer that was lost, is a repeat and not a second one.
    if (this.tried.order !== same) this.tried = { order: same, key: freshKey() };
    put($("bought"), "ordered …");
    try {
      const base = this.stream.failed ? location.origin : this.stream.url;
      const key = { "Idempotency-Key": this.tried.key };
      const told = await post(base, "/v1/orders", order, key);
      const filled = `bought ${count(order.quantity)} ${order.item} for ${count(told.paid ?? 0)}`;
      put($("bought"), `${told.outcome === "filled" ? filled : NONE_LEFT} (entry ${told.index})`);
      this.tried.order = "";
    } catch (error) {
      put($("bought"), `Not known to be done: ${whyOf(error)}. ${AGAIN}`);
    }
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
