// What a hit tells on request: why it has its score, and its metadata.

import { ApiError, explain } from "./api.js";
import { foreign, make } from "./elements.js";
import { round, shade } from "./hits.js";
import { visible } from "./text.js";

const WORDS = 8; // of a channel
const LONGEST = 300; // characters of a value

/** Fill a panel with the explanation of a hit. */
export async function fillExplanation(panel, choice, id, all) {
  const turn = Symbol(id);
  panel.turn = turn;
  panel.replaceChildren(make("p", { className: "quiet" }, "Explaining …"));
  let content;
  try {
    const found = await explain(choice, id);
    content = found.channels.map((channel) => explainChannel(channel, found, all));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    content = [make("p", { className: "fault" }, error.message)];
  }
  if (panel.turn === turn && !panel.hidden && panel.dataset.kind === "explain") {
    panel.replaceChildren(...content);
  }
}

function explainChannel(channel, found, all) {
  const swatch = make("i", { className: "swatch", "aria-hidden": "true" });
  swatch.dataset.shade = shade(all, channel.name);
  const part = found.score > 0 ? ` (${Math.round((100 * channel.share) / found.score)}\u00a0%)` : "";
  const place = channel.rank === null ? "not among its hits" : `rank ${channel.rank}`;
  const facts = `${place} · score ${round(channel.score)}\nadds ${round(channel.share)}${part}`;
  return make(
    "section",
    { className: "channel" },
    make("h3", {}, swatch, channel.name),
    make("p", { className: "facts-line" }, facts),
    channel.words.length
      ? listWords(channel.words, swatch.dataset.shade)
      : make("p", { className: "quiet" }, "Compares meaning, not words."),
  );
}

function listWords(words, tone) {
  const most = Math.max(...words.map((one) => Math.abs(one.weight)));
  const rows = words.slice(0, WORDS).map(({ word, weight }) => {
    const bar = make("i", { "aria-hidden": "true" });
    bar.dataset.shade = tone;
    bar.style.width = `${most ? (100 * Math.abs(weight)) / most : 0}%`;
    return make(
      "li",
      {},
      foreign("span", { className: "word" }, visible(word)),
      make("span", { className: "track" }, bar),
      make("span", { className: "number" }, round(weight)),
    );
  });
  const rest = words.length - rows.length;
  if (rest > 0) rows.push(make("li", { className: "quiet" }, `and ${rest} more`));
  return make("ul", { className: "weights" }, ...rows);
}

function writeValue(value) {
  if (typeof value === "string") return value;
  const flat = Array.isArray(value) && value.every((one) => typeof one !== "object");
  return flat ? value.join(", ") : JSON.stringify(value);
}

/** List metadata as names and values. */
export function listMetadata(metadata) {
  const pairs = Object.entries(metadata).map(([name, value]) => {
    const text = writeValue(value);
    const short = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
    return make("div", {}, foreign("dt", {}, visible(name)), foreign("dd", {}, visible(short)));
  });
  return make("dl", { className: "metadata" }, ...pairs);
}
