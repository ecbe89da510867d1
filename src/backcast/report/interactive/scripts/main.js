// Everything drawn anew whenever the cursor moves or the page's width changes: at most once a frame.

const readHost = document.getElementById("read");
let due = false;

function draw() {
  due = false;
  const row = rowData(view.row), step = row.places[view.place];
  VIEW.read(readHost, row, step);
  document.getElementById("read-caption").textContent = VIEW.caption(row);
  showProbabilities(row, view.place);
  showAnswers(row, step);
  showErrors(row, step);
  showMemory();
}

function redraw() {
  showControls(rowData(view.row));
  if (due) return;
  due = true;
  requestAnimationFrame(draw);
}

picking(readHost, goToStep);
picking(document.getElementById("says"), goToStep);
function pickElement(event) {
  const step = VIEW.stepAt(event, rowData(view.row));
  if (step !== null) goToStep(step);
}
readHost.addEventListener("pointerdown", pickElement);
readHost.addEventListener("pointermove", (event) => event.buttons && pickElement(event));
for (const host of document.querySelectorAll(".pick")) {
  host.addEventListener("mousedown", (event) => event.preventDefault()); // it would take the focus from the slider
}
new ResizeObserver(redraw).observe(document.querySelector("main"));
view.place = rowData(0).places.length - 1;
redraw();
slider.focus({ preventScroll: true });
