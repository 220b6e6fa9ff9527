// Colorizes a photo with the model, as colorizing/colorizer.py does.
import { round, smallLightness } from "./fullsize.js";
import * as ort from "./ort.js";
import { invert, measured, paint, spanOf, stretch } from "./painting.js";
import { readPhoto } from "./reading.js";

const KEPT = 16; // photos whose colors are kept, for another style or strength
const kept = new Map(); // by the photo's number and whether it is a negative: the model's colors, see colorsOf
const loaded = load();
loaded.then(() => self.postMessage({ loaded: true }), (error) => self.postMessage({ problem: error.message }));

async function load() {
  const config = JSON.parse(new TextDecoder().decode(await fetched("model.json")));
  const came = {};
  const said = (name, length) => {
    came[name] = length;
    const sum = (lengths) => Object.values(lengths).reduce((one, other) => one + other, 0);
    self.postMessage({ share: Math.min(1, sum(came) / sum(config.bytes)) });
  };
  const [runtime, model] = await Promise.all(["ort.wasm", "model.onnx"].map((name) => fetched(name, said)));
  // What was fetched here needs no type of the host, and has a name where it fails.
  ort.env.wasm.wasmBinary = runtime;
  ort.env.wasm.numThreads = 1; // more threads need headers that a plain file server does not send
  const session = await ort.InferenceSession.create(model).catch((error) => {
    throw new Error(`the model could not be started: ${error.message}`);
  });
  return { config, session };
}

// The bytes of one of the page's files; said is called with its name and how many have come.
async function fetched(name, said = () => {}) {
  const failed = (why) => new Error(`${name} could not be loaded: ${why}: reload the page`);
  const answer = await fetch(new URL(name, import.meta.url)).catch(() => {
    throw failed("the host does not answer");
  });
  if (!answer.ok) throw failed(`the host answers ${answer.status}`);
  const parts = [], reader = answer.body.getReader();
  let length = 0;
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      parts.push(read.value);
      said(name, (length += read.value.length));
    }
  } catch {
    throw failed("the connection broke");
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const answers = { colorize, colors, preview };

// what: one of the answers; number: of the photo, the same each time that it is sent.
self.addEventListener("message", async ({ data: { id, what, file, number, look } }) => {
  try {
    self.postMessage({ id, answer: await answers[what](file, number, look) });
  } catch (error) {
    self.postMessage({ id, error: error.message });
  }
});

async function colorize(file, number, look) {
  const { canvas, image, notes } = await readPhoto(file);
  const { data, width, height } = image;
  const colors = await colorsOf(image, number, look.negative);
  const measure = measured(colors), L = new Float32Array(width);
  paint(data, width, height, colors, look, (_, pixels) => {
    measure(pixels, L);
    return L;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  const kind = file.type === "image/jpeg" ? "image/jpeg" : "image/png";
  return { picture: await canvas.convertToBlob({ type: kind, quality: 0.95 }), notes };
}

async function preview(file) {
  return (await readPhoto(file)).canvas.convertToBlob({ type: "image/png" });
}

// The model's colors of a photo, for the page to change them.
async function colors(file, number, { negative }) {
  return kept.get(`${number} ${negative}`) ?? colorsOf((await readPhoto(file)).image, number, negative);
}

// The model's colors of a photo, whose pixels become those of the positive: see engine.js.
async function colorsOf({ data, width: photoWidth, height: photoHeight }, number, negative) {
  const { config, session } = await loaded;
  if (negative) invert(data);
  return remembered(`${number} ${negative}`, async () => {
    const measure = measured({ input: config.input, span: [0, 100] });
    const row = (y) => data.subarray(4 * photoWidth * y, 4 * photoWidth * (y + 1));
    let scale = config.size / Math.min(photoWidth, photoHeight);
    scale = Math.min(scale, (4 * config.size) / Math.max(photoWidth, photoHeight));
    const width = Math.max(1, round(photoWidth * scale)), height = Math.max(1, round(photoHeight * scale));
    const L = smallLightness((y, out) => measure(row(y), out, true), photoWidth, photoHeight, width, height);
    const span = negative ? spanOf(L) : [0, 100];
    stretch(L, span);
    const ab = await predict(session, config, L, width, height);
    return { L, ab, width, height, span, cell: config.cell, input: config.input, renderings: config.renderings };
  });
}

// The network's a* and b* for L* at working size: two planes.
async function predict(session, config, L, w, h) {
  const paddedW = Math.ceil(w / config.multiple) * config.multiple;
  const paddedH = Math.ceil(h / config.multiple) * config.multiple;
  const padded = new Float32Array(paddedW * paddedH);
  for (let y = 0; y < paddedH; y++) {
    for (let x = 0; x < paddedW; x++) padded[y * paddedW + x] = L[Math.min(y, h - 1) * w + Math.min(x, w - 1)] / 100;
  }
  const { colors } = await session.run({ lightness: new ort.Tensor("float32", padded, [1, 1, paddedH, paddedW]) });
  return [0, 1].map((channel) => {
    const plane = new Float32Array(w * h);
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        plane[y * w + x] = clamp(colors.data[(channel * paddedH + y) * paddedW + x] * 255 - 128);
      }
    }
    return plane;
  });
}

// The colors of a photo, computed only if it is none of the last KEPT.
async function remembered(key, compute) {
  const found = kept.get(key) ?? (await compute());
  kept.delete(key);
  kept.set(key, found); // the last one used comes last
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  return found;
}

function clamp(value) {
  return Math.min(Math.max(value, -128), 127);
}
