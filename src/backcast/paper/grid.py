"""What a table or figure is made of: cells over a scale's settings.

A cell differs from its data set's base in what its row names, and in nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from backcast.methods import METHODS
from backcast.paper.experiment import Cell, Claim, Experiment, Form, Published, Quantity
from backcast.paper.scales import OTHERS, Scale, Settings

R, P, LSTM = {"method": "r-lstm"}, {"method": "p-lstm"}, {"method": "lstm"}
FULL: Settings = {"truncation": None}
FACTORS: Mapping[str, Settings] = {
    "joint training": {"joint": False},
    "scheduled sampling": {"decoder_input": "fed"},
    "pretraining": {"pretrain_epochs": 0},
    "predict future": {"predict_future": False},
    "distant past": {"distant_past": False},
    "project input": {"embedding_size": 0},
    "reversed reconstruction": {"backwards": False},
    "second decoder layer": {"decoder_layers": 1},
}
"""The factors of figure 6, and the settings that switch each one off."""


def run_settings(scale: Scale, base: Settings, *more: Settings) -> Settings:
    """`base` with changes, without what does not matter to the method; settings that run alike are equal.

    Where the scale says so, a method without an auxiliary loss trains for as many epochs as the others in both phases.
    """
    settings = {**base}
    for change in more:
        settings |= change
    method = METHODS[settings["method"]]
    if not method.auxiliary:
        if scale.alone_as_long_as_both:
            settings["epochs"] += settings["pretrain_epochs"]
        for name in ("pretrain_epochs", "pretrain_halve_at", "joint"):
            settings.pop(name, None)
    if "reconstruction" not in method.auxiliary:
        for name in ("decoder_truncation", "decoder_input", "sampling_steps", "position_cue"):
            settings.pop(name, None)
    if not {"reconstruction", "prediction"} & set(method.auxiliary):
        for name in ("anchors", "segment_length"):
            settings.pop(name, None)
    if not method.recurrent:
        settings.pop("truncation", None)
    return settings


def one_segment(base: Settings) -> Settings:
    """The base's segments as a single one of as many steps (table 4)."""
    return {"anchors": 1, "segment_length": base["anchors"] * base["segment_length"]}


def grid(
    scale: Scale,
    bases: Mapping[str, Settings],
    rows: Mapping[str, Settings],
    columns: tuple[str, ...],
    known: Mapping[tuple[str, str], Published],
) -> list[Cell]:
    """Every row in every column. `bases`: by column; `known`: the paper's numbers by row and column."""
    return [
        Cell(row, column, run_settings(scale, bases[column], change), known.get((row, column)))
        for row, change in rows.items()
        for column in columns
    ]


def experiment(
    scale: Scale,
    name: str,
    title: str,
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    cells: list[Cell] | tuple[Cell, ...],
    claims: list[Claim],
    form: Form = "table",
    quantity: Quantity = "accuracy",
) -> Experiment:
    about = scale.about.get(name, scale.about[OTHERS])
    return Experiment(
        name, title, scale.name, form, quantity, about, rows, columns, tuple(cells), tuple(claims)
    )


def ablation(
    scale: Scale,
    name: str,
    title: str,
    data: str,
    base: Settings,
    known: Mapping[tuple[str, str], Published],
) -> Experiment:
    """Each row but the first has one factor off. `known`: losses in points; rows without one ask a question of ours."""
    whole = "r-LSTM, all on"
    off = {"auxiliary loss": LSTM, **{factor: {**R, **change} for factor, change in FACTORS.items()}}
    cells = [Cell(whole, data, run_settings(scale, base, R))]
    cells += [
        Cell(factor, data, run_settings(scale, base, change), known.get((factor, data)))
        for factor, change in off.items()
    ]
    claims = [
        Claim(f"without {cell.row} it is worse", (whole, data), (cell.row, data), ours=cell.published is None)
        for cell in cells[1:]
    ]
    rows = tuple(cell.row for cell in cells)
    return experiment(scale, name, title, rows, (data,), cells, claims, form="ablation")
