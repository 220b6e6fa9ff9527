// What a pointer does on a photo whose colors are being changed: a click makes a hint or selects one, a drag moves a dot or
// draws a stroke.
const MOVED = 5; // pixels, from which on a click is a drag
const APART = 0.005; // between points of a stroke, as a share of the photo's sides

// at: the index of the hint whose dot an element is, or -1; hints: as they are now. What was done is told to
// show (hints on the way), done (hints, and which is selected), dropped (as it was before) and clicked (a place, the hint there).
export function makeTool({ at, hints, made, show, done, dropped, clicked }) {
  let start = null; // { x, y: where on the screen, index, point, moved }
  let drawn = null; // hints on the way

  function down(point, event) {
    start = { x: event.clientX, y: event.clientY, index: at(event.target), point, path: [], moved: false };
  }

  function move(point, event) {
    if (!start) return;
    if (!start.moved && Math.hypot(event.clientX - start.x, event.clientY - start.y) < MOVED) return;
    start.moved = true;
    if (start.index < 0) drawn = stroke(point);
    else drawn = hints().with(start.index, moved(hints()[start.index], point.x - start.point.x, point.y - start.point.y));
    if (drawn) show(drawn, start.index < 0 ? drawn.length - 1 : start.index);
  }

  function stroke(point) {
    const [x, y] = start.path.at(-1) ?? [start.point.x, start.point.y];
    if (Math.max(Math.abs(point.x - x), Math.abs(point.y - y)) >= APART) start.path = [...start.path, [point.x, point.y]];
    const hint = made(start.point, start.path);
    return hint && [...hints(), hint];
  }

  function up() {
    if (!start) return;
    const { index, point } = start, result = drawn;
    const wasMoved = start.moved;
    start = drawn = null;
    if (!wasMoved) clicked(point, index);
    else if (result) done(result, index < 0 ? result.length - 1 : index);
  }

  function cancel() {
    if (start?.moved) dropped();
    start = drawn = null;
  }
  return { down, move, up, cancel };
}

// A hint that was moved by shares of the photo's sides, but not out of it.
export function moved(hint, right, down) {
  const points = [[hint.x, hint.y], ...hint.path];
  const [byX, byY] = [right, down].map((by, axis) => {
    const [least, most] = [Math.min, Math.max].map((pick) => points.reduce((one, point) => pick(one, point[axis]), points[0][axis]));
    return Math.min(Math.max(by, -least), 1 - most);
  });
  const [[x, y], ...path] = points.map((point) => [rounded(point[0] + byX), rounded(point[1] + byY)]);
  return { ...hint, x, y, path };
}

// A share of a side, to a hundredth of a percent, within the photo.
export function rounded(share) {
  return Math.min(1, Math.max(0, Math.round(1e4 * share) / 1e4));
}
