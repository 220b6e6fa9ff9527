// Draws a photo at the screen's size in the model's colors with hints, away from the page, which stays responsive.
import { lightness, luma, writeColors } from "./colors.js";
import { colorsOfRow, prepare } from "./fullsize.js";
import { hinted } from "./hints.js";

let photo = null; // { rgba, width, height, L, colors }

self.addEventListener("message", ({ data }) => {
  const { session } = data;
  try {
    if (data.photo) {
      const measure = data.photo.colors.input === "luma" ? luma : lightness;
      const L = new Float32Array(data.photo.width * data.photo.height);
      measure(data.photo.rgba, L);
      photo = { ...data.photo, L };
    } else {
      const rgba = drawn(photo, data.look);
      self.postMessage({ session, rgba, width: photo.width, height: photo.height }, [rgba.buffer]);
    }
  } catch (error) {
    self.postMessage({ session, error: error.message });
  }
});

function drawn({ rgba, width, height, L, colors }, { style, saturation, hints }) {
  const { L: small, ab, width: w, height: h, cell, renderings } = colors;
  const factor = renderings[style] * saturation;
  const scaled = ab.map((plane) => plane.map((value) => value * factor));
  const prepared = prepare(hinted(small, scaled, w, h, hints), small, w, h, width, height, cell);
  const out = rgba.slice();
  const [a, b] = [0, 1].map(() => new Float32Array(width));
  for (let y = 0; y < height; y++) {
    const row = L.subarray(y * width, (y + 1) * width);
    colorsOfRow(prepared, y, row, a, b);
    writeColors(out.subarray(4 * y * width, 4 * (y + 1) * width), row, a, b);
  }
  return out;
}
