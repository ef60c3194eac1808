/**
 * What each peer is at a moment: entries in, state out. Pure.
 *
 * Peers are known by their place; a later life takes the place over, and nothing of an older one
 * counts any more.
 */

import { incarnationOf, ordinalOf } from "./format.js";

/** What a peer tells so much later than it was paused was not under way then: it runs again. */
const UNDER_WAY_S = 0.5;

/**
 * @typedef {object} Peer
 * @property {number} id @property {number} boot @property {number} seenAt last word of its own
 * @property {boolean} alive @property {string} gone why it is not @property {boolean} paused
 * @property {number} pausedAt the last time
 * @property {string} role @property {number} epoch
 * @property {number} promisedTo -1: not known
 * @property {number} trader whom it hears; -1: nobody @property {number} heardAt
 * @property {number[]} end [epoch, index] @property {number} commit @property {number} applied
 * @property {Record<string, number>} clock @property {number[]} members @property {string} market
 * @property {number[]} promises whose it has, as a nominee
 * @property {number[]} lost whom it takes for unreachable @property {number[]} cut
 */

/** @param {number} id @returns {Peer} */
function unknownPeer(id) {
  return {
    id,
    boot: 0,
    seenAt: -Infinity,
    alive: true,
    gone: "",
    paused: false,
    pausedAt: -Infinity,
    role: "follower",
    epoch: 0,
    promisedTo: -1,
    trader: -1,
    heardAt: -Infinity,
    end: [0, 0],
    commit: 0,
    applied: 0,
    clock: {},
    members: [],
    market: "",
    promises: [],
    lost: [],
    cut: [],
  };
}

/** @param {Peer} peer @returns {boolean} whether it reigns, or still does while it hands over */
export function trades(peer) {
  if (!peer.alive) return false;
  const leaves = peer.role === "leaving" && peer.trader === peer.id;
  return leaves || peer.role === "trader" || peer.role === "handing";
}

export class State {
  constructor() {
    /** @type {Map<number, Peer>} by place */
    this.peers = new Map();
    /** @type {{index: number, items: any[][], trades: any[][]} | null} by the trader's last word */
    this.market = null;
  }

  copy() {
    const other = new State();
    other.market = this.market;
    for (const [place, peer] of this.peers) {
      // Lists are replaced, never changed in place, so that copies can share them.
      other.peers.set(place, { ...peer });
    }
    return other;
  }

  /** @param {object} entry */
  apply(entry) {
    const place = ordinalOf(entry.peer);
    let peer = this.peers.get(place);
    if (peer && incarnationOf(peer.id) > incarnationOf(entry.peer)) return;
    if (!peer || peer.id !== entry.peer) this.peers.set(place, (peer = unknownPeer(entry.peer)));
    if (entry.kind === "fault") {
      applyFault(peer, entry);
      return;
    }
    if (entry.at > peer.seenAt) peer.seenAt = entry.at;
    if (entry.at > peer.pausedAt + UNDER_WAY_S) peer.paused = false;
    const take = TAKE[entry.kind];
    if (take) take(peer, entry, this);
  }

  /** @returns {Peer | null} who trades: of several that believe so, the one of the newest epoch */
  trader() {
    let best = null;
    for (const peer of this.peers.values()) {
      if (trades(peer) && !(best && best.epoch >= peer.epoch)) best = peer;
    }
    return best;
  }

  /** @returns {number} the newest epoch that anybody is in */
  epoch() {
    return Math.max(0, ...[...this.peers.values()].map((peer) => peer.epoch));
  }

  /** @returns {number[]} the members, by the peer that knows most */
  members() {
    let best = null;
    for (const peer of this.peers.values()) {
      if (peer.members.length && !(best && best.commit >= peer.commit)) best = peer;
    }
    return best ? best.members : [...this.peers.keys()];
  }

  /** @returns {number} the highest index that is known to be committed */
  commit() {
    return Math.max(0, ...[...this.peers.values()].map((peer) => peer.commit));
  }
}

/** @param {Peer} peer @param {object} entry */
function applyFault(peer, entry) {
  const what = entry.what;
  if (what === "paused") Object.assign(peer, { paused: true, pausedAt: entry.at });
  else if (what === "resumed") peer.paused = false;
  else if (what === "cut") peer.cut = entry.others ?? [];
  else if (what === "healed") peer.cut = [];
  else if (what === "killed" || what === "deleted") {
    Object.assign(peer, { alive: false, gone: what, promises: [], trader: -1, paused: false });
  }
}

/** @param {Peer} peer */
function begin(peer) {
  Object.assign(peer, {
    alive: true,
    gone: "",
    paused: false,
    role: "follower",
    trader: -1,
    heardAt: -Infinity,
    promises: [],
    promisedTo: -1,
    lost: [],
    cut: [], // a process that ends forgets it
  });
}

