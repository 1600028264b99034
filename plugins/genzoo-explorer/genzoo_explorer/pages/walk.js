// Interpolation between two pinned samples.
import { accept, button, make, paint, picture } from "./dom.js";
import { oneLine, loading, python, quote } from "./share.js";

const STEPS = 9;

export class Walk {
  constructor(view) {
    this.view = view;
    this.at = [0, 1];
    this.pins = [0, 1].map((end) => this.slot(end));
    this.row = make("div", { class: "row", role: "group", "aria-label": "Pictures from A to B", id: "walk" });
    this.element = make("section", {}, make("h2", {}, "From one sample to another"),
      make("p", { class: "quiet" }, "Drag two samples to A and B, or choose one above and press a button."),
      make("div", { class: "pins" }, this.pins), this.row, button("Copy this walk as command", () => this.share()));
  }

  slot(end) {
    const name = "AB"[end], canvas = make("canvas", { role: "img", "aria-label": `End ${name}` });
    const slot = make("div", { class: "pin" }, canvas, button(`Pin ${name}`, () => this.pin(end, this.view.base), { id: `pin-${name.toLowerCase()}` }));
    accept(slot, (data) => { const i = data.getData("text/genzoo-sample"); if (i !== "") this.pin(end, Number(i)); });
    return slot;
  }

  pin(end, i) { this.at[end] = i; this.refill(); }

  async refill() {
    const { view } = this, ends = this.at.map((i) => view.z[i]);
    if (ends.includes(undefined)) return;
    this.at.forEach((i, end) => paint(this.pins[end].querySelector("canvas"), view.pictures, i));
    const found = await view.page.ask("walk", { z: ends, steps: STEPS });
    if (found?.pictures) this.row.replaceChildren(...found.z.map((_, i) => picture(found.pictures, i, `Step ${i} of ${STEPS - 1} from A to B`)));
  }

  share() {
    const { view } = this, { page } = view, [a, b] = this.at, seed = view.seed.value, named = page.typed ? `, condition=${python(page.typed)}` : "";
    const lines = [...loading(page.model), "from genzoo.explore.interpolation import interpolate", `z = model.sample_latents(12, seed=${seed})`,
      `genzoo.save_grid(interpolate(model, steps=${STEPS}, ends=z[[${a}, ${b}]]${named})[0], "walk.png", columns=${STEPS})`];
    const plain = a === 0 && b === 1 && !view.limit && page.model.weights && page.facts.samples, typed = page.typed ? ` --condition ${quote(page.typed)}` : "";
    page.share.show(plain ? `genzoo interpolate ${quote(page.model.target)} -n 1 --seed ${seed}${typed}` : oneLine(lines), lines);
    page.share.copy(page.share.command);
  }
}
