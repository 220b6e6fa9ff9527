// Colors that the user names for places of one photo: by pointer on the photo, by keyboard in the list of hints.
import { makeDots } from "./dots.js";
import { MOST, readHints, written } from "./hint_file.js";
import { counted, listHints, told } from "./hint_list.js";
import { makeTool, moved } from "./hint_tool.js";
import { makeHistory } from "./history.js";
import * as live from "./live.js";
import { makePalette } from "./palette.js";

const STEP = 0.01, WIDE_STEP = 0.05; // of a dot by an arrow key, and with Shift; shares of the photo's sides
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// find: in the card; compare: its pictures; look: its look, whose hints are set here; name: the photo's, without suffix.
// colors gives the model's colors (see engine.js); toggled is called when editing begins and when it has ended.
export function makeEditor({ find, compare, look, name, colors, toggled }) {
  const [button, panel, list, canvas] = [".change", ".hinting", ".hints", ".live"].map(find);
  const picking = find("[data-hint=pick]");
  const dots = makeDots(find(".compare"));
  const palette = makePalette(find(".palette"), choose);
  const history = makeHistory(look.hints);
  const tool = makeTool({ at: dots.met, hints: () => history.now, made, show, done: (hints, index) => add(hints, index), dropped: refresh, clicked });
  let selected = -1, color = null; // of the next hint; null: as the photo is there
  let editing = false, ready = false;
  let seen = null; // the look that was drawn last

  const acts = {
    undo: () => step(history.undo), redo: () => step(history.redo), add: addInTheMiddle, remove: () => remove(selected, find("[data-hint=remove]")),
    clear: () => add([], -1, "All hints removed"), pick: () => pick(picking.ariaPressed !== "true"), save, load: () => find(".load").click(),
  };
  for (const [act, run] of Object.entries(acts)) find(`[data-hint=${act}]`).addEventListener("click", run);
  find(".load").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = ""; // so that the same file can be chosen again
    if (file) read(file).catch((error) => say(error.message, true));
  });
  button.addEventListener("click", () => (editing ? close() : open()));
  list.addEventListener("focusin", ({ target }) => {
    if (picking.ariaPressed !== "true") select(Number(target.dataset.index), false);
  });
  list.addEventListener("click", ({ target }) => {
    const index = Number(target.closest("[data-index]")?.dataset.index ?? -1);
    if (index >= 0) clicked(history.now[index], index);
  });
  list.addEventListener("keydown", onListKey);

  function say(text, bad = false) {
    find(".said").textContent = text;
    find(".said").classList.toggle("bad", bad);
  }

  async function open() {
    toggled(true);
    [editing, ready, seen] = [true, false, null];
    button.ariaExpanded = "true";
    panel.hidden = false;
    find(".compare").classList.add("hinting-now");
    compare.use(tool);
    find("figure").scrollIntoView({ block: "nearest" });
    document.addEventListener("keydown", onKey);
    say("Getting the photo's colors …");
    refresh();
    try {
      const found = await colors();
      if (!editing) return;
      const width = find(".compare").clientWidth * Math.min(devicePixelRatio, 2);
      live.open(find(".before"), width, found, look.negative, paint, (error) => say(error.message, true));
      ready = true;
      say("");
      redraw();
    } catch (error) {
      if (editing) say(error.message, true);
    }
  }

  function close() {
    if (!editing) return;
    editing = false;
    button.ariaExpanded = "false";
    panel.hidden = true;
    find(".compare").classList.remove("hinting-now");
    pick(false);
    compare.use(null);
    document.removeEventListener("keydown", onKey);
    live.close();
    dots.draw([], -1);
    toggled(false);
  }

  function paint(picture) {
    Object.assign(canvas, { width: picture.width, height: picture.height, hidden: false });
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }

  // The picture, after a change of hints or of the rest of the look.
  function redraw() {
    if (!editing || !ready || (seen && Object.keys(look).every((part) => look[part] === seen[part]))) return;
    seen = { ...look };
    live.draw(seen);
  }

  // What is shown of hints, which may be on the way to others.
  function show(hints, index) {
    look.hints = hints;
    dots.draw(hints, index);
    redraw();
  }

  function refresh() {
    const hints = history.now;
    selected = Math.min(selected, hints.length - 1);
    look.hints = hints;
    if (!editing) return;
    dots.draw(hints, selected);
    listHints(list, hints, selected);
    const chosen = selected < 0 ? color : hints[selected].color;
    palette.show(chosen);
    find(".what").textContent = told(hints, selected, picking.ariaPressed === "true");
    const off = { undo: !history.canUndo, redo: !history.canRedo, remove: selected < 0, clear: !hints.length, save: !hints.length };
    for (const [act, isOff] of Object.entries(off)) find(`[data-hint=${act}]`).disabled = isOff;
    redraw();
  }

  // Takes hints over, as a step that can be undone; kind: see history.js.
  function add(hints, index, text = "", kind = null) {
    history.add(hints, kind);
    selected = index;
    if (index >= 0) color = hints[index].color;
    say(text);
    refresh();
    if (kind === null) focus();
  }

  // To the selected hint in the list, where keys move and remove it.
  function focus() {
    (list.querySelector(`[data-index="${selected}"]`) ?? find("[data-hint=add]")).focus({ preventScroll: true });
  }

  function step(go) {
    const count = history.now.length;
    go();
    if (history.now.length !== count) selected = -1;
    refresh();
    say(counted(history.now));
  }

  function select(index, focused = true) {
    selected = index;
    refresh();
    if (focused) focus();
  }

  // A new hint, or null where there are too many.
  function made(point, path = []) {
    if (history.now.length >= MOST) return say(`a photo has at most ${MOST} hints`, true) ?? null;
    return { ...point, color: color ?? colorAt(point), path, radius: 0 };
  }

  function clicked({ x, y }, index) {
    if (picking.ariaPressed === "true") {
      pick(false);
      choose(colorAt({ x, y }), false);
      return selected < 0 ? refresh() : focus();
    }
    if (index >= 0) return select(index);
    const hint = made({ x, y });
    if (hint) add([...history.now, hint], history.now.length);
  }

  function addInTheMiddle() {
    const hint = made(compare.middle());
    if (hint) add([...history.now, hint], history.now.length, "Hint added in the middle: arrow keys move it");
  }

  // button: which keeps the focus while there is something to remove, or null.
  function remove(index, button = null) {
    const hints = history.now.toSpliced(index, 1);
    add(hints, Math.min(index, hints.length - 1), `Hint ${index + 1} removed`);
    if (hints.length) button?.focus();
  }

  // Of the selected hint, or of the next one.
  function choose(chosen, onTheWay) {
    color = chosen;
    if (selected < 0 || history.now[selected].color === chosen) return refresh();
    history.add(history.now.with(selected, { ...history.now[selected], color }), onTheWay ? `color ${selected}` : null);
    refresh();
  }

  function pick(on) {
    picking.ariaPressed = String(on);
    find(".compare").classList.toggle("picking", on);
    refresh();
  }

  // The color that is shown at a place of the photo, as #rrggbb: the mean of a few pixels.
  function colorAt({ x, y }) {
    const source = canvas.hidden ? find(".after") : canvas;
    const [width, height] = [source.naturalWidth ?? source.width, source.naturalHeight ?? source.height];
    const side = Math.max(1, Math.round(Math.min(width, height) / 100));
    const [left, top] = [Math.min(x * width, width - side), Math.min(y * height, height - side)].map(Math.floor);
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(source, left, top, side, side, 0, 0, 1, 1);
    return `#${[...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((level) => level.toString(16).padStart(2, "0")).join("")}`;
  }

  function onListKey(event) {
    const index = Number(event.target.dataset.index);
    const move = MOVES[event.key];
    if (event.key === "Delete" || event.key === "Backspace") remove(index);
    else if (move && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const by = event.shiftKey ? WIDE_STEP : STEP;
      add(history.now.with(index, moved(history.now[index], by * move[0], by * move[1])), index, "", `move ${index}`);
      say(list.querySelector(`[data-index="${index}"]`).ariaLabel);
    } else return;
    event.preventDefault();
  }

  function onKey(event) {
    const undoes = (event.ctrlKey || event.metaKey) && !event.altKey && { z: "undo", y: "redo" }[event.key.toLowerCase()];
    if (undoes) {
      event.preventDefault();
      step(undoes === "redo" || event.shiftKey ? history.redo : history.undo);
    } else if (event.key === "Escape") {
      if (picking.ariaPressed === "true") pick(false);
      else select(-1, false);
    }
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([written(history.now)], { type: "application/json" }));
    link.download = `${name}-hints.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  // The hints of a file in place of those that are there; throws an Error with a line that says what is wrong with it.
  async function read(file) {
    const hints = await readHints(file);
    history.add(hints);
    selected = -1;
    say(`${counted(hints)} of ${file.name}`);
    refresh();
  }

  return { read, close, redraw, get editing() { return editing; } };
}
