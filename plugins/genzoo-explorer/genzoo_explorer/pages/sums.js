// Arithmetic: three trays of samples, A - B + C, each a concept of at least three.
import { accept, button, make, note, picture } from "./dom.js";
import { loading, oneLine, quote } from "./share.js";

const FEWEST = 3, NAMES = ["A", "B", "C"], SIGNS = ["+", "−", "+"];

export class Sums {
  constructor(view) {
    this.view = view;
    this.kept = [[], [], []]; // of each tray: { z, seed, i, pictures }
    this.trays = NAMES.map((name, at) => {
      const items = make("div", { class: "items" }), words = make("p", { class: "quiet small" }, "");
      const tray = make("div", { class: "tray", role: "group", "aria-label": `Tray ${name}` }, make("h3", {}, `${SIGNS[at]} ${name}`), items, words,
        button("Add the chosen sample", () => this.add(at, this.view.base)));
      accept(tray, (data) => { const i = data.getData("text/genzoo-sample"); if (i !== "") this.add(at, Number(i)); });
      return Object.assign(tray, { items, words });
    });
    this.result = make("div", { class: "results", id: "sum" });
    this.go = button("Add up", () => this.compute(), { class: "main", id: "add-up" });
    this.element = make("section", {}, make("h2", {}, "Arithmetic"),
      make("p", { class: "quiet" }, "Put at least three samples that share something into each tray: of faces, smiling women into A, other women into B, men into C. The sum is A − B + C; B and C may stay empty. On a sample, the keys 1, 2 and 3 add it."),
      make("div", { class: "trays" }, this.trays), this.go, this.result);
    this.refill();
  }

  add(tray, i) {
    const { view } = this;
    if (!view.z[i]) return;
    if (this.kept[tray].length >= 16) { note("A tray holds 16 samples."); return; }
    this.kept[tray].push({ z: view.z[i], seed: view.seed.value, i, pictures: view.pictures });
    note(`Sample ${i} is in tray ${NAMES[tray]}.`);
    this.refill();
  }

  refill() {
    this.trays.forEach((tray, at) => {
      const kept = this.kept[at], missing = FEWEST - kept.length;
      tray.items.replaceChildren(...kept.map((one, place) => button([picture(one.pictures, one.i, `Sample ${one.i} of seed ${one.seed}`)],
        () => { kept.splice(place, 1); this.refill(); }, { title: "Remove it", "aria-label": `Remove sample ${one.i} of seed ${one.seed}` })));
      tray.words.textContent = at && !kept.length ? "empty" : missing > 0 ? `${missing} more needed` : "";
    });
    this.go.disabled = !this.kept[0].length || this.kept.some((kept) => kept.length && kept.length < FEWEST);
  }

  async compute() {
    const [a, b, c] = this.kept.map((kept) => (kept.length ? kept.map((one) => one.z) : null));
    const { page } = this.view, found = await page.ask("sums", { plus: a, minus: b, more: c, seed: Number(this.view.seed.value) });
    if (!found?.pictures) return;
    const [around, concepts] = found.parts, names = ["A", ...(c ? ["C"] : []), ...(b ? ["B"] : [])];
    const one = (i, words) => picture(found.pictures, i, words), order = [1, 2, 3, 4, 0, 5, 6, 7, 8];
    const means = names.map((name, i) => make("figure", { class: "pin" }, one(around + i, `The mean of ${name}`), make("figcaption", {}, `mean of ${name}`)));
    this.result.replaceChildren(...means,
      make("figure", {}, make("div", { class: "sum" }, order.map((i) => one(i, i ? "A neighbour of the sum" : "The sum"))), make("figcaption", {}, "the sum, in the middle of its neighbours")),
      make("figure", { class: "pin" }, one(around + concepts, "The same sum over pixels"), make("figcaption", {}, "the same sum over pixels")),
      button("Slide the sum", () => { this.view.found = found.z[0]; this.view.drawSoon(); this.view.canvas.scrollIntoView({ block: "center" }); }));
    this.share();
  }

  share() {
    const { page } = this.view, groups = this.kept.map((kept) => kept.map((one) => `${one.seed}:${one.i}`).join(","));
    const typed = page.typed ? ` --condition ${quote(page.typed)}` : "";
    const words = [`--plus-seeds ${groups[0]}`, groups[1] && `--minus-seeds ${groups[1]}`, groups[2] && `--plus-seeds ${groups[2]}`].filter(Boolean).join(" ");
    const pairs = (kept) => `of_seeds(model, [${kept.map((one) => `(${one.seed}, ${one.i})`).join(", ")}])`;
    const lines = [...loading(page.model), "from genzoo.explore.concepts import of_seeds", "from genzoo.explore.arithmetic import arithmetic",
      `found = arithmetic(model, [${[this.kept[0], this.kept[2]].filter((kept) => kept.length).map(pairs).join(", ")}], [${this.kept[1].length ? pairs(this.kept[1]) : ""}], seed=${this.view.seed.value}${page.typed ? `, condition=${JSON.stringify(page.typed)}` : ""})`,
      `genzoo.save_grid(found.images, "sum.png", columns=3)`];
    page.share.show(page.model.weights ? `genzoo arithmetic ${quote(page.model.target)} ${words} --seed ${this.view.seed.value}${typed}` : oneLine(lines), lines);
  }
}
