// Texts with marks. The API counts characters (code points), JavaScript counts UTF-16 units.

import { make } from "./elements.js";

const CONTEXT = 48; // units before the first match of a cut passage
const BLOCK = 8000; // units that are laid out together

/** Return spans of code points as spans of UTF-16 units; `first` is the code point at unit 0. */
export function toUnits(text, spans, first = 0) {
  const wanted = [...new Set(spans.flat())].sort((a, b) => a - b);
  const places = new Map();
  let point = first;
  let unit = 0;
  const astral = /[\ud800-\udbff][\udc00-\udfff]/.test(text);
  for (const one of wanted) {
    if (!astral) unit = one - first;
    for (; astral && point < one && unit < text.length; point += 1) {
      unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
    }
    places.set(one, Math.min(Math.max(unit, 0), text.length));
  }
  return spans.map(([start, end]) => [places.get(start), places.get(end)]);
}

/** Return a text of the same length without control characters, and without overrides of direction. */
export function visible(text) {
  return text
    .replace(/[\0-\x08\x0b-\x1f]/g, (one) => String.fromCharCode(0x2400 + one.charCodeAt(0)))
    .replace(/[\x7f-\x9f\u202d\u202e]/g, "\ufffd");
}

/** Return nodes for text[start..end] in which the spans, in units and in order, are marked. */
export function markedNodes(text, spans, start = 0, end = text.length) {
  const nodes = [];
  let at = start;
  for (const [from, to] of spans) {
    if (to <= at || from >= end) continue;
    const [first, last] = [Math.max(from, at), Math.min(to, end)];
    if (first > at) nodes.push(visible(text.slice(at, first)));
    nodes.push(make("mark", {}, visible(text.slice(first, last))));
    at = last;
  }
  if (at < end) nodes.push(visible(text.slice(at, end)));
  return nodes;
}

/** Return where to cut a long text, so that as many matches as may be are seen. */
export function cutText(text, spans, length) {
  if (text.length <= length) return [0, text.length];
  let best = 0;
  let most = 0;
  for (let at = 0, last = 0; at < spans.length; at += 1) {
    last = Math.max(last, at);
    while (last < spans.length && spans[last][1] <= spans[at][0] + length - CONTEXT) last += 1;
    if (last - at > most) [best, most] = [spans[at][0], last - at];
  }
  let start = best <= CONTEXT ? 0 : best - CONTEXT;
  if (start > 0) {
    const space = text.slice(start, best).search(/\s/u); // begin with a whole word
    start = space < 0 ? best : start + space + 1;
  }
  const end = Math.min(text.length, start + length);
  const space = text.slice(start, end).search(/\s\S*$/u);
  const short = end < text.length && space > length / 2 ? start + space : end;
  return [wholeUnit(text, start), wholeUnit(text, short)];
}

/** Return [start, end] of blocks of a text, which end where lines or at least words do. */
export function* cutBlocks(text) {
  let start = 0;
  while (start < text.length) {
    let end = Math.min(text.length, start + BLOCK);
    if (end < text.length) {
      const line = text.lastIndexOf("\n", end);
      const space = text.lastIndexOf(" ", end);
      if (line > start) end = line + 1;
      else if (space > start) end = space + 1;
      end = wholeUnit(text, end);
    }
    yield [start, end];
    start = end;
  }
}

/** Move a place out of the middle of a surrogate pair. */
function wholeUnit(text, at) {
  const inside = /[\udc00-\udfff]/.test(text[at] ?? "") && /[\ud800-\udbff]/.test(text[at - 1] ?? "");
  return inside ? at - 1 : at;
}
