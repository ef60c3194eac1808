/** Colours. An epoch's colour is never alone: its number always stands beside it. */

/** Okabe and Ito's palette, told apart by all eyes, in an order in which neighbours differ most. */
const CYCLE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];
const INKS = ["#ffffff", "#1a1200", "#00150d", "#1f0714", "#04141d", "#1a0800"];
const NONE = "#8a8f98";

/** @param {number} epoch @returns {string} */
export const colourOf = (epoch) => (epoch > 0 ? CYCLE[epoch % CYCLE.length] : NONE);

/** @param {number} epoch @returns {string} what can be read on that colour */
export const inkOn = (epoch) => (epoch > 0 ? INKS[epoch % INKS.length] : "#ffffff");

/** @param {number} epoch @returns {string} its colour, as dark or light as words must be */
export const wordColour = (epoch) => `color-mix(in oklab, ${colourOf(epoch)} 72%, var(--ink))`;

const NAMES = [
  "crown",
  "ink",
  "soft",
  "faint",
  "line",
  "ground",
  "panel",
  "alarm",
  "gold",
  "good",
  "accent",
];

/** @type {Record<string, string>} */
let found = {};

/** Read the style sheet's colours; again whenever light turns to dark. */
export function readTheme() {
  const style = getComputedStyle(document.documentElement);
  found = Object.fromEntries(
    NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
  );
}

/** @param {string} name @returns {string} a colour of the style sheet */
export const theme = (name) => found[name];

const calmness = matchMedia("(prefers-reduced-motion: reduce)");

/** @returns {boolean} whether this person wants things to keep still */
export const still = () => calmness.matches;

/** Sizes of canvases; asked of the browser in each frame they would cost a layout. */
const sizes = new WeakMap();
const resized = new ResizeObserver((changes) => {
  for (const { target, contentRect } of changes) sizes.set(target, contentRect);
});

/** @param {HTMLCanvasElement} canvas @returns {{width: number, height: number}} */
function sizeOf(canvas) {
  const known = sizes.get(canvas);
  if (known) return known;
  resized.observe(canvas);
  const first = { width: canvas.clientWidth, height: canvas.clientHeight };
  sizes.set(canvas, first);
  return first;
}

/**
 * Fit a canvas to its box, in the pixels of this screen.
 * @param {HTMLCanvasElement} canvas
 * @returns {{ctx: CanvasRenderingContext2D, width: number, height: number}}
 */
export function fitted(canvas) {
  const dots = Math.min(window.devicePixelRatio || 1, 2);
  const { width, height } = sizeOf(canvas);
  if (canvas.width !== Math.round(width * dots) || canvas.height !== Math.round(height * dots)) {
    canvas.width = Math.round(width * dots);
    canvas.height = Math.round(height * dots);
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(dots, 0, 0, dots, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return { ctx, width, height };
}
