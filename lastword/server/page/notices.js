// What stands in the place of hits: nothing found, an error, a key that is needed.

import { byId, make } from "./elements.js";

export const hideNotice = () => {
  byId("notice").hidden = true;
  byId("notice").replaceChildren();
};

/** Show a heading, a sentence, and what can be done. */
export function showNotice(heading, text, ...actions) {
  byId("notice").hidden = false;
  byId("notice").replaceChildren(
    make("h2", {}, heading),
    make("p", {}, text),
    ...(actions.length ? [make("div", { className: "notice-actions" }, ...actions)] : []),
  );
}

export function makeButton(label, act) {
  const button = make("button", { type: "button", className: "button" }, label);
  button.addEventListener("click", act);
  return button;
}

/** Ask for a key; `use` is called with it. */
export function askForKey(refused, use) {
  const input = make("input", {
    type: "password",
    id: "key",
    autocomplete: "off",
    required: true,
    "aria-describedby": "key-hint",
  });
  const form = make(
    "form",
    { className: "key-form" },
    make("label", { htmlFor: "key" }, "API key"),
    make("div", { className: "row" }, input, make("button", { className: "button strong" }, "Use this key")),
    make(
      "p",
      { className: refused ? "fault" : "quiet", id: "key-hint" },
      refused ? "The server does not know that key." : "It stays in this tab, and goes when the tab is closed.",
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    use(input.value.trim());
  });
  showNotice("This server asks for a key", "Its operator can give you one.", form);
  input.focus();
}
