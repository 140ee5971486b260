// The view of a whole document, scrolled to the passage by which it was found.

import { ApiError, getDocument } from "./api.js";
import { byId, foreign, make } from "./elements.js";
import { listMetadata } from "./panels.js";
import { cutBlocks, markedNodes, toUnits, visible } from "./text.js";

let reading = null;

export const isOpen = () => byId("document").open;

/** Open the view of a document; `hit`, if it is one, says which passage is marked. */
export async function openDocument(id, index, hit, standing) {
  reading?.abort();
  const turn = new AbortController();
  reading = turn;
  const dialog = byId("document");
  if (!dialog.open) dialog.showModal();
  byId("document-place").textContent = standing;
  const body = byId("document-body");
  const title = make("h1", { id: "document-title", tabIndex: -1 }, visible(hit?.title || id));
  body.setAttribute("aria-busy", "true");
  body.replaceChildren(title, make("p", { className: "quiet" }, "Loading …"));
  let content;
  try {
    content = documentNodes(await getDocument(id, index, turn.signal), hit);
  } catch (error) {
    if (turn.signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    content = [title, make("p", { className: "fault", role: "alert" }, error.message)];
  }
  body.removeAttribute("aria-busy");
  body.replaceChildren(...content);
  body.focus({ preventScroll: true });
  body.scrollTop = 0;
  const place = body.querySelector(".found mark") ?? body.querySelector(".passage-block");
  const { bottom } = body.getBoundingClientRect();
  if (place && place.getBoundingClientRect().bottom > bottom) place.scrollIntoView({ block: "center" });
}

export function closeDocument() {
  reading?.abort();
  if (byId("document").open) byId("document").close();
}

function documentNodes(found, hit) {
  const spans = hit?.title === found.title ? toUnits(found.title, hit.title_matches) : [];
  const title = found.title.trim() ? markedNodes(found.title, spans) : [visible(found.id)];
  return [
    foreign("h1", { id: "document-title" }, ...title),
    foreign("p", { className: "id" }, visible(found.id)),
    Object.keys(found.metadata).length ? listMetadata(found.metadata) : null,
    make("div", { className: "text" }, ...textBlocks(found.text, hit?.passage)),
    found.text.trim() ? null : make("p", { className: "quiet" }, "The document has no text."),
  ].filter(Boolean);
}

/** The text in blocks, of which only those in sight are laid out; the passage is set apart. */
function textBlocks(text, passage) {
  const points = passage ? [[passage.start, passage.end], ...passage.matches] : [[0, 0]];
  const [[start, end], ...matches] = toUnits(text, points);
  const apart = end - start < text.length;
  const blocks = [];
  for (const [first, last, found] of pieces(text, start, end)) {
    const inside = matches.filter(([from, to]) => to > first && from < last);
    const block = foreign("div", { className: "block" }, ...markedNodes(text, inside, first, last));
    if (found) block.classList.add(apart ? "passage-block" : "whole", "found");
    blocks.push(block);
  }
  return blocks;
}

function* pieces(text, start, end) {
  const parts = [
    [0, start, false],
    [start, end, true],
    [end, text.length, false],
  ];
  for (const [first, last, found] of parts) {
    for (const [from, to] of cutBlocks(text.slice(first, last))) {
      yield [first + from, first + to, found];
    }
  }
}
