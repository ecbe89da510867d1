// What each classifier says once so many steps are read: the true class over time, and the likeliest three now.

const percent = (share) => `${(100 * share).toFixed(0)} %`;

// The class whose line is drawn: the true one; of a row without a label, the one said at its end.
function followed(row, found) {
  if (row.label !== null) return row.label;
  const last = likeliest(found, row.places.length - 1);
  return last[0][0];
}

// [[class, probability]] at a place, the likeliest first.
function likeliest(found, place) {
  const count = found.classes.length;
  return found.classes
    .map((number, i) => [number, found.probabilities[place * count + i]])
    .sort((a, b) => b[1] - a[1]);
}

function showProbabilities(row, place) {
  const having = PAGE.groups.map((group, i) => ({ group, found: row.answers[i] })).filter(({ found }) => found.probabilities);
  const host = document.getElementById("says"), caption = document.getElementById("says-caption");
  if (!having.length) {
    caption.textContent = "These runs have only been pretrained: they classify nothing.";
    return;
  }
  const series = having.flatMap(({ group, found }) => {
    const count = found.classes.length, which = found.classes.indexOf(followed(row, found));
    if (which < 0) return []; // it does not know the class
    const ys = Float32Array.from(row.places, (_, p) => found.probabilities[p * count + which]);
    return [
      { xs: row.places, ys, group, role: "faint" },
      { xs: row.places.subarray(0, place + 1), ys: ys.subarray(0, place + 1), group },
    ];
  });
  chart(host, {
    label: "probability of the class over the steps read", x: [0, row.steps], y: [0, 1], series, cursor: row.places[place],
    yTicks: [[0, "0 %"], [0.5, "50 %"], [1, "100 %"]], xLabel: "steps read",
  });
  caption.textContent =
    (row.label === null ? "The line: the class that is named at the end (the row has no label). " : `The line: the true class, ${PAGE.classes[row.label]}. `) +
    "Below, the likeliest classes now; underlined: the true one. A classifier was trained at the ends of rows alone.";
  const lines = having.map(({ group, found }) => {
    const cells = likeliest(found, place).slice(0, 3).map(([number, share]) => {
      const bar = styled(create("span", { class: "bar" }), group);
      bar.style.width = `calc(${(100 * share).toFixed(1)}% - .4rem)`;
      const text = create("span", number === row.label ? { class: "right" } : {}, PAGE.classes[number]);
      return create("td", {}, bar, text, create("span", {}, ` ${percent(share)}`));
    });
    return create("tr", {}, create("th", { scope: "row" }, swatch(group), group.name), ...cells);
  });
  document.getElementById("classes").replaceChildren(create("tbody", {}, ...lines));
}
