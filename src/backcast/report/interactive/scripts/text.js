// Rows of symbols: the truth above, what a network says below it, errors marked.

const BEFORE = 240, BEHIND = 60; // symbols shown around the cursor
const name = (code) => PAGE.symbols[code];

function symbolBox(host, label) {
  const box = host.querySelector(".symbols") || host.appendChild(create("div", { class: "symbols", tabindex: 0, role: "group" }));
  box.classList.toggle("letters", PAGE.letters);
  box.setAttribute("aria-label", label);
  return box;
}

const textView = {
  caption: (row) =>
    `Up to ${BEFORE} symbols before the cursor and ${BEHIND} behind it, of ${row.steps.toLocaleString("en")}, as far as they are kept; pale: not read yet. Click one to go there.` +
    (PAGE.signs ? ` ${PAGE.signs}.` : ""),

  read(host, row, step) {
    const now = countBelow(row.drawn, step), end = countBelow(row.drawn, step + BEHIND);
    const spans = [];
    for (let i = countBelow(row.drawn, step - BEFORE); i < end; i++) {
      if (spans.length && row.drawn[i] > row.drawn[i - 1] + 1) spans.push(create("span", { class: "unread" }, "…"));
      const span = create("span", { "data-step": row.drawn[i] + 1 }, name(row.truth[i]));
      if (i >= now) span.classList.add("unread");
      if (i === now - 1) span.classList.add("here");
      spans.push(span, PAGE.letters ? "" : " ");
    }
    const box = symbolBox(host, "symbols around the cursor");
    box.replaceChildren(...spans);
    const here = box.querySelector(".here");
    if (here) box.scrollTop = here.offsetTop - box.clientHeight / 2;
  },

  stepAt: (event) => (event.target.dataset.step ? Number(event.target.dataset.step) : null),

  answer(host, row, answer, anchor, group, kind) {
    const spans = [], unasked = unknownCode(answer.values);
    let gap = false; // where something before it is said, and what lies between is not asked
    for (let i = 0; i < answer.count[anchor]; i++) {
      const said = answer.values[answer.offset[anchor] + i], truth = row.truth[answer.start[anchor] + i];
      if (said === unasked) {
        gap = spans.length > 0;
        continue;
      }
      if (gap) spans.push(create("span", { class: "unread" }, "…"), PAGE.letters ? "" : " ");
      gap = false;
      const shown = said === truth ? name(said) : create("mark", {}, name(said));
      spans.push(create("span", {}, name(truth), create("br"), shown), PAGE.letters ? "" : " ");
    }
    symbolBox(host, `truth above, ${kind} by ${group.name} below`).replaceChildren(...spans);
  },
};
