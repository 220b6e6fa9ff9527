// Colorizes on the server that sent this page.
export const where = "Photos are sent to the server of this page, which keeps none.";
export const ready = Promise.resolve();

const MAX_BYTES = 64_000_000; // the server's limit, checked before the upload
const TRIES = 60, PAUSE = 5000; // while the server's queue is full; milliseconds

// file: a File; look: { style, saturation }; said is called with what is happening. Returns { picture: Blob, notes };
// throws an Error whose message is shown to the user.
export async function colorize(file, { style, saturation }, { signal, said }) {
  const answer = await post(`colorize?style=${style}&saturation=${saturation}`, file, signal, said);
  return { picture: answer.response, notes: JSON.parse(answer.getResponseHeader("X-Notes") ?? "[]") };
}

// The photo as it was sent, as a Blob that every browser shows.
export async function preview(file, { signal }) {
  return (await post("preview", file, signal, () => {})).response;
}

async function post(path, file, signal, said) {
  if (file.size > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES / 1e6} MB`);
  for (let tries = 1; ; tries++) {
    const answer = await sent(path, file, signal, said);
    if (answer.status === 200) return answer;
    if (answer.status !== 503 || tries === TRIES) throw new Error(await reason(answer));
    said("the server is busy: waiting for a place …");
    await pause(signal);
  }
}

// By XMLHttpRequest, because fetch tells nothing of how far a photo has come.
function sent(path, file, signal, said) {
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
    request.send(file);
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
