// Rows of real vectors: a line a channel, the truth behind every answer.

function channelCodes(values, first, count, channel) {
  const channels = PAGE.channels.length;
  return Float32Array.from({ length: count }, (_, i) => {
    const code = values[(first + i) * channels + channel];
    return code === 255 ? NaN : code;
  });
}

function short(value) {
  return Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 1e-2) ? value.toExponential(0) : String(+value.toPrecision(2));
}

// Charts of all channels below each other; `series` gives the lines of a channel.
function channelCharts(host, row, label, cursor, height, series, x = [0, row.steps]) {
  PAGE.channels.forEach((name, channel) => {
    let part = host.querySelectorAll(".channel")[channel];
    if (!part) {
      if (PAGE.channels.length > 1) host.append(create("p", { class: "soft" }, name));
      part = host.appendChild(create("div", { class: "channel" }));
    }
    chart(part, {
      label: `${label}, ${name}`, x, y: [0, 254], cursor, height,
      yTicks: [[0, short(row.low[channel])], [254, short(row.high[channel])]], series: series(channel),
    });
    host.plot = part.plot;
  });
}

const lineView = {
  caption: (row) =>
    (PAGE.channels.length < PAGE.allChannels ? `The first ${PAGE.channels.length} of ${PAGE.allChannels} channels are drawn; errors are over all. ` : "") +
    (row.drawn.length < row.steps ? `${row.drawn.length.toLocaleString("en")} of ${row.steps.toLocaleString("en")} steps are drawn. ` : "") +
    "Faint: not read yet. Click or drag to go there.",

  read(host, row, step) {
    const known = countBelow(row.drawn, step);
    channelCharts(host, row, "the row", step, 130, (channel) => {
      const ys = channelCodes(row.truth, 0, row.drawn.length, channel);
      return [
        { xs: row.drawn, ys, role: "truth faint" },
        { xs: row.drawn.subarray(0, known), ys, role: "truth" },
      ].map(({ xs, ys, role }) => ({ xs, ys: ys.subarray(0, xs.length), role }));
    });
  },

  stepAt: () => null, // its charts tell themselves

  answer(host, row, answer, anchor, group, kind) {
    const first = answer.start[anchor], count = answer.count[anchor], from = row.anchors[anchor];
    // What is predicted of a long row would be a dot.
    const close = kind === KINDS.future && 8 * group.segment < row.steps;
    const x = close ? [Math.max(0, from - group.segment), Math.min(row.steps, from + group.segment)] : undefined;
    const inside = close ? [countBelow(row.drawn, x[0]), countBelow(row.drawn, x[1] + 1)] : [0, row.drawn.length];
    channelCharts(host, row, `${kind} by ${group.name}`, from, 110, (channel) => [
      { xs: row.drawn.subarray(...inside), ys: channelCodes(row.truth, inside[0], inside[1] - inside[0], channel), role: "truth" },
      {
        xs: row.drawn.subarray(first, first + count), group,
        ys: channelCodes(answer.values, answer.offset[anchor], count, channel),
      },
    ], x);
  },
};
