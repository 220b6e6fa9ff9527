// Reads the TIFFs that scanners and photo editors write. They become PNGs, so that the browser decodes them by their
// color profile. All that is not in TAGS is refused by name.
import "./geotiff.js";
import { crc32 } from "./zip.js";

const same = (values) => values.every((value) => value === values[0]);
const TAGS = {
  Compression: [1, (value) => [1, 5, 8, 32773, 32946].includes(value), "a compression other than LZW, Deflate and PackBits"],
  SampleFormat: [[1], (values) => same(values) && values[0] === 1, "signed numbers or floats"],
  BitsPerSample: [[1], (values) => same(values) && [8, 16].includes(values[0]), "other than 8 or 16 bits a channel"],
  PhotometricInterpretation: [0, (value) => value <= 2, "colors other than gray and RGB"],
  SamplesPerPixel: [1, (value) => [1, 2, 3, 4].includes(value), "more than four channels"],
  ExtraSamples: [[2], (values) => values.length === 1 && values[0] === 2, "a channel that is no plain transparency"],
  FillOrder: [1, (value) => value === 1, "reversed bits"],
  NewSubfileType: [0, (value) => !(value & 1), "a small preview first, as raw photos have"],
};
const DNG_VERSION = 50706, PROFILE = 34675, SUBDIRECTORIES = 330;

// Returns { blob: a PNG, orientation: 1 to 8, notes }; checkSize throws if the photo is too large.
export async function tiffAsPng(file, checkSize) {
  const { image, pages } = await opened(file);
  const tags = image.fileDirectory;
  await check(tags, image.getSamplesPerPixel());
  const [width, height] = [image.getWidth(), image.getHeight()];
  checkSize(width, height);
  const values = await image.readRasters({ interleave: true }).catch(() => {
    throw new Error("this TIFF is damaged or cut short");
  });
  const bits = image.getBitsPerSample();
  if (tags.getValue("PhotometricInterpretation") === 0) invert(values, image.getSamplesPerPixel(), 2 ** bits - 1);
  const notes = [];
  if (pages > 1) notes.push("has several pictures: only the first is colorized");
  if (bits > 8) notes.push("the result has 8 bits per channel, the photo 16: the command line keeps them");
  const blob = await png(values, width, height, image.getSamplesPerPixel(), bits, await tags.loadValue(PROFILE));
  return { blob, orientation: (await tags.loadValue("Orientation")) ?? 1, notes };
}

async function opened(file) {
  try {
    const tiff = await GeoTIFF.fromArrayBuffer(await file.arrayBuffer());
    return { image: await tiff.getImage(), pages: await tiff.getImageCount() };
  } catch {
    throw new Error("this TIFF is damaged or cut short");
  }
}

async function check(tags, channels) {
  const refused = (what) => new Error(`a TIFF with ${what} is not read here: save it as PNG, or use \`chromascape colorize\``);
  if (tags.hasTag(DNG_VERSION) || tags.hasTag(SUBDIRECTORIES)) throw refused("a raw photo");
  for (const [name, [usual, right, what]] of Object.entries(TAGS)) {
    if (!right((await tags.loadValue(name)) ?? usual)) throw refused(what);
  }
  const colors = tags.getValue("PhotometricInterpretation") === 2 ? 3 : 1;
  if (channels !== colors && !(channels === colors + 1 && tags.hasTag("ExtraSamples"))) {
    throw refused("channels that its colors do not explain");
  }
}

// Of white-is-zero, all but transparency.
function invert(values, channels, most) {
  for (let at = 0; at < values.length; at++) if (at % channels === 0) values[at] = most - values[at];
}

// A PNG (W3C PNG, third edition) of 8 or 16 bits a channel: gray, gray and alpha, RGB or RGBA, with an ICC profile.
async function png(values, width, height, channels, bits, profile) {
  const size = bits / 8, length = width * channels * size;
  const rows = new Uint8Array(height * (length + 1)); // each row after the number of its filter, which is 0: none
  for (let y = 0, n = 0; y < height; y++) {
    for (let at = y * (length + 1) + 1; n < (y + 1) * width * channels; n++) {
      if (size === 2) rows[at++] = values[n] >> 8;
      rows[at++] = values[n] & 255;
    }
  }
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint8(8, bits);
  head.setUint8(9, { 1: 0, 2: 4, 3: 2, 4: 6 }[channels]);
  const parts = [chunk("IHDR", new Uint8Array(head.buffer))];
  if (profile) {
    const name = Uint8Array.of(0x49, 0x43, 0x43, 0, 0); // "ICC", and the method of compression
    parts.push(chunk("iCCP", joined(name, await compressed(Uint8Array.from(profile)))));
  }
  parts.push(chunk("IDAT", await compressed(rows)), chunk("IEND", new Uint8Array()));
  return new Blob([Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), ...parts], { type: "image/png" });
}

function chunk(kind, data) {
  const named = joined(new TextEncoder().encode(kind), data);
  const number = (value) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
  return joined(number(data.length), named, number(crc32(named)));
}

function joined(...arrays) {
  const whole = new Uint8Array(arrays.reduce((sum, array) => sum + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    whole.set(array, at);
    at += array.length;
  }
  return whole;
}

async function compressed(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
