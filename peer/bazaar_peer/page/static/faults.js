/** What can be done to a peer of a ring on this machine, told in words before it is done. Pure. */

import { nameOf, span } from "./format.js";

/** What a fault does to the process, and what that means if it trades. */
const FAULTS = {
  killed: {
    does: "Kill",
    happens: "Its process ends at once (SIGKILL), as by a power cut; its disk stays.",
    trading: "the others notice at once or within {t}, and elect another trader.",
  },
  paused: {
    does: "Pause",
    happens: "Its process stands still (SIGSTOP) until it is resumed, and does not know it.",
    trading: "the others elect another trader after {t} of silence.",
  },
  resumed: {
    does: "Resume",
    happens: "Its process goes on (SIGCONT).",
    trading: "it learns from the first message whether another one trades by now.",
  },
  cut: {
    does: "Cut off",
    happens: "No message passes between it and any other peer until it is healed, or for a minute.",
    trading: "it steps down, and a majority of the others elects another trader.",
  },
  healed: {
    does: "Heal",
    happens: "Messages pass again, and it copies what it lacks.",
    trading: "it goes on, unless another one trades in a later epoch.",
  },
};

/** @param {import("./model.js").Peer} peer @returns {string[]} what can be done to it now */
export function faultsFor(peer) {
  if (!peer.alive) return [];
  return ["killed", peer.paused ? "resumed" : "paused", peer.cut.length ? "healed" : "cut"];
}

/** @param {string} what @returns {string} what its button says */
export const labelOf = (what) => `${FAULTS[what].does} …`;

/**
 * @param {string} what @param {import("./model.js").Peer} peer
 * @param {number} timeout seconds of silence that a follower bears
 * @returns {{head: string, words: string, yes: string}} the question
 */
export function questionOf(what, peer, timeout) {
  const { does, happens, trading } = FAULTS[what];
  const then = trading.replace("{t}", span(timeout));
  const trades = peer.role === "trader";
  const rest = trades ? `It trades in epoch ${peer.epoch}: ${then}` : "It does not trade.";
  return { head: `${does} peer ${nameOf(peer.id)}?`, words: `${happens} ${rest}`, yes: does };
}
