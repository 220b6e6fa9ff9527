// The hints of a photo as dots and lines over it. They follow its zoom by the variables that compare.js sets.
import { fill } from "./palette.js";

export function makeDots(box) {
  const lines = box.querySelector(".lines"), dots = box.querySelector(".dots");

  function draw(hints, selected) {
    while (dots.children.length > hints.length) dots.lastElementChild.remove();
    while (dots.children.length < hints.length) dots.append(Object.assign(document.createElement("span"), { className: "dot" }));
    hints.forEach((hint, index) => {
      const dot = dots.children[index];
      dot.dataset.index = index;
      dot.style.setProperty("--at-x", hint.x);
      dot.style.setProperty("--at-y", hint.y);
      dot.classList.toggle("selected", index === selected);
      fill(dot, hint.color);
    });
    const strokes = hints.filter(({ path }) => path.length);
    lines.replaceChildren(...strokes.flatMap((hint) => ["edge", "core"].map((name) => line(hint, name, lines.namespaceURI))));
  }

  // The index of the hint whose dot was met, or -1.
  function met(element) {
    return Number(element.closest(".dot")?.dataset.index ?? -1);
  }
  return { draw, met };
}

function line({ x, y, color, path }, name, namespace) {
  const made = document.createElementNS(namespace, "polyline");
  made.setAttribute("points", [[x, y], ...path].join(" "));
  made.setAttribute("class", name);
  fill(made, color);
  return made;
}
