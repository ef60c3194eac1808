/** The ring: peers as buttons that can be reached by key, and all that moves on a canvas below. */

import { nameOf, ordinalOf, span } from "./format.js";
import { layoutOf, sideOf } from "./layout.js";
import { lookOf, patience } from "./look.js";
import { drawMessages } from "./messages.js";
import { drawBody, drawMarket, drawPatience, drawPromises, isFilled } from "./signs.js";
import { drawStrips, Window } from "./strips.js";
import { colourOf, fitted, inkOn, theme, wordColour } from "./theme.js";

const $ = (id) => document.getElementById(id);
/** An arc that is refilled more often than the eye follows is drawn calm. */
const CALM_S = 0.2;

/** @param {HTMLElement} element @param {string} text */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Put a box's children in order, and move none that stands right: what is moved loses the focus.
 * @param {HTMLElement} box @param {HTMLElement[]} children
 */
export function arrange(box, children) {
  let next = box.firstElementChild;
  for (const child of children) {
    if (child === next) next = next.nextElementSibling;
    else box.insertBefore(child, next);
  }
}

/** What goes on while no reign is whole. */
function stageOf(loss, trader) {
  if (!trader) return "for";
  return trader.role === "handing" || loss.planned ? "hands over, for" : "begins, after";
}

export class Ring {
  /** @param {(place: number | null, kept: boolean) => void} choose hears what is pointed at */
  constructor(choose) {
    this.choose = choose;
    this.canvas = $("ring");
    this.box = $("peers");
    /** @type {Map<number, {button: HTMLButtonElement, parts: HTMLElement[], told: string}>} */
    this.buttons = new Map();
    /** @type {Map<number, number>} */
    this.calm = new Map();
    this.window = new Window();
    this.shape = "";
    this.layout = layoutOf([], 1, 1);
  }

  /** @param {object} view */
  draw(view) {
    const { ctx, width, height } = fitted(this.canvas);
    this._arrange(view.places, width, height);
    for (const peer of view.state.peers.values()) this._soothe(view, peer);
    this._threads(ctx, view);
    const newest = Math.max(0, ...[...view.state.peers.values()].map((peer) => peer.end[1]));
    this.window.follow(newest, (view.rate || 0) * (view.playing ? view.speed : 0.05));
    for (const place of view.places) this._peer(ctx, view, place);
    drawStrips(ctx, this.layout, view, this.window);
    drawMessages(ctx, this.layout, view);
    this._centre(view);
    put($("window"), newest ? this.window.words : "");
  }

  _arrange(places, width, height) {
    const shape = `${places.join()}|${width}x${height}`;
    if (shape === this.shape) return;
    this.shape = shape;
    this.layout = layoutOf(places, width, height);
    this.box.classList.toggle("crowded", this.layout.crowded);
    for (const place of places) if (!this.buttons.has(place)) this._make(place);
    for (const [place, { button }] of this.buttons) {
      const spot = this.layout.spots.get(place);
      button.hidden = !spot;
      if (!spot) continue;
      const r = this.layout.radius;
      button.dataset.side = sideOf(this.layout, spot);
      Object.assign(button.style, {
        width: `${2 * r}px`,
        height: `${2 * r}px`,
        fontSize: `${Math.max(10, r * 0.48)}px`,
        transform: `translate(${spot.x - r}px, ${spot.y - r}px)`,
      });
    }
    // Tabbing goes round the ring.
    arrange(
      this.box,
      places.map((place) => this.buttons.get(place).button),
    );
  }

  _make(place) {
    const button = document.createElement("button");
    const parts = ["b", "small", "span"].map((tag) => document.createElement(tag));
    button.className = "peer";
    button.type = "button";
    button.dataset.place = String(place);
    button.append(...parts);
    button.addEventListener("pointerenter", () => this.choose(place, false));
    button.addEventListener("pointerleave", () => this.choose(null, false));
    button.addEventListener("focus", () => this.choose(place, false));
    button.addEventListener("blur", () => this.choose(null, false));
    button.addEventListener("click", () => this.choose(place, true));
    this.buttons.set(place, { button, parts, told: "" });
  }

