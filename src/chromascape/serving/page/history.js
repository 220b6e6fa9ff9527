// The last states of something, of which each is a value of its own.
const MOST = 200;

export function makeHistory(first) {
  let past = [], future = [], now = first, last = null;
  return {
    get now() { return now; },
    get canUndo() { return past.length > 0; },
    get canRedo() { return future.length > 0; },
    // kind: steps of the same kind in a row are undone as one; null: this one is undone alone.
    add(value, kind = null) {
      if (kind === null || kind !== last) past = [...past, now].slice(-MOST);
      [now, future, last] = [value, [], kind];
    },
    undo() {
      if (past.length) [now, future] = [past.pop(), [...future, now]];
      last = null;
    },
    redo() {
      if (future.length) [now, past] = [future.pop(), [...past, now]];
      last = null;
    },
  };
}
