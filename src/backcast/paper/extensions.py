"""The experiments that the paper does not have, in its form.

On MNIST most start with forget gates without a bias (`_without_bias`): there, and only there, the truncated LSTM stays
where the paper's stays (`forget_gate`), so that what a loss or one of its factors brings can show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from backcast.errors import plural
from backcast.paper import published
from backcast.paper.experiment import Cell, Claim, Experiment
from backcast.paper.grid import FULL, LSTM, P, R, ablation, experiment, grid, one_segment, run_settings
from backcast.paper.scales import Scale, Settings

MNIST, CIFAR = "MNIST, bias 0", "CIFAR-10"
SEVERAL = f"{MNIST}, 4 segments", f"{CIFAR}, 4 segments"


def mnist(scale: Scale) -> Experiment:
    """Table 2's widest gap with as much of the paper's setting as three hours on two cores allow."""
    alone = "LSTM, truncated"
    methods = {alone: LSTM, "r-LSTM, truncated": R, "p-LSTM, truncated": P}
    rows = {
        f"{row}, bias {bias}": (row, {**change, "forget_gate_bias": bias})
        for bias in (0, 1)
        for row, change in methods.items()
    }
    cells = [
        Cell(name, end, run_settings(scale, scale.all_of_mnist, change), published.TABLE2[row, "MNIST"] if end == "test" else None)
        for name, (row, change) in rows.items()
        for end in published.ENDS
    ]  # fmt: skip
    claims = [
        Claim(f"{row} beats {alone} on MNIST with a forget-gate bias of {bias}", (f"{row}, bias {bias}", "test"), (f"{alone}, bias {bias}", "test"), ours=True)
        for bias in (0, 1)
        for row in methods
        if row != alone
    ]  # fmt: skip
    title = "MNIST at its real length, all images, truncated to 300 of 784 steps"
    return experiment(
        scale, "extension-mnist", title, tuple(rows), published.ENDS, cells, claims, form="curves"
    )


def truncation(scale: Scale) -> Experiment:
    """Figure 4 at the real length, with the row that it lacks: is it the auxiliary loss that holds the accuracy up?"""
    base = _without_bias(scale)
    rows = {"LSTM": LSTM, "r-LSTM": R, "p-LSTM": P}
    steps = (base["truncation"], base["truncation"] // 3, 1, 0)
    cells = [
        Cell(row, str(count), run_settings(scale, base, change, {"truncation": count}), None, count)
        for row, change in rows.items()
        for count in steps
    ]
    claims = [
        Claim(f"{row} beats an LSTM with a supervised gradient over {count:,} {plural(count, 'step')}", (row, str(count)), ("LSTM", str(count)), ours=True)
        for row in ("r-LSTM", "p-LSTM")
        for count in steps[1:]
    ]  # fmt: skip
    title = "Shrinking the supervised gradient, MNIST, forget-gate bias 0"
    columns = tuple(map(str, steps))
    return experiment(
        scale, "extension-truncation", title, tuple(rows), columns, cells, claims, form="against steps"
    )


def segments(scale: Scale) -> Experiment:
    """Table 5 at the real length, and with the usual supervised gradient, too."""
    base = _without_bias(scale)
    steps = {"1 step": 1, f"{base['truncation']} steps": base["truncation"]}
    split = {count: max(1, base["segment_length"] // count) for count in (1, 10, 20, 100)}
    columns = {f"{count}×{length}": (count, length) for count, length in split.items()}
    cells = [
        Cell(row, column, run_settings(scale, base, R, {"truncation": count, "anchors": anchors, "segment_length": length}))
        for row, count in steps.items()
        for column, (anchors, length) in columns.items()
    ]  # fmt: skip
    one, *many = columns
    claims = [
        Claim(f"segments of {column} beat one long one ({one}) with {row}", (row, column), (row, one), ours=True)
        for row in steps
        for column in many
    ]  # fmt: skip
    title = "n segments of l steps at one cost, r-LSTM, MNIST, forget-gate bias 0"
    return experiment(scale, "extension-segments", title, tuple(steps), tuple(columns), cells, claims)


def mnist_ablation(scale: Scale) -> Experiment:
    """Figure 6 at the real length."""
    title = "Points lost with one factor of r-LSTM off, MNIST, forget-gate bias 0"
    return ablation(scale, "extension-ablation", title, "MNIST", _without_bias(scale), {})


def both(scale: Scale) -> Experiment:
    rows = {"LSTM, truncated": LSTM, "r-LSTM": R, "p-LSTM": P, "rp-LSTM": {"method": "rp-lstm"}}
    title = "Both auxiliary losses at once, truncated"
    pairs = [("rp-LSTM", row) for row in list(rows)[:3]]
    return _ours(scale, "extension-both", title, rows, (MNIST, CIFAR), pairs)


def cue(scale: Scale) -> Experiment:
    rows: dict[str, Settings] = {"r-LSTM": R, "with a position cue": {**R, "position_cue": True}}
    title = "The decoder told which place it reconstructs, truncated"
    pairs = [("with a position cue", "r-LSTM")]
    return _ours(scale, "extension-cue", title, rows, (MNIST, CIFAR), pairs)


def unfed(scale: Scale) -> Experiment:
    """With one long segment, as in the paper, and with four short ones of the same length in all, as by default."""
    rows: dict[str, Settings] = {
        "r-LSTM": R,
        "unfed": {**R, "decoder_input": "unfed"},
        "unfed, position cue": {**R, "decoder_input": "unfed", "position_cue": True},
    }
    title = "The decoder fed nothing after the first element, truncated"
    pairs = [("unfed", "r-LSTM"), ("unfed, position cue", "r-LSTM")]
    return _ours(scale, "extension-unfed", title, rows, (MNIST, CIFAR, *SEVERAL), pairs)


def gru(scale: Scale) -> Experiment:
    rows = {"GRU": {"method": "gru"}, "r-GRU": {"method": "r-gru"}, "p-GRU": {"method": "p-gru"}}
    title = "A gated recurrent unit in the LSTM's place, truncated"
    pairs = [("r-GRU", "GRU"), ("p-GRU", "GRU")]
    return _ours(scale, "extension-gru", title, rows, (CIFAR,), pairs)


def forget_gate(scale: Scale) -> Experiment:
    """Table 2 with other first biases of the forget gates, which the paper does not state: 1 is what we take for it.

    With 0 a cell keeps half of what it holds from one step to the next at first, with 1 73 %, with 3 95 %.
    """
    full, alone = "LSTM, full BPTT", "LSTM, truncated"
    rows = {full: {**LSTM, **FULL}, alone: LSTM, "r-LSTM, truncated": R, "p-LSTM, truncated": P}
    biases = {"MNIST": (0, 1, 3), "pMNIST": (0, 1, 3), "CIFAR-10": (0, 1)}
    columns = {f"{data}, {bias}": (data, bias) for data, those in biases.items() for bias in those}
    cells = [
        Cell(row, column, run_settings(scale, scale.data[data], change, {"forget_gate_bias": bias}), published.TABLE2.get((row, data)))
        for row, change in rows.items()
        for column, (data, bias) in columns.items()
    ]  # fmt: skip
    pairs = [("r-LSTM, truncated", alone), ("p-LSTM, truncated", alone), (full, alone)]
    claims = [
        Claim(
            f"{a} beats {b} on {data} with a forget-gate bias of {bias}", (a, column), (b, column), ours=True
        )
        for a, b in pairs
        for column, (data, bias) in columns.items()
        if bias != 1
    ]
    title = "Table 2 with the forget gates' bias at 0, 1 and 3 at first"
    return experiment(scale, "extension-forget-gate", title, tuple(rows), tuple(columns), cells, claims)


def labels(scale: Scale) -> Experiment:
    """Phase 1 on all rows, phase 2 only on those with a label, with the same number of updates in every cell."""
    rows: dict[str, Settings] = {"LSTM": {**LSTM, "pretrain_epochs": 0}, "r-LSTM": R, "p-LSTM": P}
    shares = {"1 %": 0.01, "10 %": 0.1, "100 %": 1.0}
    base, count = scale.data["CIFAR-10"], scale.cifar_rows
    cells = []
    for row, change in rows.items():
        for column, share in shares.items():
            longer = math.ceil(count / base["batch_size"]) / math.ceil(count * share / base["batch_size"])
            phase_2: Settings = {
                "labeled": share,
                "joint": False,
                "epochs": round(base["epochs"] * longer),
                "halve_at": tuple(round(epoch * longer) for epoch in base["halve_at"]),
            }
            cells.append(Cell(row, column, run_settings(scale, base, change, phase_2)))
    claims = [
        Claim(f"{row} beats an LSTM with {share} of the labels", (row, share), ("LSTM", share), ours=True)
        for row in ("r-LSTM", "p-LSTM")
        for share in shares
    ]
    title = "Labels for a part of the rows, pretraining on all of them, truncated, CIFAR-10"
    return experiment(scale, "extension-labels", title, tuple(rows), tuple(shares), cells, claims)


def pretraining(scale: Scale) -> Experiment:
    """What phase 1 brings or costs: joint training after it, labels alone after it, and joint training without it.

    Epochs of phase 1 are fewer with labels. On text, n × l is what table 4 has for each method, crossed: there
    the paper's best method, p-LSTM, is far behind.
    """
    text = scale.data["DBpedia"]
    one = {**text, **one_segment(text)}
    cut: Settings = {"aux_truncation": text["truncation"]}  # as in table 4
    bases: dict[str, tuple[Settings, Settings]] = {
        **{data: (scale.data[data], R) for data in ("pMNIST", "CIFAR-10")},
        f"DBpedia, {text['anchors']}×{text['segment_length']}": (text, R),
        f"DBpedia, 1×{one['segment_length']}": (one, {**R, **cut}),
    }
    alone = "LSTM, truncated"
    cells = []
    for column, (base, r) in bases.items():
        phases: dict[str, Settings] = {
            "phase 1, then labels": {"joint": False},
            "phase 1, then joint": {"joint": True},
            "joint at once": {
                "joint": True,
                "pretrain_epochs": 0,
                "epochs": base["pretrain_epochs"] + base["epochs"],
            },
        }
        cells.append(Cell(alone, column, run_settings(scale, base, LSTM)))
        cells += [
            Cell(f"{name}: {phase}", column, run_settings(scale, base, method, change))
            for name, method in (("r-LSTM", r), ("p-LSTM", P))
            for phase, change in phases.items()
        ]
    claims = []
    for name in ("r-LSTM", "p-LSTM"):
        at_once, after = f"{name}: joint at once", f"{name}: phase 1, then joint"
        for column in bases:
            claims += [
                Claim(f"{name}, joint at once, beats an LSTM on {column}", (at_once, column), (alone, column), ours=True),
                Claim(f"{name} is better joint at once than after phase 1 on {column}", (at_once, column), (after, column), ours=True),
            ]  # fmt: skip
    title = "Phase 1 left out, or phase 2 on labels alone, truncated"
    rows = tuple(dict.fromkeys(cell.row for cell in cells))
    return experiment(scale, "extension-pretraining", title, rows, tuple(bases), cells, claims)


def _ours(
    scale: Scale,
    name: str,
    title: str,
    rows: Mapping[str, Settings],
    columns: tuple[str, ...],
    pairs: list[tuple[str, str]],
) -> Experiment:
    """An experiment that the paper does not have; `pairs`: (better, worse), asked of every column."""
    bases = {MNIST: _without_bias(scale), CIFAR: scale.data[CIFAR]}
    for whole, several in zip((MNIST, CIFAR), SEVERAL, strict=True):
        length = bases[whole]["segment_length"] // 4
        bases[several] = {**bases[whole], "anchors": 4, "segment_length": length}
    cells = grid(scale, bases, rows, columns, {})
    claims = [
        Claim(f"{better} beats {worse} on {column}", (better, column), (worse, column), ours=True)
        for better, worse in pairs
        for column in columns
    ]
    return experiment(scale, name, title, tuple(rows), columns, cells, claims)


def _without_bias(scale: Scale) -> Settings:
    """MNIST, with forget gates that start without a bias."""
    return {**scale.data["MNIST"], "forget_gate_bias": 0}
