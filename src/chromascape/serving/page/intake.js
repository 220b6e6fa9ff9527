// The ways in which photos come: chosen, dropped (folders too), pasted, or an example.
const HINTS = /\.json$/i;
const PHOTO = /\.(jpe?g|jpe|jfif|mpo|png|webp|tiff?|gif|bmp|dib|p[pgbn]m|pfm|avif|jp2|j2k|jpx|hei[cf]|jxl)$/i;

// add is called with [{ file, folder }] and returns their cards, addHints with files of hints and the cards of the photos
// that came with them, say with a line for the user.
export function takePhotos(add, addHints, say) {
  function took(photos) {
    const hints = photos.filter(({ file }) => HINTS.test(file.name)).map(({ file }) => file);
    const others = photos.filter(({ file }) => !HINTS.test(file.name));
    const cards = others.length ? add(others) : [];
    if (hints.length) addHints(hints, cards);
  }

  const drop = document.getElementById("drop");
  document.getElementById("form").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("files").addEventListener("change", (event) => {
    took([...event.target.files].map((file) => ({ file, folder: "" })));
    event.target.value = ""; // so that the same file can be chosen again
  });
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", () => example(button.dataset.example).then(add, (error) => say(error.message, true)));
  }
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault(); // else the browser opens a photo that was dropped beside the frame
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") take(event.dataTransfer, "no files were dropped: save the picture, then drop its file");
    });
  }
  document.addEventListener("paste", (event) => {
    take(event.clipboardData, "there is no picture on the clipboard");
  });

  async function take(transfer, none) {
    // All entries are asked for at once: the browser forgets them when the event has ended.
    const given = [...transfer.items].filter((item) => item.kind === "file")
      .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
    if (!given.length) return say(none, true);
    const photos = [], others = [];
    for (const one of given) {
      if (one instanceof File) photos.push({ file: one, folder: "" });
      else await walk(one, "", photos, others);
    }
    if (photos.length) took(photos);
    if (others.length) say(`${others.length} files left out that are no photos, such as ${others[0]}`, !photos.length);
    else if (!photos.length) say("this folder is empty", true);
  }
}

// Photos of an entry and all below it, in the order of their names. Of a folder's files only photos and
// hints that a page saved are taken.
async function walk(entry, folder, photos, others) {
  if (entry.isFile) {
    const hidden = entry.name.startsWith("."); // of macOS's ._photo.jpg only the name is a photo's
    if (folder && (hidden || !(PHOTO.test(entry.name) || /-hints\.json$/i.test(entry.name)))) return others.push(folder + entry.name);
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
    return file ? photos.push({ file, folder }) : others.push(folder + entry.name);
  }
  const reader = entry.createReader(), entries = [];
  for (let more = [entry]; more.length; entries.push(...more)) { // a folder is read by about 100 entries at a time
    more = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
  }
  entries.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
  for (const below of entries) await walk(below, `${folder}${entry.name}/`, photos, others);
}

async function example(name) {
  const answer = await fetch(`examples/${name}`).catch(() => ({ ok: false }));
  if (!answer.ok) throw new Error(`examples/${name} could not be loaded`);
  return [{ file: new File([await answer.blob()], name, { type: "image/jpeg" }), folder: "" }];
}
