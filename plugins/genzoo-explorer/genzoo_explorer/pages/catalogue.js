// The first page: every model, by family.
import { make } from "./dom.js";

const FAMILIES = {
  tractable: ["Exact likelihood", "They draw an image pixel by pixel. Watch them, complete a digit, ask for log p."],
  approximate: ["Likelihood as a bound", "Variational autoencoders: slide z, and encode a picture of yours."],
  implicit: ["No likelihood", "Generative adversarial networks: slide z, walk, add and subtract what images show."],
  autoencoder: ["Autoencoders", "They encode and decode, and have no prior to sample from."],
};

function card(model) {
  const facts = [model.shape.length ? model.shape.join("×") : "", model.takes ? `takes ${model.takes}` : "", model.weights ? "" : "untrained"];
  return make("a", { href: `#${encodeURIComponent(model.key)}` }, make("b", {}, model.name), make("span", {}, model.place || model.summary), make("span", {}, facts.filter(Boolean).join(" · ")));
}

export function catalogue(models) {
  const list = make("div", { id: "models" });
  const search = make("input", { type: "search", placeholder: "Find a model", "aria-label": "Find a model" });
  const all = make("input", { type: "checkbox", id: "untrained" });
  const fill = () => {
    const words = search.value.trim().toLowerCase();
    const fits = (model) => (all.checked || model.weights) && `${model.name} ${model.summary} ${model.plugin}`.toLowerCase().includes(words);
    list.replaceChildren();
    for (const family of new Set([...Object.keys(FAMILIES), ...models.map((model) => model.family)])) {
      const found = models.filter((model) => model.family === family && fits(model));
      if (!found.length) continue;
      const [title, words] = FAMILIES[family] || [family, ""];
      list.append(make("h2", {}, title), make("p", { class: "quiet" }, words), make("div", { class: "cards" }, found.map(card)));
    }
    if (!list.children.length) list.append(make("p", { class: "quiet" }, "No model fits."));
  };
  all.checked = !models.some((model) => model.weights);
  search.addEventListener("input", fill);
  all.addEventListener("change", fill);
  fill();
  return make("div", {}, make("h1", {}, "Models"), make("p", { class: "quiet" }, "Every installed model. Choose one, and see what it knows."),
    make("div", { class: "bar" }, search, make("div", { class: "check" }, all, make("label", { for: "untrained" }, "also untrained ones"))), list);
}
