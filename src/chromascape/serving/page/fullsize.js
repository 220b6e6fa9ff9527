// Enlarges colors from the network's working size to the photo's own pixels, as colorizing/fullsize.py does.
// Planes are flat Float32Arrays, row by row.

const NOISE = 25; // added to the variance of L*: variation below about 5 says nothing about color
const REDUCING_GAP = 3; // L* is averaged in whole blocks down to this multiple of the wanted size, then resampled

// Bilinear weights as Pillow's: a triangle as wide as a pixel of the smaller picture. For each of `to` places the first
// source pixel and the weights from there. extent: width of the source, if its last pixel is narrower.
export function weights(from, to, extent = from) {
  const scale = extent / to, reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, at) => {
    const center = (at + 0.5) * scale;
    const first = Math.max(Math.trunc(center - reach + 0.5), 0);
    const end = Math.min(Math.trunc(center + reach + 0.5), from);
    const raw = [];
    for (let x = first; x < end; x++) raw.push(Math.max(0, 1 - Math.abs((x - center + 0.5) / reach)));
    const sum = raw.reduce((total, value) => total + value, 0);
    return { first, weights: raw.map((value) => value / sum) };
  });
}

// values (height × width) at another size, along one axis after the other.
export function resize(values, width, height, newWidth, newHeight, extentX = width, extentY = height) {
  if (width === newWidth && height === newHeight) return values;
  const wide = resizeColumns(values, width, height, newWidth, extentX);
  return resizeRows(wide, newWidth, height, newHeight, extentY);
}

function resizeColumns(values, width, height, newWidth, extent = width) {
  const across = weights(width, newWidth, extent);
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

function resizeRows(values, width, height, newHeight, extent = height) {
  const down = weights(height, newHeight, extent);
  const out = new Float32Array(width * newHeight);
  const sum = new Float64Array(width);
  for (let y = 0; y < newHeight; y++) {
    const { first, weights: parts } = down[y];
    sum.fill(0);
    for (let k = 0; k < parts.length; k++) {
      for (let x = 0; x < width; x++) sum[x] += values[(first + k) * width + x] * parts[k];
    }
    out.set(sum, y * width);
  }
  return out;
}

// L* of the photo at the working size. read(y, out): writes L* of row y, transparent parts composed on white.
export function smallLightness(read, width, height, w, h) {
  const block = Math.max(1, Math.trunc(Math.min(height / h, width / w) / REDUCING_GAP));
  const across = Math.ceil(width / block), down = Math.ceil(height / block);
  const reduced = new Float32Array(across * down), row = new Float32Array(width), sum = new Float64Array(across);
  for (let j = 0; j < down; j++) {
    sum.fill(0);
    const end = Math.min((j + 1) * block, height);
    for (let y = j * block; y < end; y++) {
      read(y, row);
      for (let i = 0, x = 0; i < across; i++) {
        const last = Math.min((i + 1) * block, width);
        let part = 0;
        for (; x < last; x++) part += row[x];
        sum[i] += part;
      }
    }
    for (let i = 0; i < across; i++) {
      reduced[j * across + i] = sum[i] / ((end - j * block) * (Math.min((i + 1) * block, width) - i * block));
    }
  }
  return resize(reduced, across, down, w, h, width / block, height / block);
}

// The planes for colorsOfRow, as wide as the photo and as high as the working size: ab where L* is 0, and the slopes of
// ab over L*; ab alone where nothing is enlarged. ab: two planes at working size; L: L* at working size.
export function prepare(ab, L, w, h, width, height, cell) {
  if (height <= h || width <= w) return { planes: ab.map((plane) => resize(plane, w, h, width, height)), width };
  const gw = Math.max(1, round(w / cell)), gh = Math.max(1, round(h / cell));
  const coarse = resize(L, w, h, gw, gh);
  const slopes = ab.map((plane) => resize(slope(coarse, resize(plane, w, h, gw, gh), gw, gh), gw, gh, w, h));
  const light = resize(coarse, gw, gh, w, h);
  const bases = ab.map((plane, at) => plane.map((value, i) => value - slopes[at][i] * light[i]));
  return { planes: [...bases, ...slopes].map((plane) => resizeColumns(plane, w, h, width)), width, h, height };
}

// Writes a* and b* of row y of the photo, whose L* is given.
export function colorsOfRow({ planes, width, h, height }, y, L, a, b) {
  if (planes.length === 2) {
    [a, b].forEach((out, at) => out.set(planes[at].subarray(y * width, (y + 1) * width)));
    return;
  }
  const at = Math.min(Math.max(((y + 0.5) * h) / height - 0.5, 0), h - 1);
  const above = Math.trunc(at), share = at - above;
  const upper = above * width, lower = Math.min(above + 1, h - 1) * width;
  const [baseA, baseB, slopeA, slopeB] = planes;
  for (let x = 0; x < width; x++) {
    const i = upper + x, j = lower + x, light = L[x];
    a[x] = baseA[i] + (baseA[j] - baseA[i]) * share + (slopeA[i] + (slopeA[j] - slopeA[i]) * share) * light;
    b[x] = baseB[i] + (baseB[j] - baseB[i]) * share + (slopeB[i] + (slopeB[j] - slopeB[i]) * share) * light;
  }
}

// Least-squares slope of a plane over L* in the 3 × 3 cells around, near 0 where L* is flat.
function slope(L, plane, w, h) {
  const product = new Float64Array(w * h), square = new Float64Array(w * h);
  for (let i = 0; i < w * h; i++) {
    product[i] = L[i] * plane[i];
    square[i] = L[i] * L[i];
  }
  const [mean, meanPlane, meanProduct, meanSquare] = [L, plane, product, square].map((values) => average(values, w, h));
  const raw = mean.map((value, i) => {
    const variance = Math.max(meanSquare[i] - value * value, 0);
    return (meanProduct[i] - value * meanPlane[i]) / (variance + NOISE);
  });
  return Float32Array.from(average(raw, w, h));
}

// Mean of the 3 × 3 around each place; edges are repeated.
function average(values, w, h) {
  const out = new Float64Array(w * h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          sum += values[Math.min(Math.max(y + dy, 0), h - 1) * w + Math.min(Math.max(x + dx, 0), w - 1)];
        }
      }
      out[y * w + x] = sum / 9;
    }
  }
  return out;
}

// Python's round: halves are rounded to even.
export function round(value) {
  const nearest = Math.round(value);
  return nearest - value === 0.5 && nearest % 2 ? nearest - 1 : nearest;
}
