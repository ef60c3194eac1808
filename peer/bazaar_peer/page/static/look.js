/** How a peer stands at a moment, in one word of the glossary and a sentence. Pure. */

import { listed, nameOf, span } from "./format.js";

/** No word of a peer for so long: nothing is known of it. */
const UNKNOWN_S = 2.5;
/** A journal that is so many entries behind is catching up. */
const BEHIND = 500;

/**
 * @typedef {{kind: string, word: string, detail: string}} Look
 * @param {import("./model.js").Peer} peer @param {import("./model.js").State} state
 * @param {number} at @param {number[]} members @returns {Look}
 */
export function lookOf(peer, state, at, members) {
  const away = awayOf(peer, at, members);
  if (away) return away;
  const doubts = doubtsOf(peer, state);
  if (peer.role === "trader" && 2 * doubts.length > members.length) {
    const who = severalOf(doubts);
    const words = `${who} lost it; it may still believe that it trades in epoch ${peer.epoch}.`;
    return look("suspected", "suspected", words);
  }
  if (peer.role === "trader") {
    const cut = peer.cut.length ? `, cut off from ${listed(peer.cut)}` : "";
    return look("trader", "trader", `It trades: epoch ${peer.epoch}${cut}${lostBy(doubts)}.`);
  }
  if (peer.role === "nominee") {
    const of = `${peer.promises.length} of ${members.length}`;
    return look("nominee", `nominee ${of}`, `It stands for epoch ${peer.epoch}: ${of} promised.`);
  }
  if (peer.role === "handing") return look("leaving", "hands over", "It hands its reign over.");
  if (peer.role === "leaving") return look("leaving", "leaving", "It leaves the ring for good.");
  if (peer.role === "learner" || state.commit() - peer.commit > BEHIND) {
    const lacks = Math.max(0, state.commit() - peer.commit);
    const why =
      peer.role === "learner" ? "It copies the state, and has no vote so far" : "It copies";
    return look("catching", "catching up", `${why}: ${lacks} entries are missing.`);
  }
  return followerLook(peer, doubts);
}

/** @returns {number[]} who takes it for unreachable */
function doubtsOf(peer, state) {
  const others = [...state.peers.values()];
  return others.filter((p) => p.alive && p.lost.includes(peer.id)).map((p) => p.id);
}

const severalOf = (ids) => `${ids.length > 1 ? "Peers" : "Peer"} ${listed(ids)}`;
const lostBy = (ids) => (ids.length ? `; ${severalOf(ids).toLowerCase()} lost it` : "");

const look = (kind, word, detail) => ({ kind, word, detail });

/** Of a peer that is not there. @returns {Look | null} */
function awayOf(peer, at, members) {
  if (peer.gone === "removed" || (!peer.alive && !members.includes(peer.id))) {
    return look("removed", "removed", "It is no member of the ring any more.");
  }
  if (!peer.alive) return look("dead", "dead", `It is down: ${peer.gone}.`);
  if (peer.paused) return look("paused", "paused", "Its process stands still.");
  if (peer.seenAt < at - UNKNOWN_S) {
    const since = Number.isFinite(peer.seenAt) ? ` for ${span(at - peer.seenAt)}` : "";
    return look("unknown", "unknown", `Nothing is known of it${since}.`);
  }
  return null;
}

function followerLook(peer, doubts) {
  if (doubts.length) return look("suspected", "suspected", `${severalOf(doubts)} lost it.`);
  if (peer.cut.length) return look("cut", "cut off", `It is cut off from ${listed(peer.cut)}.`);
  if (peer.trader < 0 && peer.promisedTo >= 0) {
    const to = nameOf(peer.promisedTo);
    return look("promised", `promised ${to}`, `It promised epoch ${peer.epoch} to peer ${to}.`);
  }
  if (peer.trader < 0) return look("alone", "hears nobody", "It hears no trader.");
  const name = nameOf(peer.trader);
  return look("follower", `follows ${name}`, `It follows trader ${name} of epoch ${peer.epoch}.`);
}

/**
 * @param {import("./model.js").Peer} peer @param {number} at @param {number} timeout seconds
 * @returns {number} what is left of the silence that it bears: 1 all, 0 nothing
 */
export function patience(peer, at, timeout) {
  return Math.min(1, Math.max(0, 1 - (at - peer.heardAt) / timeout));
}
