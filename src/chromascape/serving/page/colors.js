// sRGB ↔ CIE Lab and resizing, as color/lab.py and Pillow do them: the same formulas, constants and order.
// Pictures are flat Float32Arrays, row by row.

const RGB_TO_XYZ = [0.412453, 0.357580, 0.180423, 0.212671, 0.715160, 0.072169, 0.019334, 0.119193, 0.950227];
const XYZ_TO_RGB = inverse(RGB_TO_XYZ);
const WHITE = [0.95047, 1.0, 1.08883]; // D65, 2°
const LINEAR = Float32Array.from({ length: 256 }, (_, level) => {
  const value = level / 255;
  return value > 0.04045 ? ((value + 0.055) / 1.055) ** 2.4 : value / 12.92;
});

// L* of RGBA bytes (alpha is not looked at), in 0..100.
export function lightness(rgba) {
  const out = new Float32Array(rgba.length / 4);
  for (let i = 0, p = 0; i < out.length; i++, p += 4) {
    const y = RGB_TO_XYZ[3] * LINEAR[rgba[p]] + RGB_TO_XYZ[4] * LINEAR[rgba[p + 1]] + RGB_TO_XYZ[5] * LINEAR[rgba[p + 2]];
    out[i] = 116 * (y > 0.008856 ? Math.cbrt(y) : y * 7.787 + 16 / 116) - 16;
  }
  return out;
}

// What scikit-image's rgb2gray gives, times 100: what networks with the input "luma" take for L*.
export function luma(rgba) {
  const out = new Float32Array(rgba.length / 4);
  for (let i = 0, p = 0; i < out.length; i++, p += 4) {
    out[i] = (0.2125 * rgba[p] + 0.7154 * rgba[p + 1] + 0.0721 * rgba[p + 2]) * (100 / 255);
  }
  return out;
}

// Writes the color of L*, a*, b* as three bytes at rgba[at]. Chroma is lowered until sRGB can show it, keeping L* and
// hue: the largest of 4096 scales that fits, as lab.fit_to_srgb finds it.
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

// Bilinear weights as Pillow's: a triangle that is as wide as a pixel of the smaller picture. For each of `to` places
// the first source pixel and the weights from there.
export function weights(from, to) {
  const scale = Math.max(from / to, 1);
  return Array.from({ length: to }, (_, at) => {
    const center = (at + 0.5) * (from / to);
    const first = Math.max(Math.trunc(center - scale + 0.5), 0);
    const end = Math.min(Math.trunc(center + scale + 0.5), from);
    const raw = [];
    for (let x = first; x < end; x++) raw.push(Math.max(0, 1 - Math.abs((x - center + 0.5) / scale)));
    const sum = raw.reduce((total, value) => total + value, 0);
    return { first, weights: raw.map((value) => value / sum) };
  });
}

// values (height × width) at another size, along one axis after the other.
export function resize(values, width, height, newWidth, newHeight) {
  if (width === newWidth && height === newHeight) return values;
  return resizeRows(resizeColumns(values, width, height, newWidth), newWidth, height, newHeight);
}

export function resizeColumns(values, width, height, newWidth) {
  const across = weights(width, newWidth);
  const out = new Float32Array(newWidth * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < newWidth; x++) {
      const { first, weights: parts } = across[x];
      let sum = 0;
      for (let k = 0; k < parts.length; k++) sum += values[y * width + first + k] * parts[k];
      out[y * newWidth + x] = sum;
    }
  }
  return out;
}

export function resizeRows(values, width, height, newHeight) {
  const down = weights(height, newHeight);
  const out = new Float32Array(width * newHeight);
  for (let y = 0; y < newHeight; y++) {
    const { first, weights: parts } = down[y];
    for (let k = 0; k < parts.length; k++) {
      for (let x = 0; x < width; x++) out[y * width + x] += values[(first + k) * width + x] * parts[k];
    }
  }
  return out;
}
