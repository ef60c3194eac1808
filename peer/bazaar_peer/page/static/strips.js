/** The newest part of each peer's journal: one window for all, so that a lag is seen as a gap. */

import { ordinalOf } from "./format.js";
import { sideOf, wordsOf } from "./layout.js";
import { colourOf, theme } from "./theme.js";

/** The window moves by so many cells a second at most; beyond that a cell stands for more. */
const CELLS_A_SECOND = 6;
const CELLS = 12;

/** How many entries a cell stands for, and where the window ends. Pure. */
export class Window {
  constructor() {
    this.cell = 1;
    this.end = 0;
  }

  /**
   * @param {number} newest the highest end of all journals
   * @param {number} rate entries a second of the one who watches
   */
  follow(newest, rate) {
    let cell = 1;
    while (rate / cell > CELLS_A_SECOND) cell *= 2;
    // It shrinks late, or it would flicker between two sizes.
    if (cell > this.cell || cell <= this.cell / 4 || rate === 0) this.cell = cell;
    this.end = Math.ceil(newest / this.cell) * this.cell;
  }

  get begin() {
    return Math.max(0, this.end - CELLS * this.cell);
  }

  get words() {
    const entries = this.cell === 1 ? "one entry" : `${this.cell} entries`;
    return `journals: entries ${this.begin + 1} – ${this.end}, a cell is ${entries}`;
  }
}

/**
 * @param {CanvasRenderingContext2D} ctx @param {import("./layout.js").Layout} layout
 * @param {object} view @param {Window} window
 */
export function drawStrips(ctx, layout, view, window) {
  const width = layout.crowded ? 3.4 : Math.max(5, 0.13 * layout.radius);
  const height = layout.crowded ? 5.5 : Math.max(7, 0.18 * layout.radius);
  const step = width + 1.2;
  for (const peer of view.state.peers.values()) {
    const spot = layout.spots.get(ordinalOf(peer.id));
    if (!spot || peer.gone === "removed") continue;
    const [left, top] = cornerOf(layout, spot, CELLS * step);
    ctx.globalAlpha = peer.alive ? 1 : 0.45;
    for (let i = 0; i < CELLS; i += 1) {
      const last = window.begin + (i + 1) * window.cell;
      if (last <= 0) continue;
      const colour = colourOf(view.chapters.epochOf(last));
      drawCell(ctx, left + i * step, top, width, height, standing(peer, last, window.cell), colour);
    }
    ctx.globalAlpha = 1;
  }
}

/** Where a strip of that length begins. */
function cornerOf(layout, spot, length) {
  const r = layout.radius;
  if (!layout.crowded) return [spot.x - length / 2, spot.y + r + 17 + wordsOf(layout)];
  const side = sideOf(layout, spot);
  if (side === "left") return [spot.x - r - 11 - length, spot.y + 3];
  if (side === "right") return [spot.x + r + 11, spot.y + 3];
  return [spot.x - length / 2, side === "above" ? spot.y - r - 17 : spot.y + r + 11];
}

/** @returns {"committed" | "uncommitted" | "missing"} of the entries of a cell the least */
export function standing(peer, last, cell) {
  if (peer.commit >= last) return "committed";
  if (peer.commit > last - cell) return cell > 1 ? "committed" : "uncommitted";
  return peer.end[1] > last - cell ? "uncommitted" : "missing";
}

function drawCell(ctx, x, y, width, height, kind, colour) {
  if (kind === "committed") {
    ctx.fillStyle = colour;
    ctx.fillRect(x, y, width, height);
    return;
  }
  ctx.strokeStyle = kind === "missing" ? theme("faint") : colour;
  ctx.lineWidth = 1;
  ctx.setLineDash(kind === "missing" ? [1.2, 1.8] : []);
  ctx.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  ctx.setLineDash([]);
}
