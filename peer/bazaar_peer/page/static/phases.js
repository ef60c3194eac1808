/** How the page stands to its ring, in words: connecting, live, lost, a file. Pure. */

import { several, span } from "./format.js";

/**
 * @param {string} phase @param {{live: boolean, silent: number, past: number, length: number,
 *   url: string, asked: number}} facts seconds without a word, behind now, and in all; whom it
 *   hears, how many were asked
 * @returns {string} in a few words, beside the name
 */
export function phaseWords(phase, { live, silent, past, length, url, asked }) {
  const near = url.replace(/^https?:\/\//, "");
  switch (phase) {
    case "live":
      return live ? `live from ${near}` : `${span(past)} ago`;
    case "file":
      return `a recorded ring, ${span(length)} of it`;
    case "moving":
      return "that peer is gone, asking the next one …";
    case "lost":
      return `nobody answers for ${span(silent)}: asked ${several(asked, "peer")}, and asking on`;
    case "mute":
      return "the ring answers, but keeps no record";
    case "other":
      return "another ring is at this address now: load the page again to see it";
    default:
      return "connecting …";
  }
}

const VEILS = {
  connecting: ["Connecting", "The ring is asked for its story."],
  file: ["An empty story", "There is a header in that file, and not one entry."],
  lost: [
    "Nobody answers",
    "Is the ring running? `bazaar up` starts one on this machine. This page goes on asking.",
  ],
  mute: [
    "No record",
    "The peers of this ring answer, but keep no record of what they do: it can be switched off.",
  ],
};

/**
 * @param {string} phase @returns {{head: string, words: string} | null} what stands in place of a
 * picture while there is none; null: the empty picture is true
 */
export function veilOf(phase) {
  const [head, words] = VEILS[phase === "moving" ? "lost" : phase] ?? [];
  return head ? { head, words } : null;
}
