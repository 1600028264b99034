// Pixel models: drawn as the sampler goes, looked into, erased and completed, drawn by hand.
import { base64, button, dropzone, field, freshSeed, make, note, paint, picture, readFile, save, short } from "./dom.js";
import { latest } from "./net.js";
import { loading, oneLine, python, quote } from "./share.js";

const BRUSH = 1.6; // radius of brush and pencil, in pixels of a picture of 28 × 28

export function pixelView(page) { const view = new Pixels(page); return { element: view.element, start: () => view.draw(), stop: () => view.stop() }; }

class Pixels {
  constructor(page) {
    const [c, h, w] = page.facts.shape;
    Object.assign(this, { page, c, h, w, tool: "look", at: [h >> 1, w >> 1] });
    this.own = { c, h, w, n: 1, bytes: new Uint8Array(c * h * w) };
    this.chances = new Float32Array(h * w).fill(-1); // p of each pixel as it was drawn, -1 where none is known
    this.kept = new Uint8Array(h * w).fill(1); // the mask of the brush
    this.canvas = make("canvas", { role: "img", "aria-label": "The picture", id: "picture" });
    this.over = make("canvas", { class: "over", "aria-hidden": "true" });
    this.board = make("div", { class: "board", tabindex: "0", role: "application", "aria-label": "The picture. The arrow keys move from pixel to pixel; with the brush or the pencil, the space bar paints." }, this.canvas, this.over);
    this.map = make("canvas", { role: "img", "aria-label": "The probability of each pixel: dark where the model was surprised", id: "map" });
    this.numbers = make("div", { class: "numbers", role: "status", id: "numbers" });
    this.told = make("p", { class: "small quiet", role: "status", id: "pixel" }, "Point at a pixel: what it depends on, and what else it could have been.");
    this.bars = make("canvas", { class: "bars", role: "img", "aria-label": "The probability of each level of the pixel", id: "bars" });
    this.results = make("div", { class: "strip", id: "completions", role: "group", "aria-label": "Completions" });
    this.seed = make("input", { type: "number", min: "0", value: String(page.number("seed", 0)), id: "seed" });
    this.lookSoon = latest((row, column) => this.look(row, column));
    this.measureSoon = latest(() => this.measure());
    this.element = make("div", {}, this.bar(), this.stage(), this.results, make("section", {}, make("h2", {}, "A picture of yours"),
      dropzone("or drop one here, and read its log p; grey is rounded to the levels of the model", (file) => this.read(file))));
    this.listen();
    page.changed.push(() => this.draw());
  }

  bar() {
    this.heat = make("input", { type: "range", min: "0.2", max: "2", step: "0.05", value: String(this.page.number("T", 1)), id: "temperature" });
    const told = make("output", {}, short(this.heat.value));
    this.heat.addEventListener("input", () => { told.textContent = short(this.heat.value); });
    this.seed.addEventListener("change", () => this.draw());
    this.stopButton = button("Stop", () => this.drawing?.cancel(), { disabled: true });
    return make("div", { class: "bar" }, field("Seed", this.seed), make("div", { class: "field" }, make("label", { for: "temperature" }, "Temperature: ", told), this.heat),
      button("Draw another", () => { this.seed.value = String(freshSeed()); this.draw(); }, { class: "main", id: "new" }), button("Draw again", () => this.draw()), this.stopButton);
  }

  stage() {
    this.tools = ["look", "erase", "pencil", "rubber"].map((tool) => button({ look: "Look", erase: "Brush: erase", pencil: "Pencil", rubber: "Rubber" }[tool], () => this.choose(tool), { id: `tool-${tool}`, "aria-pressed": String(tool === "look") }));
    this.complete = button("Complete", () => this.fillIn(), { class: "main", id: "complete", disabled: true });
    const left = make("figure", { class: "left" }, this.board, make("div", { class: "bar tight", role: "group", "aria-label": "Tools" }, this.tools),
      make("div", { class: "bar tight" }, this.complete, button("Keep all", () => this.keepAll()), button("Clear", () => this.clear(), { id: "clear" }), button("Save picture", () => save(this.canvas, `${this.page.model.name}-seed-${this.seed.value}`))));
    const right = make("div", {}, this.numbers, make("h3", {}, "One pixel"), this.told, this.bars, make("h3", {}, "Probability of each pixel"), make("figure", { class: "map" }, this.map),
      make("p", { class: "small quiet" }, "Bright where the model expected what it drew, dark where it was surprised."));
    return make("section", { class: "stage" }, left, right);
  }

