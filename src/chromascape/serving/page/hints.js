// What hints change of the model's colors, as colorizing/hints.py computes it: it tells of the method.
// A hint is { x, y, color, path, radius }: shares of the photo's sides, "#rrggbb" or "none", further points [x, y], and
// a share of the shorter side.
import { abOf } from "./colors.js";
import { resize, round } from "./fullsize.js";

const SIDE = 48; // cells of the grid's shorter side
const LONGEST = 4 * SIDE; // cells of its longer side, at most
const SIGMA = 3; // units of L*: the difference at which neighbours hardly share a change
const EPSILON = 7e-4; // how strongly colors stay as the model has them
const LAMBDA = 1e3; // how strongly hints hold

// L: L* at working size; ab: the colors there, two planes. Returns two planes, these with the hints' change added.
export function hinted(L, ab, w, h, hints) {
  if (!hints.length) return ab;
  const [across, down] = grid(w, h);
  const { known, wanted } = marks(hints, across, down);
  const asked = ab.map((plane, channel) => resize(plane, w, h, across, down).map((value, i) => wanted[channel][i] - value));
  const changes = spread(resize(L, w, h, across, down), known, asked, across, down);
  return ab.map((plane, channel) => {
    const change = resize(changes[channel], across, down, w, h);
    return plane.map((value, i) => value + change[i]);
  });
}

// Cells of the grid for a photo of this shape.
function grid(w, h) {
  const scale = Math.min(SIDE / Math.min(w, h), LONGEST / Math.max(w, h), 1);
  return [w, h].map((side) => Math.max(1, round(side * scale)));
}

// The cells that hints cover, 1 or 0, and what they want: two planes, of several hints the mean.
function marks(hints, across, down) {
  const count = new Float64Array(across * down);
  const wanted = [new Float64Array(across * down), new Float64Array(across * down)];
  for (const hint of hints) {
    const ab = hint.color === "none" ? [0, 0] : abOf(hint.color);
    cells(hint, across, down).forEach((covered, i) => {
      if (!covered) return;
      count[i] += 1;
      wanted.forEach((plane, channel) => (plane[i] += ab[channel]));
    });
  }
  wanted.forEach((plane) => plane.forEach((sum, i) => (plane[i] = sum / Math.max(count[i], 1))));
  return { known: Uint8Array.from(count, (number) => Number(number > 0)), wanted };
}

// The cells that a hint covers: the four around each of its points, and those within its radius.
function cells({ x, y, path, radius }, across, down) {
  const wide = across + 1;
  const corners = new Uint8Array(wide * (down + 1)); // of cells: those that are nearest to points
  const mark = (x, y) => (corners[Math.floor(y + 0.5) * wide + Math.floor(x + 0.5)] = 1);
  go([[x, y], ...path].map(([x, y]) => [x * across, y * down]), mark);
  const reach = radius * Math.min(across, down);
  const covered = reach > 1 ? discs(corners, reach, across, down) : new Uint8Array(across * down);
  for (let row = 0; row < down; row++) {
    for (let column = 0; column < across; column++) {
      const at = row * wide + column;
      covered[row * across + column] |= corners[at] | corners[at + 1] | corners[at + wide] | corners[at + wide + 1];
    }
  }
  return covered;
}

// Along a path in steps of half a cell or less; points: in cells.
function go(points, mark) {
  mark(...points[0]);
  for (let i = 1; i < points.length; i++) {
    const [startX, startY] = points[i - 1], moveX = points[i][0] - startX, moveY = points[i][1] - startY;
    const steps = Math.ceil(2 * Math.max(Math.abs(moveX), Math.abs(moveY)));
    for (let step = 1; step <= steps; step++) mark(startX + moveX * (step / steps), startY + moveY * (step / steps));
  }
}

