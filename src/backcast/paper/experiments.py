"""Every table and figure of the paper, and all experiments by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from backcast.errors import InputError, nearest
from backcast.paper import extensions, published
from backcast.paper.experiment import Cell, Claim, Experiment, beside
from backcast.paper.grid import FULL, LSTM, P, R, ablation, experiment, grid, one_segment, run_settings
from backcast.paper.scales import Scale, Settings

PICTURES = ("MNIST", "pMNIST", "CIFAR-10")
# Not the paper's: it quotes these two from their own papers, which feed pixels as they are (100 and 512 units).
IRNN: Settings = {"method": "irnn", **FULL, "embedding_size": 0, "learning_rate": 1e-4}
URNN: Settings = {"method": "urnn", **FULL, "embedding_size": 0}
TRANSFORMER: Settings = {"method": "transformer", "optimizer": "adam"}
T_DMCA: Settings = {"method": "t-dmca", "optimizer": "adam"}
TABLE_2: Mapping[str, Settings] = {
    "iRNN": IRNN,
    "uRNN": URNN,
    "LSTM, full BPTT": {**LSTM, **FULL},
    "LSTM, truncated": LSTM,
    "r-LSTM, truncated": R,
    "p-LSTM, truncated": P,
    "r-LSTM, full BPTT": {**R, **FULL},
    "p-LSTM, full BPTT": {**P, **FULL},
}


def table2(scale: Scale) -> Experiment:
    sizes = {"iRNN": {"hidden_size": scale.irnn_units}, "uRNN": {"hidden_size": scale.urnn_units}}
    rows = {row: {**change, **sizes.get(row, {})} for row, change in TABLE_2.items()}
    cells = grid(scale, scale.data, rows, PICTURES, published.TABLE2)
    pairs = [("r-LSTM, truncated", "LSTM, truncated"), ("p-LSTM, truncated", "LSTM, truncated")]
    claims = [Claim(f"{a} beats {b} on {data}", (a, data), (b, data)) for a, b in pairs for data in PICTURES]
    r, full = pairs[0][0], "LSTM, full BPTT"
    others = [(a, b, data) for a, b in ((full, "LSTM, truncated"), (f"r-{full}", full)) for data in PICTURES]
    others += [(f"p-{full}", full, data) for data in ("pMNIST", "CIFAR-10")]
    others += [(r, "uRNN", "MNIST"), (r, "uRNN", "pMNIST"), (r, "iRNN", "pMNIST")]
    claims += [Claim(f"{a} beats {b} on {data}", (a, data), (b, data)) for a, b, data in others]
    return experiment(
        scale, "table2", "Table 2: test accuracy on pixels, one after the other", tuple(TABLE_2), PICTURES, cells, claims
    )  # fmt: skip


def table3(scale: Scale) -> Experiment:
    rows = {"r-LSTM, full BPTT": {**R, **FULL}, "Transformer": TRANSFORMER, "T-DMCA": T_DMCA}
    cells = [
        Cell(
            row,
            column,
            run_settings(scale, scale.attention[column], change),
            published.TABLE3.get((row, column)),
        )
        for row, change in rows.items()
        for column in PICTURES
    ]
    r, t, d = rows
    claims = [
        Claim(f"a Transformer beats r-LSTM on {data}", (t, data), (r, data)) for data in ("MNIST", "pMNIST")
    ]
    claims.append(Claim("r-LSTM beats a Transformer on CIFAR-10", (r, "CIFAR-10"), (t, "CIFAR-10")))
    claims += [
        Claim(f"T-DMCA beats the Transformer on {data}", (d, data), (t, data))
        for data in ("MNIST", "CIFAR-10")
    ]
    claims.append(Claim("the Transformer beats T-DMCA on pMNIST", (t, "pMNIST"), (d, "pMNIST")))
    title = "Table 3: beside attention over the whole sequence"
    return experiment(scale, "table3", title, tuple(rows), PICTURES, cells, claims)


def table4(scale: Scale) -> Experiment:
    base = scale.data["DBpedia"]
    n, length = base["anchors"], base["segment_length"]
    one = one_segment(base)
    many = beside(f"r-LSTM {n}×{length}", "r-LSTM 20×15")
    rows: dict[str, Settings] = {
        "LSTM, truncated": LSTM,
        "LSTM, full BPTT": {**LSTM, **FULL},
        "LM-LSTM": {"method": "lm-lstm"},
        "LM-LSTM, full BPTT": {"method": "lm-lstm", **FULL},
        "SA-LSTM": {"method": "sa-lstm"},
        "SA-LSTM, full BPTT": {"method": "sa-lstm", **FULL},
        "r-LSTM, one segment": {**R, **one, "aux_truncation": base["truncation"]},
        many: R,
        "p-LSTM": {**P, **one},
    }
    known = {
        (many if row == "r-LSTM 20×15" else row, column): value
        for (row, column), value in published.TABLE4.items()
    }
    cells = grid(scale, scale.data, rows, ("DBpedia",), known)
    order = ["p-LSTM", many, "SA-LSTM", "LM-LSTM"]
    claims = [Claim(f"{a} beats {b} on DBpedia", (a, "DBpedia"), (b, "DBpedia")) for a, b in pairwise(order)]
    ours = [(many, "LSTM, truncated"), ("p-LSTM", "LSTM, truncated"), (many, "r-LSTM, one segment")]
    claims += [Claim(f"{a} beats {b} on DBpedia", (a, "DBpedia"), (b, "DBpedia"), ours=True) for a, b in ours]
    title = "Table 4: test error on DBpedia, character by character"
    return experiment(scale, "table4", title, tuple(rows), ("DBpedia",), cells, claims, quantity="error")


def table5(scale: Scale) -> Experiment:
    steps = {"1 step": {"truncation": 1}, "0 steps": {"truncation": 0}}
    ours = [f"{n}×{length}" for n, length in scale.segments]
    columns = [beside(own, theirs) for own, theirs in zip(ours, published.SAMPLES, strict=True)]
    cells = [
        Cell(
            row, column, run_settings(scale, scale.data["CIFAR-10"], R, change, {"anchors": n, "segment_length": length}),
            published.TABLE5[row, theirs],
        )
        for row, change in steps.items()
        for column, theirs, (n, length) in zip(columns, published.SAMPLES, scale.segments, strict=True)
    ]  # fmt: skip
    claims = [
        Claim(f"segments of {column} beat one long one with {row}", (row, column), (row, columns[0]))
        for row in steps
        for column in columns[2:4]
    ]
    title = "Table 5: n segments of l steps at one cost, r-LSTM, CIFAR-10, hardly any supervised gradient"
    return experiment(scale, "table5", title, tuple(steps), tuple(columns), cells, claims)


def figure3(scale: Scale) -> Experiment:
    n, length = scale.dogs_many
    many = beside(f"r-LSTM {n}×{length}", "r-LSTM 20×30")
    rows: dict[str, Settings] = {
        "LSTM, full BPTT": {**LSTM, **FULL},
        "r-LSTM": R,
        many: {**R, "anchors": n, "segment_length": length},
        "p-LSTM": P,
        "Transformer": TRANSFORMER,
    }
    cells = []
    for column, (side, base) in zip(published.SIDES, scale.dogs.items(), strict=True):
        for row, change in rows.items():
            if row == "Transformer" and column in published.SIDES[-2:]:
                continue  # the paper has none there
            theirs = "r-LSTM 20×30" if row == many else row, column
            cells.append(
                Cell(
                    row, column, run_settings(scale, base, change), published.FIGURE3.get(theirs), side * side,
                    published.FIGURE3_SECONDS.get(theirs),
                )
            )  # fmt: skip
    # The longest that the paper's full BPTT could run, and the longest.
    full, last = published.SIDES[-2:]
    lengths = {
        column: "T = " + beside(f"{side**2:,}", f"{published.LENGTHS[column]:,}")
        for column, side in zip(published.SIDES, scale.dogs, strict=True)
    }
    claims = [
        Claim(f"{row} beats an LSTM with full BPTT at {lengths[full]}", (row, full), ("LSTM, full BPTT", full))
        for row in ("r-LSTM", many, "p-LSTM")
    ]  # fmt: skip
    claims += [
        Claim(f"{many} beats one long segment at {lengths[column]}", (many, column), ("r-LSTM", column))
        for column in (published.SIDES[0], last)
    ]
    claims.append(Claim(f"r-LSTM beats a Transformer at {lengths['96']}", ("r-LSTM", "96"), ("Transformer", "96")))  # fmt: skip
    title = "Figure 3: accuracy, and seconds per step, against the length"
    if next(iter(scale.dogs.values()))["data"] == "cifar10":
        title += " (CIFAR-10 resized, in place of Stanford Dogs, which was not there)"
    return experiment(
        scale, "figure3", title, tuple(rows), published.SIDES, cells, claims, form="against length"
    )


def figure4(scale: Scale) -> Experiment:
    base = scale.data["CIFAR-10"]
    columns = tuple(
        beside(str(own), theirs) for own, theirs in zip(scale.steps, published.STEPS, strict=True)
    )
    cells = [
        Cell(row, column, run_settings(scale, base, change, {"truncation": steps}), published.FIGURE4[row, theirs], steps)
        for row, change in (("r-LSTM", R), ("p-LSTM", P))
        for column, theirs, steps in zip(columns, published.STEPS, scale.steps, strict=True)
    ]  # fmt: skip
    full = ("LSTM, full BPTT", published.FULL)
    cells.append(Cell(*full, run_settings(scale, base, LSTM, FULL), published.FIGURE4[full]))
    most, third, one, none = columns[0], columns[2], *columns[-2:]
    claims = []
    for row in ("r-LSTM", "p-LSTM"):
        claims += [
            Claim(f"{row} with {most} supervised steps beats an LSTM with full BPTT", (row, most), full),
            Claim(f"{row} with {third} supervised steps beats an LSTM with full BPTT", (row, third), full),
            Claim(f"{row} is better with {most} supervised steps than with 1", (row, most), (row, one)),
            Claim(f"{row} is better with 1 supervised step than with none", (row, one), (row, none)),
        ]
    title = "Figure 4: shrinking the supervised gradient, CIFAR-10"
    rows = ("r-LSTM", "p-LSTM", full[0])
    return experiment(
        scale, "figure4", title, rows, (*columns, published.FULL), cells, claims, form="against steps"
    )


def figure5(scale: Scale) -> Experiment:
    rows = {"LSTM, full BPTT": {**LSTM, **FULL}, "r-LSTM": R, "p-LSTM": P}
    cells = [
        Cell(row, end, run_settings(scale, scale.data["CIFAR-10"], change), published.FIGURE5[row, end])
        for row, change in rows.items()
        for end in published.ENDS
    ]
    title = "Figure 5: training and test accuracy while training, CIFAR-10"
    return experiment(scale, "figure5", title, tuple(rows), published.ENDS, cells, [], form="curves")


def figure6(scale: Scale) -> Experiment:
    title = "Figure 6: points lost with one factor of r-LSTM off, CIFAR-10"
    return ablation(scale, "figure6", title, "CIFAR-10", scale.data["CIFAR-10"], published.FIGURE6)


EXPERIMENTS: Mapping[str, Callable[[Scale], Experiment]] = {
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "figure3": figure3,
    "figure4": figure4,
    "figure5": figure5,
    "figure6": figure6,
    "extension-mnist": extensions.mnist,
    "extension-truncation": extensions.truncation,
    "extension-segments": extensions.segments,
    "extension-ablation": extensions.mnist_ablation,
    "extension-both": extensions.both,
    "extension-cue": extensions.cue,
    "extension-unfed": extensions.unfed,
    "extension-gru": extensions.gru,
    "extension-labels": extensions.labels,
    "extension-forget-gate": extensions.forget_gate,
    "extension-pretraining": extensions.pretraining,
}


def choose(name: str, scale: Scale) -> list[Experiment]:
    """The experiment called `name`, or all of them. Raises InputError for another name."""
    if name == "all":
        return [make(scale) for make in EXPERIMENTS.values()]
    if name not in EXPERIMENTS:
        raise InputError(
            f"{name}: is not an experiment{nearest(name, [*EXPERIMENTS, 'all'])}; `backcast ls experiments` names them"
        )
    return [EXPERIMENTS[name](scale)]
