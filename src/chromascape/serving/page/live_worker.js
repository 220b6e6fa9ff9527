// Draws a photo at the screen's size in the model's colors with hints, away from the page, which stays responsive.
import { lightness, luma, writeColor } from "./colors.js";
import { colorsOfRow, prepare } from "./fullsize.js";
import { hinted } from "./hints.js";

let photo = null; // { rgba, width, height, L, colors }

self.addEventListener("message", ({ data }) => {
  const { session } = data;
  try {
    if (data.photo) {
      const measure = data.photo.colors.input === "luma" ? luma : lightness;
      photo = { ...data.photo, L: measure(data.photo.rgba) };
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
  for (let y = 0; y < height; y++) {
    const start = y * width, row = L.subarray(start, start + width);
    const [a, b] = colorsOfRow(prepared, y, row);
    for (let x = 0; x < width; x++) writeColor(out, 4 * (start + x), row[x], clamp(a[x]), clamp(b[x]));
  }
  return out;
}

function clamp(value) {
  return Math.min(Math.max(value, -128), 127);
}
