"""The paper's numbers as data: everything its tables and figures say that we could read, and nothing else.

Keys are (row, column). Percent of the test rows, seconds of a training step, or points lost, as each says.
"""

from __future__ import annotations

from collections.abc import Mapping

from backcast.paper.experiment import Published

Numbers = Mapping[tuple[str, str], Published]


def _line(row: str, columns: tuple[str, ...], *values: float | None, approximate: bool = False) -> Numbers:
    """One row of a table; None where the paper has a dash."""
    pairs = zip(columns, values, strict=True)
    return {(row, column): Published(value, approximate) for column, value in pairs if value is not None}


DATA = {
    "mnist": "MNIST",
    "pmnist": "pMNIST",
    "cifar10": "CIFAR-10",
    "stanford-dogs": "Stanford Dogs",
    "dbpedia": "DBpedia",
}
"""The paper's names of our data sets."""
DATA_SET = ("mean length", "longest mean length", "classes", "training examples")
TABLE1: Numbers = {
    **_line("MNIST", DATA_SET, 784, None, 10, 60_000),
    **_line("pMNIST", DATA_SET, 784, None, 10, 60_000),
    **_line("CIFAR-10", DATA_SET, 1024, None, 10, 50_000),
    **_line("Stanford Dogs", DATA_SET, 1600, 16_384, 120, 150_000),
    **_line("DBpedia", DATA_SET, 300, None, 14, 560_000),
}
"""The data sets; Stanford Dogs comes in eight sizes, the first two numbers are the smallest's and the largest's."""

IMAGES = ("MNIST", "pMNIST", "CIFAR-10")
TABLE2: Numbers = {
    **_line("iRNN", IMAGES, 97.0, 82.0, None),
    **_line("uRNN", IMAGES, 95.1, 91.4, None),
    **_line("LSTM, full BPTT", IMAGES, 98.3, 89.4, 58.8),
    **_line("LSTM, truncated", IMAGES, 11.3, 88.8, 49.0),
    **_line("r-LSTM, truncated", IMAGES, 96.4, 92.8, 65.9),
    **_line("p-LSTM, truncated", IMAGES, 95.4, 92.5, 64.7),
    **_line("r-LSTM, full BPTT", IMAGES, 98.4, 95.2, 72.2),
    **_line("p-LSTM, full BPTT", IMAGES, 98.0, 92.8, 67.6),
}
"""Test accuracy; truncated to 300 steps. The first two rows are the paper's citations of others."""

TABLE3: Numbers = {
    **_line("r-LSTM, full BPTT", IMAGES, 98.4, 95.2, 72.2),
    **_line("Transformer", IMAGES, 98.9, 97.9, 62.2),
}
"""Test accuracy. The paper has a row for T-DMCA, too, whose numbers we have not seen."""

TABLE4: Numbers = {
    **_line("LM-LSTM", ("DBpedia",), 4.04),
    **_line("SA-LSTM", ("DBpedia",), 3.89),
    **_line("r-LSTM 20×15", ("DBpedia",), 3.84),
    **_line("p-LSTM", ("DBpedia",), 2.85),
}
"""Test error, all truncated to 100 steps."""

SAMPLES = ("1×600", "10×60", "20×30", "50×12", "100×6", "200×3")
TABLE5: Numbers = {
    **_line("1 step", SAMPLES, 46.0, 46.0, 48.0, 47.7, 47.2, 46.2),
    **_line("0 steps", SAMPLES, 37.4, 40.6, 41.6, 41.0, 40.1, 37.9),
}
"""Test accuracy of r-LSTM on CIFAR-10, by steps of supervised BPTT and by n segments × their length."""

SIDES = ("40", "48", "56", "72", "80", "96", "112", "128")
LENGTHS = {side: int(side) ** 2 for side in SIDES}
"""Steps of a row by the side of its image."""

