// Colorizes on the server that sent this page.
export const where = "Photos are sent to the server of this page, which keeps none.";

const MAX_BYTES = 64_000_000; // the server's limit, checked before the upload

// file: a File; style: faithful or vivid. Returns a Blob; throws an Error whose message is shown to the user.
export async function colorize(file, style) {
  if (file.size > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES / 1e6} MB`);
  let answer;
  try {
    const headers = { "Content-Type": "application/octet-stream" };
    answer = await fetch(`colorize?style=${style}`, { method: "POST", headers, body: file });
  } catch {
    throw new Error("the server does not answer: is `chromascape serve` still running?");
  }
  if (!answer.ok) {
    const reason = await answer.json().catch(() => ({}));
    throw new Error(reason.error ?? `the server failed (${answer.status})`);
  }
  return answer.blob();
}
