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
    `Up to ${BEFORE} symbols before the cursor and ${BEHIND} behind it, of ${row.steps.toLocaleString("en")}; pale: not read yet. Click one to go there.` +
    (PAGE.signs ? ` ${PAGE.signs}.` : ""),

  read(host, row, step) {
    const now = countBelow(row.drawn, step);
    const spans = [];
    for (let i = Math.max(0, now - BEFORE); i < Math.min(row.drawn.length, now + BEHIND); i++) {
      const span = create("span", { "data-step": row.drawn[i] + 1 }, name(row.truth[i]));
      if (i >= now) span.classList.add("unread");
      if (i === now - 1) span.classList.add("here");
      spans.push(span, PAGE.letters ? "" : " ");
    }
    symbolBox(host, "symbols around the cursor").replaceChildren(...spans);
  },

  stepAt: (event) => (event.target.dataset.step ? Number(event.target.dataset.step) : null),

  answer(host, row, answer, anchor, group, kind) {
    const spans = [];
    for (let i = 0; i < answer.count[anchor]; i++) {
      const said = answer.values[answer.offset[anchor] + i], truth = row.truth[answer.start[anchor] + i];
      if (said === 65535) continue;
      const shown = said === truth ? name(said) : create("mark", {}, name(said));
      spans.push(create("span", {}, name(truth), create("br"), shown), PAGE.letters ? "" : " ");
    }
    symbolBox(host, `truth above, ${kind} by ${group.name} below`).replaceChildren(...spans);
  },
};
