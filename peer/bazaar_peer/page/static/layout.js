/** Where peers stand: in the order of their ids, clockwise from the top. Pure. */

/**
 * @typedef {{x: number, y: number, angle: number}} Spot
 * @typedef {{spots: Map<number, Spot>, radius: number, x: number, y: number,
 *   crowded: boolean}} Layout
 * `crowded`: words and journals stand outside the ring, for there is no room below
 */

/** Room above a peer for its crown, and below for its word and its journal. */
const ABOVE = 14;
const BELOW = 56;
/** Room beside it where they stand outside. */
const BESIDE = 84;
const WIDEST = 1.32;
const CROWD = 11;
/** Below this width the words at the lower edge have no corner of their own. */
const NARROW = 560;

/**
 * @param {number[]} places in order @param {number} width @param {number} height
 * @returns {Layout}
 */
export function layoutOf(places, width, height) {
  const crowded = places.length > CROWD;
  const count = Math.max(places.length, 3);
  const side = Math.min(width, height);
  const most = Math.max(9, Math.min(0.06 * side + 6, (0.92 * side) / count, 54));
  const up = most + (crowded ? 44 : ABOVE + 0.5 * most);
  const down = most + (crowded ? 36 : BELOW) + (width < NARROW ? 14 : 0);
  const beside = crowded ? Math.min(BESIDE, 0.19 * width) : Math.max(14, 46 - most);
  const tall = Math.max(40, (height - up - down) / 2);
  const room = (width - 2 * (most + beside)) / 2;
  const wide = Math.max(40, Math.min(room, WIDEST * tall));
  // Neighbours are nearest where the ring is flattest.
  const nearest = 2 * Math.sin(Math.PI / count) * Math.min(wide, tall);
  const radius = Math.min(most, 0.44 * nearest);
  const x = width / 2;
  const y = up + tall;
  const spots = new Map();
  places.forEach((place, i) => {
    const angle = -Math.PI / 2 + (2 * Math.PI * i) / places.length;
    spots.set(place, { x: x + wide * Math.cos(angle), y: y + tall * Math.sin(angle), angle });
  });
  return { spots, radius, x, y, crowded };
}

/** @param {Layout} layout @returns {number} the height of the words below a peer */
export const wordsOf = (layout) => Math.max(11, 0.317 * layout.radius);

/** Below this share of its height to its side a peer's words stand above or below it. */
const STEEP = 0.42;

/**
 * Where a peer's word stands, and its journal beside it.
 * @param {Layout} layout @param {Spot} spot
 * @returns {"below" | "above" | "left" | "right"}
 */
export function sideOf(layout, spot) {
  if (!layout.crowded) return "below";
  const across = Math.cos(spot.angle);
  if (Math.abs(across) < STEEP) return spot.y < layout.y ? "above" : "below";
  return across < 0 ? "left" : "right";
}

/**
 * A message's path bends a little to its right, so that both directions of a pair are apart.
 * @param {Spot} a @param {Spot} b @returns {(t: number) => {x: number, y: number}}
 */
export function pathOf(a, b) {
  const bend = 0.13;
  const cx = (a.x + b.x) / 2 - (b.y - a.y) * bend;
  const cy = (a.y + b.y) / 2 + (b.x - a.x) * bend;
  return (t) => {
    const s = 1 - t;
    return {
      x: s * s * a.x + 2 * s * t * cx + t * t * b.x,
      y: s * s * a.y + 2 * s * t * cy + t * t * b.y,
    };
  };
}

/**
 * Move a way's ends from the middle of two peers to their rims.
 * @param {number} t 0 … 1 of what is seen @param {number} length of the way @param {number} rim
 */
export function betweenRims(t, length, rim) {
  const cut = Math.min(0.45, rim / Math.max(length, 1));
  return cut + t * (1 - 2 * cut);
}
