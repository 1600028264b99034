// Models that can only be sampled, and models that translate pictures.
import { base64, button, dropzone, field, freshSeed, make, note, paint, picture, readFile, save } from "./dom.js";
import { loading, oneLine, python, quote } from "./share.js";

export function samplesView(page) {
  const seed = make("input", { type: "number", min: "0", value: String(page.number("seed", 0)), id: "seed" }), strip = make("div", { class: "strip", id: "samples" });
  const fill = async () => {
    page.remember({ seed: seed.value });
    strip.replaceChildren();
    await page.ask("sample", { seed: Number(seed.value), n: 12 }, (answer) => {
      for (let i = 0; i < answer.pictures.n; i++) strip.append(picture(answer.pictures, i, `Sample ${strip.children.length}`));
    });
    const named = page.typed ? `, condition=${python(page.typed)}` : "", lines = [...loading(page.model), `genzoo.save_grid(model.sample(12, seed=${seed.value}${named}), "samples.png")`];
    page.share.show(page.model.weights ? `genzoo sample ${quote(page.model.target)} -n 12 --seed ${seed.value}${page.typed ? ` --condition ${quote(page.typed)}` : ""}` : oneLine(lines), lines);
  };
  seed.addEventListener("change", fill);
  page.changed.push(fill);
  const bar = make("div", { class: "bar" }, field("Seed", seed), button("New samples", () => { seed.value = String(freshSeed()); fill(); }, { class: "main" }));
  return { element: make("div", {}, bar, strip), start: fill, stop: () => {} };
}

export function translateView(page) {
  const { domains, both } = page.facts.condition, ways = both ? [1, 0] : [1];
  const to = make("select", { id: "to" }, ways.map((i) => make("option", { value: domains[i].name }, `${domains[1 - i].name} → ${domains[i].name}`)));
  const seed = make("input", { type: "number", min: "0", value: String(page.number("seed", 0)), id: "seed" });
  const source = make("canvas", { role: "img", "aria-label": "Your picture" }), target = make("canvas", { role: "img", "aria-label": "Its translation", id: "translation" });
  const pair = make("div", { class: "pair", hidden: true }, make("figure", {}, source, make("figcaption", {}, "yours")), make("figure", {}, target, make("figcaption", {}, "its translation")));
  const keep = button("Save picture", () => save(target, `${page.model.name}-translation`), { hidden: true });
  if (page.state.to) to.value = page.state.to;
  if (to.selectedIndex < 0) to.selectedIndex = 0;
  let own = null, file = null;
  const draw = async () => {
    page.remember({ seed: seed.value, to: to.value });
    const lines = [...loading(page.model), "from genzoo.explore.latents import read_image", `picture = read_image("picture.png", ${python(shape()).replace("[", "(").replace("]", ")")})`,
      `genzoo.save_grid(model.translate(picture, ${python(to.value)}, seed=${seed.value}), "translation.png")`];
    page.share.show(oneLine(lines), lines);
    if (!own) return;
    const found = await page.ask("translate", { pixels: base64(own.bytes), to: to.value, seed: Number(seed.value) });
    if (!found?.pictures) return;
    paint(source, own);
    paint(target, found.pictures);
    pair.hidden = keep.hidden = false;
  };
  const shape = () => domains[domains[1].name === to.value ? 0 : 1].shape;
  const read = async () => {
    if (!file) return draw();
    try { own = await readFile(file, shape()); } catch (error) { note(error.message, 8); return undefined; }
    return draw();
  };
  to.addEventListener("change", read);
  seed.addEventListener("change", draw);
  const zone = dropzone("or drop one here, and see its translation", (chosen) => { file = chosen; read(); });
  return { element: make("div", {}, make("div", { class: "bar" }, field("Direction", to), field("Seed", seed)), zone, pair, keep), start: draw, stop: () => {} };
}
