// Colorizes on the server that sent this page.
import { written } from "./hint_file.js";

export const where = "Photos are sent to the server of this page, which keeps none.";
export const ready = Promise.resolve();

const MAX_BYTES = 64_000_000; // the server's limit, checked before the upload
const TRIES = 60, PAUSE = 5000; // while the server's queue is full; milliseconds

// file: a File; look: { style, saturation, hints, negative }; said is called with what is happening. Returns { picture: Blob,
// notes }; throws an Error whose message is shown to the user.
export async function colorize(file, { style, saturation, hints, negative }, { signal, said }) {
  const before = hints.length ? new Blob([written(hints)]) : null;
  const length = before ? `&hints=${before.size}` : "";
  const path = `colorize?style=${style}&saturation=${saturation}&negative=${Number(negative)}${length}`;
  const answer = await post(path, file, signal, said, before);
  return { picture: answer.response, notes: JSON.parse(answer.getResponseHeader("X-Notes") ?? "[]") };
}

// The model's colors of a photo that was colorized: { L, ab, width, height, span, cell, input, renderings }, L* and the
// planes of ab at working size; span: the photo's L* that are 0 and 100 there.
export async function colors(file, { negative }, { signal }) {
  const answer = await post(`colors?negative=${Number(negative)}`, file, signal, () => {});
  const about = JSON.parse(answer.getResponseHeader("X-Colors")), count = about.width * about.height;
  const values = new DataView(await answer.response.arrayBuffer());
  const plane = (first) => Float32Array.from({ length: count }, (_, i) => values.getFloat32(4 * (first * count + i), true));
  return { ...about, L: plane(0), ab: [plane(1), plane(2)] };
}

// The photo as it was sent, as a Blob that every browser shows.
export async function preview(file, { signal }) {
  return (await post("preview", file, signal, () => {})).response;
}

// before: a Blob that is sent before the file, if any.
async function post(path, file, signal, said, before = null) {
  if (file.size > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES / 1e6} MB`);
  const body = before ? new Blob([before, file]) : file;
  for (let tries = 1; ; tries++) {
    const answer = await sent(path, body, signal, said);
    if (answer.status === 200) return answer;
    if (answer.status !== 503 || tries === TRIES) throw new Error(await reason(answer));
    said("the server is busy: waiting for a place …");
    await pause(signal);
  }
}

// By XMLHttpRequest, because fetch tells nothing of how far a photo has come.
function sent(path, body, signal, said) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new Error("removed"));
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "blob";
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      said(loaded < total ? `sending, ${Math.floor((100 * loaded) / total)} %` : "colorizing …");
    });
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("abort", () => reject(new Error("removed")));
    request.addEventListener("error", () => {
      reject(new Error("the server does not answer: is `chromascape serve` still running?"));
    });
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

function pause(signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, PAUSE);
    signal.addEventListener("abort", resolve);
  });
}

async function reason(answer) {
  try {
    return JSON.parse(await answer.response.text()).error;
  } catch {
    return `the server failed (${answer.status})`;
  }
}
