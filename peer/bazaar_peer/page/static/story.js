/**
 * What happened, in sentences; the wording of `bazaar top`. Pure.
 *
 * The same of several peers, a moment apart, is one line. A line knows when it became true of whom,
 * so that it can be told as it stood at any moment.
 */

import { listed, nameOf, span } from "./format.js";
import { upTo } from "./record.js";

const LINES_MAX = 4000;
const FOLD_S = 2;

export const SENTENCES = {
  trader_lost: "lost trader {trader} of epoch {epoch}: {why}",
  election: "hears no trader and starts an election, attempt {attempt}",
  poll: "asks who hears a trader of epoch {epoch}",
  nominated: "nominates {nominee} for the epoch after {epoch}",
  nominee: "stands for epoch {epoch}",
  promised: "promised epoch {epoch} to {to}",
  invested: "has {promises} promises for epoch {epoch}",
  nominee_failed: "did not become trader of epoch {epoch}: {why}",
  attempt_failed: "gives this election up, and waits",
  reign_begun: "trades: epoch {epoch} has begun",
  follows: "follows trader {trader} of epoch {epoch}",
  hears_again: "hears trader {trader} of epoch {epoch} again",
  hand_over: "hands its reign of epoch {epoch} over",
  successor_named: "names {successor} for its successor",
  post_reopened: "found nobody to take it, and trades on",
  stepped_down: "steps down from epoch {epoch}: {why}",
  members_changed: "changes the members: {voters} vote",
  second_trader: "refused {second}, a second sender of epoch {epoch}",
  checkpoint_sent: "sends its state up to {index} to {to}",
  checkpoint_installed: "took a state up to {index}",
  removed: "is removed from the ring",
};

/** What is told with its length where that is known. */
const HEARS_NONE = "hears no trader";
const PEERS = new Set(["trader", "nominee", "to", "successor", "second"]);
const PLURALS = {
  follows: "follow",
  hears: "hear",
  asks: "ask",
  is: "are",
  gives: "give",
  starts: "start",
};
const TONES = {
  trader_lost: "bad",
  stepped_down: "bad",
  second_trader: "bad",
  nominee_failed: "bad",
  election: "gold",
  nominee: "gold",
  nominated: "gold",
  promised: "gold",
  invested: "gold",
  reign_begun: "good",
  hand_over: "gold",
  members_changed: "note",
  removed: "note",
};

/** @param {string} kind @param {object} fields @returns {string} without who; empty: no story */
export function sentence(kind, fields) {
  const words = Object.hasOwn(SENTENCES, kind) ? SENTENCES[kind] : "";
  return words.replace(/\{(\w+)\}/g, (_, name) => {
    const value = fields[name];
    if (value === undefined || value === null) return "?";
    return PEERS.has(name) && Number.isInteger(value) ? nameOf(value) : String(value);
  });
}

/** @param {object} entry @param {{at: number, trader: number}} [heard] @returns {string} */
function silenceOf(entry, heard) {
  if (!heard || heard.trader < 0) return HEARS_NONE;
  return `has not heard from trader ${nameOf(heard.trader)} for ${span(entry.at - heard.at)}`;
}

/**
 * @param {object} entry @param {{at: number, trader: number}} [heard] whom its peer heard last
 * @returns {{words: string, tone: string} | null}
 */
function told(entry, heard) {
  if (entry.kind === "note") {
    const plain = sentence(entry.note, entry.fields ?? {});
    const words = plain.replace(HEARS_NONE, silenceOf(entry, heard));
    return words ? { words, tone: TONES[entry.note] ?? "" } : null;
  }
  if (entry.kind === "started") return { words: "starts", tone: "good" };
  if (entry.kind === "ended") return { words: `ended: ${entry.why}`, tone: "bad" };
  if (entry.kind !== "fault") return null;
  const others = entry.others?.length ? ` from ${listed(entry.others)}` : "";
  return { words: `is ${entry.what}${others}`, tone: entry.what === "healed" ? "good" : "bad" };
}

export class Story {
  constructor() {
    this.clear();
  }

  clear() {
    /** @type {Map<number, {at: number, trader: number}>} when a peer last heard whom */
    this.heard = new Map();
    /** @type {{at: number, words: string, tone: string, note: string, epoch: number,
     *   peers: {id: number, at: number}[]}[]} */
    this.lines = [];
  }

  /** @param {object} entry the next one, in the order of time */
  fold(entry) {
    const { at, peer } = entry;
    this._listen(entry);
    const found = told(entry, this.heard.get(peer));
    if (!found) return;
    for (let i = this.lines.length - 1; i >= 0 && at - this.lines[i].at <= FOLD_S; i -= 1) {
      const line = this.lines[i];
      if (line.words === found.words && !line.peers.some((each) => each.id === peer)) {
        line.peers.push({ id: peer, at });
        return;
      }
    }
    const epoch = entry.fields?.epoch ?? 0;
    this.lines.push({ at, ...found, note: entry.note ?? "", epoch, peers: [{ id: peer, at }] });
    if (this.lines.length > LINES_MAX) this.lines.splice(0, LINES_MAX >> 2);
  }

  /** Of whom a peer heard last, and when: a silence is told with its length, once. */
  _listen(entry) {
    const { kind, peer, at } = entry;
    const trader = kind === "beat" ? entry.from : (entry.fields?.trader ?? -1);
    if (kind === "beat" || entry.note === "follows") this.heard.set(peer, { at, trader });
    else if (kind === "started" || entry.note === "promised") this.heard.delete(peer);
  }

  /**
   * @param {number} at @param {number} most
   * @returns {{key: string, at: number, text: string, tone: string}[]} the lines of then, the
   *   newest first; what a line says may change, its key does not
   */
  linesAt(at, most, chapters, voters) {
    const end = upTo(this.lines, at);
    return this.lines
      .slice(Math.max(0, end - most), end)
      .reverse()
      .map((line) => ({
        key: `${line.at} ${line.words}`,
        at: line.at,
        tone: line.tone,
        text: textOf(line, at, chapters, voters),
      }));
  }
}

function textOf(line, at, chapters, voters) {
  const ids = line.peers.filter((each) => each.at <= at).map((each) => each.id);
  ids.sort((a, b) => a - b);
  const verb = line.words.split(" ", 1)[0];
  const words =
    ids.length > 1 && PLURALS[verb] ? PLURALS[verb] + line.words.slice(verb.length) : line.words;
  const rest = tail(line, ids, chapters, voters);
  return `${ids.length > 1 ? "peers" : "peer"} ${listed(ids)} ${words}${rest}`;
}

/** What the sentence leaves out: how many of how many, and after how long. */
function tail(line, ids, chapters, voters) {
  if (line.note === "promised" && voters) return ` (${ids.length + 1} of ${voters})`;
  if (line.note !== "reign_begun") return "";
  const election = chapters.elections.find((each) => each.epoch === line.epoch);
  if (!election || election.until <= election.from) return "";
  const since = election.planned ? "the hand-over began" : "the loss";
  return `, ${span(election.until - election.from)} after ${since}`;
}
