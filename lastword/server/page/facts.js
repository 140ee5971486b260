// What is served: a line about the index, or on the start page a choice of several.

import { byId, make, plural } from "./elements.js";

export function showFacts(index, indexes, choose) {
  const several = choose && indexes.length > 1;
  byId("facts").replaceChildren(
    several
      ? make("ul", { className: "choices", "aria-label": "Indexes" }, ...indexes.map((one) => choice(one, index)))
      : make("p", {}, describe(index, indexes.length > 1)),
  );
}

function choice(one, current) {
  const link = make(
    "a",
    { href: `?index=${encodeURIComponent(one.name)}` },
    make("b", {}, one.name),
    ` ${plural(one.documents, "document")}`,
  );
  if (one.name === current.name) link.setAttribute("aria-current", "true");
  return make("li", {}, link);
}

function describe(index, named) {
  const byModel = new Map();
  for (const name of index.channels) {
    const model = index.models[name]?.split(/[\\/]/).pop() ?? "";
    byModel.set(model, [...(byModel.get(model) ?? []), name]);
  }
  const channels = [...byModel].map(([model, names]) =>
    model && !model.endsWith("Encoder") ? `${names.join(" and ")} (${model})` : names.join(" and "),
  );
  const parts = [
    `${plural(index.documents, "document")}${named ? ` in ${index.name}` : ""}`,
    channels.join(", "),
    `generation ${index.generation}`,
  ];
  if (index.damaged) parts.push(`a newer one is not served: ${index.damaged}`);
  return parts.join(" · ");
}
