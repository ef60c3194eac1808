/** A short stretch of time as lanes, one a peer: what was sent, what came in, what was noted. */

import { nameOf, ordinalOf } from "./format.js";
import { hueOf } from "./messages.js";
import { upTo } from "./record.js";
import { colourOf, theme } from "./theme.js";

/** Drawn at once, at most. */
const FLIGHTS_DRAWN = 1500;
const ENTRIES_READ = 20000;
const ROOM_FOR_NAMES = 7;

/** @param {CanvasRenderingContext2D} ctx */
export function drawLanes(ctx, view, range, x, { top, bottom, width }) {
  const { places } = view;
  if (!places.length) return;
  const tall = (bottom - top - 4) / places.length;
  const y = (place) => top + 2 + (places.indexOf(place) + 0.5) * tall;
  ctx.lineWidth = 1;
  for (const place of places) {
    ctx.fillStyle = theme("line");
    ctx.fillRect(0, y(place) - 0.5, width, 1);
  }
  drawMoves(ctx, view, range, x, y, tall);
  drawFlights(ctx, view, range, x, y);
  drawNotes(ctx, view, range, x, y, tall);
  if (tall >= ROOM_FOR_NAMES) drawNames(ctx, places, y, tall);
}

function drawNames(ctx, places, y, tall) {
  ctx.font = `600 ${Math.min(11, tall)}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  for (const place of places) {
    ctx.fillStyle = theme("panel");
    ctx.fillRect(0, y(place) - tall / 2 + 1, 14, tall - 2);
    ctx.fillStyle = theme("soft");
    ctx.fillText(nameOf(place), 3, y(place) + 0.5);
  }
}

function drawFlights(ctx, view, range, x, y) {
  const found = view.flights.between(range.from, range.to).slice(-FLIGHTS_DRAWN);
  for (const flight of found) {
    const from = y(ordinalOf(flight.from));
    const to = y(ordinalOf(flight.to));
    const sent = x(flight.at);
    const lost = flight.until === null;
    const came = lost ? sent + 5 : x(flight.until);
    ctx.strokeStyle = hueOf(view, flight);
    ctx.globalAlpha = lost ? 0.35 : 0.85;
    ctx.lineWidth = flight.message === "Election" ? 2 : 1.1;
    ctx.beginPath();
    ctx.moveTo(sent, from);
    ctx.lineTo(came, lost ? from + 0.35 * (to - from) : to);
    ctx.stroke();
    if (!lost) dot(ctx, came, to, 2, ctx.strokeStyle);
  }
  ctx.globalAlpha = 1;
}

/** A journal's growth and beats, as faint ticks. */
function drawMoves(ctx, view, range, x, y, tall) {
  const { entries } = view.record;
  const end = Math.min(upTo(entries, range.to), upTo(entries, range.from) + ENTRIES_READ);
  ctx.globalAlpha = 0.35;
  for (let i = upTo(entries, range.from); i < end; i += 1) {
    const entry = entries[i];
    if (entry.kind !== "moved" && entry.kind !== "beat") continue;
    ctx.fillStyle = colourOf(entry.epoch);
    const half = (entry.kind === "beat" ? 0.22 : 0.34) * tall;
    ctx.fillRect(x(entry.at), y(ordinalOf(entry.peer)) - half, 1, 2 * half);
  }
  ctx.globalAlpha = 1;
}

function drawNotes(ctx, view, range, x, y, tall) {
  const { entries } = view.record;
  const size = Math.min(3.4, 0.36 * tall);
  const end = Math.min(upTo(entries, range.to), upTo(entries, range.from) + ENTRIES_READ);
  for (let i = upTo(entries, range.from); i < end; i += 1) {
    const entry = entries[i];
    if (entry.kind !== "note" && entry.kind !== "fault") continue;
    const bad = entry.kind === "fault" || entry.note === "trader_lost";
    const epoch = entry.fields?.epoch ?? 0;
    const colour = bad
      ? theme("alarm")
      : entry.note === "election"
        ? theme("crown")
        : colourOf(epoch);
    ctx.strokeStyle = theme("panel");
    ctx.lineWidth = 1.2;
    dot(ctx, x(entry.at), y(ordinalOf(entry.peer)), size, colour);
    ctx.stroke();
  }
}

function dot(ctx, x, y, radius, colour) {
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.fill();
}
