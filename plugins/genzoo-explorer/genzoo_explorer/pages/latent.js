// Models with a z: samples, sliders, walks, sums, and the z of a picture.
import { base64, button, dropzone, field, freshSeed, make, note, paint, picture, readFile, save, short } from "./dom.js";
import { latest } from "./net.js";
import { loading, oneLine, python, quote } from "./share.js";
import { Sums } from "./sums.js";
import { Walk } from "./walk.js";

const SAMPLES = 12, COMPONENTS = 8, SOON = 150; // ms

export function latentView(page) { const view = new Latent(page); return { element: view.element, start: () => view.start(), stop: () => view.stop() }; }

class Latent {
  constructor(page) {
    Object.assign(this, { page, z: [], base: null, found: null, directions: [], moves: {}, timer: 0 });
    const { facts } = page;
    for (const [name, value] of Object.entries(page.state)) if (/^[dc]\d+$/.test(name)) this.moves[name] = Number(value) || 0;
    this.canvas = make("canvas", { role: "img", "aria-label": "The picture of z", id: "picture" });
    this.caption = make("figcaption", {}, "");
    this.sliders = make("div", { class: "sliders", role: "group", "aria-label": "Directions of z" });
    this.components = make("div", { class: "sliders", role: "group", "aria-label": "Components of z" });
    this.strip = make("div", { class: "strip samples", role: "group", "aria-label": "Samples" });
    this.seed = make("input", { type: "number", min: "0", max: "9007199254740991", value: String(page.number("seed", 0)), id: "seed" });
    this.walkButton = button("Random walk", () => this.walkAbout(), { "aria-pressed": "false" });
    this.waitDirections = make("p", { class: "quiet small", role: "status" }, "Finding the principal directions…");
    this.walk = new Walk(this);
    this.sums = new Sums(this);
    this.drawSoon = latest(() => this.draw());
    this.element = make("div", {}, this.samplesBar(), this.strip, this.stage(), this.walk.element, this.sums.element, this.inverse());
    if (!facts.samples) this.caption.textContent = "";
    this.seed.addEventListener("change", () => { this.page.remember({ seed: this.seed.value, i: 0 }); this.fill(); });
    page.changed.push(() => this.fill());
  }

  samplesBar() {
    const { facts } = this.page, parts = [field("Seed", this.seed), button("New samples", () => { this.seed.value = String(freshSeed()); this.page.remember({ seed: this.seed.value, i: 0 }); this.fill(); }, { class: "main", id: "new" })];
    if (facts.samples) {
      this.truncation = make("input", { type: "range", min: "0.2", max: "3", step: "0.1", value: String(this.page.number("t", 3)), id: "truncation" });
      const told = make("output", {}, ""), words = () => { told.textContent = this.limit ? short(this.limit, 1) : "none"; };
      this.truncation.addEventListener("input", words);
      this.truncation.addEventListener("change", () => { this.page.remember({ t: this.limit ?? "" }); this.fill(); });
      words();
      parts.push(make("div", { class: "field" }, make("label", { for: "truncation" }, "Truncation of z: ", told), this.truncation));
    }
    if (facts.mean) {
      this.noise = make("input", { type: "checkbox", id: "noise" });
      this.noise.addEventListener("change", () => this.fill());
      parts.push(make("div", { class: "check" }, this.noise, make("label", { for: "noise" }, "samples with the noise of p(x|z), not its mean")));
    }
    return make("div", { class: "bar" }, parts);
  }

  stage() {
    const left = make("figure", { class: "left" }, this.canvas, this.caption, make("div", { class: "bar tight" },
      button("Save picture", () => save(this.canvas, `${this.page.model.name}-seed-${this.seed.value}`)), this.walkButton, button("Reset z", () => this.reset())));
    return make("section", { class: "stage" }, left, make("div", {}, make("h3", {}, "Principal directions"), make("p", { class: "quiet small" }, "The directions in z that change the picture most come first."),
      this.waitDirections, this.sliders, make("details", { class: "more" }, make("summary", {}, "Single components"), this.jump(), this.components)));
  }

  jump() {
    const first = make("input", { type: "number", min: "0", max: String(this.page.facts.latent - 1), value: "0" });
    first.addEventListener("change", () => this.fillComponents(Number(first.value)));
    this.fillComponents(0);
    return make("div", { class: "bar tight" }, field(`First of ${this.page.facts.latent}`, first));
  }

  fillComponents(first) {
    const last = Math.min(this.page.facts.latent, first + COMPONENTS), rows = [];
    for (let i = Math.max(0, first); i < last; i++) rows.push(...this.slider(`c${i}`, `z[${i}]`));
    this.components.replaceChildren(...rows);
  }

