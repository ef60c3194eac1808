/** The market at the moment that is shown: what was on offer, what had been sold last. */

import { count } from "./format.js";
import { put } from "./ring.js";

const $ = (id) => document.getElementById(id);

export class Goods {
  constructor() {
    /** What the tables show; an entry is never changed. @type {object | null | undefined} */
    this.drawn = undefined;
    this.clear();
  }

  clear() {
    /** A story of a ring that counts, say, has no market. */
    this.known = false;
  }

  /** @param {object} entry */
  fold(entry) {
    if (entry.kind === "market") this.known = true;
  }

  /**
   * @param {object} view
   * @param {{alive: boolean, lost: boolean}} ring alive: it answers; lost: nobody tells of it now
   */
  draw({ state, live }, { alive, lost }) {
    const { market } = state;
    $("market").hidden = !(this.known || alive);
    put($("market-when"), whenOf(market, live, lost));
    if (market === this.drawn) return;
    this.drawn = market;
    rows($("stock"), market?.items.map(itemRow), market ? "nothing is on offer" : "–");
    rows($("trades"), market?.trades.map(tradeRow), market ? "no trades so far" : "–");
  }
}

function whenOf(market, live, lost) {
  if (!market) return live ? "" : "not known of this moment";
  if (live) return lost ? "as it was last known" : "";
  return `as of entry ${count(market.index)}`;
}

const itemRow = ([name, left, price]) => [name, count(left), `at ${count(price)}`];
const tradeRow = ([buyer, quantity, item, paid]) => [
  `${buyer}: ${count(quantity)} ${item}`,
  count(paid),
];

/** @param {HTMLElement} body @param {string[][]} wanted @param {string} none */
function rows(body, wanted, none) {
  const shown = wanted?.length ? wanted : [[none]];
  while (body.rows.length > shown.length) body.deleteRow(-1);
  shown.forEach((cells, i) => {
    const row = body.rows[i] ?? body.insertRow();
    while (row.cells.length > cells.length) row.deleteCell(-1);
    cells.forEach((text, j) => {
      const cell = row.cells[j] ?? row.insertCell();
      cell.className = j ? "num" : wanted?.length ? "" : "quiet";
      put(cell, text);
    });
  });
}