/** What an entry of each kind changes. @type {Record<string, Function>} */
const TAKE = {
  __proto__: null, // words of others are looked up here
  key(peer, e) {
    if (e.boot < peer.boot) return;
    Object.assign(peer, {
      boot: e.boot,
      alive: true,
      gone: "",
      role: e.role,
      epoch: e.epoch,
      trader: e.trader,
      end: e.end,
      commit: e.commit,
      applied: e.applied,
      clock: e.clock,
      members: e.members,
      market: e.market ?? "",
    });
    if (e.heard !== null && e.heard !== undefined) {
      peer.heardAt = Math.max(peer.heardAt, e.at - e.heard);
    }
    if (e.role !== "nominee") peer.promises = [];
    if (e.trader >= 0) peer.promisedTo = -1;
  },
  started(peer, e, state) {
    begin(peer);
    peer.boot = e.boot;
    for (const other of state.peers.values()) {
      if (other.lost.includes(peer.id)) other.lost = other.lost.filter((id) => id !== peer.id);
    }
  },
  ended(peer, e) {
    Object.assign(peer, { alive: false, gone: e.why || "ended", promises: [], trader: -1 });
  },
  beat(peer, e) {
    hears(peer, e.from, e.epoch, e.at);
  },
  moved(peer, e) {
    peer.epoch = Math.max(peer.epoch, e.epoch);
    peer.end = [e.epoch, e.end];
    peer.commit = e.commit;
    peer.applied = e.applied;
  },
  market(_peer, e, state) {
    if (!(state.market?.index > e.index)) state.market = e;
  },
  got(peer, e) {
    const counts = e.message === "Promise" && peer.role === "nominee" && e.epoch === peer.epoch;
    if (counts && !peer.promises.includes(e.from)) peer.promises = [...peer.promises, e.from];
  },
  note(peer, e) {
    const take = NOTES[e.note];
    if (take) take(peer, { epoch: peer.epoch, ...e.fields }, e.at);
  },
};

/** @param {Peer} peer @param {number} id */
const suspect = (peer, id) => {
  if (Number.isInteger(id) && id >= 0 && !peer.lost.includes(id)) peer.lost = [...peer.lost, id];
};

/** @param {Peer} peer @param {number} trader @param {number} epoch @param {number} at */
function hears(peer, trader, epoch, at) {
  Object.assign(peer, { heardAt: at, trader, epoch: Math.max(peer.epoch, epoch) });
  if (peer.lost.length) peer.lost = peer.lost.filter((id) => id !== trader);
}

/** What a step of the protocol changes. @type {Record<string, Function>} */
const NOTES = {
  __proto__: null, // words of others are looked up here
  trader_lost(peer, f) {
    peer.trader = -1;
    suspect(peer, f.trader);
  },
  election: missesTrader,
  poll: missesTrader,
  excluded(peer, f) {
    suspect(peer, f.peer);
  },
  nominee(peer, f) {
    Object.assign(peer, { role: "nominee", epoch: f.epoch, trader: -1, promises: [peer.id] });
  },
  promised(peer, f) {
    Object.assign(peer, { promisedTo: f.to ?? -1, epoch: f.epoch, trader: -1 });
    if (peer.role !== "learner") peer.role = "follower";
  },
  invested(peer, f) {
    Object.assign(peer, { role: "trader", epoch: f.epoch, trader: peer.id });
  },
  reign_begun(peer, f) {
    Object.assign(peer, { role: "trader", epoch: f.epoch, trader: peer.id });
    Object.assign(peer, { promises: [], lost: [] });
  },
  follows(peer, f, at) {
    Object.assign(peer, { role: peer.role === "learner" ? "learner" : "follower", heardAt: at });
    Object.assign(peer, { epoch: f.epoch, trader: f.trader ?? -1, promises: [], promisedTo: -1 });
    peer.lost = []; // a new reign forgets what an election suspected
  },
  hears_again(peer, f, at) {
    hears(peer, f.trader ?? -1, f.epoch, at);
  },
  nominee_failed: backToFollower,
  role_ended: backToFollower,
  stepped_down: backToFollower,
  hand_over(peer) {
    peer.role = "handing";
  },
  post_reopened(peer) {
    peer.role = "trader";
  },
  removed(peer) {
    Object.assign(peer, { alive: false, gone: "removed", trader: -1 });
  },
};

/** Whoever stands up for an election takes the trader for lost. @param {Peer} peer */
function missesTrader(peer) {
  if (peer.trader !== peer.id) suspect(peer, peer.trader);
  peer.trader = peer.promisedTo = -1;
}

/** @param {Peer} peer */
function backToFollower(peer) {
  Object.assign(peer, { role: "follower", promises: [] });
  if (peer.trader === peer.id) peer.trader = -1;
}
