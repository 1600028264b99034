// Models that can only be sampled.
import { button, field, freshSeed, make, picture } from "./dom.js";
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
