// A photo and the model in, a color photo out, as colorizing/colorizer.py does it.
import { lightness, luma, resize, resizeColumns, weights, writeColor } from "./colors.js";
import * as ort from "./ort.wasm.bundle.min.mjs";

const MAX_PIXELS = 100_000_000;
ort.env.wasm.wasmPaths = { wasm: new URL("./ort-wasm-simd-threaded.wasm", import.meta.url).href };
ort.env.wasm.numThreads = 1; // more need headers that a plain file server does not send
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
  context.fillStyle = "white"; // below what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(photo, 0, 0);
  photo.close();
  const image = context.getImageData(0, 0, width, height);
  const L = config.input === "luma" ? luma(image.data) : lightness(image.data);
  const small = await predict(session, config, L, width, height);
  paint(image, L, small, config.renderings[style]);
  context.putImageData(image, 0, 0);
  const kind = file.type === "image/jpeg" ? "image/jpeg" : "image/png";
  return canvas.convertToBlob({ type: kind, quality: 0.95 });
}

// The network's a* and b* at its working size.
async function predict(session, config, L, width, height) {
  let scale = config.size / Math.min(width, height);
  scale = Math.min(scale, (4 * config.size) / Math.max(width, height));
  const w = Math.max(1, round(width * scale)), h = Math.max(1, round(height * scale));
  const input = resize(L, width, height, w, h);
  const paddedW = Math.ceil(w / config.multiple) * config.multiple;
  const paddedH = Math.ceil(h / config.multiple) * config.multiple;
  const padded = new Float32Array(paddedW * paddedH);
  for (let y = 0; y < paddedH; y++) {
    for (let x = 0; x < paddedW; x++) padded[y * paddedW + x] = input[Math.min(y, h - 1) * w + Math.min(x, w - 1)] / 100;
  }
  const { colors } = await session.run({ lightness: new ort.Tensor("float32", padded, [1, 1, paddedH, paddedW]) });
  const ab = [new Float32Array(w * h), new Float32Array(w * h)];
  for (let channel = 0; channel < 2; channel++) {
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const scaled = colors.data[(channel * paddedH + y) * paddedW + x];
        ab[channel][y * w + x] = Math.min(Math.max(scaled * 255 - 128, -128), 127);
      }
    }
  }
  return { ab, w, h };
}

// Python's round: halves go to the even neighbour.
function round(value) {
  const nearest = Math.round(value);
  return nearest - value === 0.5 && nearest % 2 ? nearest - 1 : nearest;
}

// Join the enlarged ab to the photo's own L*, in place: a row at a time, so that no full-size ab is ever held.
function paint(image, L, { ab, w, h }, factor) {
  const { width, height, data } = image;
  const [a, b] = ab.map((values) => resizeColumns(values, w, h, width));
  const down = weights(h, height);
  const rowA = new Float32Array(width), rowB = new Float32Array(width);
  for (let y = 0; y < height; y++) {
    rowA.fill(0);
    rowB.fill(0);
    down[y].weights.forEach((part, k) => {
      const from = (down[y].first + k) * width;
      for (let x = 0; x < width; x++) {
        rowA[x] += a[from + x] * part;
        rowB[x] += b[from + x] * part;
      }
    });
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      writeColor(data, 4 * at, L[at], clamp(rowA[x] * factor), clamp(rowB[x] * factor));
    }
  }
}

function clamp(value) {
  return Math.min(Math.max(value, -128), 127);
}
