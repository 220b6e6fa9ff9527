// Colorizes in this browser, in a worker, so that the page stays responsive. Photos are sent nowhere.
export const where = "The model runs in this page: your photos never leave your device.";

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const asked = new Map();
const numbers = new WeakMap(); // of photos, by which the worker knows them again
let count = 0, loading = "loading the model …";

// Rejected with a line that names what could not be loaded.
export const ready = new Promise((resolve, reject) => {
  worker.addEventListener("message", ({ data: { share, loaded, problem } }) => {
    if (problem) reject(new Error(problem));
    else if (loaded) resolve();
    else if (share !== undefined) tell(`loading the model, ${Math.floor(100 * share)} %`);
  });
  worker.addEventListener("error", async () => {
    const scripts = ["worker.js", "painting.js", "colors.js", "fullsize.js", "hints.js", "reading.js", "ort.js"];
    reject(new Error((await whatFails(scripts)) ?? "this browser can't run the model: update it"));
  });
});
ready.then(() => {
  loading = "";
  navigator.serviceWorker?.register("sw.js").catch(() => {}); // keeps the page for visits without the network
}, () => {});

// Another worker takes over at once only where a server now has this address (see server_sw.js): its page is shown.
navigator.serviceWorker?.addEventListener("controllerchange", () => location.reload());

worker.addEventListener("message", ({ data: { id, answer, error } }) => {
  if (!asked.has(id)) return;
  const { resolve, reject } = asked.get(id);
  asked.delete(id);
  if (error) reject(new Error(error));
  else resolve(answer);
});

// What those who wait for the model are told.
function tell(text) {
  loading = text;
  for (const { said } of asked.values()) said(loading);
}

// file: a File; look: { style, saturation, hints, negative }; said is called with what is happening. Returns { picture: Blob,
// notes }; throws an Error whose message is shown to the user.
export async function colorize(file, look, { said }) {
  if (loading) said(loading);
  ready.then(() => said("colorizing …"), () => {});
  if (!numbers.has(file)) numbers.set(file, (count += 1));
  return ask({ what: "colorize", file, number: numbers.get(file), look }, said);
}

// The model's colors of a photo that was colorized: { L, ab, width, height, span, cell, input, renderings }, L* and the
// planes of ab at working size; span: the photo's L* that are 0 and 100 there.
export async function colors(file, look) {
  return ask({ what: "colors", file, number: numbers.get(file), look: { negative: look.negative } }, () => {});
}

// The photo as it was sent, as a Blob that every browser shows.
export async function preview(file) {
  return ask({ what: "preview", file }, () => {});
}

async function ask(question, said) {
  const id = (count += 1);
  const answered = new Promise((resolve, reject) => asked.set(id, { resolve, reject, said }));
  worker.postMessage({ id, ...question });
  try {
    return await Promise.race([answered, ready.then(() => answered)]); // a worker that failed never answers
  } finally {
    asked.delete(id);
  }
}
