// Small helpers for the page. Text always goes through textContent: names and words may come from anyone.

export function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
  return element;
}

export const button = (words, act, props = {}) => make("button", { type: "button", onclick: act, ...props }, words);

let fields = 0;
export function field(words, input, props = {}) {
  input.id = input.id || `field-${++fields}`;
  return make("div", { class: "field", ...props }, make("label", { for: input.id }, words), input);
}

export function note(words, seconds = 4) {
  const place = document.getElementById("note");
  place.textContent = words;
  clearTimeout(note.timer);
  if (words && seconds) note.timer = setTimeout(() => { place.textContent = ""; }, 1000 * seconds);
}

export const problem = (error) => make("p", { class: "problem", role: "alert" }, error.message);

// The canvas of picture i, one pixel for one pixel; CSS makes it large and keeps its edges.
export function paint(canvas, pictures, i = 0) {
  const { c, h, w, bytes } = pictures;
  const image = new ImageData(w, h), size = c * h * w;
  for (let pixel = 0; pixel < h * w; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * pixel + channel] = bytes[i * size + pixel * c + (c === 1 ? 0 : channel)];
    }
    image.data[4 * pixel + 3] = 255;
  }
  canvas.width = w;
  canvas.height = h;
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.style.aspectRatio = `${w} / ${h}`;
  canvas.dataset.drawn = String(1 + Number(canvas.dataset.drawn || 0)); // tests wait for it
  return canvas;
}

export function picture(pictures, i, words) {
  return paint(make("canvas", { role: "img", "aria-label": words }), pictures, i);
}

// Offers the picture as a PNG file, its pixels as large as `side` allows, or as they are.
export function save(canvas, name, side = 512) {
  const times = Math.max(1, Math.floor(side / Math.max(canvas.width, canvas.height)));
  const large = make("canvas");
  large.width = times * canvas.width;
  large.height = times * canvas.height;
  const pen = large.getContext("2d");
  pen.imageSmoothingEnabled = false;
  pen.drawImage(canvas, 0, 0, large.width, large.height);
  large.toBlob((blob) => {
    const link = make("a", { href: URL.createObjectURL(blob), download: `${name}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

// The pixels of a picture file at the size of a model, its middle cut out: base64 of rows of pixels of c values.
export async function readFile(file, [c, h, w]) {
  const bitmap = await createImageBitmap(file).catch(() => { throw new Error(`${file.name} is not a picture that this browser can read`); });
  const canvas = make("canvas");
  canvas.width = w;
  canvas.height = h;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const share = Math.max(w / bitmap.width, h / bitmap.height);
  const [wide, high] = [share * bitmap.width, share * bitmap.height];
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "#fff"; // behind what is transparent
  pen.fillRect(0, 0, w, h);
  pen.drawImage(bitmap, (w - wide) / 2, (h - high) / 2, wide, high);
  const data = pen.getImageData(0, 0, w, h).data, bytes = new Uint8Array(c * h * w);
  for (let pixel = 0; pixel < h * w; pixel++) {
    const [r, g, b] = data.subarray(4 * pixel);
    if (c === 1) bytes[pixel] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
    else bytes.set([r, g, b], 3 * pixel);
  }
  return { c, h, w, n: 1, bytes };
}

export function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

// A place where a picture can be dropped, or chosen with the keyboard.
export function dropzone(words, take) {
  const input = make("input", { type: "file", accept: "image/*", hidden: true, "aria-label": words });
  const chosen = (files) => { if (files.length) take(files[0]); };
  input.addEventListener("change", () => { chosen(input.files); input.value = ""; });
  const zone = make("div", { class: "drop" }, button("Choose a picture", () => input.click()), make("span", { class: "quiet" }, words), input);
  accept(zone, (data) => chosen(data.files));
  return zone;
}

export function accept(zone, take) {
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => { event.preventDefault(); zone.classList.remove("over"); take(event.dataTransfer); });
}

export const short = (number, digits = 2) => (number === null || number === undefined ? "–" : Number(number).toLocaleString("en", { maximumFractionDigits: digits }));
export const freshSeed = () => Math.floor(Math.random() * 1e6);
