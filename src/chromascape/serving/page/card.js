// The article of one photo: its state, original and color side by side, and what can be done with it.
import { makeCompare } from "./compare.js";
import { makeEditor } from "./hint_editor.js";

// photo: { file, folder }; look: { style, saturation, hints, negative }; change, remove and edit are called with the card, colors
// gives the model's colors of its photo.
export function makeCard({ file, folder }, look, { change, remove, edit, colors }) {
  const article = document.getElementById("card").content.cloneNode(true).firstElementChild;
  const find = (selector) => article.querySelector(selector);
  const compare = makeCompare(find(".compare"), find(".zoom"));
  const aborted = new AbortController();
  const card = { file, folder, look, article, signal: aborted.signal, picture: null, name: "", changed: false };
  const urls = {}; // of the pictures that are shown
  const stem = file.name.replace(/\.[^.]*$/, "");
  let used = null; // the look of the picture
  let waiting = []; // who waits for a picture of the present look

  article.setAttribute("aria-label", file.name);
  find("h2").textContent = folder + file.name;
  find(".remove").setAttribute("aria-label", `Remove ${file.name}`);
  find(".remove").addEventListener("click", () => remove(card));
  find(".again").addEventListener("click", () => change(card));
  find(".style").value = look.style;
  find(".style").addEventListener("change", (event) => relook({ style: event.target.value }));
  find(".negative").checked = look.negative;
  find(".negative").addEventListener("change", ({ target }) => {
    look.negative = target.checked;
    if (editor.editing) editor.close(); // which draws the photo as it was
    else change(card);
  });
  find(".strength").addEventListener("input", ({ target }) => {
    find("output").textContent = `${target.value} %`;
    if (editor.editing) relook({ saturation: target.value / 100 });
  });
  find(".strength").addEventListener("change", (event) => relook({ saturation: event.target.value / 100 }));
  find(".download").addEventListener("click", async (event) => {
    if (card.fresh()) return;
    event.preventDefault();
    change(card);
    await card.settled();
    if (card.fresh()) event.target.click();
  });
  card.busy = (text) => state(text);
  state("waiting");
  const editor = makeEditor({
    find, compare, look, name: stem, colors: () => colors(card),
    toggled(begins) {
      if (begins) edit(card);
      else if (card.fresh()) find(".live").hidden = true;
      else change(card);
    },
  });
  card.endEditing = editor.close;

  // At once while colors are changed, else when the photo is colorized again.
  function relook(part) {
    Object.assign(look, part);
    if (editor.editing) editor.redraw();
    else change(card);
  }

  // Hints of a file; throws an Error whose message is shown to the user.
  card.readHints = async (hints) => {
    await editor.read(hints);
    if (!editor.editing) change(card);
  };

  // Whether the picture has the look that is chosen.
  card.fresh = () => used !== null && Object.keys(look).every((part) => used[part] === look[part]);

  // Resolved when it has, or when that failed.
  card.settled = () => (card.fresh() ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve)));

  function settle() {
    for (const resolve of waiting) resolve();
    waiting = [];
  }

  function state(text, bad = false) {
    const line = find(".state");
    if (line.textContent !== text) line.textContent = text;
    line.classList.toggle("bad", bad);
    if (bad) line.setAttribute("role", "alert");
    else line.removeAttribute("role");
    find(".again").hidden = !bad;
    article.setAttribute("aria-busy", String(Boolean(text) && !bad));
  }

  card.failed = (reason) => {
    state(`not colorized: ${reason}`, true);
    settle();
  };

  card.gone = () => {
    aborted.abort();
    editor.close();
    settle();
    article.remove();
    for (const url of Object.values(urls)) URL.revokeObjectURL(url);
  };

  // picture: a Blob of a PNG or JPEG; preview: gives the photo as a Blob that this browser can show, if it can't itself.
  card.show = async (picture, notes, shown, preview) => {
    const [after, before] = [find(".after"), find(".before")];
    await put(after, picture);
    if (!urls.before) await showOriginal(before, after, preview);
    if (aborted.signal.aborted) return;
    card.picture = picture;
    used = shown;
    card.name = `${stem}-${used.style}.${picture.type === "image/jpeg" ? "jpg" : "png"}`;
    after.alt = `${file.name} in color`;
    before.alt = `${file.name} as it was sent`;
    Object.assign(find(".download"), { href: urls.after, download: card.name, ariaLabel: `Download ${card.name}` });
    find(".size").textContent = `${after.naturalWidth} × ${after.naturalHeight} pixels`;
    find(".notes").replaceChildren(...notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
    compare.fit(after.naturalWidth, after.naturalHeight);
    find("figure").hidden = false;
    if (card.fresh()) find(".live").hidden = true; // else what it shows is newer
    state("");
    if (card.fresh()) settle();
    else if (waiting.length) change(card); // the look has changed meanwhile
  };

  // The file itself if the browser shows it as the result is: upright, and still.
  async function showOriginal(before, after, preview) {
    const moves = /gif|webp|apng/.test(file.type);
    const same = !moves && await put(before, file).then(
      () => before.naturalWidth === after.naturalWidth && before.naturalHeight === after.naturalHeight,
      () => false,
    );
    if (!same) await put(before, await preview());
  }

  async function put(image, blob) {
    if (aborted.signal.aborted) throw new Error("removed"); // else its address would stay
    const which = image.className, old = urls[which];
    urls[which] = URL.createObjectURL(blob);
    image.src = urls[which];
    if (old) URL.revokeObjectURL(old);
    await image.decode();
  }

  return card;
}
