// Opens a photo: by the browser's own decoders, TIFF by tiff.js.
const MAX_PIXELS = 100_000_000;

// The photo upright in sRGB, on a canvas and as RGBA, and notes on what the result will lack.
export async function readPhoto(file) {
  const { blob, orientation, notes } = (await isTiff(file)) ? await readTiff(file) : { blob: file, orientation: 1, notes: [] };
  const photo = await createImageBitmap(blob).catch(() => {
    throw new Error("not a photo that this browser can read: save it as JPEG or PNG");
  });
  const { width, height } = photo;
  checkSize(width, height);
  const turned = orientation > 4;
  const canvas = new OffscreenCanvas(turned ? height : width, turned ? width : height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.setTransform(...upright(orientation, width, height));
  context.drawImage(photo, 0, 0);
  photo.close();
  context.resetTransform();
  return { canvas, image: context.getImageData(0, 0, canvas.width, canvas.height), notes };
}

export function checkSize(width, height) {
  if (width * height > MAX_PIXELS) throw new Error(`larger than ${MAX_PIXELS / 1e6} megapixels`);
}

async function isTiff(file) {
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer()).join();
  return ["73,73,42,0", "77,77,0,42", "73,73,43,0", "77,77,0,43"].includes(head);
}

async function readTiff(file) {
  const { tiffAsPng } = await import("./tiff.js").catch(() => {
    throw new Error("tiff.js or geotiff.js, which read TIFF, could not be loaded: reload the page");
  });
  return tiffAsPng(file, checkSize);
}

// The matrix of a canvas that turns a photo of this EXIF orientation upright.
function upright(orientation, width, height) {
  return {
    2: [-1, 0, 0, 1, width, 0], 3: [-1, 0, 0, -1, width, height], 4: [1, 0, 0, -1, 0, height], 5: [0, 1, 1, 0, 0, 0],
    6: [0, 1, -1, 0, height, 0], 7: [0, -1, -1, 0, height, width], 8: [0, -1, 1, 0, 0, width],
  }[orientation] ?? [1, 0, 0, 1, 0, 0];
}
