// sRGB ↔ CIE Lab as color/lab.py does it: the same formulas, constants and order.

const RGB_TO_XYZ = [0.412453, 0.357580, 0.180423, 0.212671, 0.715160, 0.072169, 0.019334, 0.119193, 0.950227];
const XYZ_TO_RGB = inverse(RGB_TO_XYZ);
const WHITE = [0.95047, 1.0, 1.08883]; // D65, 2°
const LINEAR = Float32Array.from({ length: 256 }, (_, level) => {
  const value = level / 255;
  return value > 0.04045 ? ((value + 0.055) / 1.055) ** 2.4 : value / 12.92;
});

// L* of a row of RGBA bytes, in 0..100. onWhite: compose transparent parts on white, else ignore alpha.
export function lightness(rgba, onWhite = false) {
  return measured(rgba, onWhite, (r, g, b) => {
    const y = RGB_TO_XYZ[3] * LINEAR[r] + RGB_TO_XYZ[4] * LINEAR[g] + RGB_TO_XYZ[5] * LINEAR[b];
    return 116 * (y > 0.008856 ? Math.cbrt(y) : y * 7.787 + 16 / 116) - 16;
  });
}

// scikit-image's rgb2gray, times 100: what networks with the input "luma" use in place of L*.
export function luma(rgba, onWhite = false) {
  return measured(rgba, onWhite, (r, g, b) => (0.2125 * r + 0.7154 * g + 0.0721 * b) * (100 / 255));
}

function measured(rgba, onWhite, measure) {
  const out = new Float32Array(rgba.length / 4);
  for (let i = 0, p = 0; i < out.length; i++, p += 4) {
    let r = rgba[p], g = rgba[p + 1], b = rgba[p + 2];
    if (onWhite && rgba[p + 3] < 255) {
      const share = rgba[p + 3] / 255;
      [r, g, b] = [r, g, b].map((level) => Math.round(255 + (level - 255) * share));
    }
    out[i] = measure(r, g, b);
  }
  return out;
}

// Writes the color of L*, a*, b* as three bytes at rgba[at]. Chroma is reduced until it fits sRGB, keeping L* and hue:
// the largest of 4096 factors that fits, as in lab.fit_to_srgb.
export function writeColor(rgba, at, L, a, b) {
  L = Math.min(Math.max(L, 0), 100);
  let scale = 1;
  if (!fits(toLinear(L, a, b))) {
    let low = 0, high = 1;
    for (let step = 0; step < 12; step++) {
      const middle = (low + high) / 2;
      if (fits(toLinear(L, a * middle, b * middle))) low = middle;
      else high = middle;
    }
    scale = low;
  }
  const linear = toLinear(L, a * scale, b * scale);
  for (let channel = 0; channel < 3; channel++) {
    const value = Math.min(Math.max(linear[channel], 0), 1);
    rgba[at + channel] = Math.round(255 * (value > 0.0031308 ? 1.055 * value ** (1 / 2.4) - 0.055 : 12.92 * value));
  }
}

const linearOut = [0, 0, 0]; // made once: this runs for every pixel

function toLinear(L, a, b) {
  const y = (L + 16) / 116;
  const X = WHITE[0] * cube(y + a / 500), Y = WHITE[1] * cube(y), Z = WHITE[2] * cube(y - b / 200);
  for (let row = 0; row < 3; row++) {
    linearOut[row] = XYZ_TO_RGB[3 * row] * X + XYZ_TO_RGB[3 * row + 1] * Y + XYZ_TO_RGB[3 * row + 2] * Z;
  }
  return linearOut;
}

function cube(f) {
  return f > 0.2068966 ? f * f * f : (f - 16 / 116) / 7.787;
}

function fits(linear) {
  return linear.every((value) => value >= -1e-4 && value <= 1 + 2e-3);
}

function inverse([a, b, c, d, e, f, g, h, i]) {
  const cofactors = [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f,
    d * h - e * g, b * g - a * h, a * e - b * d];
  const determinant = a * cofactors[0] + b * cofactors[3] + c * cofactors[6];
  return cofactors.map((value) => value / determinant);
}

// a* and b* of a color "#rrggbb".
export function abOf(color) {
  const rgb = [1, 3, 5].map((at) => LINEAR[parseInt(color.slice(at, at + 2), 16)]);
  const [x, y, z] = WHITE.map((white, row) => {
    const value = rgb.reduce((sum, light, channel) => sum + RGB_TO_XYZ[3 * row + channel] * light, 0) / white;
    return value > 0.008856 ? Math.cbrt(value) : value * 7.787 + 16 / 116;
  });
  return [500 * (x - y), 200 * (y - z)];
}
