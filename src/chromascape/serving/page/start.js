// Names a file of the page that can't be loaded: the page would wait for it without a word. A classic script, which runs
// also where modules don't.
const MODULES = [
  "page.js", "card.js", "compare.js", "intake.js", "zip.js", "engine.js", "hint_editor.js", "hint_tool.js", "hint_list.js", "hint_file.js",
  "history.js", "palette.js", "dots.js", "live.js", "live_worker.js", "painting.js", "hints.js", "colors.js",
  "fullsize.js",
];

addEventListener("error", async ({ target }) => {
  const address = target.src || target.href;
  if (!address || !address.startsWith(location.href.replace(/[^/]*$/, ""))) return; // a photo's own picture
  if (location.protocol === "file:") return tell("open this page from a web server: browsers load no modules from files");
  tell((target.type === "module" && (await whatFails(MODULES))) || `${address} could not be loaded`);
}, true); // errors of elements don't bubble

function tell(problem) {
  const status = document.getElementById("status");
  if (!status) return addEventListener("DOMContentLoaded", () => tell(problem));
  status.textContent = `This page can't work: ${problem}`;
  status.className = "bad";
  status.setAttribute("role", "alert");
}

// The first of these scripts that the host doesn't send, or doesn't send as JavaScript, and why; null if all are sent.
async function whatFails(names) {
  for (const name of names) {
    const answer = await fetch(name).catch(() => null);
    if (!answer) return `${name} could not be loaded: the host does not answer`;
    if (!answer.ok) return `${name} could not be loaded: the host answers ${answer.status}`;
    const type = answer.headers.get("content-type") ?? "without a type";
    if (!type.includes("javascript")) return `${name} could not be loaded: the host sends it as ${type}`;
  }
  return null;
}
