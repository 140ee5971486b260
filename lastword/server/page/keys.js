// Keyboard shortcuts. Those of a single key can be switched off: speech input would trip over them.

import { byId } from "./elements.js";
import { closeCurrent, currentHit, stepHit, toggleCurrent } from "./hits.js";

const OFF = "lastword.keys";

/** Listen to keys; `stepDocument(by)` goes to another hit in the view of a document. */
export function listenToKeys({ stepDocument, leaveDocument }) {
  const single = byId("single-keys");
  single.checked = read() !== "off";
  single.addEventListener("change", () => write(single.checked ? "on" : "off"));
  byId("help").addEventListener("click", () => byId("shortcuts").showModal());
  byId("shortcuts-close").addEventListener("click", () => byId("shortcuts").close());
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => {
      if (event.target !== dialog) return; // the backdrop belongs to the dialog
      if (dialog.id === "document") leaveDocument();
      else dialog.close();
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const act = actionOf(event, single.checked, { stepDocument });
    if (act && act() !== false) event.preventDefault();
  });
}

function actionOf(event, single, { stepDocument }) {
  const { key, target } = event;
  if (byId("shortcuts").open) return key === "?" && single ? () => byId("shortcuts").close() : null;
  if (byId("document").open) {
    if (!single) return null;
    return { j: () => stepDocument(1), k: () => stepDocument(-1) }[key] ?? null;
  }
  const query = byId("query");
  const typing = target.matches("input:not([type=checkbox], [type=range]), select, textarea");
  if (key === "Escape") return () => leave(target, query);
  if (target === query && key === "ArrowDown") return () => stepHit(1);
  if (typing || target.matches("[type=range]")) return null;
  if (key === "ArrowDown" && currentHit()) return () => stepHit(1);
  if (key === "ArrowUp" && currentHit()) return () => stepHit(-1) || focusQuery(query);
  if (!single) return null;
  return {
    "/": () => focusQuery(query),
    "?": () => byId("shortcuts").showModal(),
    j: () => stepHit(1),
    k: () => stepHit(-1) || (currentHit() ? focusQuery(query) : false),
    o: () => currentHit()?.querySelector("a").click() ?? false,
    e: () => toggleCurrent("explain"),
    m: () => toggleCurrent("metadata"),
  }[key];
}

function leave(target, query) {
  if (target === query) query.select(); // where the browser would empty it
  else if (!closeCurrent()) focusQuery(query);
}

function focusQuery(query) {
  query.focus();
  query.select();
  scrollTo({ top: 0 });
}

function read() {
  try {
    return localStorage.getItem(OFF);
  } catch {
    return null; // storage is forbidden here
  }
}

function write(value) {
  try {
    localStorage.setItem(OFF, value);
  } catch {
    // for this visit only
  }
}
