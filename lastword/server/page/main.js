// The page: what is asked, what comes back, and the address that says both.

import * as api from "./api.js";
import { makeControls, showControls } from "./controls.js";
import { closeDocument, isOpen, openDocument } from "./document.js";
import { byId, plural } from "./elements.js";
import { showFacts } from "./facts.js";
import { clearHits, showHits } from "./hits.js";
import { listenToKeys } from "./keys.js";
import { askForKey, hideNotice, makeButton, showNotice } from "./notices.js";
import { fillExplanation, listMetadata } from "./panels.js";
import { FIRST, OWN, canShowMore, isOwnRanking, readAddress, toChoice, writeAddress } from "./state.js";
import { showWords } from "./words.js";

const TYPING = 120; // milliseconds of rest before a search
const AGAIN = 3000; // between looks for a server that is away
const AWAY = "It may have been stopped, or the network is away. This page goes on looking for it.";

let state = readAddress();
let indexes = [];
let answer = null; // the last, and what it was to
let asked = "";
let running = null; // the request whose answer is wanted
let timer;
let settled = true; // whether the next query gets an entry of its own in the history

const currentIndex = () => indexes.find(({ name }) => name === state.index) ?? indexes[0];
const choiceNow = () => ({ ...toChoice(state, currentIndex().channels), query: state.q.trim() });
const questionNow = () => JSON.stringify([choiceNow(), state.k]);

/** Change a part of the state, show it in the address, and search. */
function change(part, { delay = 0, push = false } = {}) {
  state = { ...state, k: FIRST, ...part };
  if (state.index === indexes[0]?.name) state.index = "";
  history[push ? "pushState" : "replaceState"](history.state, "", writeAddress(state));
  schedule(delay);
}

function schedule(delay) {
  clearTimeout(timer);
  running?.abort();
  running = null;
  setBusy(true);
  showState();
  timer = setTimeout(run, delay);
}

async function run() {
  if (!indexes.length) return start();
  if (!state.q.trim()) return showStart();
  const question = questionNow();
  if (question === asked && answer) return finish();
  const turn = new AbortController();
  running = turn;
  setBusy(true);
  const begun = performance.now();
  try {
    const found = await api.search(choiceNow(), state.k, turn.signal);
    if (running !== turn) return;
    [answer, asked] = [found, question];
    showAnswer(performance.now() - begun);
    finish();
  } catch (error) {
    if (running === turn) showError(error);
    else if (error.name !== "AbortError") console.error(error);
  }
}

function finish() {
  setBusy(false);
  followDocument();
}

function showAnswer(milliseconds) {
  hideNotice();
  byId("filter-error").textContent = "";
  byId("filter").removeAttribute("aria-invalid");
  showState();
  showWords(answer.words);
  showHits(answer, state, currentIndex().channels, fillPanel);
  const { documents } = currentIndex();
  const count = answer.hits.length;
  const remarks = answer.remarks.map((remark) => sentence(remark));
  const time = `${Math.round(milliseconds)} ms`;
  const found = `${plural(count, "hit")} of ${plural(documents, "document")} · ${time}`;
  byId("status").textContent = [count ? found : "Nothing found.", ...remarks].join(" ");
  byId("more").hidden = !canShowMore(state, count);
  if (count) return;
  const advice = state.filter
    ? "No document that passes the filter has something in common with the query."
    : "No document has something in common with the query. Try other words, or more channels.";
  const actions = state.filter ? [makeButton("Remove the filter", () => change({ filter: "" }))] : [];
  const heading = `Nothing found for “${shorten(state.q.trim())}”`;
  showNotice(heading, [advice, ...remarks].join(" "), ...actions);
}

/** Return what the server says in one line as a sentence of a page. */
function sentence(text) {
  const end = /[.!?…]$/.test(text) ? "" : ".";
  return text.charAt(0).toUpperCase() + text.slice(1) + end;
}

const shorten = (text) => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

function fillPanel(kind, hit, panel) {
  if (kind === "metadata") panel.replaceChildren(listMetadata(hit.metadata));
  else fillExplanation(panel, choiceNow(), hit.id, currentIndex().channels);
}

function showStart() {
  [answer, asked] = [null, ""];
  hideNotice();
  clearAnswer();
  setBusy(false);
  byId("status").textContent = "";
}

function clearAnswer() {
  clearHits();
  showWords({});
  byId("more").hidden = true;
}

/** Show what does not come from an answer: title, controls, facts. */
function showState() {
  const text = state.q.trim();
  document.body.dataset.view = text ? "results" : "start";
  document.title = text ? `${shorten(text)} – lastword` : "lastword";
  if (byId("query").value.trim() !== text) byId("query").value = state.q;
  const index = currentIndex();
  if (!index) return;
  const fresh = answer && asked === questionNow();
  showControls(index, state, fresh ? answer.fusion : undefined, change);
  showFacts(index, indexes, text === "");
}

