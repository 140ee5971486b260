// Elements are made here alone; texts come in as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** Make an element: properties by name, "aria-..." and other attributes with a dash; then content. */
export function make(tag, properties = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...content.filter((part) => part !== null && part !== undefined));
  return element;
}

/** Text of a document: it has a direction of its own, and cannot turn that of its surroundings. */
export const foreign = (tag, properties, ...content) =>
  make(tag, { dir: "auto", ...properties }, ...content);

export function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
