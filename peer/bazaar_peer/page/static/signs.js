/** How each kind of peer is drawn: no two alike, even without their words and colours. */

import { colourOf, theme } from "./theme.js";

const TURN = 2 * Math.PI;

/** @param {CanvasRenderingContext2D} ctx */
export function disc(ctx, x, y, radius) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, TURN);
}

/**
 * @param {CanvasRenderingContext2D} ctx @param {import("./layout.js").Spot} spot
 * @param {number} radius @param {import("./model.js").Peer} peer @param {string} kind
 */
export function drawBody(ctx, spot, radius, peer, kind) {
  const paint = BODIES[kind] ?? BODIES.follower;
  ctx.save();
  paint(ctx, spot.x, spot.y, radius, peer);
  ctx.restore();
}

/** @returns {boolean} whether what is written on it stands on the epoch's colour */
export const isFilled = (kind) => !["dead", "removed", "unknown", "catching"].includes(kind);

function filled(ctx, x, y, radius, peer) {
  ctx.fillStyle = colourOf(peer.epoch);
  disc(ctx, x, y, radius);
  ctx.fill();
}

function outlined(ctx, x, y, radius, colour, dash) {
  ctx.fillStyle = theme("panel");
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.6;
  ctx.setLineDash(dash);
  disc(ctx, x, y, radius - 0.8);
  ctx.fill();
  ctx.stroke();
  ctx.setLineDash([]);
}

function hatched(ctx, x, y, radius, colour) {
  disc(ctx, x, y, radius - 2);
  ctx.clip();
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1;
  ctx.globalAlpha = 0.5;
  ctx.beginPath();
  for (let d = -2 * radius; d < 2 * radius; d += 6) {
    ctx.moveTo(x + d - radius, y + radius);
    ctx.lineTo(x + d + radius, y - radius);
  }
  ctx.stroke();
}

/** @type {Record<string, Function>} */
const BODIES = {
  follower: filled,
  alone: filled,
  promised: filled,
  trader(ctx, x, y, radius, peer) {
    const colour = colourOf(peer.epoch);
    ctx.fillStyle = colour;
    ctx.globalAlpha = 0.16;
    disc(ctx, x, y, radius + 13);
    ctx.fill();
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colour;
    ctx.lineWidth = 2.5;
    disc(ctx, x, y, radius + 5);
    ctx.stroke();
    filled(ctx, x, y, radius, peer);
    crown(ctx, x, y - radius - 8, Math.max(8, radius * 0.42));
  },
  leaving(ctx, x, y, radius, peer) {
    filled(ctx, x, y, radius, peer);
    outlinedRing(ctx, x, y, radius + 5, colourOf(peer.epoch), [4, 4]);
    ctx.globalAlpha = 0.55;
    crown(ctx, x, y - radius - 8, Math.max(8, radius * 0.42));
  },
  nominee(ctx, x, y, radius, peer) {
    filled(ctx, x, y, radius, peer);
    outlinedRing(ctx, x, y, radius + 4, colourOf(peer.epoch), [2, 3]);
  },
  suspected(ctx, x, y, radius, peer) {
    filled(ctx, x, y, radius, peer);
    outlinedRing(ctx, x, y, radius + 10, theme("alarm"), [3, 4]);
  },
  cut(ctx, x, y, radius, peer) {
    filled(ctx, x, y, radius, peer);
    outlinedRing(ctx, x, y, radius + 10, theme("alarm"), [14, 9]);
  },
  paused(ctx, x, y, radius, peer) {
    ctx.globalAlpha = 0.45;
    filled(ctx, x, y, radius, peer);
    ctx.globalAlpha = 1;
    ctx.fillStyle = theme("gold");
    ctx.fillRect(x - 5, y - radius - 17, 3.5, 11);
    ctx.fillRect(x + 1.5, y - radius - 17, 3.5, 11);
  },
  catching(ctx, x, y, radius, peer) {
    outlined(ctx, x, y, radius, colourOf(peer.epoch), []);
    ctx.globalAlpha = 0.3;
    ctx.fillStyle = colourOf(peer.epoch);
    ctx.beginPath();
    ctx.arc(x, y, radius - 2, 0.12 * Math.PI, 0.88 * Math.PI);
    ctx.fill();
  },
  dead(ctx, x, y, radius) {
    outlined(ctx, x, y, radius, theme("alarm"), []);
    const d = radius + 4;
    ctx.strokeStyle = theme("alarm");
    ctx.lineWidth = 1.6;
    ctx.beginPath();
    ctx.moveTo(x - d, y + d);
    ctx.lineTo(x - 0.62 * radius, y + 0.62 * radius);
    ctx.moveTo(x + 0.62 * radius, y - 0.62 * radius);
    ctx.lineTo(x + d, y - d);
    ctx.stroke();
  },
  unknown(ctx, x, y, radius) {
    outlined(ctx, x, y, radius, theme("faint"), [4, 4]);
    hatched(ctx, x, y, radius, theme("faint"));
  },
  removed(ctx, x, y, radius) {
    outlined(ctx, x, y, radius * 0.6, theme("faint"), [1.5, 3.5]);
  },
};