// The cells whose middle is within a radius of a marked corner. They are found a row of the disc at a time, so that a long
// stroke costs what a point does.
function discs(corners, radius, across, down) {
  const covered = new Uint8Array(across * down), before = new Int32Array(across + 2); // marked corners to the left of each
  for (let row = 0; row <= down; row++) {
    for (let column = 0; column <= across; column++) before[column + 1] = before[column] + corners[row * (across + 1) + column];
    if (!before[across + 1]) continue;
    for (let y = Math.max(0, Math.ceil(row - 0.5 - radius)); y < down && y + 0.5 - row <= radius; y++) {
      const reach = Math.sqrt(Math.max(radius ** 2 - (y + 0.5 - row) ** 2, 0));
      const first = Math.ceil(0.5 - reach), last = Math.floor(0.5 + reach);
      for (let x = 0; last >= first && x < across; x++) {
        if (before[Math.min(across, x + last) + 1] > before[Math.max(0, x + first)]) covered[y * across + x] = 1;
      }
    }
  }
  return covered;
}

// The change of each cell: two planes. asked: the change that each known cell asks for, two planes.
// The matrix has one band around its diagonal, as wide as the shorter side, and is solved by Cholesky's method there.
function spread(L, known, asked, across, down) {
  const [short, long] = [Math.min(across, down), Math.max(across, down)];
  const turned = across > down; // then cells are counted column by column
  const cell = Int32Array.from({ length: short * long }, (_, i) => {
    const [far, near] = [Math.trunc(i / short), i % short];
    return turned ? near * across + far : far * across + near;
  });
  const reach = Math.min(short + 1, cell.length - 1);
  const factor = cholesky(matrix(L, known, cell, short, reach), cell.length, reach);
  return asked.map((plane) => {
    const right = Float64Array.from(cell, (place) => LAMBDA * known[place] * plane[place]);
    solve(factor, right, reach);
    const out = new Float32Array(cell.length);
    cell.forEach((place, i) => (out[place] = right[i]));
    return out;
  });
}

// The system's matrix by rows: `reach` numbers before the diagonal, and the diagonal.
function matrix(L, known, cell, short, reach) {
  const rows = new Float64Array(cell.length * (reach + 1));
  const diagonal = (i) => i * (reach + 1) + reach;
  cell.forEach((place, i) => (rows[diagonal(i)] = EPSILON + LAMBDA * known[place]));
  const join = (i, before) => {
    const weight = Math.exp(-((L[cell[i]] - L[cell[before]]) ** 2) / (2 * SIGMA ** 2));
    rows[diagonal(i) - (i - before)] -= weight;
    rows[diagonal(i)] += weight;
    rows[diagonal(before)] += weight;
  };
  for (let i = 0; i < cell.length; i++) {
    const near = i % short;
    if (near) join(i, i - 1);
    if (i < short) continue;
    if (near) join(i, i - short - 1);
    join(i, i - short);
    if (near < short - 1) join(i, i - short + 1);
  }
  return rows;
}

// The lower factor of a matrix with a band, in its place.
function cholesky(rows, count, reach) {
  for (let i = 0; i < count; i++) {
    const first = Math.max(0, i - reach), ownRow = i * (reach + 1) + reach - i; // of column k: ownRow + k
    for (let j = first; j <= i; j++) {
      const otherRow = j * (reach + 1) + reach - j;
      let sum = rows[ownRow + j];
      for (let k = Math.max(first, j - reach); k < j; k++) sum -= rows[ownRow + k] * rows[otherRow + k];
      rows[ownRow + j] = j < i ? sum / rows[otherRow + j] : Math.sqrt(sum);
    }
  }
  return rows;
}

// Solves for a right side, in its place: forward by the factor, then backward by its transpose.
function solve(rows, right, reach) {
  for (let i = 0; i < right.length; i++) {
    const row = i * (reach + 1) + reach - i;
    for (let k = Math.max(0, i - reach); k < i; k++) right[i] -= rows[row + k] * right[k];
    right[i] /= rows[row + i];
  }
  for (let i = right.length - 1; i >= 0; i--) {
    const row = i * (reach + 1) + reach - i;
    right[i] /= rows[row + i];
    for (let k = Math.max(0, i - reach); k < i; k++) right[k] -= rows[row + k] * right[i];
  }
}
