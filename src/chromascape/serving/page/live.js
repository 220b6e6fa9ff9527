// The picture of the photo whose colors are being changed, of the screen's size: live_worker.js draws it.
const PIXELS = 600_000; // a hint is on screen in 0.15 s
const SCRIPTS = ["live_worker.js", "painting.js", "colors.js", "fullsize.js", "hints.js"];

let worker = null, session = 0, busy = false, next = null;
let shown, failed;

// Begins with a photo, which ends the one before. image: the photo as it was sent, in the page; width: of its place on
// the screen in pixels; colors: of the model (see engine.js); negative: whether the photo is one; show is called with an
// ImageData, fail with an Error.
export function open(image, width, colors, negative, show, fail) {
  session += 1;
  [shown, failed, busy, next] = [show, fail, false, null];
  worker ??= started();
  const { data, ...size } = pixels(image, width);
  worker.postMessage({ session, photo: { rgba: data, ...size, colors, negative } }, [data.buffer]);
}

// Draws the photo with { style, saturation, hints }. Of looks that come while one is drawn only the last one is drawn.
export function draw(look) {
  next = look;
  if (!busy && worker) ask();
}

export function close() {
  session += 1;
  [busy, next] = [false, null];
}

function ask() {
  worker.postMessage({ session, look: next });
  [busy, next] = [true, null];
}

function started() {
  const made = new Worker(new URL("./live_worker.js", import.meta.url), { type: "module" });
  made.addEventListener("message", ({ data }) => {
    if (data.session !== session) return;
    busy = false;
    if (data.error) failed(new Error(data.error));
    else shown(new ImageData(data.rgba, data.width, data.height));
    if (next) ask();
  });
  made.addEventListener("error", async () => {
    worker = null;
    failed(new Error((await whatFails(SCRIPTS)) ?? "this browser can't show colors while they change: update it"));
  });
  return made;
}

// The photo's pixels at the size at which it is shown: { data, width, height }.
function pixels(image, shownWidth) {
  const { naturalWidth, naturalHeight } = image;
  const scale = Math.min(1, shownWidth / naturalWidth, Math.sqrt(PIXELS / (naturalWidth * naturalHeight)));
  const [width, height] = [naturalWidth, naturalHeight].map((side) => Math.max(1, Math.round(side * scale)));
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  return { data: context.getImageData(0, 0, width, height).data, width, height };
}