function outlinedRing(ctx, x, y, radius, colour, dash) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.8;
  ctx.setLineDash(dash);
  disc(ctx, x, y, radius);
  ctx.stroke();
  ctx.setLineDash([]);
}

/** @param {number} size half its width; (x, y) is the middle of its lower edge */
function crown(ctx, x, y, size) {
  const w = size;
  const h = 1.15 * size;
  ctx.fillStyle = theme("crown");
  ctx.beginPath();
  ctx.moveTo(x - w * 0.82, y);
  ctx.lineTo(x - w, y - h * 0.78);
  ctx.lineTo(x - w * 0.45, y - h * 0.42);
  ctx.lineTo(x, y - h);
  ctx.lineTo(x + w * 0.45, y - h * 0.42);
  ctx.lineTo(x + w, y - h * 0.78);
  ctx.lineTo(x + w * 0.82, y);
  ctx.closePath();
  ctx.fill();
}

/** What is left of the silence that a follower bears. @param {number} share 1 … 0 */
export function drawPatience(ctx, spot, radius, share) {
  ctx.lineWidth = 3;
  ctx.strokeStyle = theme("line");
  disc(ctx, spot.x, spot.y, radius + 5);
  ctx.stroke();
  if (share <= 0.004) return;
  ctx.strokeStyle = share < 0.34 ? theme("alarm") : theme("soft");
  ctx.beginPath();
  ctx.arc(spot.x, spot.y, radius + 5, -Math.PI / 2, -Math.PI / 2 + TURN * share);
  ctx.stroke();
}

/** A dot for each member whose promise a nominee has, towards whom it came from. */
export function drawPromises(ctx, spots, spot, radius, peer, members, placeOf) {
  const ring = radius + 10;
  for (const member of members) {
    const from = spots.get(placeOf(member));
    if (!from) continue;
    const own = member === peer.id;
    const angle = own ? -Math.PI / 2 : Math.atan2(from.y - spot.y, from.x - spot.x);
    const has = peer.promises.includes(member);
    disc(ctx, spot.x + ring * Math.cos(angle), spot.y + ring * Math.sin(angle), has ? 4 : 2.6);
    ctx.fillStyle = has ? colourOf(peer.epoch) : theme("ground");
    ctx.strokeStyle = has ? theme("ground") : theme("faint");
    ctx.lineWidth = has ? 1.4 : 1;
    ctx.fill();
    ctx.stroke();
  }
}

/** What its own agent does in the market: buys ▽, sells △, both ◇, rests –. */
export function drawMarket(ctx, spot, radius, market) {
  const x = spot.x + 0.82 * radius;
  const y = spot.y + 0.82 * radius;
  const s = Math.max(3, radius * 0.13);
  disc(ctx, x, y, 2 * s);
  ctx.fillStyle = theme("ground");
  ctx.fill();
  ctx.fillStyle = theme("soft");
  ctx.beginPath();
  if (market === "buyer" || market === "both") {
    ctx.moveTo(x - s, y + (market === "both" ? 0 : -0.7 * s));
    ctx.lineTo(x + s, y + (market === "both" ? 0 : -0.7 * s));
    ctx.lineTo(x, y + 1.1 * s);
  }
  if (market === "seller" || market === "both") {
    ctx.moveTo(x - s, y + (market === "both" ? 0 : 0.7 * s));
    ctx.lineTo(x + s, y + (market === "both" ? 0 : 0.7 * s));
    ctx.lineTo(x, y - 1.1 * s);
  }
  if (!market) ctx.rect(x - s, y - 0.8, 2 * s, 1.6);
  ctx.fill();
}
