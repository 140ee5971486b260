// Index, channels, fusion, weights and filter.

import { byId, make } from "./elements.js";
import { shade } from "./hits.js";
import { OWN, isOwnRanking, readFusion } from "./state.js";

const FUSIONS = {
  "": "Its own",
  minmax: "Min-max",
  rrf: "Reciprocal rank",
  zscore: "z-score",
  dbsf: "Distribution-based",
  promptreps: "PromptReps",
};
const SLIDE = 60; // milliseconds of rest before a slider asks
let timer;

/** Make the controls; `change(part of a state, delay)` is called for what a person chooses. */
export function makeControls(indexes, state, change) {
  byId("index").replaceChildren(
    ...indexes.map(({ name }) => make("option", { value: name }, name)),
  );
  byId("index-field").hidden = indexes.length < 2;
  byId("ranking").hidden = byId("tune").hidden = false;
  byId("index").onchange = (event) =>
    change({ index: event.target.value, channels: null, fusion: "", weights: null });
  byId("fusion").replaceChildren(
    ...Object.entries(FUSIONS).map(([value, label]) => make("option", { value }, label)),
  );
  byId("fusion").onchange = (event) => change({ fusion: event.target.value, weights: null });
  byId("filter-form").onsubmit = (event) => {
    event.preventDefault();
    change({ filter: byId("filter").value.trim() });
  };
  byId("filter").onchange = (event) => change({ filter: event.target.value.trim() });
  byId("reset").onclick = () => {
    byId("fusion").focus();
    change(OWN);
  };
  byId("tune").onclick = () => {
    const open = byId("tune").getAttribute("aria-expanded") !== "true";
    byId("tune").setAttribute("aria-expanded", String(open));
  };
}

/** Show a state; `used` is the fusion of the last answer, which may be the index's own. */
export function showControls(index, state, used, change) {
  byId("index").value = index.name;
  byId("fusion").value = state.fusion;
  byId("fusion").options[0].text = `The index’s own (${readFusion(index.fusion ?? "one channel")[0]})`;
  if (document.activeElement !== byId("filter")) byId("filter").value = state.filter;
  byId("reset").hidden = isOwnRanking(state);
  const active = (state.channels ?? index.channels).filter((one) => index.channels.includes(one));
  byId("fusion-field").hidden = active.length < 2;
  const weights = shownWeights(active, state, used ?? index.fusion ?? "");
  const list = byId("channels");
  if (list.dataset.index !== index.name) {
    list.dataset.index = index.name;
    list.replaceChildren(...index.channels.map((name) => makeChannel(name, index)));
  }
  const sum = Object.values(weights).reduce((total, one) => total + one, 0);
  for (const row of list.children) showChannel(row, active, weights, sum);
  list.onchange = (event) => {
    if (event.target.type === "checkbox") change(switched(list, index, state, weights));
  };
  list.oninput = (event) => {
    if (event.target.type !== "range") return;
    clearTimeout(timer);
    const moved = { ...weights };
    for (const row of list.children) {
      const { name } = row.dataset;
      if (name in moved) moved[name] = Number(row.querySelector("[type=range]").value) / 100;
    }
    showNumbers(list, moved);
    const fusion = state.fusion || readFusion(used ?? "minmax")[0];
    timer = setTimeout(() => change({ fusion, weights: moved }), SLIDE);
  };
}

function makeChannel(name, index) {
  const swatch = make("i", { className: "swatch", "aria-hidden": "true" });
  swatch.dataset.shade = shade(index.channels, name);
  const box = make("input", { type: "checkbox", className: "switch", role: "switch" });
  const row = make(
    "li",
    { className: "channel-row" },
    make("label", {}, box, swatch, make("span", { className: "name" }, name)),
    make("span", { className: "number percent" }),
    make("input", { type: "range", min: "0", max: "100", step: "1", "aria-label": `Weight of ${name}` }),
  );
  row.dataset.name = name;
  return row;
}

function showChannel(row, active, weights, sum) {
  const { name } = row.dataset;
  const on = active.includes(name);
  const box = row.querySelector("[type=checkbox]");
  const range = row.querySelector("[type=range]");
  box.checked = on;
  box.disabled = on && active.length === 1; // one must remain
  range.disabled = !on;
  range.hidden = active.length < 2;
  if (document.activeElement !== range) range.value = Math.round((weights[name] ?? 0) * 100);
  showNumber(row, on && active.length > 1, weights[name], sum);
}

function showNumbers(list, weights) {
  const sum = Object.values(weights).reduce((total, one) => total + one, 0);
  for (const row of list.children) {
    showNumber(row, row.dataset.name in weights, weights[row.dataset.name], sum);
  }
}

function showNumber(row, shown, weight, sum) {
  const percent = sum > 0 ? Math.round((100 * weight) / sum) : 0;
  row.querySelector(".percent").textContent = shown ? `${percent} %` : "";
  row.querySelector("[type=range]").setAttribute("aria-valuetext", `${percent} percent`);
}

/** Return the weight of each active channel, 0 to 1: those chosen, or those of the fusion used. */
function shownWeights(active, state, used) {
  const given = state.weights ?? readFusion(used)[1] ?? {};
  const own = active.map((name) => given[name] ?? (state.weights ? 0 : 0.5));
  const largest = Math.max(1, ...own);
  return Object.fromEntries(active.map((name, at) => [name, own[at] / largest]));
}

/** Return the change after a switch: weights that were chosen go on for the channels that remain. */
function switched(list, index, state, weights) {
  const on = [...list.children]
    .filter((row) => row.querySelector("[type=checkbox]").checked)
    .map((row) => row.dataset.name);
  const channels = on.length === index.channels.length ? null : on;
  if (!state.weights) return { channels };
  const kept = Object.fromEntries(on.map((name) => [name, weights[name] ?? 0.5]));
  return { channels, weights: on.length > 1 ? kept : null, fusion: on.length > 1 ? state.fusion : "" };
}
