// The list of hits.

import { byId, foreign, make } from "./elements.js";
import { cutText, markedNodes, toUnits, visible } from "./text.js";
import { writeAddress } from "./state.js";

const SNIPPET = 340; // units
const TITLE = 240;
const panels = new Map(); // id of a document -> its open panel, "explain" or "metadata"

/** Number the shades of channels, as all of the index are ordered. */
export const shade = (all, name) => String(Math.max(0, all.indexOf(name)) % 6);

/** Show the hits of an answer; those that were seen before glide to their new places. */
export function showHits(answer, state, all, fillPanel) {
  const list = byId("hits");
  const before = new Map([...list.children].map((item) => [item.dataset.id, item.offsetTop]));
  const held = list.contains(document.activeElement) ? currentHit()?.dataset.id : undefined;
  const best = Math.max(...answer.hits.map((hit) => hit.score), 0);
  list.replaceChildren(
    ...answer.hits.map((hit) => makeHit(hit, { answer, state, all, best, fillPanel })),
  );
  glide(list, before);
  if (held !== undefined) findHit(held)?.querySelector("a").focus();
}

export const clearHits = () => byId("hits").replaceChildren();

export const currentHit = () => document.activeElement?.closest?.(".hit") ?? null;

const findHit = (id) => [...byId("hits").children].find((item) => item.dataset.id === id);

/** Move the focus to the hit after or before the current one; tell whether there is one. */
export function stepHit(by) {
  const items = [...byId("hits").children];
  const at = items.indexOf(currentHit());
  const next = items[at < 0 ? (by > 0 ? 0 : -1) : at + by];
  next?.querySelector("a").focus();
  next?.scrollIntoView({ block: "nearest" });
  return Boolean(next);
}

function makeHit(hit, { answer, state, all, best, fillPanel }) {
  const heading = `hit-${hit.rank}`;
  const link = make(
    "a",
    { href: writeAddress({ ...state, doc: hit.id }), id: heading, className: "title" },
    foreign("bdi", {}, ...titleNodes(hit)),
  );
  const panel = make("div", { className: "panel", id: `panel-${hit.rank}`, hidden: true });
  const buttons = ["explain", "metadata"].map((kind) => makeToggle(kind, hit, panel, fillPanel));
  const item = make(
    "li",
    { className: "hit" },
    make("span", { className: "rank", "aria-hidden": "true" }, String(hit.rank)),
    make(
      "article",
      { "aria-labelledby": heading },
      make("h2", {}, link),
      hit.title.trim() ? foreign("p", { className: "id" }, visible(hit.id)) : null,
      passageOf(hit),
      make(
        "div",
        { className: "foot" },
        scoreLine(hit, answer, all, best),
        make("div", { className: "actions" }, ...buttons),
      ),
      panel,
    ),
  );
  item.dataset.id = hit.id;
  if (panels.has(hit.id)) {
    openPanel(buttons.find((one) => one.dataset.kind === panels.get(hit.id)), hit, panel, fillPanel);
  }
  return item;
}

function titleNodes(hit) {
  if (!hit.title.trim()) return [make("span", { className: "id" }, visible(hit.id))];
  const spans = toUnits(hit.title, hit.title_matches);
  const [start, end] = cutText(hit.title, spans, TITLE);
  return [...markedNodes(hit.title, spans, 0, end - start), end - start < hit.title.length ? "…" : ""];
}

function passageOf(hit) {
  const { passage } = hit;
  if (!passage?.text.trim()) return null;
  const spans = toUnits(passage.text, passage.matches, passage.start);
  const [start, end] = cutText(passage.text, spans, SNIPPET);
  return foreign(
    "p",
    { className: "passage" },
    passage.page ? make("span", { className: "page" }, `p. ${passage.page}`) : null,
    passage.start + start > 0 ? "… " : "",
    ...markedNodes(passage.text, spans, start, end),
    end < passage.text.length ? " …" : "",
  );
}

/** The score as a bar, split by channel where several were fused, and the rank in each channel. */
function scoreLine(hit, answer, all, best) {
  const bar = make("span", { className: "bar", "aria-hidden": "true" });
  const ranks = answer.channels.map((name) => {
    const place = hit.channels[name];
    const part = make("i");
    part.dataset.shade = shade(all, name);
    part.style.width = `${best > 0 ? (Math.max(0, place?.share ?? 0) / best) * 100 : 0}%`;
    bar.append(part);
    const swatch = make("i", { className: "swatch", "aria-hidden": "true" });
    swatch.dataset.shade = part.dataset.shade;
    const rank = make("b", {}, place ? String(place.rank) : "–");
    const told = make("span", { className: "hidden" }, place ? "rank " : "does not have it");
    if (!place) rank.setAttribute("aria-hidden", "true");
    return make("li", { className: place ? "" : "none" }, swatch, `${name} `, told, rank);
  });
  return make(
    "div",
    { className: "score" },
    bar,
    make("span", { className: "number" }, make("span", { className: "hidden" }, "score "), round(hit.score)),
    make("ul", { className: "ranks", "aria-label": "Rank in each channel" }, ...ranks),
  );
}

export const round = (number) => (Math.abs(number) < 0.1 ? number.toPrecision(2) : number.toFixed(3));

function makeToggle(kind, hit, panel, fillPanel) {
  const label = kind === "explain" ? "Explain" : "Metadata";
  const button = make(
    "button",
    {
      type: "button",
      className: "action",
      disabled: kind === "metadata" && Object.keys(hit.metadata).length === 0,
      "aria-expanded": "false",
      "aria-controls": panel.id,
    },
    label,
    make("span", { className: "hidden" }, ` of hit ${hit.rank}`),
  );
  button.dataset.kind = kind;
  button.addEventListener("click", () => {
    if (panel.dataset.kind === kind) closePanel(hit.id, panel);
    else openPanel(button, hit, panel, fillPanel);
  });
  return button;
}

function openPanel(button, hit, panel, fillPanel) {
  closePanel(hit.id, panel);
  panels.set(hit.id, button.dataset.kind);
  panel.dataset.kind = button.dataset.kind;
  panel.hidden = false;
  button.setAttribute("aria-expanded", "true");
  fillPanel(button.dataset.kind, hit, panel);
}

function closePanel(id, panel) {
  panels.delete(id);
  delete panel.dataset.kind;
  panel.hidden = true;
  panel.replaceChildren();
  const buttons = panel.parentElement?.querySelectorAll(".action") ?? [];
  for (const one of buttons) one.setAttribute("aria-expanded", "false");
}

/** Close the panel of the current hit; tell whether there was one. */
export function closeCurrent() {
  const item = currentHit();
  const panel = item?.querySelector(".panel");
  if (!panel || panel.hidden) return false;
  item.querySelector("a").focus();
  closePanel(item.dataset.id, panel);
  return true;
}

/** Press a button of the current hit, or of the first. */
export function toggleCurrent(kind) {
  const item = currentHit() ?? byId("hits").firstElementChild;
  item?.querySelector(`[data-kind="${kind}"].action`)?.click();
}

function glide(list, before) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const item of list.children) {
    const old = before.get(item.dataset.id);
    const by = old === undefined ? 0 : old - item.offsetTop;
    if (by) {
      const steps = [{ transform: `translateY(${by}px)` }, { transform: "none" }];
      item.animate(steps, { duration: 220, easing: "ease-out" });
    }
  }
}