  choose(tool) {
    this.tool = tool;
    for (const one of this.tools) one.setAttribute("aria-pressed", String(one.id === `tool-${tool}`));
    this.cover();
  }

  // Pointer and keys.
  listen() {
    const place = (event) => {
      const box = this.board.getBoundingClientRect();
      return [Math.floor(((event.clientY - box.top) / box.height) * this.h), Math.floor(((event.clientX - box.left) / box.width) * this.w)].map((value, i) => Math.max(0, Math.min([this.h, this.w][i] - 1, value)));
    };
    this.board.addEventListener("pointerdown", (event) => { this.board.setPointerCapture(event.pointerId); this.keys = false; this.down = true; this.touch(...place(event)); });
    this.board.addEventListener("pointermove", (event) => { if (this.down || this.tool === "look") this.touch(...place(event)); });
    for (const name of ["pointerup", "pointercancel"]) this.board.addEventListener(name, () => { this.down = false; this.lifted(); });
    this.board.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step && event.key !== " ") return;
      event.preventDefault();
      this.keys = true;
      if (step) this.at = [(this.at[0] + step[0] + this.h) % this.h, (this.at[1] + step[1] + this.w) % this.w];
      if (this.tool === "look" || event.key === " ") { this.touch(...this.at); this.lifted(); } else this.cover();
    });
  }

  touch(row, column) {
    this.at = [row, column];
    if (this.tool === "look") { if (!this.drawing) this.lookSoon(row, column); return; }
    const radius = Math.max(0.5, (BRUSH * Math.max(this.h, this.w)) / 28) * (this.tool === "erase" ? 1.5 : 1);
    for (let y = 0; y < this.h; y++) for (let x = 0; x < this.w; x++) {
      if ((y - row) ** 2 + (x - column) ** 2 > radius ** 2) continue;
      const at = y * this.w + x;
      if (this.tool === "erase") this.kept[at] = 0;
      else this.own.bytes.fill(this.tool === "pencil" ? 255 : 0, this.c * at, this.c * (at + 1));
    }
    this.complete.disabled = this.kept.every(Boolean);
    this.repaint();
  }

  lifted() { if (this.tool === "pencil" || this.tool === "rubber") { this.chances.fill(-1); this.measureSoon(); } }

  keepAll() { this.kept.fill(1); this.complete.disabled = true; this.repaint(); }

  clear() { this.drawing?.cancel(); this.own.bytes.fill(0); this.chances.fill(-1); this.keepAll(); this.measureSoon(); this.choose("pencil"); }

  repaint() { paint(this.canvas, this.own); this.cover(); }

  // What lies over the picture: the erased part, or what the pixel depends on.
  cover() {
    const { over, h, w } = this, pen = over.getContext("2d"), image = new ImageData(w, h);
    over.width = w;
    over.height = h;
    for (let at = 0; at < h * w; at++) {
      if (!this.kept[at]) image.data.set([128, 128, 150, 255], 4 * at);
      else if (this.tool === "look" && this.seen?.[at]) image.data.set([70, 110, 255, 40 + 0.75 * this.seen[at]], 4 * at);
    }
    const here = this.at[0] * w + this.at[1];
    if (this.tool === "look" ? this.seen : this.keys) image.data.set([240, 100, 20, 255], 4 * here);
    pen.putImageData(image, 0, 0);
  }

  async look(row, column) {
    const pixel = { row, column };
    const [field_, chance] = await Promise.all([this.page.ask("context", pixel), this.page.ask("conditional", { ...pixel, pixels: base64(this.own.bytes) })]);
    if (!field_?.bytes || !chance?.p || this.tool !== "look") return;
    this.seen = field_.bytes;
    this.cover();
    const value = this.own.bytes[this.c * (row * this.w + column)], level = Math.round((value / 255) * (this.page.facts.levels - 1));
    this.told.textContent = `Pixel ${row}, ${column} depends on ${short(field_.seen)} of ${short(field_.earlier)} earlier pixels (blue). Its level ${level} had the probability ${short(chance.p[0][level], 3)}.`;
    this.plot(chance.p);
    const named = this.page.typed ? `, condition=${python(this.page.typed)}` : "", typed = this.page.typed ? ` --condition ${quote(this.page.typed)}` : "";
    this.page.share.show(this.page.model.weights ? `genzoo context ${quote(this.page.model.target)} --pixel ${row},${column}${typed}` : oneLine([...loading(this.page.model), "from genzoo.explore.context import context", `seen = context(model, (${row}, ${column})${named})`]),
      [...loading(this.page.model), "from genzoo.explore.context import context", "from genzoo.explore.drawing import conditionals", `seen = context(model, (${row}, ${column})${named})`, `x = model.sample(1, seed=${this.seed.value}${named})`, `p = conditionals(model, x${named})[:, ${row}, ${column}]`]);
  }

  plot(rows) {
    this.bars.width = 1; // shown from now on, and so has a size
    const scale = window.devicePixelRatio || 1, box = this.bars.getBoundingClientRect(), pen = this.bars.getContext("2d");
    this.bars.width = box.width * scale;
    this.bars.height = box.height * scale;
    const colours = rows.length === 1 ? [getComputedStyle(document.body).getPropertyValue("--accent")] : ["#dc2626", "#16a34a", "#2563eb"], top = Math.max(...rows.flat(), 1e-9);
    rows.forEach((row, channel) => row.forEach((p, level) => {
      const wide = this.bars.width / row.length / rows.length, high = (p / top) * this.bars.height;
      pen.fillStyle = colours[channel];
      pen.fillRect((level * rows.length + channel) * wide, this.bars.height - high, Math.max(0.8 * wide, 1), high);
    }));
  }

  async draw() {
    const { page } = this, top = page.facts.levels - 1, heat = Number(this.heat.value);
    this.drawing?.cancel();
    this.own.bytes.fill(128);
    this.chances.fill(-1);
    this.kept.fill(1);
    this.seen = null;
    this.choose("look");
    this.repaint();
    page.remember({ seed: this.seed.value, T: heat === 1 ? "" : heat });
    let nats = 0, began = performance.now();
    const asked = page.ask("draw", { seed: Number(this.seed.value), temperature: heat === 1 ? null : heat }, (answer) => {
      if (answer.pictures) { this.own = { ...answer.pictures, bytes: new Uint8Array(answer.pictures.bytes) }; this.repaint(); this.tell(answer.nats, answer.bits); return; }
      answer.drawn.forEach((level, i) => {
        const place = answer.first + i, at = Math.floor(place / this.c);
        if (this.c === 1) this.own.bytes[at] = Math.round((255 * level) / top);
        else this.own.bytes[place] = Math.round((255 * level) / top);
        nats += Math.log(Math.max(answer.p[i], 1e-6));
        this.chances[at] = (place % this.c ? this.chances[at] : 1) * answer.p[i];
      });
      this.repaint();
      this.showChances();
      const pixels = Math.floor((answer.first + answer.drawn.length) / this.c);
      this.show([[short(pixels), `of ${this.h * this.w} pixels`], [short(nats, 1), "nats so far"], [short((performance.now() - began) / 1000, 1), "seconds"]]);
    });
    const mine = (this.drawing = page.last);
    this.stopButton.disabled = false;
    await asked;
    if (this.drawing === mine) { this.drawing = null; this.stopButton.disabled = true; }
    const named = page.typed ? `, condition=${python(page.typed)}` : "", hot = heat === 1 ? "" : `, temperature=${heat}`, typed = page.typed ? ` --condition ${quote(page.typed)}` : "";
    const lines = [...loading(page.model), `x = model.sample(1, seed=${this.seed.value}${named}${hot})`, `print(model.log_prob(x${named}))`, `genzoo.save_grid(x, "picture.png")`];
    page.share.show(page.model.weights ? `genzoo sample ${quote(page.model.target)} -n 1 --seed ${this.seed.value}${typed}${heat === 1 ? "" : ` --temperature ${heat}`}` : oneLine(lines), lines);
  }

  showChances() {
    const bytes = new Uint8Array(this.h * this.w);
    // on a scale of three powers of ten
    this.chances.forEach((p, at) => { bytes[at] = p < 0 ? 128 : Math.round(255 * Math.max(0, 1 + Math.log10(Math.max(p, 1e-3)) / 3)); });
    paint(this.map, { c: 1, h: this.h, w: this.w, n: 1, bytes });
  }

  show(pairs) { this.numbers.replaceChildren(...pairs.map(([value, words]) => make("div", {}, make("b", {}, value), make("span", {}, words)))); }

  tell(nats, bits) { this.show([[short(nats, 2), "log p, nats"], [short(bits, 3), "bits per dimension"]]); }

  async measure() {
    const found = await this.page.ask("log_prob", { pixels: base64(this.own.bytes) });
    if (!found?.pictures) return;
    this.tell(found.nats, found.bits);
    const named = this.page.typed ? `, condition=${python(this.page.typed)}` : "", lines = [...loading(this.page.model), "from genzoo.explore.latents import read_image", `x = read_image("picture.png", model.image_shape)`,
      `x = (x * ${this.page.facts.levels - 1}).round() / ${this.page.facts.levels - 1}`, `print(model.log_prob(x${named}))`];
    this.page.share.show(oneLine(lines), lines);
  }

  async read(file) {
    try { this.own = await readFile(file, this.page.facts.shape); } catch (error) { note(error.message, 8); return; }
    this.drawing?.cancel();
    const top = this.page.facts.levels - 1;
    this.own.bytes = this.own.bytes.map((value) => Math.round((Math.round((value / 255) * top) * 255) / top));
    this.chances.fill(-1);
    this.keepAll();
    this.measureSoon();
  }

  async fillIn() {
    const words = make("p", { class: "quiet", role: "status" }, "Completing…");
    this.results.replaceChildren(words);
    const inSight = () => this.results.scrollIntoView({ block: "nearest" }); // on a phone they are far below the button
    inSight();
    this.complete.disabled = true;
    const found = await this.page.ask("complete", { pixels: base64(this.own.bytes), mask: base64(this.kept), seed: Number(this.seed.value) }, (answer) => {
      if (answer.share) words.textContent = `Completing… ${Math.round(100 * answer.share)} %`;
    });
    this.complete.disabled = false;
    if (!found?.pictures) { this.results.replaceChildren(); return; }
    const exact = found.exact ? "log p(rest | kept)" : "log p of the drawn pixels";
    const best = found.drawn.slice(0, found.pictures.n).map((value, i) => [value, i]).sort((a, b) => b[0] - a[0]);
    const heading = make("p", { class: "quiet" }, `What could have been there, the likeliest first, each with ${exact}.`);
    this.results.replaceChildren(heading, ...best.map(([value, i]) => make("figure", { title: exact }, picture(found.pictures, i, `Completion with ${exact} = ${short(value, 1)} nats`), make("figcaption", {}, `${value === null ? "−∞" : value.toFixed(1).replace(/^-0\.0$/, "0.0")} nats`))));
    inSight();
    const named = this.page.typed ? `, condition=${python(this.page.typed)}` : "", lines = [...loading(this.page.model), "from genzoo.explore.latents import read_image", "from genzoo.explore.completion import completions, read_mask",
      `x = (read_image("picture.png", model.image_shape) * ${this.page.facts.levels - 1}).round() / ${this.page.facts.levels - 1}`, `found = completions(model, x, read_mask("mask.png", ${this.h}, ${this.w}), 6, seed=${this.seed.value}${named})`, `genzoo.save_grid(found.rows[0], "completed.png")`];
    this.page.share.show(oneLine(lines), lines);
  }

  stop() { this.drawing?.cancel(); }
}
