// Paints photos in the model's colors, as colorizing/scans.py does, without finding paper.
import { lightness, luma, writeColors } from "./colors.js";
import { colorsOfRow, prepare } from "./fullsize.js";
import { hinted } from "./hints.js";

const EXTREMES = [0.5, 99.5]; // percentiles of a negative's L* that count as black and white
const NARROW = 40; // units of L*: negatives whose L* spans less are stretched

// Turns RGBA bytes of a negative into those of its positive, in place.
export function invert(rgba) {
  for (let p = 0; p < rgba.length; p++) {
    if (p % 4 < 3) rgba[p] = 255 - rgba[p];
  }
}

// What measures L* of a row of RGBA bytes, see colors.js; span: the L* that become 0 and 100.
export function measured({ input, span }) {
  const measure = input === "luma" ? luma : lightness;
  return (rgba, out, onWhite) => {
    measure(rgba, out, onWhite);
    stretch(out, span);
  };
}

// L* in place, so that the span becomes 0 to 100.
export function stretch(L, [low, high]) {
  if (low === 0 && high === 100) return;
  for (let i = 0; i < L.length; i++) L[i] = Math.min(Math.max(((L[i] - low) * 100) / (high - low), 0), 100);
}

// The span of a negative whose L* is this.
export function spanOf(L) {
  const sorted = L.toSorted();
  const [low, high] = EXTREMES.map((percent) => {
    const at = (percent / 100) * (L.length - 1), below = Math.floor(at), above = Math.min(below + 1, L.length - 1);
    return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
  });
  return high - low >= NARROW || high === low ? [0, 100] : [low, high];
}

// Colors a photo in place, row by row, so that no full-size ab is held. colors: see engine.js; look: { style, saturation,
// hints }; lightnessOf gives L* of row y, whose pixels it gets.
export function paint(rgba, width, height, colors, { style, saturation, hints }, lightnessOf) {
  const { L: small, ab, width: w, height: h, cell, renderings } = colors;
  const factor = renderings[style] * saturation;
  const scaled = ab.map((plane) => plane.map((value) => value * factor));
  const prepared = prepare(hinted(small, scaled, w, h, hints), small, w, h, width, height, cell);
  const [a, b] = [0, 1].map(() => new Float32Array(width));
  for (let y = 0; y < height; y++) {
    const pixels = rgba.subarray(4 * y * width, 4 * (y + 1) * width);
    const L = lightnessOf(y, pixels);
    colorsOfRow(prepared, y, L, a, b);
    writeColors(pixels, L, a, b);
  }
}
