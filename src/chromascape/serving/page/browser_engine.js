// Colorizes in this browser, in a worker, so that the page stays responsive. Photos are sent nowhere.
export const where = "The model runs in this page: your photos never leave your device.";

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const asked = new Map();
let count = 0;

worker.addEventListener("message", ({ data: { id, picture, error } }) => {
  const { resolve, reject } = asked.get(id);
  asked.delete(id);
  if (error) reject(new Error(error));
  else resolve(picture);
});
worker.addEventListener("error", () => {
  for (const { reject } of asked.values()) reject(new Error("the model could not be loaded: reload the page"));
  asked.clear();
});

// file: a File; style: faithful or vivid. Returns a Blob; throws an Error whose message is shown to the user.
export function colorize(file, style) {
  count += 1;
  return new Promise((resolve, reject) => {
    asked.set(count, { resolve, reject });
    worker.postMessage({ id: count, file, style });
  });
}
