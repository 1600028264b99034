// A label map that is drawn by hand: rectangles and strokes in the colours of a legend.
import { button, make, paint } from "./dom.js";

const BRUSH = 1 / 40, STEP = 1 / 32, UNDO = 30; // the brush and a step of the arrow keys, as shares of the longer side

export class Painter {
  // `legend`: [{ name, colour: "0032ff" }, …]; `changed` is called with the picture whenever it has changed.
  constructor([c, h, w], legend, changed) {
    Object.assign(this, { h, w, legend, changed, tool: "rectangle", colour: Math.min(2, legend.length - 1), past: [], at: [w >> 1, h >> 1], from: null });
    this.own = { c, h, w, n: 1, bytes: new Uint8Array(c * h * w) };
    this.canvas = make("canvas", { role: "img", "aria-label": "The map", id: "map-drawn" });
    this.over = make("canvas", { class: "over", "aria-hidden": "true" });
    this.board = make("div", { class: "board", tabindex: "0", role: "application", "aria-label": "The map. The arrow keys move; the space bar sets the corners of a rectangle, or paints." }, this.canvas, this.over);
    this.colours = legend.map(({ name, colour }, i) => {
      const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = `#${colour}`;
      return button([swatch, name], () => this.choose(i), { class: "colour", "aria-pressed": String(i === this.colour) });
    });
    this.tools = ["rectangle", "brush"].map((tool) => button({ rectangle: "Rectangle", brush: "Brush" }[tool], () => this.take(tool), { id: `tool-${tool}`, "aria-pressed": String(tool === this.tool) }));
    this.undo = button("Undo", () => this.back(), { disabled: true });
    this.bar = make("div", { class: "bar tight" }, this.tools, this.undo, button("Start again", () => { this.keep(); this.example(); }));
    this.palette = make("div", { class: "palette", role: "group", "aria-label": "Colours of the map" }, this.colours);
    this.listen();
  }

  choose(i) {
    this.colour = i;
    this.colours.forEach((one, at) => one.setAttribute("aria-pressed", String(at === i)));
  }

  take(tool) {
    this.tool = tool;
    this.from = null;
    for (const one of this.tools) one.setAttribute("aria-pressed", String(one.id === `tool-${tool}`));
  }

  rgb(i) { return [0, 2, 4].map((at) => parseInt(this.legend[Math.min(i, this.legend.length - 1)].colour.slice(at, at + 2), 16)); }

  fill([x0, y0], [x1, y1], colour = this.colour) {
    const rgb = this.rgb(colour), [left, right] = [Math.min(x0, x1), Math.max(x0, x1)], [top, bottom] = [Math.min(y0, y1), Math.max(y0, y1)];
    for (let y = Math.max(0, top); y <= Math.min(this.h - 1, bottom); y++) for (let x = Math.max(0, left); x <= Math.min(this.w - 1, right); x++) this.own.bytes.set(rgb, 3 * (y * this.w + x));
  }

  // A first map by the order of the legend: the second part on the first, a grid of the third, and one of the fourth.
  example() {
    const part = (x0, y0, x1, y1, colour) => this.fill([Math.round(x0 * this.w), Math.round(y0 * this.h)], [Math.round(x1 * this.w) - 1, Math.round(y1 * this.h) - 1], colour);
    part(0, 0, 1, 1, 0);
    part(0.06, 0.1, 0.94, 1, 1);
    for (let row = 0; row < 3; row++) for (let column = 0; column < 4; column++) part(0.14 + 0.2 * column, 0.17 + 0.22 * row, 0.26 + 0.2 * column, 0.31 + 0.22 * row, 2);
    part(0.44, 0.82, 0.56, 1, 3);
    this.show();
  }

  // Shows a picture of c values a pixel, for example one that was dropped.
  load(picture) { this.keep(); this.own = picture; this.show(); }

  show() { paint(this.canvas, this.own); this.mark(); this.changed(this.own); }

  keep() {
    this.past.push(this.own.bytes.slice());
    if (this.past.length > UNDO) this.past.shift();
    this.undo.disabled = false;
  }

  back() {
    const bytes = this.past.pop();
    this.undo.disabled = !this.past.length;
    if (bytes) { this.own = { ...this.own, bytes }; this.show(); }
  }

  // The pointer, or the place of the keys.
  listen() {
    const place = (event) => {
      const box = this.board.getBoundingClientRect();
      return [Math.floor(((event.clientX - box.left) / box.width) * this.w), Math.floor(((event.clientY - box.top) / box.height) * this.h)].map((value, i) => Math.max(0, Math.min([this.w, this.h][i] - 1, value)));
    };
    this.board.addEventListener("pointerdown", (event) => { this.board.setPointerCapture(event.pointerId); this.keys = false; this.keep(); this.from = place(event); this.to(this.from); });
    this.board.addEventListener("pointermove", (event) => { if (this.from && !this.keys) this.to(place(event)); });
    for (const name of ["pointerup", "pointercancel"]) this.board.addEventListener(name, () => { this.from = null; });
    this.board.addEventListener("keydown", (event) => this.key(event));
    this.board.addEventListener("blur", () => { this.keys = false; this.mark(); });
  }

  key(event) {
    const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key], by = Math.max(1, Math.round(STEP * Math.max(this.w, this.h)));
    if (!step && event.key !== " " && !(event.key === "Escape" && this.from)) return;
    event.preventDefault();
    this.keys = true;
    if (step) this.at = this.at.map((value, i) => Math.max(0, Math.min([this.w, this.h][i] - 1, value + by * step[i])));
    if (event.key === "Escape") this.from = null;
    else if (event.key === " " && this.tool === "rectangle" && !this.from) this.from = this.at;
    else if (event.key === " ") { this.keep(); this.from = this.from || this.at; this.to(this.at); this.from = null; }
    this.mark();
  }

  // Paints from where the pointer went down to here: the brush along the way, a rectangle in place of the last one.
  to(here) {
    if (this.tool === "rectangle") {
      this.own.bytes.set(this.past.at(-1));
      this.fill(this.from, here);
    } else {
      const radius = Math.max(1, Math.round(BRUSH * Math.max(this.w, this.h))), steps = Math.max(1, ...here.map((value, i) => Math.abs(value - this.from[i])));
      for (let step = 0; step <= steps; step++) {
        const [x, y] = here.map((value, i) => Math.round(this.from[i] + ((value - this.from[i]) * step) / steps));
        this.fill([x - radius, y - radius], [x + radius, y + radius]);
      }
      this.from = here;
    }
    this.show();
  }

  // The place of the keys, and the first corner of a rectangle.
  mark() {
    this.over.width = this.w;
    this.over.height = this.h;
    if (!this.keys) return;
    const pen = this.over.getContext("2d"), [x, y] = this.at;
    pen.strokeStyle = "#ffffff";
    if (this.from) pen.strokeRect(Math.min(x, this.from[0]) + 0.5, Math.min(y, this.from[1]) + 0.5, Math.abs(x - this.from[0]), Math.abs(y - this.from[1]));
    pen.fillStyle = "#ffffff";
    pen.fillRect(x - 3, y, 7, 1);
    pen.fillRect(x, y - 3, 1, 7);
  }
}