function setBusy(busy) {
  byId("progress").hidden = !busy;
  byId("results").setAttribute("aria-busy", String(busy));
}

function showError(error) {
  setBusy(false);
  if (!(error instanceof api.ApiError)) {
    console.error(error);
    error = new api.ApiError(500, "The page has a fault, which its console tells.");
  }
  [answer, asked] = [null, ""];
  clearAnswer();
  if (error.status === 401) {
    byId("status").textContent = "A key is needed.";
    document.body.dataset.view = "results";
    askForKey(Boolean(api.getKey()), useKey);
    return;
  }
  document.body.dataset.view = "results";
  const [heading, text] = describeError(error);
  byId("status").textContent = `${heading}. ${text}`;
  if (heading === BAD_FILTER) byId("filter-error").textContent = text;
  byId("filter").setAttribute("aria-invalid", String(heading === BAD_FILTER));
  const chosen = !isOwnRanking(state) || state.index !== "";
  const action =
    [404, 422].includes(error.status) && chosen
      ? makeButton("Reset ranking", () => change({ index: "", ...OWN }))
      : makeButton("Try again", () => schedule(0));
  showNotice(heading, text, action);
  if (error.status === 0) timer = setTimeout(waitForServer, AGAIN);
  if (error.status === 429) timer = setTimeout(run, 1000 * (error.wait || 1));
}

const BAD_FILTER = "The filter cannot be read";

function describeError({ status, message }) {
  const text = sentence(message);
  if (status === 0) return ["The server does not answer", AWAY];
  if (status === 429) return ["The server is busy", text];
  if (status === 422 && message.startsWith("filter")) return [BAD_FILTER, text];
  return ["That did not work", text];
}

async function waitForServer() {
  try {
    await api.checkHealth();
    schedule(0);
  } catch {
    timer = setTimeout(waitForServer, AGAIN);
  }
}

function useKey(key) {
  api.setKey(key);
  hideNotice();
  schedule(0);
}

/** Open or close the view of a document as the address says. */
function followDocument() {
  if (state.doc === null) return closeDocument();
  const hits = answer?.hits ?? [];
  const hit = hits.find(({ id }) => id === state.doc);
  const place = hit ? `Hit ${hit.rank} of ${hits.length}` : "Document";
  for (const id of ["previous", "next"]) byId(id).hidden = !hit;
  byId("previous").disabled = hit?.rank === 1;
  byId("next").disabled = hit?.rank === hits.length;
  openDocument(state.doc, currentIndex().name, hit, place);
}

function showDocument(id) {
  state = { ...state, doc: id };
  const step = isOpen() ? "replaceState" : "pushState";
  history[step]({ opened: step === "pushState" || history.state?.opened }, "", writeAddress(state));
  settled = true;
  followDocument();
}

function leaveDocument() {
  if (history.state?.opened) return history.back();
  state = { ...state, doc: null };
  history.replaceState(null, "", writeAddress(state));
  closeDocument();
}

function stepDocument(by) {
  const hits = answer?.hits ?? [];
  const at = hits.findIndex(({ id }) => id === state.doc);
  if (at >= 0 && hits[at + by]) showDocument(hits[at + by].id);
}

function listen() {
  byId("query").addEventListener("input", (event) => {
    const push = settled && event.target.value.trim() !== "";
    settled = false;
    change({ q: event.target.value, doc: null }, { delay: TYPING, push });
  });
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    settled = true;
    schedule(0);
  });
  byId("query").addEventListener("change", () => (settled = true));
  byId("home").addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    settled = true;
    change({ q: "", doc: null }, { push: state.q !== "" });
    byId("query").focus();
  });
  byId("hits").addEventListener("click", (event) => {
    const link = event.target.closest("a.title");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    link.focus();
    showDocument(link.closest(".hit").dataset.id);
  });
  byId("more").addEventListener("click", () => change({ k: Math.min(state.k + 10, 100) }));
  byId("close").addEventListener("click", leaveDocument);
  byId("previous").addEventListener("click", () => stepDocument(-1));
  byId("next").addEventListener("click", () => stepDocument(1));
  byId("document").addEventListener("cancel", (event) => {
    event.preventDefault();
    leaveDocument();
  });
  addEventListener("popstate", () => {
    state = readAddress();
    settled = true;
    schedule(0);
  });
  addEventListener("online", () => schedule(0));
  listenToKeys({ stepDocument, leaveDocument });
}

/** Ask what is served, then what the address asks. */
async function start() {
  setBusy(true);
  try {
    ({ indexes } = await api.listIndexes());
  } catch (error) {
    return showError(error);
  }
  hideNotice();
  makeControls(indexes, state, change);
  schedule(0);
}

listen();
showState();
if (!state.q.trim()) byId("query").focus();
start();
