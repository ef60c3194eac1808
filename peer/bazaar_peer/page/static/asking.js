/** What is asked of a living ring beside its story, and what a person has it do. */

const ANSWER_MS = 3000;
/** An order may wait for an election. */
const ORDER_MS = 15000;

/** A refusal in the peer's own words. */
class Refusal extends Error {}

/**
 * @param {string} url @param {RequestInit} [init] @param {number} [limit] ms
 * @returns {Promise<any>}
 */
async function call(url, init = {}, limit = ANSWER_MS) {
  const response = await fetch(url, {
    ...init,
    signal: AbortSignal.timeout(limit),
    cache: "no-store",
    credentials: "omit",
  });
  const told = await response.json();
  if (!response.ok) throw new Refusal(told.detail ?? `answered ${response.status}`);
  return told;
}

/** @param {string} base @param {string} path */
export const get = (base, path) => call(base + path);

/**
 * @param {string} base @param {string} path @param {object} body
 * @param {Record<string, string>} headers
 */
export function post(base, path, body, headers = {}) {
  const sent = { "Content-Type": "application/json", ...headers };
  return call(base + path, { method: "POST", headers: sent, body: JSON.stringify(body) }, ORDER_MS);
}

/** @returns {string} a key that makes a repeat of the same order harmless */
export function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `page-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** @param {string} token @returns {Record<string, string>} */
export const adminHeaders = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

/** @param {unknown} error @returns {string} */
export function whyOf(error) {
  if (error instanceof Refusal) return error.message;
  if (error instanceof Error && error.name === "TimeoutError") return "it did not answer in time";
  return "it cannot be reached";
}

/**
 * Ask a person, in words, before something is done.
 * @param {string} head @param {string} words @param {string} yes what the button says
 * @returns {Promise<boolean>}
 */
export function confirmed(head, words, yes) {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("ask"));
  document.getElementById("ask-head").textContent = head;
  document.getElementById("ask-words").textContent = words;
  document.getElementById("ask-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  document.getElementById("ask-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
