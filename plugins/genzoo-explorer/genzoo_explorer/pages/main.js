// Chooses the page that the address names.
import { catalogue } from "./catalogue.js";
import { make, note, problem } from "./dom.js";
import { openModel } from "./model.js";
import { Net } from "./net.js";
import { openRun } from "./run.js";
import { readAddress } from "./share.js";

const net = new Net((words) => note(words, 0)), main = document.getElementById("main");
let known = { models: [], first: "", run: false }, leave = () => {};

function navigate(key) {
  const pages = [["", "Models"], ...(known.run ? [["run", "Training"]] : [])];
  document.getElementById("nav").replaceChildren(...pages.map(([to, words]) =>
    make("a", { href: to === "run" ? "#run" : "#all", "aria-current": (to === "run") === (key === "run") && "page" }, words)));
}

async function show() {
  const { key, state } = readAddress();
  leave();
  leave = () => {};
  navigate(key);
  if (key === "run" && known.run) leave = openRun(net, main);
  else if (key === "" || key === "all") {
    document.title = "genzoo explorer";
    const page = catalogue(known.models, net);
    leave = page.stop;
    main.replaceChildren(page.element);
  } else {
    const model = known.models.find((one) => one.key === key);
    if (model) leave = await openModel(net, main, model, state);
    else main.replaceChildren(problem(new Error(`There is no model ${key} here.`)));
  }
}

document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
window.addEventListener("hashchange", () => { show(); main.focus(); window.scrollTo(0, 0); });
try {
  known = await net.ask("catalogue");
  if (!location.hash && known.run) history.replaceState(null, "", "#run");
  else if (!location.hash && known.first) history.replaceState(null, "", `#${encodeURIComponent(known.first)}`);
  await show();
} catch (error) { main.replaceChildren(problem(error)); }
