// A training run, while it goes on or when it is over.
import { button, make, problem, short } from "./dom.js";

const MOST = 200_000; // rounds that a page keeps; then every second one is dropped

export function openRun(net, main) {
  document.title = "Training · genzoo explorer";
  const state = { steps: [], curves: new Map(), grids: [], shown: -1, follow: true };
  const status = make("p", { class: "quiet", role: "status", id: "state" }, "Reading the log…");
  const plots = make("div", { class: "plots", id: "plots" }), findings = make("ul", { class: "findings", id: "findings" }), healthy = make("p", { class: "quiet" }, "No findings so far.");
  const image = make("img", { class: "grid-picture", alt: "Samples of the run", id: "grid" }), slider = make("input", { type: "range", min: "0", max: "0", value: "0", id: "time" });
  const told = make("output", { for: "time" }, ""), grids = make("section", { hidden: true }, make("h2", {}, "Samples over time"), make("div", { class: "bar" }, make("div", { class: "field wide" }, make("label", { for: "time" }, "Step: ", told), slider)), image);
  const play = button("Play", () => toggle());
  grids.firstChild.nextSibling.append(play);
  main.replaceChildren(make("h1", {}, "Training"), status, plots, make("h2", {}, "The training doctor"), healthy, findings, grids);
  let timer = 0, due = false, gone = false;

  const show = () => {
    const step = state.grids[Number(slider.value)];
    if (step === undefined) return;
    told.textContent = short(step);
    image.alt = `Samples at step ${short(step)}`;
    image.src = `/grids/${step}`;
  };
  const toggle = () => {
    if (timer) { clearInterval(timer); timer = 0; play.textContent = "Play"; return; }
    play.textContent = "Pause";
    timer = setInterval(() => { slider.value = String((Number(slider.value) + 1) % state.grids.length); show(); }, 700);
  };
  slider.addEventListener("input", () => { state.follow = Number(slider.value) === state.grids.length - 1; show(); });

  const redraw = () => {
    due = false;
    if (gone) return;
    for (const [name, values] of state.curves) {
      let plot = [...plots.children].find((one) => one.dataset.name === name);
      if (!plot) {
        plot = make("figure", {}, make("h3", {}, name), make("canvas", { class: "plot", role: "img" }), make("figcaption", {}, ""));
        plot.dataset.name = name;
        plots.append(plot);
      }
      const last = values.findLast((value) => value !== null);
      plot.children[1].setAttribute("aria-label", `${name} against steps, last ${short(last, 4)}`);
      plot.children[2].textContent = `last ${short(last, 4)}`;
      curve(plot.children[1], state.steps, values);
    }
  };

  const take = (answer) => {
    if (answer.problem) { status.textContent = answer.problem; return; }
    if (answer.restarted) { state.steps = []; state.curves.clear(); plots.replaceChildren(); findings.replaceChildren(); healthy.hidden = false; }
    const before = state.steps.length;
    for (const step of answer.steps) state.steps.push(step);
    for (const name of Object.keys(answer.curves)) if (!state.curves.has(name)) state.curves.set(name, new Array(before).fill(null));
    for (const [name, values] of state.curves) for (let i = 0; i < answer.steps.length; i++) values.push(answer.curves[name]?.[i] ?? null);
    if (state.steps.length > MOST) {
      const half = (list) => list.filter((_, i) => i % 2 === 0);
      state.steps = half(state.steps);
      for (const [name, values] of state.curves) state.curves.set(name, half(values));
    }
    for (const finding of answer.findings) {
      healthy.hidden = true;
      findings.append(make("li", {}, make("b", {}, finding.kind), ` at step ${short(finding.step)}: ${finding.words}`));
    }
    if (answer.grids.length !== state.grids.length || answer.restarted) {
      state.grids = answer.grids;
      grids.hidden = !state.grids.length;
      slider.max = String(Math.max(0, state.grids.length - 1));
      if (state.follow) slider.value = slider.max;
      show();
    }
    const step = state.steps.at(-1);
    status.textContent = step === undefined ? "Nothing is logged yet." : `${answer.finished ? "Finished" : "Training"}: step ${short(step)}.`;
    if (!due) { due = true; requestAnimationFrame(redraw); }
  };
  const asked = net.ask("follow", {}, take);
  asked.catch((error) => { if (!gone) main.append(problem(error)); });
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", redraw);
  window.addEventListener("resize", redraw);
  return () => { gone = true; clearInterval(timer); asked.cancel(); media.removeEventListener("change", redraw); window.removeEventListener("resize", redraw); };
}

// A curve with its mean over stretches of the run; the single rounds are pale behind it.
function curve(canvas, steps, values) {
  const scale = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect(), pen = canvas.getContext("2d"), style = getComputedStyle(document.body);
  canvas.width = box.width * scale;
  canvas.height = box.height * scale;
  pen.scale(scale, scale);
  const left = 54, bottom = 24, wide = box.width - left - 6, high = box.height - bottom - 8, finite = values.filter((value) => value !== null);
  if (!finite.length || wide < 40) return;
  const sorted = [...finite].sort((a, b) => a - b), at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
  let [low, top] = [at(0.005), at(0.995)]; // a few wild rounds do not flatten the rest
  if (low === top) { low -= 0.5; top += 0.5; }
  const x = (step) => left + (wide * (step - steps[0])) / Math.max(1, steps.at(-1) - steps[0]), y = (value) => 8 + high * (1 - (Math.max(low, Math.min(top, value)) - low) / (top - low));
  pen.font = "12px system-ui, sans-serif";
  pen.fillStyle = style.getPropertyValue("--soft");
  pen.strokeStyle = style.getPropertyValue("--line");
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (const share of [0, 0.5, 1]) {
    const value = low + share * (top - low);
    pen.beginPath(); pen.moveTo(left, y(value)); pen.lineTo(left + wide, y(value)); pen.stroke();
    pen.fillText(value.toPrecision(3), left - 8, y(value));
  }
  pen.textBaseline = "alphabetic";
  pen.textAlign = "left";
  pen.fillText(short(steps[0]), left, box.height - 6);
  pen.textAlign = "right";
  pen.fillText(short(steps.at(-1)), left + wide, box.height - 6);
  const parts = Math.min(values.length, Math.floor(wide)), means = [];
  for (let part = 0; part < parts; part++) {
    const from = Math.floor((part * values.length) / parts), to = Math.floor(((part + 1) * values.length) / parts);
    const inside = values.slice(from, to).filter((value) => value !== null);
    if (inside.length) means.push([x(steps[from]), inside.reduce((sum, value) => sum + value, 0) / inside.length]);
  }
  const line = (points, colour, width) => {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.beginPath();
    points.forEach(([px, value], i) => (i ? pen.lineTo(px, y(value)) : pen.moveTo(px, y(value))));
    pen.stroke();
  };
  const around = Math.max(1, Math.floor(means.length / 60));
  const smooth = means.map(([px], i) => { const near = means.slice(Math.max(0, i - around), i + around + 1); return [px, near.reduce((sum, one) => sum + one[1], 0) / near.length]; });
  pen.globalAlpha = 0.3;
  line(means, style.getPropertyValue("--accent"), 1);
  pen.globalAlpha = 1;
  line(smooth, style.getPropertyValue("--accent"), 2);
}
