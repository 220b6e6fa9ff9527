// The page: one article per photo. engine.js colorizes, in the browser or on the server.
import { colorize, where } from "./engine.js";

const results = document.getElementById("results");
const status = document.getElementById("status");
const drop = document.getElementById("drop");
const waiting = []; // one photo at a time: two at once would take twice the memory
let busy = false;

document.getElementById("where").textContent = where;
document.getElementById("form").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("files").addEventListener("change", (event) => {
  add([...event.target.files]);
  event.target.value = ""; // so that the same file can be chosen again
});
for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", async () => {
    const name = button.dataset.example;
    const answer = await fetch(`examples/${name}`);
    add([new File([await answer.blob()], name, { type: "image/jpeg" })]);
  });
}
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // else the browser opens a photo that was dropped beside the frame
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") add([...event.dataTransfer.files]);
  });
}

function add(files) {
  const style = document.querySelector("[name=style]:checked").value;
  for (const file of files) {
    const article = document.getElementById("result").content.cloneNode(true).firstElementChild;
    article.querySelector("h2").textContent = `${file.name} (${style})`;
    article.querySelector(".state").textContent = "waiting";
    results.prepend(article);
    waiting.push({ file, style, article });
  }
  work();
}

async function work() {
  if (busy) return;
  busy = true;
  let done = 0, failed = 0;
  while (waiting.length) {
    const { file, style, article } = waiting.shift();
    const state = article.querySelector(".state");
    state.textContent = "colorizing …";
    status.textContent = `Colorizing ${file.name}${waiting.length ? `, ${waiting.length} waiting` : ""}`;
    try {
      await show(article, file, style, await colorize(file, style));
      done += 1;
    } catch (error) {
      state.textContent = `not colorized: ${error.message}`;
      state.classList.add("bad");
      state.setAttribute("role", "alert");
      failed += 1;
    }
  }
  status.textContent = `${done} colorized${failed ? `, ${failed} failed` : ""}`;
  busy = false;
}

// picture: a Blob of a PNG or JPEG. The gray side is the same file without color: both have the same lightness.
async function show(article, file, style, picture) {
  const [after, before] = article.querySelectorAll("img");
  after.src = before.src = URL.createObjectURL(picture);
  await after.decode();
  after.alt = `${file.name} in color`;
  const stem = file.name.replace(/\.[^.]*$/, "");
  const link = article.querySelector(".download");
  link.href = after.src;
  link.download = `${stem}-${style}.${picture.type === "image/jpeg" ? "jpg" : "png"}`;
  link.setAttribute("aria-label", `Download ${link.download}`);
  article.querySelector(".size").textContent = `${after.naturalWidth} × ${after.naturalHeight} pixels`;
  const compare = article.querySelector(".compare");
  article.querySelector("input").addEventListener("input", (event) => {
    compare.style.setProperty("--cut", `${event.target.value}%`);
  });
  article.querySelector("figure").hidden = false;
  article.querySelector(".state").remove();
}
