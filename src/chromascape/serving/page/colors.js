// sRGB ↔ CIE Lab as color/lab.py does it: the same formulas, constants and order, with tables of levels.

const RGB_TO_XYZ = [0.412453, 0.357580, 0.180423, 0.212671, 0.715160, 0.072169, 0.019334, 0.119193, 0.950227];
const WHITE = [0.95047, 1.0, 1.08883]; // D65, 2°
const [XR, YR, ZR, XG, YG, ZG, XB, YB, ZB] = inverse(RGB_TO_XYZ).map((value, at) => value * WHITE[at % 3]);
const STEPS = 16384; // of linear light in the table of levels: a fifth of a level where the encoding is steepest
const LUMINANCES = 65535; // steps of Y in the table of L*
const LOWEST = -1e-4, HIGHEST = 1 + 2e-3; // half a level outside sRGB, which rounding hides
const TOE = 6 / 29, TOE_SLOPE = 3 * TOE * TOE; // CIE's f is a cube root above, and linear below

const LINEAR = Float64Array.from({ length: 256 }, (_, level) => {
  const value = level / 255;
  return value > 0.04045 ? ((value + 0.055) / 1.055) ** 2.4 : value / 12.92;
});
const [RED_Y, GREEN_Y, BLUE_Y] = [3, 4, 5].map((at) => LINEAR.map((value) => value * RGB_TO_XYZ[at] * LUMINANCES));
const LIGHTNESS = Float32Array.from({ length: LUMINANCES + 2 }, (_, step) => {
  const y = step / LUMINANCES;
  return Math.min(116 * (y > 0.008856 ? Math.cbrt(y) : y * 7.787 + 16 / 116) - 16, 100);
});
const LEVELS = Uint8Array.from({ length: STEPS + 1 }, (_, step) => {
  const value = Math.min((step + 0.5) / STEPS, 1);
  return Math.round(255 * (value > 0.0031308 ? 1.055 * value ** (1 / 2.4) - 0.055 : 12.92 * value));
});

// L* of a row of RGBA bytes into `out`, in 0..100. onWhite: compose transparent parts on white, else ignore alpha.
export function lightness(rgba, out, onWhite = false) {
  for (let i = 0, p = 0; i < out.length; i++, p += 4) {
    if (onWhite && rgba[p + 3] < 255) {
      const [r, g, b] = composed(rgba, p);
      out[i] = LIGHTNESS[(RED_Y[r] + GREEN_Y[g] + BLUE_Y[b] + 0.5) | 0];
    } else {
      out[i] = LIGHTNESS[(RED_Y[rgba[p]] + GREEN_Y[rgba[p + 1]] + BLUE_Y[rgba[p + 2]] + 0.5) | 0];
    }
  }
}

// scikit-image's rgb2gray, times 100: what networks with the input "luma" use in place of L*.
export function luma(rgba, out, onWhite = false) {
  for (let i = 0, p = 0; i < out.length; i++, p += 4) {
    const [r, g, b] = onWhite && rgba[p + 3] < 255 ? composed(rgba, p) : [rgba[p], rgba[p + 1], rgba[p + 2]];
    out[i] = (0.2125 * r + 0.7154 * g + 0.0721 * b) * (100 / 255);
  }
}

function composed(rgba, p) {
  const share = rgba[p + 3] / 255;
  return [0, 1, 2].map((channel) => Math.round(255 + (rgba[p + channel] - 255) * share));
}

// Writes the colors of a row of L*, a*, b* over RGBA bytes, without alpha. Chroma is reduced until it fits sRGB,
// keeping L* and hue: by the largest of 4096 factors that fits, as in lab.fit_to_srgb. No array is made in this loop,
// which runs for every pixel.
export function writeColors(rgba, L, a, b) {
  for (let i = 0, p = 0; i < L.length; i++, p += 4) {
    const y = (L[i] + 16) / 116, dx = a[i] / 500, dz = -b[i] / 200;
    const Y = cube(y);
    let X = cube(y + dx), Z = cube(y + dz);
    if (!fits(X, Y, Z)) {
      let low = 0, high = 1;
      for (let step = 0; step < 12; step++) {
        const middle = (low + high) / 2;
        if (fits(cube(y + dx * middle), Y, cube(y + dz * middle))) low = middle;
        else high = middle;
      }
      X = cube(y + dx * low);
      Z = cube(y + dz * low);
    }
    rgba[p] = level(XR * X + YR * Y + ZR * Z);
    rgba[p + 1] = level(XG * X + YG * Y + ZG * Z);
    rgba[p + 2] = level(XB * X + YB * Y + ZB * Z);
  }
}

function cube(f) {
  return f > TOE ? f * f * f : (f - 16 / 116) * TOE_SLOPE;
}

function fits(X, Y, Z) {
  const red = XR * X + YR * Y + ZR * Z, green = XG * X + YG * Y + ZG * Z, blue = XB * X + YB * Y + ZB * Z;
  return red >= LOWEST && red <= HIGHEST && green >= LOWEST && green <= HIGHEST && blue >= LOWEST && blue <= HIGHEST;
}

function level(linear) {
  return LEVELS[linear <= 0 ? 0 : linear >= 1 ? STEPS : (linear * STEPS) | 0];
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
