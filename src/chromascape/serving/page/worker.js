// Colorizes a photo with the model, as colorizing/colorizer.py does.
import { lightness, luma, writeColor } from "./colors.js";
import { colorsOfRow, prepare, round, smallLightness } from "./fullsize.js";
import * as ort from "./ort.wasm.bundle.min.mjs";

const MAX_PIXELS = 100_000_000;
ort.env.wasm.wasmPaths = { wasm: new URL("./ort-wasm-simd-threaded.wasm", import.meta.url).href };
ort.env.wasm.numThreads = 1; // more threads need headers that a plain file server does not send
const loaded = load();

async function load() {
  const answer = await fetch(new URL("./model.json", import.meta.url));
  return { config: await answer.json(), session: await ort.InferenceSession.create(new URL("./model.onnx", import.meta.url).href) };
}

self.addEventListener("message", async ({ data: { id, file, style } }) => {
  try {
    self.postMessage({ id, picture: await colorize(file, style) });
  } catch (error) {
    self.postMessage({ id, error: error.message });
  }
});

async function colorize(file, style) {
  const { config, session } = await loaded.catch(() => {
    throw new Error("the model could not be loaded: reload the page");
  });
  const photo = await createImageBitmap(file).catch(() => {
    throw new Error("not a photo that this browser can read");
  });
  const { width, height } = photo;
  if (width * height > MAX_PIXELS) throw new Error(`larger than ${MAX_PIXELS / 1e6} megapixels`);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(photo, 0, 0);
  photo.close();
  const image = context.getImageData(0, 0, width, height);
  await paint(image, session, config, config.renderings[style]);
  context.putImageData(image, 0, 0);
  const kind = file.type === "image/jpeg" ? "image/jpeg" : "image/png";
  return canvas.convertToBlob({ type: kind, quality: 0.95 });
}

// Colorizes a photo in place, row by row, so that no full-size L* or ab is held.
async function paint({ data, width, height }, session, config, factor) {
  const measure = config.input === "luma" ? luma : lightness;
  const row = (y) => data.subarray(4 * width * y, 4 * width * (y + 1));
  let scale = config.size / Math.min(width, height);
  scale = Math.min(scale, (4 * config.size) / Math.max(width, height));
  const w = Math.max(1, round(width * scale)), h = Math.max(1, round(height * scale));
  const small = smallLightness((y) => measure(row(y), true), width, height, w, h);
  const ab = await predict(session, config, small, w, h);
  for (const plane of ab) plane.forEach((value, at) => (plane[at] = value * factor));
  const prepared = prepare(ab, small, w, h, width, height, config.cell);
  for (let y = 0; y < height; y++) {
    const pixels = row(y), L = measure(pixels);
    const [a, b] = colorsOfRow(prepared, y, L);
    for (let x = 0; x < width; x++) writeColor(pixels, 4 * x, L[x], clamp(a[x]), clamp(b[x]));
  }
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

function clamp(value) {
  return Math.min(Math.max(value, -128), 127);
}
