// Elements, and line charts as SVG, as wide as there is room. Text is set as text: no name can become markup.

function create(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

// In the group's colour and dashes; as it is without a group.
function styled(made, group) {
  if (group) {
    made.style.setProperty("--c", group.colour);
    made.style.setProperty("--dashes", group.dashes);
  }
  return made;
}

// A piece of the group's line, to stand before its name.
function swatch(group) {
  const line = shape("svg", { class: "swatch", viewBox: "0 0 38 8", "aria-hidden": "true" });
  line.append(styled(shape("path", { class: "series", d: "M2 4H36" }), group));
  return line;
}

// Round numbers of [low, high], about `wanted` of them.
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step / 1e6; tick += step) found.push(tick);
  return found;
}

// A path with a gap wherever a number is missing.
function path(xs, ys, toX, toY) {
  let drawn = "", open = false;
  for (let i = 0; i < xs.length; i++) {
    if (Number.isNaN(ys[i])) open = false;
    else {
      const point = `${toX(xs[i]).toFixed(1)} ${toY(ys[i]).toFixed(1)}`;
      drawn += open ? `L${point}` : `M${point}h0`;
      open = true;
    }
  }
  return drawn;
}

// x, y: [low, high]; series: {xs, ys, group, role}; yTicks: [[value, text]]; cursor, limit: where a line goes across.
function chart(host, { label, x, y, yTicks, xLabel = "", series, cursor = null, limit = null, height = 200 }) {
  const width = Math.max(host.clientWidth, 160);
  const left = 42, right = width - 12, top = 8, bottom = height - (xLabel ? 36 : 20);
  const toX = (value) => left + ((value - x[0]) / (x[1] - x[0] || 1)) * (right - left);
  const toY = (value) => bottom - ((value - y[0]) / (y[1] - y[0] || 1)) * (bottom - top);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
  for (const [value, text] of yTicks) {
    svg.append(shape("path", { class: "axis", d: `M${left} ${toY(value)}H${right}` }));
    svg.append(shape("text", { x: left - 6, y: toY(value) + 4, "text-anchor": "end" }, text));
  }
  for (const value of ticks(...x, Math.max(2, Math.min(8, width / 80))).filter(Number.isInteger)) {
    svg.append(shape("text", { x: toX(value), y: bottom + 16, "text-anchor": "middle" }, value.toLocaleString("en")));
  }
  if (xLabel) svg.append(shape("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, xLabel));
  if (limit !== null) svg.append(shape("path", { class: "limit", d: `M${left} ${toY(limit)}H${right}` }));
  for (const { xs, ys, group, role } of series) {
    svg.append(styled(shape("path", { class: `series ${role || ""}`, d: path(xs, ys, toX, toY) }), group));
  }
  if (cursor !== null) svg.append(shape("path", { class: "cursor", d: `M${toX(cursor)} ${top}V${bottom}` }));
  host.replaceChildren(svg);
  host.plot = { left, right, x };
}

// Clicks and drags on a chart, as the value of x there.
function picking(host, picked) {
  const pick = (event) => {
    if (!host.plot) return;
    const { left, right, x } = host.plot;
    const share = (event.clientX - host.getBoundingClientRect().left - left) / (right - left);
    picked(x[0] + Math.min(Math.max(share, 0), 1) * (x[1] - x[0]));
  };
  host.addEventListener("pointerdown", (event) => {
    if (!host.plot) return;
    host.setPointerCapture(event.pointerId);
    pick(event);
  });
  host.addEventListener("pointermove", (event) => host.hasPointerCapture(event.pointerId) && pick(event));
}