  /** Who hears the trader is tied to it, the brighter the fresher the last beat. */
  _threads(ctx, view) {
    for (const peer of view.state.peers.values()) {
      if (!peer.alive || peer.role === "trader" || peer.trader < 0) continue;
      const a = this.layout.spots.get(ordinalOf(peer.trader));
      const b = this.layout.spots.get(ordinalOf(peer.id));
      if (!a || !b) continue;
      ctx.globalAlpha = 0.42 * (this.calm.get(peer.id) ?? 0.6);
      ctx.strokeStyle = colourOf(peer.epoch);
      ctx.lineWidth = 1.2;
      ctx.beginPath();
      ctx.moveTo(a.x, a.y);
      ctx.lineTo(b.x, b.y);
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
  }

  /** What is left of a peer's patience, without the flicker of beats that come too fast to see. */
  _soothe(view, peer) {
    if (view.beats.areSparse(peer, view.moment, view.timeout)) {
      this.calm.delete(peer.id);
      return;
    }
    const share = patience(peer, view.moment, view.timeout);
    const before = this.calm.get(peer.id);
    const fast = view.playing && view.beat / view.speed < CALM_S && before !== undefined;
    const weight = fast ? 1 - Math.exp(-view.dt / 0.12) : 1;
    this.calm.set(peer.id, fast ? before + (share - before) * weight : share);
  }

  _peer(ctx, view, place) {
    const spot = this.layout.spots.get(place);
    const peer = view.state.peers.get(place);
    const { radius, spots, crowded } = this.layout;
    if (!peer) {
      drawBody(ctx, spot, radius, null, "removed");
      this._tell(place, "absent", String(place), "", "not there yet", "transparent");
      return;
    }
    const look = lookOf(peer, view.state, view.moment, view.members);
    const waits = peer.alive && !peer.paused && look.kind !== "unknown" && look.kind !== "removed";
    if (waits && this.calm.has(peer.id) && !["trader", "nominee", "leaving"].includes(look.kind)) {
      drawPatience(ctx, spot, radius, this.calm.get(peer.id));
    }
    drawBody(ctx, spot, radius, peer, look.kind);
    if (look.kind === "nominee") {
      drawPromises(ctx, spots, spot, radius, peer, view.members, ordinalOf);
    }
    if (waits && !crowded && peer.market) {
      drawMarket(ctx, spot, radius, look.kind === "trader" ? "" : peer.market);
    }
    const ink = isFilled(look.kind) ? inkOn(peer.epoch) : theme("ink");
    this._tell(place, look.kind, nameOf(peer.id), `e${peer.epoch}`, look.word, ink);
  }

  _tell(place, kind, name, epoch, word, ink) {
    const known = this.buttons.get(place);
    const told = [kind, name, epoch, word, ink].join("|");
    if (known.told === told) return;
    known.told = told;
    const { button, parts } = known;
    const bare = kind === "removed" || kind === "absent";
    button.dataset.kind = kind;
    parts[0].textContent = name;
    parts[1].textContent = bare || kind === "unknown" ? "" : epoch;
    parts[2].textContent = word;
    button.style.color = ink === "transparent" ? theme("faint") : ink;
    parts[2].style.color = "";
    button.setAttribute(
      "aria-label",
      `peer ${name}, ${word}, epoch ${epoch.slice(1) || "unknown"}`,
    );
  }

  _centre(view) {
    const reign = view.chapters.reignAt(view.moment);
    const trader = view.state.trader();
    const loss = trader && reign?.trader === trader.id ? null : view.chapters.lossAt(view.moment);
    const epoch = view.state.epoch();
    $("stage").classList.toggle("without", !trader && view.state.peers.size > 0);
    put($("c-epoch"), epoch ? `epoch ${epoch}` : "");
    $("c-epoch").style.color = epoch ? wordColour(epoch) : "";
    if (!view.state.peers.size) return;
    put($("c-trader"), trader ? `trader ${nameOf(trader.id)}` : "no trader");
    let since = "";
    if (loss) since = `${stageOf(loss, trader)} ${span(view.moment - loss.at)}`;
    else if (trader && reign) since = `since ${span(view.moment - reign.from)}`;
    put($("c-since"), since);
  }
}
