// The words that a model reads the query as.

import { byId, foreign, make } from "./elements.js";
import { visible } from "./text.js";

const SHOWN = 12;

export function showWords(words) {
  const lines = Object.entries(words).filter(([, list]) => list.length);
  byId("words").hidden = lines.length === 0;
  byId("words").replaceChildren(...lines.map(([name, list]) => wordLine(name, list, lines.length)));
}

function wordLine(name, list, lines) {
  const most = list[0].weight;
  const items = list.slice(0, SHOWN).map(({ word, weight }) => {
    const item = foreign("li", {}, visible(word));
    item.style.setProperty("--weight", `${Math.round((100 * weight) / most)}%`);
    return item;
  });
  const lead = lines > 1 ? `The word is (${name})` : "The word is";
  return make("div", { className: "word-line" }, make("p", {}, lead), make("ol", {}, ...items));
}
