"""Draws docs/demo.png, the README's picture, from a finished demo:  python docs/picture.py demo docs/demo.png"""

import json
import sys
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from backcast.report.collect import collect
from backcast.report.figures import STYLE, draw_accuracy, draw_memory

demo, out = Path(sys.argv[1]), Path(sys.argv[2])
runs = [demo / row["name"] for row in json.loads((demo / "summary.json").read_text())]
results = collect(runs, None, print)
with rc_context(STYLE):
    figure = Figure(figsize=(10, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    draw_accuracy(left, results)
    left.set_title("digits, then 64 blank steps")
    draw_memory(right, results)
    right.set_title("what the last output still says of them")
    right.legend(fontsize=7.5, loc="lower left")
    figure.savefig(out, dpi=110)
