// The colors that a hint can be given by a click: those of landscapes, by their names.
const COLORS = [
  ["midday sky", "#4a8fd6"], ["pale sky", "#9cc3e6"], ["night sky", "#34457a"], ["dusk pink", "#d98c9a"], ["sunset orange", "#ea8f4c"],
  ["spring green", "#94b84a"], ["meadow green", "#5f8f3c"], ["forest green", "#3c6239"], ["olive green", "#83803f"],
  ["autumn yellow", "#d9ab2c"], ["autumn orange", "#c96f2b"], ["autumn red", "#a5382c"],
  ["sand", "#d8bd8a"], ["earth", "#8a6443"], ["red rock", "#b2654b"], ["gray rock", "#8b877f"],
  ["lake blue", "#3d7c99"], ["sea turquoise", "#3aa69f"], ["snow", "#e9eff6"],
];
export const NO_COLOR = "none";

// "autumn orange", "no color", or "#123456".
export function nameOf(color) {
  if (color === NO_COLOR) return "no color";
  return COLORS.find(([, value]) => value === color)?.[0] ?? color;
}

// A background for elements that stand for a color; gray with a stroke through it is none.
export function fill(element, color) {
  element.style.setProperty("--color", color === NO_COLOR ? "#808080" : color);
  element.classList.toggle("none", color === NO_COLOR);
}

// Fills a group of buttons. chosen is called with a color, and whether it is one of many on the way to the chosen one.
export function makePalette(group, chosen) {
  const picker = group.querySelector("[type=color]");
  const buttons = [...COLORS.map(([, color]) => color), NO_COLOR].map((color) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "swatch", title: nameOf(color) });
    button.setAttribute("aria-label", nameOf(color));
    button.addEventListener("click", () => chosen(color, false));
    fill(button, color);
    return { button, color };
  });
  group.prepend(...buttons.map(({ button }) => button));
  picker.addEventListener("input", () => chosen(picker.value, true));
  picker.addEventListener("change", () => chosen(picker.value, true));

  // Shows which color is chosen; null: none yet.
  function show(chosen) {
    for (const { button, color } of buttons) button.setAttribute("aria-pressed", String(color === chosen));
    if (chosen && chosen !== NO_COLOR) picker.value = chosen;
  }
  return { show };
}