FIGURE3: Numbers = {
    **_line("LSTM, full BPTT", SIDES, 3.8, 2.9, 2.1, 1.4, 1.9, 1.1, 1.0, None, approximate=True),
    **_line("r-LSTM", SIDES, 6.8, 6.2, 5.9, 4.9, 4.9, 4.0, 3.3, 3.7, approximate=True),
    **_line("r-LSTM 20×30", SIDES, 10.4, 9.8, 9.0, 8.9, 8.2, 7.3, 5.0, 4.9, approximate=True),
    **_line("p-LSTM", SIDES, 6.5, 6.8, 5.7, 6.5, 4.2, 4.6, 3.0, 2.1, approximate=True),
    **_line("Transformer", SIDES, 11.8, 10.3, 6.8, 4.4, 2.9, 1.9, None, None, approximate=True),
}
"""Test accuracy on Stanford Dogs."""

FIGURE3_WORDS = {("LSTM, full BPTT", "128"): "out of memory"}

TIMED = ("40", "56", "72", "80", "96", "112", "128")
FIGURE3_SECONDS: Numbers = {
    **_line("LSTM, full BPTT", TIMED, 3.4, 5.8, 10.1, 12.3, 19.0, 26.4, None, approximate=True),
    **_line("r-LSTM", TIMED, 2.0, 3.0, 5.0, 4.1, 4.5, 6.0, 7.0, approximate=True),
    **_line("r-LSTM 20×30", TIMED, 1.0, 1.4, 2.2, 3.9, 4.3, 4.7, 6.8, approximate=True),
    **_line("p-LSTM", TIMED, 2.9, 4.3, 3.5, 4.8, 4.9, 6.0, 8.0, approximate=True),
}
"""Seconds of a training step: the figure has seven groups of bars, none for 48."""

STEPS = ("300", "200", "100", "50", "1", "0")
FULL = "full BPTT"
FIGURE4: Numbers = {
    ("r-LSTM", "300"): Published(65.9),
    **_line("r-LSTM", STEPS[1:4], 63.0, 60.5, 57.7, approximate=True),
    **_line("r-LSTM", STEPS[4:], 46.0, 37.4),
    ("p-LSTM", "300"): Published(64.7),
    **_line("p-LSTM", STEPS[1:], 62.2, 60.5, 58.5, 47, 35, approximate=True),
    ("LSTM, full BPTT", FULL): Published(58.8),
}
"""Test accuracy on CIFAR-10 against the steps of supervised BPTT."""

ENDS = ("training", "test")
FIGURE5: Numbers = {
    **_line("LSTM, full BPTT", ENDS, 61, 59, approximate=True),
    **_line("r-LSTM", ENDS, 65, 66, approximate=True),
    **_line("p-LSTM", ENDS, 65, 65, approximate=True),
}
"""Accuracy on CIFAR-10 at the end of training, after about 390,000 steps."""

LOSS = ("CIFAR-10",)
FIGURE6: Numbers = {
    **_line("auxiliary loss", LOSS, 16.9),
    **_line("joint training", LOSS, 3.6),
    **_line("scheduled sampling", LOSS, 3.4),
    **_line("pretraining", LOSS, 2.9),
    **_line("predict future", LOSS, 1.85),
    **_line("distant past", LOSS, 1.7),
    **_line("project input", LOSS, 1.55),
    **_line("reversed reconstruction", LOSS, 1.2),
    **_line("second decoder layer", LOSS, 1.05),
}
"""Points of test accuracy that r-LSTM loses without each."""

PUBLISHED: Mapping[str, Numbers] = {
    "table2": TABLE2,
    "table3": TABLE3,
    "table4": TABLE4,
    "table5": TABLE5,
    "figure3": FIGURE3,
    "figure4": FIGURE4,
    "figure5": FIGURE5,
    "figure6": FIGURE6,
}
"""By the name of the experiment."""

PUBLISHED_WORDS: Mapping[str, Mapping[tuple[str, str], str]] = {"figure3": FIGURE3_WORDS}
"""What the paper says instead of a number."""
