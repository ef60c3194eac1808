/** How names, times and numbers are written. Pure. */

/** A life's id is its ordinal and, in the bits above, its incarnation. */
const LIFE = 65536;

/** @param {number} id @returns {number} the place in the ring, which all lives of a peer share */
export const ordinalOf = (id) => id % LIFE;

/** @param {number} id @returns {number} how many lives stood in that place before */
export const incarnationOf = (id) => Math.floor(id / LIFE);

/** @param {number} id @returns {string} "3", or "3.1" for a later life */
export function nameOf(id) {
  if (id < 0) return "nobody";
  const life = incarnationOf(id);
  return life ? `${ordinalOf(id)}.${life}` : String(ordinalOf(id));
}

/** Neighbours in a long list are told as from – to. */
const RUN = 4;

/** @param {number[]} ids in order @returns {string[]} */
function runs(ids) {
  const names = [];
  for (let begin = 0, end = 0; begin < ids.length; begin = end) {
    for (end = begin + 1; ids[end] === ids[end - 1] + 1; end += 1);
    if (end - begin >= RUN) names.push(`${nameOf(ids[begin])} to ${nameOf(ids[end - 1])}`);
    else names.push(...ids.slice(begin, end).map(nameOf));
  }
  return names;
}

/** @param {Iterable<number>} ids in order @returns {string} "1, 2 and 4", or "0 to 5 and 9" */
export function listed(ids) {
  const all = [...ids];
  const names = all.length > 2 * RUN ? runs(all) : all.map(nameOf);
  const last = names.pop() ?? "none";
  return names.length ? `${names.join(", ")} and ${last}` : last;
}

/** @param {number} seconds @returns {string} a length of time, at the grain that matters */
export function span(seconds) {
  const s = Math.abs(seconds);
  if (s < 0.9995e-3) return `${Math.round(s * 1e6)} µs`;
  if (s < 9.95e-3) return `${(s * 1e3).toFixed(1)} ms`;
  if (s < 0.9995) return `${Math.round(s * 1e3)} ms`;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return `${Math.round(s / 3600)} h`;
}

/** @param {number} ms @returns {string} milliseconds of a request */
export function millis(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 10000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** @param {number} value @returns {string} a count a second */
export function rate(value) {
  if (!Number.isFinite(value)) return "–";
  return value < 9.95 ? value.toFixed(1) : String(Math.round(value));
}

/** @param {number} n @returns {string} 12 345 */
export const count = (n) => n.toLocaleString("en").replaceAll(",", "\u202f");

/** @param {number} n @param {string} one @returns {string} "1 order", "2 orders" */
export const several = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;

const two = (n) => String(n).padStart(2, "0");

/**
 * Write a moment: the time of day of a real ring, the time since its start of a simulated one.
 * @param {number} at seconds
 * @param {number} digits behind the second
 */
export function moment(at, digits = 3) {
  const real = at > 1e9;
  const ticks = Math.floor(Math.max(0, at) * 10 ** digits + 1e-3);
  const whole = Math.floor(ticks / 10 ** digits);
  const part = String(ticks % 10 ** digits).padStart(digits, "0");
  const date = new Date(whole * 1000);
  const hours = real ? date.getHours() : Math.floor(whole / 3600);
  const minutes = real ? date.getMinutes() : Math.floor(whole / 60) % 60;
  const clock = `${two(hours)}:${two(minutes)}:${two(whole % 60)}`;
  return digits ? `${clock}.${part}` : clock;
}

/** @param {number} speed @returns {string} "0.001×" */
export const times = (speed) => `${speed >= 1 ? speed : Number(speed.toPrecision(2))}×`;
