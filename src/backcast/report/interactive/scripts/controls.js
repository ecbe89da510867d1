// The reader's cursor: a row, and a place in it. The slider has the keys; clicks give them back to it.

const view = { row: 0, place: 0 };
const slider = document.getElementById("time");
const chooser = document.getElementById("row");
const MANY = 10; // places that a key takes with Shift

function goTo(row, place = view.place) {
  const before = rowData(view.row), share = view.place / Math.max(1, before.places.length - 1);
  const chosen = Math.min(Math.max(row, 0), PAGE.rows.length - 1), last = rowData(chosen).places.length - 1;
  const wanted = chosen === view.row ? place : Math.round(share * last); // as far into the other row
  view.place = Math.min(Math.max(wanted, 0), last);
  view.row = chosen;
  redraw();
}

// The place nearest to a step.
function goToStep(step) {
  const { places } = rowData(view.row);
  const after = Math.min(countBelow(places, step), places.length - 1);
  const before = Math.max(after - 1, 0);
  goTo(view.row, places[after] - step <= step - places[before] ? after : before);
  slider.focus({ preventScroll: true });
}

const KEYS = {
  ArrowLeft: (many) => goTo(view.row, view.place - many),
  ArrowRight: (many) => goTo(view.row, view.place + many),
  Home: () => goTo(view.row, 0),
  End: () => goTo(view.row, Infinity),
  ArrowUp: () => goTo(view.row - 1),
  ArrowDown: () => goTo(view.row + 1),
};

slider.addEventListener("keydown", (event) => {
  if (!KEYS[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  KEYS[event.key](event.shiftKey ? MANY : 1);
});
slider.addEventListener("input", () => goTo(view.row, Number(slider.value)));
chooser.addEventListener("change", () => goTo(Number(chooser.value)));
document.getElementById("previous").addEventListener("click", () => goTo(view.row - 1));
document.getElementById("next").addEventListener("click", () => goTo(view.row + 1));

PAGE.rows.forEach((row, number) => {
  const label = row.label === null ? "no label" : `class ${PAGE.classes[row.label]}`;
  chooser.append(create("option", { value: number }, `${row.id}: ${label}, ${row.steps.toLocaleString("en")} steps`));
});

function showControls(row) {
  const step = row.places[view.place], text = `step ${step.toLocaleString("en")} of ${row.steps.toLocaleString("en")}`;
  chooser.value = String(view.row);
  slider.max = String(row.places.length - 1);
  slider.value = String(view.place);
  slider.setAttribute("aria-valuetext", text);
  document.getElementById("where").textContent = text;
  document.getElementById("previous").disabled = view.row === 0;
  document.getElementById("next").disabled = view.row === PAGE.rows.length - 1;
}
