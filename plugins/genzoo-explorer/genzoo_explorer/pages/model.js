// The page of one model: its facts, its condition, and the views that its class allows.
import { field, make, note, problem } from "./dom.js";
import { latentView } from "./latent.js";
import { pixelView } from "./pixel.js";
import { samplesView } from "./samples.js";
import { Share, writeAddress } from "./share.js";
import { translateView } from "./translate.js";

export async function openModel(net, main, model, state) {
  document.title = `${model.name} · genzoo explorer`;
  const head = [make("h1", {}, model.name), make("p", { class: "quiet" }, model.summary)];
  const wait = make("p", { class: "quiet", role: "status" }, "Loading the model…");
  main.replaceChildren(...head, wait);
  let alive = true, facts;
  try { ({ facts } = await net.ask("open", { model: model.key })); } catch (error) {
    if (alive) wait.replaceWith(problem(error));
    return () => {};
  }
  if (!wait.isConnected) return () => {};
  const page = new Page(net, model, facts, state);
  const views = [];
  if (facts.translates) views.push(translateView(page));
  else if (facts.pixels) views.push(pixelView(page));
  else if (facts.latent) views.push(latentView(page));
  else if (facts.samples) views.push(samplesView(page));
  const place = model.place ? make("p", { class: "quiet small" }, model.place) : null;
  const untrained = model.weights ? null : make("p", { class: "problem" }, "This model has random weights: nobody has published trained ones. Its pictures are noise.");
  main.replaceChildren(...[...head, place, untrained, page.conditionBar(), ...views.map((view) => view.element), page.share.element].filter(Boolean));
  for (const view of views) view.start();
  return () => { alive = false; for (const view of views) view.stop(); };
}

class Page {
  constructor(net, model, facts, state) {
    Object.assign(this, { net, model, facts, share: new Share(), state: {}, changed: [] });
    for (const [name, value] of state) this.state[name] = value;
  }

  // A number of the address, or what stands for it.
  number(name, otherwise) {
    const value = Number(this.state[name]);
    return this.state[name] === undefined || this.state[name] === "" || !Number.isFinite(value) ? otherwise : value;
  }

  remember(values) {
    Object.assign(this.state, values);
    writeAddress(this.model.key, this.state);
  }

  // The request of a view, about this model and its condition; errors become a note.
  async ask(what, values = {}, part) {
    const promise = this.net.ask(what, { model: this.model.key, condition: this.condition, ...values }, part);
    this.last = promise;
    try { return await promise; } catch (error) { note(error.message, 8); return null; }
  }

  get condition() {
    const known = this.facts.condition;
    if (!known) return null;
    if (known.kind === "labels") return Math.max(0, Math.min(known.labels.length - 1, Math.round(this.number("label", 0))));
    return known.kind === "text" ? this.state.text || known.sentences[0] : null;
  }

  // The condition as it is typed after --condition, and in Python.
  get typed() {
    const known = this.facts.condition;
    return this.condition === null ? "" : known.kind === "labels" ? known.labels[this.condition] : this.condition;
  }

  conditionBar() {
    const known = this.facts.condition, tell = () => { for (const act of this.changed) act(); };
    if (!known || known.kind === "picture") return null;
    if (known.kind === "labels") {
      const choose = make("select", { id: "condition" }, known.labels.map((name, i) => make("option", { value: String(i) }, name)));
      choose.value = String(this.condition);
      choose.addEventListener("change", () => { this.remember({ label: choose.value }); tell(); });
      return make("div", { class: "bar" }, field("Label", choose));
    }
    const text = make("input", { type: "text", id: "condition", maxlength: "1000", list: "sentences" });
    text.value = this.condition;
    text.addEventListener("change", () => { this.remember({ text: text.value.trim() }); tell(); });
    const list = make("datalist", { id: "sentences" }, known.sentences.map((value) => make("option", { value })));
    return make("div", { class: "bar" }, field("Sentence", text, { class: "field wide" }), list, make("p", { class: "quiet small" }, known.words));
  }
}
