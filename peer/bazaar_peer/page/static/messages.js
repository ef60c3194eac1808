/** Messages on their way: discs that travel, or arrows where things should keep still. */

import { ordinalOf } from "./format.js";
import { betweenRims, pathOf } from "./layout.js";
import { disc } from "./signs.js";
import { colourOf, theme } from "./theme.js";

/** Each is seen for so long of the watcher's time at least, however fast it was. */
const SEEN_S = 0.5;
/** Drawn at once; of more only the newest. */
const DRAWN_MAX = 160;
const NAMED_MAX = 8;
/** Names nearer than that would cover each other. */
const APART = { x: 78, y: 14 };
const LOST_AT = 0.55;

/**
 * The colour of a message: of the epoch that it names, or of the one that its sender is in.
 * @param {object} view @param {import("./flights.js").Flight} flight
 */
export function hueOf(view, flight) {
  const sender = view.state.peers.get(ordinalOf(flight.from));
  return colourOf(flight.epoch || (sender?.epoch ?? 0));
}

/**
 * @param {CanvasRenderingContext2D} ctx @param {import("./layout.js").Layout} layout
 * @param {object} view
 */
export function drawMessages(ctx, layout, view) {
  const least = SEEN_S * view.speed;
  const found = view.flights.between(view.moment, view.moment, least).slice(-DRAWN_MAX);
  const named = [];
  for (const flight of found) {
    const from = layout.spots.get(ordinalOf(flight.from));
    const to = layout.spots.get(ordinalOf(flight.to));
    if (!from || !to || from === to) continue;
    const took = Math.max((flight.until ?? flight.at) - flight.at, least);
    const share = Math.min(1, Math.max(0, (view.moment - flight.at) / took));
    const way = wayOf(from, to, layout.radius + 6);
    const hue = hueOf(view, flight);
    if (view.still) drawArrow(ctx, way, flight, hue);
    else drawDisc(ctx, way, flight, share, hue);
    if (found.length > NAMED_MAX) continue;
    const spot = way(view.still ? 0.5 : shown(flight, share));
    const near = (other) =>
      Math.abs(other.x - spot.x) < APART.x && Math.abs(other.y - spot.y) < APART.y;
    if (named.some(near)) continue;
    named.push(spot);
    ctx.globalAlpha = flight.until === null && !view.still ? 1 - share : 1;
    drawName(ctx, spot, flight);
    ctx.globalAlpha = 1;
  }
}

function wayOf(from, to, rim) {
  const path = pathOf(from, to);
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  return (t) => path(betweenRims(t, length, rim));
}

/** A message that nobody says to have got ends on its way. */
const shown = (flight, share) => (flight.until === null ? share * LOST_AT : share);

function drawDisc(ctx, way, flight, share, hue) {
  const at = shown(flight, share);
  const fade = flight.until === null ? 1 - share : 1;
  const token = flight.message === "Election";
  ctx.strokeStyle = hue;
  ctx.lineWidth = 2;
  for (let i = 1; i <= 6; i += 1) {
    const a = way(Math.max(0, at - 0.03 * i));
    const b = way(Math.max(0, at - 0.03 * (i - 1)));
    ctx.globalAlpha = fade * 0.5 * (1 - i / 7);
    line(ctx, a, b);
  }
  const spot = way(at);
  ctx.globalAlpha = fade;
  ctx.fillStyle = token ? theme("crown") : hue;
  ctx.strokeStyle = theme("ground");
  ctx.lineWidth = 1.5;
  disc(ctx, spot.x, spot.y, token ? 6.5 : 4.8);
  ctx.fill();
  ctx.stroke();
  ctx.globalAlpha = 1;
}

function drawArrow(ctx, way, flight, hue) {
  ctx.strokeStyle = hue;
  ctx.fillStyle = ctx.strokeStyle;
  ctx.lineWidth = 1.6;
  ctx.setLineDash(flight.until === null ? [4, 4] : []);
  ctx.beginPath();
  for (let t = 0; t <= 1.001; t += 0.1) {
    const { x, y } = way(t);
    if (t === 0) ctx.moveTo(x, y);
    else ctx.lineTo(x, y);
  }
  ctx.stroke();
  ctx.setLineDash([]);
  const tip = way(1);
  const back = way(0.92);
  const angle = Math.atan2(tip.y - back.y, tip.x - back.x);
  ctx.beginPath();
  ctx.moveTo(tip.x, tip.y);
  ctx.lineTo(tip.x - 9 * Math.cos(angle - 0.4), tip.y - 9 * Math.sin(angle - 0.4));
  ctx.lineTo(tip.x - 9 * Math.cos(angle + 0.4), tip.y - 9 * Math.sin(angle + 0.4));
  ctx.fill();
}

function line(ctx, a, b) {
  ctx.beginPath();
  ctx.moveTo(a.x, a.y);
  ctx.lineTo(b.x, b.y);
  ctx.stroke();
}

function drawName(ctx, spot, flight) {
  ctx.font = "600 11.5px system-ui, sans-serif";
  ctx.textAlign = "center";
  ctx.textBaseline = "alphabetic";
  const name = flight.message.slice(0, 24);
  ctx.lineWidth = 4;
  ctx.strokeStyle = theme("ground");
  ctx.lineJoin = "round";
  ctx.strokeText(name, spot.x, spot.y - 11);
  ctx.fillStyle = theme("ink");
  ctx.fillText(name, spot.x, spot.y - 11);
}
