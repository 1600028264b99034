// The first page: every model, by family.
import { make, paint } from "./dom.js";

const thumbnails = new Map(); // key → pictures that have come, or null for a model that has none

// Asks for the thumbnails of cards in view, one at a time; leaving the page takes the last request back.
class Thumbnails {
  constructor(net) {
    this.net = net;
    this.wanted = [];
    this.watch = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) if (isIntersecting) { this.watch.unobserve(target); this.wanted.push(target); }
      this.next();
    }, { rootMargin: "100px" });
  }

  // Shows the thumbnail of `model` in its card, or asks for it when the card is in view: a canvas without a picture is not.
  show(card, model) {
    const canvas = make("canvas", { width: 1, height: 1, "aria-hidden": "true" });
    card.prepend(canvas);
    Object.assign(card, { key: model.key, canvas });
    if (thumbnails.get(model.key)) paint(canvas, thumbnails.get(model.key));
    else if (!thumbnails.has(model.key)) this.watch.observe(card);
    return card;
  }

  async next() {
    if (this.asked || this.gone) return;
    const card = this.wanted.shift();
    if (!card) return;
    this.asked = this.net.ask("thumbnail", { model: card.key });
    try {
      const found = await this.asked;
      thumbnails.set(card.key, found.pictures || null);
      if (found.pictures) paint(card.canvas, found.pictures);
    } catch { thumbnails.set(card.key, null); } // a broken model says so on its own page
    this.asked = null;
    this.next();
  }

  stop() { this.gone = true; this.watch.disconnect(); this.asked?.cancel(); }
}

const FAMILIES = {
  tractable: ["Exact likelihood", "They draw an image pixel by pixel. Watch them, complete a digit, ask for log p."],
  approximate: ["Likelihood as a bound", "Variational autoencoders: slide z, and encode a picture of yours."],
  implicit: ["No likelihood", "Generative adversarial networks: slide z, walk, add and subtract what images show."],
  autoencoder: ["Autoencoders", "They encode and decode, and have no prior to sample from."],
};

function card(model, pictures) {
  const facts = [model.shape.length ? model.shape.join("×") : "", model.takes ? `takes ${model.takes}` : "", model.weights ? "" : "untrained"];
  const link = make("a", { href: `#${encodeURIComponent(model.key)}` }, make("b", {}, model.name), make("span", {}, model.place || model.summary), make("span", {}, facts.filter(Boolean).join(" · ")));
  return pictures.show(link, model);
}

export function catalogue(models, net) {
  const pictures = new Thumbnails(net);
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
      list.append(make("h2", {}, title), make("p", { class: "quiet" }, words), make("div", { class: "cards" }, found.map((model) => card(model, pictures))));
    }
    if (!list.children.length) list.append(make("p", { class: "quiet" }, "No model fits."));
  };
  all.checked = !models.some((model) => model.weights);
  search.addEventListener("input", fill);
  all.addEventListener("change", fill);
  fill();
  const element = make("div", {}, make("h1", {}, "Models"), make("p", { class: "quiet" }, "Every installed model. Choose one, and see what it knows."),
    make("div", { class: "bar" }, search, make("div", { class: "check" }, all, make("label", { for: "untrained" }, "also untrained ones"))), list);
  return { element, stop: () => pictures.stop() };
}
