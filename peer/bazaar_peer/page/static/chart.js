/** Orders as points: when, how long on a logarithmic scale, and what came of them. */

import { upTo } from "./record.js";
import { fitted, theme } from "./theme.js";

/** So many seconds up to the moment. */
const SPAN_S = 60;
const LOW_MS = 0.1;
const HIGH_MS = 10000;
const LEFT = 46;
const FOOT = 15;
const OUTCOMES = ["ok", "unavailable", "rejected", "failed"];
const DECADES = [0.1, 1, 10, 100, 1000, 10000];

/** @param {HTMLCanvasElement} canvas @param {object} view */
export function drawChart(canvas, view) {
  const { ctx, width, height } = fitted(canvas);
  const bottom = height - FOOT;
  const from = view.moment - SPAN_S;
  const x = (at) => LEFT + ((at - from) / SPAN_S) * (width - LEFT - 6);
  const log = Math.log(HIGH_MS / LOW_MS);
  const y = (ms) => {
    const clamped = Math.min(HIGH_MS, Math.max(LOW_MS, ms));
    return bottom - (Math.log(clamped / LOW_MS) / log) * (bottom - 6);
  };
  drawGrid(ctx, x, y, width, bottom, from);
  drawBands(ctx, view, x, bottom, from);
  drawPoints(ctx, view.samples.orders, from, view.moment, x, y, width, height);
}

function drawGrid(ctx, x, y, width, bottom, from) {
  ctx.font = "11px system-ui, sans-serif";
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  for (const ms of DECADES) {
    ctx.fillStyle = theme("line");
    ctx.fillRect(LEFT, y(ms), width - LEFT, 1);
    ctx.fillStyle = theme("faint");
    ctx.fillText(ms < 1000 ? `${ms} ms` : `${ms / 1000} s`, LEFT - 6, y(ms));
  }
  ctx.textBaseline = "alphabetic";
  ctx.textAlign = "center";
  for (const ago of [60, 45, 30, 15]) {
    ctx.fillText(`−${ago} s`, Math.max(LEFT + 12, x(from + SPAN_S - ago)), bottom + 13);
  }
  ctx.textAlign = "right";
  ctx.fillText("now", width - 6, bottom + 13);
}

function drawBands(ctx, view, x, bottom, from) {
  ctx.fillStyle = theme("crown");
  for (const each of view.chapters.elections) {
    if (each.until < from || each.from > view.moment) continue;
    const left = Math.max(LEFT, x(each.from));
    ctx.globalAlpha = 0.3;
    ctx.fillRect(left, 0, Math.max(2.5, x(Math.min(each.until, view.moment)) - left), bottom);
  }
  const open = view.chapters.lossAt(view.moment);
  if (open && open.at >= from && !view.chapters.elections.some((each) => each.from === open.at)) {
    ctx.globalAlpha = 0.3;
    ctx.fillRect(x(open.at), 0, Math.max(2.5, x(view.moment) - x(open.at)), bottom);
  }
  ctx.globalAlpha = 1;
}

/** A pixel is painted once for each outcome, so that thousands of points cost no more. */
function drawPoints(ctx, orders, from, until, x, y, width, height) {
  const taken = new Set();
  const end = upTo(orders, until);
  for (let i = upTo(orders, from); i < end; i += 1) {
    const { at, ms, outcome } = orders[i];
    const px = Math.round(x(at));
    const py = Math.round(y(ms));
    const cell = (py * 4096 + px) * 4 + OUTCOMES.indexOf(outcome);
    if (taken.has(cell) || px > width || py > height) continue;
    taken.add(cell);
    drawPoint(ctx, px, py, outcome);
  }
  ctx.globalAlpha = 1;
}

function drawPoint(ctx, x, y, outcome) {
  ctx.globalAlpha = 0.75;
  if (outcome === "ok") {
    ctx.fillStyle = theme("accent");
    ctx.fillRect(x - 1.2, y - 1.2, 2.4, 2.4);
    return;
  }
  ctx.globalAlpha = 1;
  ctx.lineWidth = 1.3;
  ctx.strokeStyle = theme(outcome === "unavailable" ? "gold" : "alarm");
  ctx.beginPath();
  if (outcome === "unavailable") {
    ctx.arc(x, y, 2.5, 0, 2 * Math.PI);
  } else {
    ctx.moveTo(x - 3, y - 3);
    ctx.lineTo(x + 3, y + 3);
    ctx.moveTo(x - 3, y + 3);
    ctx.lineTo(x + 3, y - 3);
  }
  ctx.stroke();
}
