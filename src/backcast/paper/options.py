"""The options of `backcast reproduce`. Nothing heavy is imported here, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from backcast.arguments import gigabytes, one_of, whole
from backcast.config import FIELDS

MEMORY = 16.0
"""Gigabytes that one row may keep for its backward pass, by default."""
NAMES = {
    "all": "all of them",
    "table1": "the data sets as they are read",
    "table2": "pixels one after the other: r- and p-LSTM beside LSTM, iRNN and uRNN",
    "table3": "beside the Transformer and T-DMCA",
    "table4": "DBpedia, character by character: beside LM-LSTM and SA-LSTM",
    "table5": "n segments of l steps at one cost",
    "figure3": "accuracy and seconds per step against the length",
    "figure4": "shrinking the supervised gradient",
    "figure5": "curves of training",
    "figure6": "ablation: one factor of r-LSTM off at a time",
    "extension-mnist": "table 2's widest gap, all 60,000 images: hours on two cores",
    "extension-truncation": "ours: figure 4 on MNIST, beside an LSTM cut as short",
    "extension-segments": "ours: table 5 on MNIST, with the usual supervised gradient, too",
    "extension-ablation": "ours: figure 6 on MNIST",
    "extension-both": "ours: both auxiliary losses at once",
    "extension-cue": "ours: the decoder is told which place it reconstructs",
    "extension-unfed": "ours: the decoder is fed nothing after the first element",
    "extension-gru": "ours: a gated recurrent unit in the LSTM's place",
    "extension-labels": "ours: labels for 1, 10 and 100 % of the rows",
    "extension-forget-gate": "ours: table 2 with the forget gates' bias at 0, 1 and 3 at first",
    "extension-pretraining": "ours: phase 1 left out, or phase 2 on labels alone",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="table1 … table5, figure3 … figure6, extension-…, or all; `backcast ls experiments`")  # fmt: skip
    parser.add_argument("--scale", type=one_of("smoke", "small", "paper"), metavar="{smoke,small,paper}", default="small", help="smoke: everything once, seconds each, measures nothing; small: the experiment shrunk, for two cores; paper: the paper's settings (default: small)")  # fmt: skip
    parser.add_argument("--seeds", type=whole(1), default=3, metavar="K", help="seeds 0 .. K-1 of every row (default: 3)")  # fmt: skip
    parser.add_argument("--only", action="append", metavar="ROW", help="run only this row, as the table names it; may be given again")  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="keep the results in --out, continue what was stopped, add what is missing")  # fmt: skip
    parser.add_argument("--render", action="store_true", help="run nothing: write the documents again from the results in --out")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for results.jsonl, runs, one document per experiment, and report.html")  # fmt: skip
    parser.add_argument("--data-dir", help=FIELDS["data_dir"].metadata["help"])
    parser.add_argument("--device", default="auto", help=FIELDS["device"].metadata["help"])
    parser.add_argument("--jobs", type=whole(1), metavar="N", help="runs at once, the cores shared among them (default: one per core, at most 8; on a GPU one)")  # fmt: skip
    parser.add_argument("--note", metavar="TEXT", help="a sentence for every caption, such as where the data differ from the original")  # fmt: skip
    parser.add_argument("--memory", type=gigabytes, default=MEMORY, metavar="GB", help=f"a row of a table is infeasible where one example keeps more than this for its backward pass (default: {MEMORY:g})")  # fmt: skip
