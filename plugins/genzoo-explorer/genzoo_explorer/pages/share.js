// What a view is called outside the browser: a command, Python, and an address that shows it again.
import { button, make, note } from "./dom.js";

export const quote = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
export const python = (value) => (typeof value === "number" ? String(value) : JSON.stringify(value)); // also a text of Python

export function loading(model) {
  const way = model.weights ? "load" : "create";
  return [`import genzoo`, `model = genzoo.${way}(${python(model.target)}${model.weights ? "" : ", seed=0"})`];
}

// A command for what genzoo has a command for; the rest is Python on one line.
export const oneLine = (lines) => `python -c ${quote(lines.join("; "))}`;

export class Share {
  constructor() {
    this.command = make("pre", { id: "command", tabindex: "0", "aria-label": "Command" });
    this.python = make("pre", { id: "python", tabindex: "0", "aria-label": "Python" });
    this.element = make("section", { class: "share", "aria-label": "The same outside the browser" },
      make("h3", {}, "The same outside the browser"), this.command,
      make("div", { class: "bar tight" }, button("Copy as command", () => this.copy(this.command)), button("Copy as Python", () => this.copy(this.python)),
        button("Copy the address", () => this.copy(null))),
      make("details", { class: "more" }, make("summary", {}, "Python"), this.python));
  }

  show(command, lines) {
    this.command.textContent = command;
    this.python.textContent = lines.join("\n");
  }

  // What a view has not told yet, a moment after a slide, is told before it is copied.
  settle() {}

  async copy(place) {
    this.settle();
    const text = place ? place.textContent : location.href;
    try { await navigator.clipboard.writeText(text); note("Copied."); } catch { note("This browser does not allow copying; mark the text instead."); }
  }
}

// The state of a view lives behind the # of the address: the model, then name=value.
export function readAddress() {
  const [name, text = ""] = location.hash.slice(1).split("?");
  let key = "";
  try { key = decodeURIComponent(name); } catch { /* an address that somebody broke is the first page */ }
  return { key, state: new URLSearchParams(text) };
}

export function writeAddress(key, state) {
  const kept = Object.entries(state).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const text = new URLSearchParams(kept).toString();
  history.replaceState(null, "", `#${encodeURIComponent(key)}${text ? `?${text}` : ""}`);
}
