// Hints as a JSON file, as colorizing/hint_files.py reads them, with the same limits and the same lines.
const VERSION = 1, VERSION_KEY = "chromascape_hints";
const MAX_BYTES = 5_000_000;
export const MOST = 1000; // hints of a photo
const MOST_POINTS = 100_000;
const FIELDS = ["x", "y", "color", "path", "radius"];

// The hints in a File. Throws an Error whose message is shown to the user.
export async function readHints(file) {
  if (file.size > MAX_BYTES) {
    throw new Error(`${file.name}: ${Math.round(file.size / 1e6)} MB, more than hints have (at most ${MAX_BYTES / 1e6} MB)`);
  }
  const bytes = await file.arrayBuffer().catch(() => {
    throw new Error(`${file.name}: can't be read: was it moved or changed since?`);
  });
  return parsed(bytes, file.name);
}

// The text of a file with these hints, one a line.
export function written(hints) {
  return `{"${VERSION_KEY}": ${VERSION}, "hints": [\n${hints.map(line).join(",\n")}\n]}\n`;
}

function line({ x, y, color, path, radius }) {
  return JSON.stringify({ x, y, color, ...(path.length && { path }), ...(radius && { radius }) });
}

function parsed(bytes, name) {
  let values;
  try {
    values = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Error(`${name}: no JSON: docs/using.md says how hints are written`);
  }
  if (!isObject(values) || !(VERSION_KEY in values)) {
    throw new Error(`${name}: no hints: they begin with '${VERSION_KEY}': see docs/using.md`);
  }
  if (values[VERSION_KEY] !== VERSION) {
    throw new Error(`${name}: hints of version ${brief(values[VERSION_KEY])}, but this version of Chromascape reads ${VERSION}`);
  }
  const entries = values.hints;
  if (!Array.isArray(entries) || entries.length > MOST) {
    throw new Error(`${name}: 'hints' must be a list of at most ${MOST.toLocaleString("en")} hints`);
  }
  const hints = entries.map((entry, index) => hint(entry, `${name}: hint ${index + 1}`));
  if (hints.reduce((sum, { path }) => sum + 1 + path.length, 0) > MOST_POINTS) {
    throw new Error(`${name}: at most ${MOST_POINTS.toLocaleString("en")} points of all hints together`);
  }
  return hints;
}

function hint(entry, name) {
  const fields = isObject(entry) ? Object.keys(entry) : [];
  if (!["x", "y", "color"].every((field) => fields.includes(field)) || !fields.every((field) => FIELDS.includes(field))) {
    throw new Error(`${name}: must have x, y and color, and may have path and radius, and nothing else`);
  }
  const { x, y, path = [], radius = 0 } = entry;
  const pairs = Array.isArray(path) && path.every((point) => Array.isArray(point) && point.length === 2);
  if (!pairs || ![x, y, radius, ...path.flat()].every((number) => typeof number === "number")) {
    throw new Error(`${name}: x, y and radius must be numbers, and path a list of pairs of them`);
  }
  const outside = [[x, y], ...path].find((point) => !point.every((share) => share >= 0 && share <= 1));
  if (outside) {
    const place = outside.map((share) => Number(share.toPrecision(6))).join(", ");
    throw new Error(`${name}: (${place}) is outside the photo: x and y are shares of its width and height, 0 to 1`);
  }
  if (!(radius >= 0 && radius <= 0.5)) {
    throw new Error(`${name}: radius ${Number(radius.toPrecision(6))} is not a share of the shorter side from 0 to 0.5`);
  }
  const color = entry.color === "none" ? "none" : hexadecimal(brief(entry.color));
  if (!color) throw new Error(`${name}: '${brief(entry.color)}' is no color: write #rrggbb or a name that CSS knows, or none`);
  return { x, y, color, path, radius };
}

// A value of a file in an error's line; of an object only what it is, because its own toString may be anything.
function brief(value) {
  return typeof value === "object" ? "object" : String(value).slice(0, 40);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// A color as #rrggbb, without its transparency; null if it is none.
function hexadecimal(color) {
  if (!/^(#[0-9a-f]{3,8}|[a-z]+|(rgb|hsl)a?\([^)]*\))$/i.test(color)) return null;
  const opaque = /^#(.{4}|.{8})$/.test(color) ? color.slice(0, color.length === 5 ? 4 : 7) : color;
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = opaque;
  return context.fillStyle !== "#000000" || isBlack(context, opaque) ? hex(context.fillStyle) : null;
}

// A canvas ignores what is no color.
function isBlack(context, color) {
  context.fillStyle = "#ffffff";
  context.fillStyle = color;
  return context.fillStyle === "#000000";
}

function hex(style) {
  return /^#[0-9a-f]{6}$/.test(style) ? style : null; // a color with transparency is no place's color
}
