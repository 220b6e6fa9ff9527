// Original and color of a photo under one slider, which may be zoomed and moved.
import { rounded } from "./hint_tool.js";

const STEP = 1.5; // of a zoom by button or key
const MOST = 16;
const NEAR = 24; // pixels from the slider's line within which it is what a pointer takes, where the photo is zoomed or changed

export function makeCompare(box, buttons) {
  const slider = box.querySelector(".slider");
  const pointers = new Map(); // that are down: where they are
  let scale = 1, x = 0, y = 0; // the photo's left upper corner, as shares of the box
  let taken = null; // what the pointer moves: "slider", "photo", or what the tool does
  let tool = null; // what takes pointers on the photo instead: see hint_tool.js

  function draw() {
    x = Math.min(0, Math.max(1 - scale, x));
    y = Math.min(0, Math.max(1 - scale, y));
    box.style.setProperty("--view", `translate(${100 * x}%, ${100 * y}%) scale(${scale})`);
    for (const [name, value] of Object.entries({ scale, x, y })) box.style.setProperty(`--${name}`, value);
    box.style.setProperty("--cut", `${slider.value}%`);
    box.classList.toggle("zoomed", scale > 1);
    slider.setAttribute("aria-valuetext", `${slider.value} % original`);
    buttons.querySelector("[data-zoom=in]").disabled = scale >= MOST;
    for (const name of ["out", "fit"]) buttons.querySelector(`[data-zoom=${name}]`).disabled = scale === 1;
  }

  // Zooms around a place of the box, given in shares.
  function zoom(factor, atX = 0.5, atY = 0.5) {
    const next = Math.min(MOST, Math.max(1, scale * factor));
    x = atX - (atX - x) * (next / scale);
    y = atY - (atY - y) * (next / scale);
    scale = next;
    draw();
  }

  function place({ clientX, clientY }) {
    const { left, top, width, height } = box.getBoundingClientRect();
    return { x: (clientX - left) / width, y: (clientY - top) / height, width, height };
  }

  // The place of the photo that is shown at a place of the box, in shares, to a hundredth of a percent.
  function ofPhoto(at) {
    return { x: rounded((at.x - x) / scale), y: rounded((at.y - y) / scale) };
  }

  function takes(at) {
    const nearLine = Math.abs(at.x - slider.value / 100) * at.width < NEAR;
    if (tool) return nearLine && Math.abs(at.y - 0.5) * at.height < NEAR ? "slider" : "tool";
    return scale === 1 || nearLine ? "slider" : "photo";
  }

  function cut(at) {
    slider.value = Math.round(100 * at.x);
    draw();
  }

  box.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const at = place(event);
    pointers.set(event.pointerId, at);
    box.setPointerCapture(event.pointerId);
    event.preventDefault(); // else the box takes the focus away
    if (pointers.size > 1) {
      if (taken === "tool") tool?.cancel();
      taken = "photo";
      return;
    }
    taken = takes(at);
    if (taken === "tool") return tool.down(ofPhoto(at), event);
    slider.focus({ preventScroll: true });
    if (taken === "slider" && event.pointerType === "mouse") cut(at); // a finger may be about to scroll
  });
  box.addEventListener("pointermove", (event) => {
    const from = pointers.get(event.pointerId);
    if (!from) return;
    const to = place(event);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, to);
    if (other) {
      zoom(distance(to, other) / distance(from, other), (to.x + other.x) / 2, (to.y + other.y) / 2);
    } else if (taken === "slider") {
      cut(to);
    } else if (taken === "tool") {
      tool?.move(ofPhoto(to), event);
    } else {
      x += to.x - from.x;
      y += to.y - from.y;
      draw();
    }
  });
  box.addEventListener("pointerup", (event) => {
    if (pointers.size === 1 && taken === "slider") cut(place(event));
    if (pointers.size === 1 && taken === "tool") tool?.up();
    pointers.delete(event.pointerId);
  });
  box.addEventListener("pointercancel", (event) => {
    if (taken === "tool") tool?.cancel();
    pointers.delete(event.pointerId);
  });
  box.addEventListener("dblclick", (event) => {
    if (tool) return; // two clicks are two hints
    const at = place(event);
    zoom(scale > 1 ? 1 / scale : 3, at.x, at.y);
  });
  box.addEventListener("wheel", (event) => {
    const moves = tool && scale > 1; // where a drag draws
    if (!event.ctrlKey && !moves) return; // with it, so does a pinch on a touchpad; without it the page scrolls
    event.preventDefault();
    const at = place(event);
    if (event.ctrlKey) return zoom(Math.exp(-event.deltaY / 100), at.x, at.y);
    x -= event.deltaX / at.width;
    y -= event.deltaY / at.height;
    draw();
  }, { passive: false });

  const zooms = { in: () => zoom(STEP), out: () => zoom(1 / STEP), fit: () => zoom(1 / scale) };
  const keys = { "+": zooms.in, "=": zooms.in, "-": zooms.out, 0: zooms.fit };
  const moves = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
  slider.addEventListener("input", draw);
  slider.addEventListener("keydown", (event) => {
    const move = event.shiftKey && moves[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !(move || keys[event.key])) return;
    event.preventDefault();
    if (move) {
      x += move[0];
      y += move[1];
      draw();
    } else {
      keys[event.key]();
    }
  });
  buttons.addEventListener("click", ({ target }) => zooms[target.dataset.zoom]?.());

  // The box takes the photo's shape.
  function fit(width, height) {
    box.style.setProperty("--width", width);
    box.style.setProperty("--height", height);
    draw();
  }

  // A tool takes the pointers on the photo, and all of the result is shown; null: the slider has them again.
  let before = slider.value;
  function use(next) {
    tool?.cancel();
    if (next) before = slider.value;
    if (next || slider.value === "0") slider.value = next ? 0 : before;
    tool = next;
    draw();
  }

  // The place of the photo in the middle of what is shown of it.
  function middle() {
    return ofPhoto({ x: 0.5, y: 0.5 });
  }
  return { fit, use, middle };
}

function distance(one, other) {
  return Math.hypot(one.x - other.x, one.y - other.y) || 0.001;
}
