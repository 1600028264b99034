// Models that translate pictures: one of yours, or a map that is drawn here in the colours of the model's data.
import { base64, button, dropzone, field, make, note, paint, readFile, save } from "./dom.js";
import { latest } from "./net.js";
import { Painter } from "./painter.js";
import { loading, python, quote } from "./share.js";

export function translateView(page) { const view = new Translation(page); return { element: view.element, start: () => view.start(), stop: () => {} }; }

// The name of a file that shows `domain`.
const named = (domain) => `${domain.replace(/[^0-9A-Za-z]+/g, "-").replace(/^-|-$/g, "") || "picture"}.png`;

class Translation {
  constructor(page) {
    const { domains, both } = page.facts.condition;
    Object.assign(this, { page, domains, own: null, file: null });
    this.to = make("select", { id: "to" }, (both ? [1, 0] : [1]).map((i) => make("option", { value: domains[i].name }, `${domains[1 - i].name} → ${domains[i].name}`)));
    if (page.state.to) this.to.value = page.state.to;
    if (this.to.selectedIndex < 0) this.to.selectedIndex = 0;
    this.seed = make("input", { type: "number", min: "0", value: String(page.number("seed", 0)), id: "seed" });
    this.target = make("canvas", { role: "img", "aria-label": "The translation", id: "translation" });
    this.soon = latest(() => this.translate());
    const legend = page.model.legend, drawn = legend.length && domains[0].shape[0] === 3;
    this.painter = drawn ? new Painter(domains[0].shape, legend, (own) => { this.own = own; this.soon(); }) : null;
    this.source = drawn ? this.painter.canvas : make("canvas", { role: "img", "aria-label": "Your picture", id: "source" });
    this.to.addEventListener("change", () => this.read());
    this.seed.addEventListener("change", () => this.soon());
    this.element = make("div", {}, make("div", { class: "bar" }, both ? field("Direction", this.to) : null, field("Seed", this.seed)), this.stage(), this.zone());
  }

  get from() { return this.domains[this.domains[1].name === this.to.value ? 0 : 1]; }

  stage() {
    const { painter } = this, name = () => this.from.name;
    this.keepSource = button(`Save the ${name()}`, () => save(this.source, named(name()).replace(".png", ""), 0), { id: "save-source" });
    const keep = button("Save picture", () => save(this.target, `${this.page.model.name}-translation`));
    const left = make("figure", { class: "left" }, painter ? painter.board : this.source, painter ? null : make("figcaption", {}, "yours"));
    const right = make("figure", { class: "left" }, this.target, make("figcaption", {}, "its translation"));
    const tools = make("div", {}, painter ? [painter.bar, painter.palette] : null, make("div", { class: "bar tight" }, this.keepSource));
    this.pair = make("section", { class: "stage even", hidden: !painter }, left, right, tools, make("div", { class: "bar tight" }, keep));
    const words = "Draw on the map: choose a part, and drag a rectangle. The translation follows.";
    return painter ? make("div", {}, make("p", { class: "quiet" }, words), this.pair) : this.pair;
  }

  zone() {
    return dropzone(`or drop ${this.painter ? "one" : `a picture (${this.from.name})`} here, and see its translation`, (chosen) => { this.file = chosen; this.read(); });
  }

  start() {
    if (this.painter) this.painter.example();
    else this.share();
  }

  async read() {
    this.keepSource.textContent = `Save the ${this.from.name}`;
    if (!this.file) { this.share(); return; }
    try { this.own = await readFile(this.file, this.from.shape); } catch (error) { note(error.message, 8); return; }
    if (this.painter) this.painter.load(this.own);
    else this.soon();
  }

  async translate() {
    this.share();
    if (!this.own) return;
    const found = await this.page.ask("translate", { pixels: base64(this.own.bytes), to: this.to.value, seed: Number(this.seed.value) });
    if (!found?.pictures) return;
    if (!this.painter) paint(this.source, this.own);
    paint(this.target, found.pictures);
    this.pair.hidden = false;
  }

  share() {
    const { page, to, seed } = this, [source, target] = [named(this.from.name), named(to.value)], shape = `(${this.from.shape.join(", ")})`;
    page.remember({ seed: seed.value, to: this.page.facts.condition.both ? to.value : "" });
    const lines = [...loading(page.model), "from genzoo.explore.latents import read_image", `picture = read_image(${python(source)}, ${shape})`,
      `genzoo.save_grid(model.translate(picture, ${python(to.value)}, seed=${seed.value}), ${python(target)})`];
    const way = to.value === this.domains[1].name ? "" : ` --to ${quote(to.value)}`;
    page.share.show(`genzoo translate ${quote(page.model.target)} ${quote(source)}${way} --seed ${seed.value} -o ${quote(target)}`, lines);
  }
}
