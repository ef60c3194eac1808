/** Which entries can be used at all: a peer that had no room left parts of some out. Pure. */

const isNumber = Number.isFinite;
const isCount = (n) => Number.isSafeInteger(n) && n >= 0;
const isText = (text) => typeof text === "string";
const areNumbers = (list) => Array.isArray(list) && list.every(isNumber);
const ITEM = [isText, isNumber, isNumber];
const TRADE = [isText, isNumber, isText, isNumber];
const areRows = (list, cells) =>
  Array.isArray(list) && list.every((row) => cells.every((is, i) => is(row?.[i])));

/** What an entry of each kind must have, for whoever reads it. @type {Record<string, Function>} */
const NEEDS = {
  __proto__: null,
  key: (e) =>
    isNumber(e.epoch) &&
    isNumber(e.commit) &&
    areNumbers(e.end) &&
    areNumbers(e.members) &&
    e.clock !== null &&
    typeof e.clock === "object",
  note: (e) => isText(e.note),
  sent: (e) => isText(e.message) && areNumbers(e.to),
  got: (e) => isText(e.message) && isNumber(e.from),
  beat: (e) => isNumber(e.from) && isNumber(e.epoch),
  moved: (e) => isNumber(e.end) && isNumber(e.commit),
  order: (e) => isNumber(e.ms) && isText(e.outcome),
  market: (e) => isCount(e.index) && areRows(e.items, ITEM) && areRows(e.trades, TRADE),
  fault: (e) => isText(e.what) && areNumbers(e.others ?? []),
};

/** @param {unknown} entry @returns {boolean} whether it has a place and a meaning */
export function isSound(entry) {
  if (entry === null || typeof entry !== "object") return false;
  const { at, peer, boot, seq, kind } = entry;
  if (!isNumber(at) || !isText(kind) || ![peer, boot, seq].every(isCount)) return false;
  return NEEDS[kind]?.(entry) ?? true;
}
