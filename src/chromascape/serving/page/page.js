// The page: photos come in, wait, and are colorized one at a time. engine.js colorizes, in the browser or on the server.
import { makeCard } from "./card.js";
import { colorize, colors, preview, ready, where } from "./engine.js";
import { takePhotos } from "./intake.js";
import { zip } from "./zip.js";

const results = document.getElementById("results");
const status = document.getElementById("status");
const save = document.getElementById("save");
const narrow = matchMedia("(max-width: 45rem)");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const waiting = []; // cards; one photo at a time: two at once would take twice the memory
let all = []; // cards
let shown = []; // cards with a picture
let running = null;
let edited = null; // the card whose colors are being changed
let touched = false; // whether the user did something since photos were added: then nothing scrolls by itself

document.getElementById("where").textContent = where;
ready.catch((error) => say(error.message, true));
takePhotos(add, takeHints, say);
save.addEventListener("click", saveAll);
for (const kind of ["pointerdown", "keydown", "wheel"]) {
  addEventListener(kind, () => (touched = true), { passive: true });
}

function say(text, bad = false) {
  status.textContent = text;
  status.className = bad ? "bad" : "";
}

// photos: [{ file, folder }], folder "" or a path that ends with a slash.
function add(photos) {
  const style = document.querySelector("[name=style]:checked").value;
  const negative = document.querySelector("[name=negative]").checked;
  const asked = { change: again, remove, edit, colors: (card) => colors(card.file, card.look, { signal: card.signal }) };
  const cards = photos.map((photo) => makeCard(photo, { style, saturation: 1, hints: [], negative }, asked));
  all.push(...cards);
  results.prepend(...cards.map((card) => card.article));
  waiting.push(...cards);
  touched = false;
  work();
  return cards;
}

// One at a time.
function edit(card) {
  if (edited !== card) edited?.endEditing();
  edited = card;
}

// Gives files of hints to the photos whose names they have, as photo.json or photo-hints.json; of one photo alone any name
// will do. cards: of the photos that came with them.
async function takeHints(files, cards) {
  for (const file of files) {
    const stem = file.name.replace(/(-hints)?\.json$/i, "");
    const named = [...cards, ...all].find((card) => card.file.name.replace(/\.[^.]*$/, "") === stem);
    const others = cards.length ? cards : all;
    const card = named ?? (others.length === 1 ? others[0] : others.find((other) => other === edited));
    try {
      if (!card) throw new Error(`${file.name}: no photo has this name here: drop it with its photo`);
      await card.readHints(file);
      say(`${card.file.name} has the hints of ${file.name}`);
    } catch (error) {
      say(error.message, true);
    }
  }
}

// Colorizes a card anew, before those that wait for the first time: who changes a style looks at it.
function again(card) {
  if (card.signal.aborted) return;
  if (card === running) card.changed = true;
  else if (!waiting.includes(card)) waiting.unshift(card);
  work();
}

function remove(card) {
  const next = card.article.nextElementSibling ?? card.article.previousElementSibling;
  if (waiting.includes(card)) waiting.splice(waiting.indexOf(card), 1);
  [all, shown] = [all, shown].map((cards) => cards.filter((other) => other !== card));
  if (edited === card) edited = null;
  card.gone();
  (next ?? document.getElementById("files")).focus();
  say(`${card.file.name} removed`);
  count();
}

function count() {
  save.hidden = shown.length < 2;
}

async function work() {
  if (running) return;
  let done = 0, failed = 0;
  while (waiting.length) {
    running = waiting.shift();
    say(`Colorizing ${running.file.name}${waiting.length ? `, ${waiting.length} waiting` : ""}`);
    const right = await run(running);
    if (right) done += 1;
    else if (!running.signal.aborted) failed += 1;
    if (running.changed && !running.signal.aborted) waiting.unshift(running);
    running.changed = false;
    running = null;
  }
  if (done || failed) say(`${done} colorized${failed ? `, ${failed} failed` : ""}`);
}

// Whether it went well.
async function run(card) {
  const first = !card.picture, look = { ...card.look };
  try {
    card.busy("colorizing …");
    await readable(card.file);
    const { picture, notes } = await colorize(card.file, look, { signal: card.signal, said: card.busy });
    await card.show(picture, notes, look, () => preview(card.file, { signal: card.signal }));
  } catch (error) {
    card.failed(error.message);
    return false;
  }
  if (first && !card.signal.aborted) arrived(card);
  return !card.signal.aborted;
}

// A folder that passes as a file, or a photo that was moved since, would fail as if the server did.
async function readable(file) {
  await file.slice(0, 1).arrayBuffer().catch(() => {
    throw new Error("this file can't be read: was it moved or changed since, or is it a folder?");
  });
}

// The newest result stands first; a phone shows it.
function arrived(card) {
  if (results.firstElementChild !== card.article) results.prepend(card.article);
  shown.unshift(card);
  count();
  if (narrow.matches && !touched) card.article.scrollIntoView({ behavior: still.matches ? "auto" : "smooth" });
}

async function saveAll() {
  const old = shown.filter((card) => !card.fresh());
  old.forEach(again);
  await Promise.all(old.map((card) => card.settled()));
  say("Packing …");
  try {
    const archive = await zip(shown.map((card) => ({ name: card.folder + card.name, blob: card.picture })));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(archive);
    link.download = "chromascape.zip";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`${shown.length} photos saved as chromascape.zip`);
  } catch (error) {
    say(`not saved: ${error.message}`, true);
  }
}
