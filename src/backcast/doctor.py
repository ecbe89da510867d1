"""What backcast uses on this machine, and why: the lines of `backcast doctor`."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import torch

from backcast import kernel
from backcast.kernel import build, library
from backcast.machine import processor
from backcast.nn.lstm import LSTMLayer


def lines() -> dict[str, str]:
    """Title and text of each line. Raises InputError where BACKCAST_KERNEL asks for something unavailable."""
    found = library.choice()
    asked = os.environ.get(library.VARIABLE)
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return {
        "backcast": f"{version('backcast')}, Python {platform.python_version()}, torch {torch.__version__}",
        "processor": f"{processor()}, {torch.get_num_threads()} threads",
        "kernel": kernel.description() if found.functions else f"none, nn.LSTM in its place: {found.reason}",
        "bf16": "sweeps, with --precision bf16" if found.bf16 else "not by this kernel",
        "library": str(found.path or "none"),
        "agrees": _agreement() if found.functions else "there is nothing to compare",
        "choose": f"{library.VARIABLE}={'|'.join(('auto', *library.available(), 'off'))} (now: {asked or 'not set'})",
        "compiler": build.compiler() or "none: install g++ or clang++ for the kernel",
        "gpu": ", ".join(gpus) if gpus else "none",
    }


def _agreement() -> str:
    """The kernel and nn.LSTM on the same random rows."""
    generator = torch.Generator().manual_seed(0)
    layer = LSTMLayer(3, 40)
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -0.2, 0.2, generator=generator)
    x = torch.randn(5, 100, 3, generator=generator)
    with torch.no_grad():
        ours, _ = layer(x, layer.zero_state(5))
        with kernel.using("off"):
            theirs, _ = layer(x, layer.zero_state(5))
    return f"with nn.LSTM to {float((ours - theirs).abs().max()):.0e} on random rows"
