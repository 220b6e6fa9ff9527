// The article of one photo: its state, original and color side by side, and what can be done with it.
import { makeCompare } from "./compare.js";

// photo: { file, folder }; look: { style, saturation }; change and remove are called with the card.
export function makeCard({ file, folder }, look, { change, remove }) {
  const article = document.getElementById("card").content.cloneNode(true).firstElementChild;
  const find = (selector) => article.querySelector(selector);
  const compare = makeCompare(find(".compare"), find(".zoom"));
  const aborted = new AbortController();
  const card = { file, folder, look, article, signal: aborted.signal, picture: null, name: "", changed: false };
  const urls = {}; // of the pictures that are shown

  article.setAttribute("aria-label", file.name);
  find("h2").textContent = folder + file.name;
  find(".remove").setAttribute("aria-label", `Remove ${file.name}`);
  find(".remove").addEventListener("click", () => remove(card));
  find(".again").addEventListener("click", () => change(card));
  find(".style").value = look.style;
  find(".style").addEventListener("change", (event) => {
    look.style = event.target.value;
    change(card);
  });
  find(".strength").addEventListener("input", (event) => (find("output").textContent = `${event.target.value} %`));
  find(".strength").addEventListener("change", (event) => {
    look.saturation = event.target.value / 100;
    change(card);
  });
  card.busy = (text) => state(text);
  state("waiting");

  function state(text, bad = false) {
    const line = find(".state");
    if (line.textContent !== text) line.textContent = text;
    line.classList.toggle("bad", bad);
    line.toggleAttribute("hidden", !text);
    if (bad) line.setAttribute("role", "alert");
    else line.removeAttribute("role");
    find(".again").hidden = !bad;
    article.setAttribute("aria-busy", String(Boolean(text) && !bad));
  }

  card.failed = (reason) => state(`not colorized: ${reason}`, true);

  card.gone = () => {
    aborted.abort();
    article.remove();
    for (const url of Object.values(urls)) URL.revokeObjectURL(url);
  };

  // picture: a Blob of a PNG or JPEG; preview: gives the photo as a Blob that this browser can show, if it can't itself.
  card.show = async (picture, notes, used, preview) => {
    const [after, before] = [find(".after"), find(".before")];
    await put(after, picture);
    if (!urls.before) await showOriginal(before, after, preview);
    if (aborted.signal.aborted) return;
    card.picture = picture;
    card.name = `${file.name.replace(/\.[^.]*$/, "")}-${used.style}.${picture.type === "image/jpeg" ? "jpg" : "png"}`;
    after.alt = `${file.name} in color`;
    before.alt = `${file.name} as it was sent`;
    Object.assign(find(".download"), { href: urls.after, download: card.name, ariaLabel: `Download ${card.name}` });
    find(".size").textContent = `${after.naturalWidth} × ${after.naturalHeight} pixels`;
    find(".notes").replaceChildren(...notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
    compare.fit(after.naturalWidth, after.naturalHeight);
    find("figure").hidden = false;
    state("");
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
    const which = image.className, old = urls[which];
    urls[which] = URL.createObjectURL(blob);
    image.src = urls[which];
    if (old) URL.revokeObjectURL(old);
    await image.decode();
  }

  return card;
}
