// The hints of a photo in words: as a list of buttons, and what can be done next.
import { fill, nameOf } from "./palette.js";

// A button for each hint, with its number and color. Buttons stay, so that the focus does.
export function listHints(list, hints, selected) {
  while (list.children.length > hints.length) list.lastElementChild.remove();
  while (list.children.length < hints.length) list.append(item());
  hints.forEach((hint, index) => {
    const button = list.children[index].firstElementChild;
    button.dataset.index = index;
    button.lastElementChild.textContent = `${index + 1} ${nameOf(hint.color)}`;
    button.ariaLabel = `Hint ${index + 1}: ${nameOf(hint.color)}, ${hint.path.length ? "a stroke from" : "at"} ${percent(hint.x)}, ${percent(hint.y)}`;
    button.ariaPressed = String(index === selected);
    fill(button.firstElementChild, hint.color);
  });
}

function item() {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "hint" });
  button.append(Object.assign(document.createElement("span"), { className: "sample" }), document.createElement("span"));
  button.setAttribute("aria-keyshortcuts", "ArrowLeft ArrowRight ArrowUp ArrowDown Delete");
  const entry = document.createElement("li");
  entry.append(button);
  return entry;
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

export function told(hints, selected, picking) {
  if (picking) return "Click where the photo has the color";
  if (selected >= 0) return `Color of hint ${selected + 1}`;
  if (hints.length) return "Color of the next hint";
  return "Click or draw where a color is wrong";
}

export function counted(hints) {
  return hints.length === 1 ? "1 hint" : `${hints.length} hints`;
}
