/**
 * The tape: the ring's history, painted. Close up it becomes what happened between peers, message
 * by message, a lane each.
 */

import { moment, nameOf, span } from "./format.js";
import { drawLanes } from "./lanes.js";
import { colourOf, fitted, inkOn, theme } from "./theme.js";

const AXIS = 16;
const BAND = 24;
const MARKS = 15;
/** Below so many seconds across, messages are drawn instead of how many trades there were. */
const CLOSE_S = 1.2;
const TICK_PX = 92;
const TICKS = [
  1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5,
  10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600, 86400,
];
const SIGNS = {
  killed: ["alarm", "▼"],
  ended: ["alarm", "▽"],
  back: ["good", "▲"],
  paused: ["gold", "‖"],
  cut: ["alarm", "✂"],
  members: ["accent", "±"],
  other: ["faint", "•"],
};

/** @param {{from: number, to: number}} range @param {number} width */
export const scale = (range, width) => (at) =>
  ((at - range.from) / (range.to - range.from)) * width;

/**
 * @param {HTMLCanvasElement} canvas @param {object} view
 * @param {{from: number, to: number}} range
 */
export function drawTape(canvas, view, range) {
  const { ctx, width, height } = fitted(canvas);
  const x = scale(range, width);
  drawAxis(ctx, range, x, width);
  drawReigns(ctx, view, x, width, AXIS, BAND);
  drawElections(ctx, view, range, x, width, height);
  const below = { top: AXIS + BAND + MARKS, bottom: height - 1, width };
  if (range.to - range.from < CLOSE_S) drawLanes(ctx, view, range, x, below);
  else drawDensity(ctx, view, range, below);
  drawMarks(ctx, view, range, x);
  drawHead(ctx, view, x, width, height);
}

/** The whole story, small, and which part of it the tape shows. */
export function drawMap(canvas, view, range, whole) {
  const { ctx, width, height } = fitted(canvas);
  const x = scale(whole, width);
  ctx.globalAlpha = 0.75;
  drawReigns(ctx, view, x, width, 3, height - 6, false);
  ctx.globalAlpha = 1;
  ctx.fillStyle = theme("crown");
  for (const each of view.chapters.elections) ctx.fillRect(x(each.from) - 0.5, 1, 1.5, height - 2);
  ctx.strokeStyle = theme("ink");
  ctx.lineWidth = 1.5;
  const left = Math.max(0.75, x(range.from));
  ctx.strokeRect(left, 0.75, Math.max(3, Math.min(width - 0.75, x(range.to)) - left), height - 1.5);
  ctx.fillStyle = theme("ink");
  ctx.fillRect(x(view.moment) - 0.75, 0, 1.5, height);
}

/**
 * @param {{from: number, to: number}} range @param {number} width
 * @returns {{step: number, ticks: number[]}} never more than there is room for, whatever the range
 */
export function axisOf({ from, to }, width) {
  const least = ((to - from) * TICK_PX) / width;
  const day = TICKS[TICKS.length - 1];
  const step = TICKS.find((tick) => tick >= least) ?? Math.ceil(least / day) * day;
  const first = Math.ceil(from / step);
  const all = Array.from({ length: Math.ceil(width / TICK_PX) + 1 }, (_, i) => (first + i) * step);
  return { step, ticks: all.filter((at) => at <= to) };
}

function drawAxis(ctx, range, x, width) {
  const { step, ticks } = axisOf(range, width);
  const digits = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step) - 1e-9)));
  ctx.font = "11px system-ui, sans-serif";
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  for (const tick of ticks) {
    const at = x(tick);
    ctx.fillStyle = theme("line");
    ctx.fillRect(at, 0, 1, 400);
    ctx.fillStyle = theme("faint");
    ctx.fillText(moment(tick + 1e-9, digits), at + 4, 7);
  }
}

function drawReigns(ctx, view, x, width, top, height, words = true) {
  ctx.font = "600 12px system-ui, sans-serif";
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  for (const reign of view.chapters.reigns) {
    const from = Math.max(-2, x(reign.from));
    const to = Math.min(width + 2, x(Math.min(reign.until, view.last)));
    if (to < 0 || from > width) continue;
    ctx.fillStyle = colourOf(reign.epoch);
    ctx.fillRect(from, top, Math.max(1, to - from), height);
    if (!words) continue;
    const long = `epoch ${reign.epoch} · trader ${nameOf(reign.trader)}`;
    const seen = to - Math.max(0, from) - 18;
    const text = [long, `e${reign.epoch}`].find((each) => ctx.measureText(each).width < seen);
    ctx.fillStyle = inkOn(reign.epoch);
    if (text) ctx.fillText(text, Math.max(-3, from) + 10, top + height / 2 + 0.5);
  }
}

