// What is asked for: the same in memory, in the address and in requests.

export const FIRST = 10; // hits
const MOST = 100;
/** The index's own ranking of all its documents. */
export const OWN = { channels: null, fusion: "", weights: null, filter: "" };

/**
 * `channels` null is all; `fusion` "" is the index's own; `weights` null are those of the fusion;
 * `doc` null is no document.
 */
export function readAddress(address = location.search) {
  const given = new URLSearchParams(address);
  const [fusion, weights] = readFusion(given.get("fusion") ?? "");
  const k = Math.round(Number(given.get("k"))) || FIRST;
  return {
    q: given.get("q") ?? "",
    index: given.get("index") ?? "",
    channels: given.get("channels")?.split(",").filter(Boolean) ?? null,
    fusion,
    weights,
    filter: given.get("filter") ?? "",
    k: Math.min(Math.max(k, 1), MOST),
    doc: given.get("doc"),
  };
}

/** Return the address of a state; what is as usual is left out. */
export function writeAddress(state) {
  const parts = new URLSearchParams();
  if (state.q) parts.set("q", state.q);
  if (state.index) parts.set("index", state.index);
  if (state.channels) parts.set("channels", state.channels.join(","));
  if (state.fusion) parts.set("fusion", writeFusion(state));
  if (state.filter) parts.set("filter", state.filter);
  if (state.k !== FIRST) parts.set("k", state.k);
  if (state.doc !== null) parts.set("doc", state.doc);
  const text = parts.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return text ? `?${text}` : location.pathname;
}

/** Return a state as /v1/search takes it. */
export function toChoice(state, all) {
  const names = state.channels ?? all;
  const choice = { query: state.q };
  if (state.index) choice.index = state.index;
  if (state.channels) choice.channels = state.channels;
  if (state.filter) choice.filter = state.filter;
  if (state.fusion && names.length > 1) choice.fusion = writeFusion(state);
  return choice;
}

export const canShowMore = (state, shown) => shown >= state.k && state.k < MOST;
export const isOwnRanking = (state) => !state.channels && !state.fusion && !state.filter;

/** Read "minmax:dense=0.7,bm25=0.3" as a name, and weights by channel or null. */
export function readFusion(text) {
  const [name, written] = splitOnce(text, ":");
  if (!written) return [name, null];
  const pairs = written.split(",").map((part) => splitOnce(part, "="));
  return [name, Object.fromEntries(pairs.map(([channel, weight]) => [channel, Number(weight) || 0]))];
}

function writeFusion({ fusion, weights }) {
  const pairs = Object.entries(weights ?? {}).map(([name, weight]) => `${name}=${weight}`);
  return pairs.length ? `${fusion}:${pairs.join(",")}` : fusion;
}

function splitOnce(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