  slider(name, words) {
    const input = make("input", { type: "range", min: "-4", max: "4", step: "0.05", value: String(this.moves[name] || 0), id: `slide-${name}` });
    const told = make("output", { for: input.id }, short(this.moves[name] || 0));
    input.addEventListener("input", () => { this.moves[name] = Number(input.value); told.textContent = short(input.value); this.drawSoon(); this.tellSoon(); });
    return [make("label", { for: input.id }, words), input, told];
  }

  get limit() { return this.truncation && Number(this.truncation.value) < 3 ? Number(this.truncation.value) : null; }

  async start() {
    await this.fill();
    const found = await this.page.ask("directions");
    this.waitDirections.remove();
    if (!found) return;
    this.directions = found.directions;
    this.sliders.replaceChildren(...found.directions.flatMap((_, i) => this.slider(`d${i}`, `Direction ${i + 1}`)));
    this.drawSoon();
  }

  stop() { clearInterval(this.timer); clearTimeout(this.later); this.gone = true; }

  async fill() {
    const found = await this.page.ask("latents", { seed: Number(this.seed.value), n: SAMPLES, truncation: this.limit, noise: Boolean(this.noise?.checked) });
    if (!found?.pictures || this.gone) return;
    this.z = found.z;
    this.pictures = found.pictures;
    this.found = null;
    this.strip.replaceChildren(...found.z.map((_, i) => this.tile(i)));
    this.choose(Math.min(Math.round(this.page.number("i", 0)), found.z.length - 1));
    this.walk.refill();
    this.sums.refill();
  }

