// What the state at the cursor still holds: a card a network, the truth beside them.

const VIEW = { picture: pictureView, line: lineView, text: textView }[PAGE.kind];
const KINDS = { past: "reconstructed", future: "predicted" };

function said(overall, kind) {
  if (Number.isNaN(overall)) return kind === "past" ? "nothing to ask yet" : "nothing left to ask";
  return PAGE.kind === "text" ? `${(100 * (1 - overall)).toFixed(0)} % right` : `error ${overall.toFixed(2)}`;
}

function heading(group, text) {
  return create("h3", {}, group ? swatch(group) : "", text, create("span", { class: "note" }));
}

// The anchor at or before the step; the first place is one.
function anchorAt(row, step) {
  return Math.max(0, countBelow(row.anchors, step + 1) - 1);
}

const answersHost = document.getElementById("answers");
answersHost.classList.add(PAGE.kind);
const truthCard = VIEW.truth && answersHost.appendChild(create("div", {}, heading(null, "truth, as read")));
const cards = [];
PAGE.groups.forEach((group, number) => {
  for (const kind of ["past", "future"]) {
    if (!group[kind === "past" ? "decoder" : "predictor"]) continue;
    const card = create("div", { "data-group": number, "data-kind": kind }, heading(group, `${group.name}: ${KINDS[kind]}`));
    cards.push({ group, number, kind, card: answersHost.appendChild(card) });
  }
});
const silent = PAGE.groups.filter((group) => !group.decoder && !group.predictor).map((group) => group.name);

function showAnswers(row, step) {
  const anchor = anchorAt(row, step), from = row.anchors[anchor];
  const near = from === step ? "" : ", the nearest that is kept before the cursor";
  document.getElementById("from").textContent =
    `The state after step ${from.toLocaleString("en")}${near}.` +
    (silent.length ? ` ${silent.join(", ")}: without a decoder or predictor that can be asked from a state, so only the classifier and the memory curve tell of ${silent.length > 1 ? "them" : "it"}.` : "");
  if (truthCard) VIEW.truth(truthCard, row, from);
  for (const { group, number, kind, card } of cards) {
    const answer = row.answers[number][kind];
    card.querySelector(".note").textContent = said(answer.overall[anchor], kind);
    VIEW.answer(card, row, answer, anchor, group, KINDS[kind]);
  }
}