/** Nobody reigns meanwhile: an open band, gold where it was an election. */
function drawElections(ctx, view, range, x, width, height) {
  const open = view.chapters.open;
  const all = open
    ? [...view.chapters.elections, { from: open.at, until: view.last, ...open }]
    : view.chapters.elections;
  for (const each of all) {
    if (each.until < range.from || each.from > range.to) continue;
    const from = x(each.from);
    const wide = Math.max(2.5, x(each.until) - from);
    ctx.fillStyle = theme("crown");
    ctx.globalAlpha = 0.13;
    ctx.fillRect(from, AXIS, wide, height - AXIS);
    ctx.globalAlpha = 1;
    if (each.planned) diamond(ctx, from + Math.min(wide, 8) / 2, AXIS + BAND / 2);
    else ctx.fillRect(from, AXIS - 3, Math.min(wide, 2.5), BAND + 6);
    const words = `${each.planned ? "hand-over" : "election"} ${span(each.until - each.from)}`;
    ctx.font = "600 12px system-ui, sans-serif";
    ctx.textAlign = "left";
    ctx.fillStyle = theme("gold");
    const left = Math.max(from, 0) + (each.planned ? 16 : 9);
    if (ctx.measureText(words).width + left - from < wide) {
      ctx.fillText(words, left, AXIS + BAND / 2 + 0.5);
    }
  }
}

function diamond(ctx, x, y) {
  ctx.beginPath();
  ctx.moveTo(x, y - 6);
  ctx.lineTo(x + 5, y);
  ctx.lineTo(x, y + 6);
  ctx.lineTo(x - 5, y);
  ctx.closePath();
  ctx.fillStyle = theme("crown");
  ctx.strokeStyle = theme("panel");
  ctx.lineWidth = 1.5;
  ctx.fill();
  ctx.stroke();
}

function drawMarks(ctx, view, range, x) {
  ctx.font = "11px system-ui, sans-serif";
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  let last = -Infinity;
  for (const mark of view.chapters.marks) {
    if (mark.at < range.from || mark.at > range.to) continue;
    const at = x(mark.at);
    if (at - last < 3) continue;
    last = at;
    const [colour, sign] = SIGNS[mark.kind] ?? SIGNS.other;
    ctx.fillStyle = theme(colour);
    ctx.fillText(sign, at, AXIS + BAND + MARKS / 2);
  }
}

/** Entries committed a second, as a skyline. */
function drawDensity(ctx, view, range, { top, bottom, width }) {
  const columns = Math.max(1, Math.floor(width / 4));
  const step = (range.to - range.from) / columns;
  const around = Math.max(step, Math.min(1, 30 * step)) / 2;
  const rates = [];
  for (let i = 0; i < columns; i += 1) {
    const at = range.from + (i + 0.5) * step;
    const more = view.samples.commitAt(at + around) - view.samples.commitAt(at - around);
    rates.push(at < view.last && more > 0 ? more / (2 * around) : 0);
  }
  const most = Math.max(1, ...rates);
  ctx.fillStyle = theme("soft");
  ctx.globalAlpha = 0.42;
  rates.forEach((value, i) => {
    const tall = (value / most) * (bottom - top - 16);
    if (value) ctx.fillRect((i * width) / columns, bottom - tall, width / columns - 1, tall);
  });
  ctx.globalAlpha = 1;
  ctx.fillStyle = theme("faint");
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.font = "11px system-ui, sans-serif";
  ctx.fillText(`commits/s, at most ${most < 10 ? most.toFixed(1) : Math.round(most)}`, 4, top + 9);
}

function drawHead(ctx, view, x, width, height) {
  const at = x(view.moment);
  if (at < -8 || at > width + 8) return;
  ctx.fillStyle = theme("ink");
  ctx.fillRect(at - 0.75, 0, 1.5, height);
  ctx.beginPath();
  ctx.moveTo(at - 6, 0);
  ctx.lineTo(at + 6, 0);
  ctx.lineTo(at, 8);
  ctx.fill();
}
