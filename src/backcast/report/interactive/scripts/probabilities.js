// What each classifier says once so many steps are read: the true class over time, and the likeliest three now.

const percent = (share) => `${(100 * share).toFixed(0)} %`;

// [[class, probability]] of the few that are named at a place, the likeliest first.
function likeliest(row, found, place) {
  const count = found.classes.length / row.places.length;
  return Array.from({ length: count }, (_, i) => [found.classes[place * count + i], found.probabilities[place * count + i]]);
}

function showProbabilities(row, place) {
  const having = PAGE.groups.map((group, i) => ({ group, found: row.answers[i] })).filter(({ found }) => found.probabilities);
  const host = document.getElementById("says"), caption = document.getElementById("says-caption");
  if (!having.length) {
    caption.textContent = "These runs have only been pretrained so far: they classify nothing.";
    return;
  }
  // The line of the true class; of a row without a label, of the one said at its end.
  const series = having.flatMap(({ group, found }) => [
    { xs: row.places, ys: found.followed, group, role: "faint" },
    { xs: row.places.subarray(0, place + 1), ys: found.followed.subarray(0, place + 1), group },
  ]);
  chart(host, {
    label: "probability of the class over the steps read", x: [0, row.steps], y: [0, 1], series, cursor: row.places[place],
    yTicks: [[0, "0 %"], [0.5, "50 %"], [1, "100 %"]], xLabel: "steps read",
  });
  caption.textContent =
    (row.label === null ? "The line: the class that is named at the end (the row has no label). " : `The line: the true class, ${PAGE.classes[row.label]}. `) +
    "Below, the likeliest classes now; underlined: the true one. A classifier was trained at the ends of rows alone.";
  const lines = having.map(({ group, found }) => {
    const cells = likeliest(row, found, place).map(([number, share]) => {
      const bar = styled(create("span", { class: "bar" }), group);
      bar.style.width = `calc(${(100 * share).toFixed(1)}% - .4rem)`;
      const text = create("span", number === row.label ? { class: "right" } : {}, PAGE.classes[number]);
      return create("td", {}, bar, text, create("span", {}, ` ${percent(share)}`));
    });
    return create("tr", {}, create("th", { scope: "row" }, swatch(group), group.name), ...cells);
  });
  document.getElementById("classes").replaceChildren(create("tbody", {}, ...lines));
}
