// How well: the error from the cursor's state by distance, the memory curves, and their one number.

const ERROR_RANGE = PAGE.kind === "text" ? [0, 1] : [0, PAGE.mostError];
const ERROR_TICKS = [0, 0.5, 1].map((value) => [value, String(value)]);

// Each group's errors from an anchor, at the middles of equal parts of the distance.
function errorSeries(row, anchor, kind) {
  return PAGE.groups.flatMap((group, number) => {
    const answer = row.answers[number][kind];
    if (!answer) return [];
    const { bins, reach, errors } = answer;
    const xs = Float32Array.from({ length: bins }, (_, bin) => ((bin + 0.5) * reach) / bins + 0.5);
    return [{ xs, ys: errors.subarray(anchor * bins, (anchor + 1) * bins), group, reach }];
  });
}

// A line a group under its chart: how it is drawn, and what is known of it.
function showLegend(id, titles, cellsOf) {
  const head = ["", ...titles].map((text, i) => create("th", { scope: "col", class: i ? "number" : "" }, text));
  const lines = PAGE.groups.map((group, number) => {
    const title = create("th", { scope: "row" }, swatch(group), group.name);
    return create("tr", {}, title, ...cellsOf(group, number).map((text) => create("td", { class: "number" }, String(text))));
  });
  document.getElementById(id).replaceChildren(create("thead", {}, create("tr", {}, ...head)), create("tbody", {}, ...lines));
}

function showErrors(row, step) {
  const anchor = anchorAt(row, step);
  const charts = [
    ["errors", "past", "steps into the past, from the state", "Nothing to reconstruct, or nothing to do it with."],
    ["ahead", "future", "steps ahead of the one element more that is read", ""],
  ];
  for (const [id, kind, xLabel, none] of charts) {
    const host = document.getElementById(id), series = errorSeries(row, anchor, kind);
    if (series.every(({ ys }) => ys.every(Number.isNaN))) host.replaceChildren(none);
    else {
      const reach = Math.max(...series.map((one) => one.reach));
      chart(host, { label: `error over ${xLabel}`, x: [0, reach], y: ERROR_RANGE, yTicks: ERROR_TICKS, xLabel, series });
    }
  }
  showLegend("here", ["reconstructs", "predicts"], (group, number) =>
    Object.keys(KINDS).map((kind) => {
      const answer = row.answers[number][kind];
      return answer ? said(answer.overall[anchor], kind) : "–";
    }));
}

const curves = PAGE.groups.map((group) => ({
  xs: numbers(group.distances), ys: fractions(group.error, PAGE.mostError), group,
}));

function showMemory() {
  chart(document.getElementById("memory"), {
    label: "memory curves", x: [0, Math.max(...curves.map(({ xs }) => xs[xs.length - 1]))], y: [0, PAGE.mostError],
    yTicks: ERROR_TICKS, xLabel: "steps into the past, from the end", series: curves, limit: PAGE.limit,
  });
  showLegend("remembers", ["remembers", "accuracy"], ({ remembers, accuracy }) => [
    `${remembers.toLocaleString("en")} steps`, accuracy === null ? "–" : `${(100 * accuracy).toFixed(1)} %`,
  ]);
}