  tile(i) {
    const canvas = picture(this.pictures, i, `Sample ${i}`);
    // no button element: not every browser lets one be dragged
    const tile = make("div", { class: "tile", role: "button", tabindex: "0", draggable: "true", onclick: () => this.choose(i), "aria-label": `Sample ${i}`, title: "Click to slide it. Drag it into a tray or to an end of the walk, or press 1, 2, 3, a or b." }, canvas);
    tile.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/genzoo-sample", String(i)));
    tile.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.choose(i); }
      else if (event.key === "a" || event.key === "b") this.walk.pin(event.key === "a" ? 0 : 1, i);
      else if (["1", "2", "3"].includes(event.key)) this.sums.add(Number(event.key) - 1, i);
    });
    return tile;
  }

  choose(i) {
    this.base = i;
    this.found = null;
    this.page.remember({ i });
    for (const [at, tile] of [...this.strip.children].entries()) tile.setAttribute("aria-pressed", String(at === i));
    this.drawSoon();
  }

  get current() {
    const z = [...(this.found || this.z[this.base] || [])];
    for (const [name, by] of Object.entries(this.moves)) {
      const at = Number(name.slice(1));
      if (name[0] === "c" && at < z.length) z[at] += by;
      else if (name[0] === "d" && this.directions[at]) this.directions[at].forEach((value, i) => { z[i] += by * value; });
    }
    return this.page.facts.prior === "uniform" ? z.map((value) => Math.max(-1, Math.min(1, value))) : z;
  }

  async draw() {
    const z = this.walking || this.current, began = performance.now();
    if (!z.length || this.gone) return;
    // painted as it arrives: the message that ends the request follows it
    const found = await this.page.ask("decode", { z: [z] }, (answer) => {
      if (!answer.pictures || this.gone) return;
      paint(this.canvas, answer.pictures);
      this.canvas.dataset.ms = String(performance.now() - began); // what tests and benchmarks read
    });
    if (found?.pictures) this.tellSoon();
  }

  // A moment after the last slide: to change the address and the commands costs a browser more than the picture.
  tellSoon() {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.settle(), SOON);
    this.page.share.settle = () => this.settle();
  }

  settle() {
    clearTimeout(this.later);
    if (this.later && !this.gone) this.tell();
    this.later = 0;
  }

  tell() {
    const { page, seed, base } = this, moved = Object.entries(this.moves).filter(([, by]) => by);
    page.remember({ seed: seed.value, ...Object.fromEntries(Object.entries(this.moves).map(([name, by]) => [name, by || ""])) });
    this.caption.textContent = this.found ? "z of your picture" : `Sample ${base} of seed ${seed.value}${moved.length ? `, moved in ${moved.length} direction${moved.length > 1 ? "s" : ""}` : ""}`;
    const condition = page.typed ? `, ${python(page.typed)}` : "", named = page.typed ? `, condition=${python(page.typed)}` : "";
    const lines = loading(page.model);
    if (page.facts.samples) lines.push(this.limit ? "from genzoo.explore.latents import prior_latents" : null, this.limit ? `z = prior_latents(model, ${SAMPLES}, ${seed.value}, ${this.limit})[${base}:${base + 1}]` : `z = model.sample_latents(${SAMPLES}, seed=${seed.value})[${base}:${base + 1}]`);
    else lines.push("import torch", `z = torch.randn(${SAMPLES}, ${page.facts.latent}, generator=torch.Generator().manual_seed(${seed.value}))[${base}:${base + 1}]`);
    if (this.found) lines[lines.length - 1] = `import torch; z = torch.tensor([${JSON.stringify(this.found.map((value) => Number(value.toFixed(4))))}])`;
    if (moved.some(([name]) => name[0] === "d")) lines.push("from genzoo.explore.directions import directions", `d = directions(model${named})`);
    for (const [name, by] of moved) lines.push(name[0] === "d" ? `z = z + ${by} * d[${name.slice(1)}]` : `z[0, ${name.slice(1)}] += ${by}`);
    lines.push(`genzoo.save_grid(model.decode(z${condition}), "picture.png")`);
    const code = lines.filter(Boolean), plain = !moved.length && !this.found && page.facts.samples && page.model.weights;
    const typed = page.typed ? ` --condition ${quote(page.typed)}` : "";
    page.share.show(plain ? `genzoo sample ${quote(page.model.target)} -n ${SAMPLES} --seed ${seed.value}${typed}${this.limit ? ` --truncation ${this.limit}` : ""}` : oneLine(code), code);
  }

  reset() {
    this.moves = Object.fromEntries(Object.keys(this.moves).map((name) => [name, 0]));
    for (const input of this.element.querySelectorAll(".sliders input")) { input.value = "0"; input.nextElementSibling.textContent = "0"; }
    this.drawSoon();
  }

  // Through the samples of the seed, one after another, until it is stopped.
  walkAbout() {
    if (this.timer) {
      clearInterval(this.timer);
      this.timer = 0;
      this.walking = null;
      this.walkButton.setAttribute("aria-pressed", "false");
      this.drawSoon();
      return;
    }
    let at = this.base || 0;
    this.walkButton.setAttribute("aria-pressed", "true");
    this.timer = setInterval(() => {
      at += 0.02;
      const from = this.z[Math.floor(at) % this.z.length], to = this.z[(Math.floor(at) + 1) % this.z.length];
      this.walking = this.between(from, to, at % 1);
      this.drawSoon();
    }, 50);
  }

  // Along the arc between two z of a Gaussian prior, whose lengths it keeps; straight for others.
  between(a, b, t) {
    const straight = a.map((value, i) => (1 - t) * value + t * b[i]);
    const length = (v) => Math.hypot(...v);
    if (this.page.facts.prior !== "normal" || !length(straight)) return straight;
    const wanted = (1 - t) * length(a) + t * length(b), share = wanted / length(straight);
    return straight.map((value) => share * value);
  }

  inverse() {
    const { facts } = this.page, result = make("div", { class: "results" });
    const zone = dropzone(facts.encodes ? "or drop one here: its code becomes z" : "or drop one here: gradient descent looks for the z whose picture is nearest", async (file) => {
      let own;
      try { own = await readFile(file, facts.shape); } catch (error) { note(error.message, 8); return; }
      const mine = make("figure", {}, picture(own, 0, "Your picture"), make("figcaption", {}, "yours"));
      const canvas = make("canvas", { role: "img", "aria-label": "The nearest picture of the model", id: "nearest" }), told = make("figcaption", { role: "status" }, "…");
      const stop = button("Stop", () => this.search?.cancel());
      result.replaceChildren(make("div", { class: "pair" }, mine, make("figure", {}, canvas, told)), stop);
      const part = (answer) => {
        if (!answer.pictures) return;
        paint(canvas, answer.pictures);
        this.nearest = answer.z[0];
        told.textContent = `root mean square error ${answer.rmse.toFixed(4)}${answer.steps ? `, step ${answer.step} of ${answer.steps}` : ""}`;
      };
      const asked = this.page.ask(facts.encodes ? "encode" : "invert", { pixels: base64(own.bytes), seed: Number(this.seed.value) }, part);
      this.search = this.page.last;
      if (!(await asked)) return;
      stop.replaceWith(button("Slide this z", () => { this.found = this.nearest; this.drawSoon(); this.canvas.scrollIntoView({ block: "center" }); }));
    });
    return make("section", {}, make("h2", {}, "From a picture"), zone, result);
  }
}
