"""The settings of every data set at every scale, from which the cells of a table differ.

`paper` has the paper's settings to the letter, as far as they are known. `small` keeps their proportions on less data,
for two cores: a smaller network and smaller batches (but for extension-mnist), few epochs, CIFAR-10 at 16 × 16;
truncation and segments (in table 5, n × l) have the paper's ratio to the length, and scheduled sampling ends after the
share of training that the paper has on CIFAR-10. Where phase 2 is supervised only (table 4, extension-labels, the
ablation's row without joint training) that is out of proportion: sampling all but ends with phase 1, at whose end the
paper's settings still feed the truth more often than not. `smoke` runs everything once, in seconds, and measures nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backcast.paper.published import DATA, SIDES
from backcast.presets import PAPER, PRESETS

Settings = dict[str, Any]
SCALES = ("smoke", "small", "paper")
OTHERS = "others"

NO_HALVING: Settings = {"pretrain_halve_at": (), "halve_at": ()}
SMALL: Settings = {
    **PAPER,
    **NO_HALVING,
    "hidden_size": 64,
    "feedforward_size": 128,
    "batch_size": 32,
    "limit": 10_000,
    "pretrain_epochs": 2,
    "epochs": 8,
    "sampling_steps": 730,  # 100,000 of the paper's 430,000 training steps on CIFAR-10, of 3,130 here
}
SMOKE: Settings = {
    **PAPER,
    **NO_HALVING,
    "hidden_size": 8,
    "embedding_size": 8,
    "feedforward_size": 8,
    "batch_size": 16,
    "limit": 32,
    "pretrain_epochs": 1,
    "epochs": 1,
    "sampling_steps": 4,
    "truncation": 24,
    "segment_length": 48,
    "decoder_truncation": 24,
}


@dataclass(frozen=True)
class Scale:
    """One scale of all experiments.

    data           the base of every run on a data set: "MNIST", "pMNIST", "CIFAR-10", "DBpedia"
    all_of_mnist   the base of extension-mnist's runs
    attention      the base of table 3's runs, like `data`
    dogs           the base of figure 3's runs by the side of the pictures, in the paper's order
    segments       n × l at one cost, table 5's columns
    steps          of the supervised gradient, figure 4's columns
    irnn_units, urnn_units   their sources' at the paper's scale
    cifar_rows     training rows of CIFAR-10
    alone_as_long_as_both    do methods without an auxiliary loss train for as many epochs as the others in both phases?
    curve_rows     test rows that are read at every point of figure 5's curves; None: all
    about          what a reader must know about an experiment, by its name; `OTHERS`: for those without an entry
    """

    name: str
    data: dict[str, Settings]
    all_of_mnist: Settings
    attention: dict[str, Settings]
    dogs: dict[int, Settings]
    dogs_many: tuple[int, int]
    segments: tuple[tuple[int, int], ...]
    steps: tuple[int, ...]
    irnn_units: int
    urnn_units: int
    cifar_rows: int
    alone_as_long_as_both: bool
    curve_rows: int | None
    about: dict[str, str]


def scale(name: str, dogs_are_there: bool) -> Scale:
    """The scale called `name`; without Stanford Dogs, figure 3 is run on CIFAR-10, except at the scale `paper`."""
    return {"smoke": _smoke, "small": _small, "paper": _paper}[name](dogs_are_there)


def _paper(dogs_are_there: bool) -> Scale:
    known = (
        "The paper's settings, as far as they are known (docs/implementation-details.md); on pictures r-LSTM's decoder is cut every 300 steps, "
        "which the paper's figure 2 does not show, and RMSProp's epsilon stands outside the root."
    )
    data = {name: PRESETS[f"paper/{preset}"] for preset, name in DATA.items() if preset != "stanford-dogs"}
    return Scale(
        name="paper",
        data=data,
        all_of_mnist=data["MNIST"],
        attention=data,
        dogs={side: {**PRESETS["paper/stanford-dogs"], "side": side} for side in map(int, SIDES)},
        dogs_many=(20, 30),
        segments=((1, 600), (10, 60), (20, 30), (50, 12), (100, 6), (200, 3)),
        steps=(300, 200, 100, 50, 1, 0),
        irnn_units=100,
        urnn_units=512,
        cifar_rows=50_000,
        alone_as_long_as_both=False,
        curve_rows=None,
        about={
            "table2": (
                f"{known} iRNN and uRNN, which the paper quotes from their own papers, have those papers' units and no embedding; epochs, "
                "optimizer and batches are those of the other methods, and the iRNN's learning rate is 0.0001."
            ),
            **dict.fromkeys(
                ("table3", "figure3"),
                f"{known} The attention networks use Adam at 0.001, without warm-up, and drop no attention weights.",
            ),
            OTHERS: known,
        },
    )


def _small(dogs_are_there: bool) -> Scale:
    quarter = {"truncation": 75, "segment_length": 150, "decoder_truncation": 75}
    # T is a sixteenth of the paper's lengths; so are truncation and segments.
    sixteenth = {"truncation": 19, "segment_length": 38, "decoder_truncation": 19}
    dogs = {
        **SMALL,
        **sixteenth,
        "data": "cifar10",
        "limit": 4_000,
        "pretrain_epochs": 1,
        "epochs": 4,
        "sampling_steps": 145,
    }
    if dogs_are_there:
        dogs |= {"data": "stanford-dogs"}
    length = "real length (T = 784), 10,000 images, truncation 300 and segments of 600 as in the paper."
    real = f"MNIST and pMNIST at their {length}"
    real_mnist = f"MNIST at its {length} On MNIST the forget gates start without a bias, where the paper's gap shows (extension-forget-gate)."
    fewer_epochs = (
        "The run without pretraining has the 8 joint epochs only, a fifth less. In the one without joint training, scheduled sampling ends with "
        "pretraining at a chance of 0.14 to feed the truth; at the paper's scale that would be 0.61."
    )
    shrunk = "CIFAR-10 at 16 × 16 (T = 256), 10,000 images, truncation 75 and segments of 150."
    common = (
        "64 cells instead of 128, feed-forward layers of 128 instead of 256, batches of 32 instead of 128; unless stated otherwise, 2 epochs of pretraining and 8 joint ones "
        "instead of the preset's (100 and 1,000 on pictures), learning rates not halved. On pictures r-LSTM's decoder is cut as often as the supervised gradient usually is, in every row and column. "
        "Methods without an auxiliary loss train for as many epochs as the others do in both phases together."
    )
    reduced = {**quarter, "limit": 4_000, "sampling_steps": 290}
    return Scale(
        name="small",
        data={
            "MNIST": {**SMALL, "data": "mnist"},
            "pMNIST": {**SMALL, "data": "pmnist"},
            "CIFAR-10": {**SMALL, **quarter, "data": "cifar10", "side": 16},
            "DBpedia": {
                **SMALL, "data": "dbpedia", "limit": 5_000, "pretrain_epochs": 5, "epochs": 15, "truncation": 100,
                "anchors": 20, "segment_length": 15, "decoder_truncation": None, "joint": False,
            },
        },
        all_of_mnist={
            **PAPER, **NO_HALVING, "data": "mnist", "pretrain_epochs": 1, "epochs": 5, "sampling_steps": 655,
        },
        attention={
            "MNIST": {**SMALL, **reduced, "data": "mnist", "side": 14},
            "pMNIST": {**SMALL, **reduced, "data": "pmnist", "side": 14},
            "CIFAR-10": {**SMALL, **reduced, "data": "cifar10", "side": 16},
        },
        dogs={side // 4: {**dogs, "side": side // 4} for side in map(int, SIDES)},
        dogs_many=(19, 2),
        segments=((1, 150), (3, 50), (5, 30), (10, 15), (25, 6), (50, 3)),
        steps=(75, 50, 25, 12, 1, 0),
        irnn_units=64,
        urnn_units=64,
        cifar_rows=10_000,
        alone_as_long_as_both=True,
        curve_rows=2_000,
        about={
            "table2": f"{real} {shrunk} {common} iRNN and uRNN have 64 units and read pixels without an embedding; the iRNN has a learning rate of 0.0001.",
            **dict.fromkeys(("extension-both", "extension-cue"), f"{real_mnist} {shrunk} {common}"),
            "extension-unfed": f"{real_mnist} {shrunk} Four segments have 150 steps each on MNIST, 37 on CIFAR-10. {common}",
            "table3": (
                "Attention is slow, so there are only 4,000 images: MNIST and pMNIST at 14 × 14 (T = 196), CIFAR-10 at 16 × 16 (T = 256); "
                f"auxiliary truncation 75 and segments of 150. The attention networks use Adam at 0.001, without warm-up. {common}"
            ),
            "table4": (
                "5,000 training rows of DBpedia at their real length, truncation 100; phase 2 is supervised only, as in the paper. "
                "5 epochs of pretraining and 15 supervised ones. Scheduled sampling ends within pretraining, after 730 steps of 785; by the preset it would "
                "end after 100,000, of which pretraining has 43,750. With one segment the auxiliary gradient of r-LSTM is cut after 100 steps as well; that of "
                "p-LSTM runs through its segment of up to 300, which is more than half of a row. "
                f"{common}"
            ),
            "figure3": (
                "4,000 images at a quarter of the paper's sides; truncation 19 and segments of 38, in the paper's ratio to the "
                f"length. 1 epoch of pretraining and 4 joint ones. The Transformer uses Adam at 0.001, without warm-up. "
                "Seconds per step were measured while another run was going: only their order of magnitude counts; docs/performance.md has steps "
                f"measured alone. {common}"
            ),
            "extension-forget-gate": (
                f"{real} {shrunk} {common} A column is a data set and the bias; the paper does not state its own, so its numbers are the same "
                "for all."
            ),
            "extension-mnist": (
                "The paper's settings on all 60,000 images (128 cells, batches of 128) except for the number of epochs: 1 of pretraining and "
                "5 joint ones instead of 100 and 1,000, and 6 for the LSTM; learning rates not halved; r-LSTM's decoder is cut every 300 steps; scheduled sampling stops feeding the truth after 655 steps, the share of training that the paper has on CIFAR-10. "
                "The forget gates' bias at first is 0 or 1; the paper does not state its own. Where one seed begins to learn and others do not, "
                "mean and curve have values that no seed has."
            ),
            "figure6": f"{shrunk} {common} {fewer_epochs}",
            **dict.fromkeys(("extension-truncation", "extension-segments"), f"{real_mnist} {common}"),
            "extension-ablation": f"{real_mnist} {common} {fewer_epochs}",
            "extension-labels": (
                f"{shrunk} 64 cells, batches of 32. r-LSTM and p-LSTM are pretrained on all rows, without labels, for 2 epochs; then all "
                "methods are trained on the labelled rows only, for 2,500 updates however many there are. Scheduled sampling has come down to a chance of 0.14 by the end of pretraining. Learning rates not halved."
            ),
            "extension-pretraining": (
                f"pMNIST at its {length} {shrunk} 5,000 training rows of DBpedia, truncation 100, 20 epochs, 5 of them phase 1 where there is one. {common} "
                "So all cells have as many epochs, and those with a phase 1 fewer updates with labels."
            ),
            OTHERS: f"{shrunk} {common}",
        },
    )  # fmt: skip


def _smoke(dogs_are_there: bool) -> Scale:
    tiny = {**SMOKE, "side": 8}
    pictures = {
        name: {**tiny, "data": data}
        for name, data in (("MNIST", "mnist"), ("pMNIST", "pmnist"), ("CIFAR-10", "cifar10"))
    }
    dogs = {**SMOKE, "data": "stanford-dogs" if dogs_are_there else "cifar10"}
    smallest = 10 if dogs_are_there else 4  # dogs are read from 10 × 10 upwards
    return Scale(
        name="smoke",
        data={
            **pictures,
            "DBpedia": {
                **SMOKE, "data": "dbpedia", "max_length": 60, "truncation": 10, "anchors": 4, "segment_length": 6,
                "decoder_truncation": None, "joint": False,
            },
        },
        all_of_mnist=pictures["MNIST"],
        attention=pictures,
        dogs={side: {**dogs, "side": side, "truncation": 8, "segment_length": 16, "decoder_truncation": 8} for side in range(smallest, smallest + 8)},
        dogs_many=(4, 4),
        segments=((1, 48), (2, 24), (4, 12), (8, 6), (16, 3), (24, 2)),
        steps=(24, 16, 8, 4, 1, 0),
        irnn_units=8,
        urnn_units=8,
        cifar_rows=32,
        alone_as_long_as_both=True,
        curve_rows=None,
        about={OTHERS: "Every configuration once, for a few steps on a few rows."},
    )  # fmt: skip
