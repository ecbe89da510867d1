"""A trained model for other runtimes: ONNX or torch.export. Both continue from a given state, so they can stream.

Inputs `x` and the state, outputs `logits` and the state after the last step; batch and time are dynamic:

    lstm        x, h, c            logits, h_out, c_out              begins with zeros
    gru, irnn   x, h               logits, h_out                     begins with zeros
    urnn        x, real, imaginary logits, real_out, imaginary_out   begins with `initial_state` of the metadata

x is float32 (batch, time, C) in the units of the training rows, standardised inside; or int64 (batch, time), places in the
`vocabulary` of the metadata, `unknown` for any other symbol. The metadata are JSON texts: `classes`, `kind`, `vocabulary`,
`unknown`, `channels`, `columns`, `initial_state`, `method`, `format`.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backcast.build import RECURRENT, TrainedModel
from backcast.data.preprocessing import Preprocessing
from backcast.errors import InputError, RunError
from backcast.nn.feedforward import FeedForward
from backcast.nn.plain import PlainModel
from backcast.output_files import require_place, write_or_refuse
from backcast.streaming import StreamSession, require_streamable

FORMAT = "backcast export 1"
OPSET = 23
OLDEST_OPSET = 18
TOLERANCE = 1e-4
INSTALL = "pip install 'backcast[onnx]'"
CUTS = ((1, (1, 4)), (3, (7, 1, 1)), (2, (1,)))
"""What an export is checked on: (rows, steps of the pieces that are read one after the other)."""

Run = Callable[[dict[str, NDArray[Any]]], list[NDArray[Any]]]


def export(
    model: TrainedModel,
    path: str | Path,
    *,
    opset: int = OPSET,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Writes the model to `path`, `.onnx` or `.pt2` (torch.export), once it has been checked.

    opset  of an .onnx file; older runtimes may need 18 to 22
    say    told what was checked

    The check reads random pieces, carrying the state, and compares with `StreamSession`: the largest difference must be
    below 1e-4 (relative, for values above 1). Raises InputError for a model that cannot stream, reads by a
    network of the user's own or has a classifier that torch cannot trace, a package that is not there, another ending, or
    channels beyond 32 bits; RunError where the check fails.
    """
    path = Path(path)
    require_streamable(model)
    if not isinstance(model.network.encoder, tuple(RECURRENT.values())):
        raise InputError(
            f"{path}: a {type(model.network.encoder).__name__} cannot be exported; the networks of {', '.join(RECURRENT)} can"
        )
    if path.suffix not in (".onnx", ".pt2"):
        raise InputError(
            f"{path}: the ending must be .onnx or .pt2 (torch.export); a folder's name has no dot here"
        )
    require_place(path, str(path))
    _require_32_bits(model.preprocessing)
    if path.suffix == ".onnx" and not OLDEST_OPSET <= opset <= OPSET:
        raise InputError(f"--opset {opset}: must lie in {OLDEST_OPSET} .. {OPSET}")
    try:
        content, run, by = _onnx(model, opset) if path.suffix == ".onnx" else _program(model)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # the exporters raise many kinds, with pages of text
        raise _untraceable(model, path, error) from error
    if run is None:
        say(f"not checked: {by} is not installed ({INSTALL})")
    else:
        say(f"checked on random pieces by {by}: largest difference {_check(model, run):.1g}")
    write_or_refuse(path, content, str(path))


def _untraceable(model: TrainedModel, path: Path, error: Exception) -> InputError | RunError:
    """What to say of a model that torch cannot export, in one line: our own networks it can."""
    reason = f"{type(error).__name__}: {error.__cause__ or error}".splitlines()[0][:150]
    if isinstance(model.network.classifier, FeedForward):
        return RunError(
            f"{path}: torch cannot export this model ({reason}); please report it with its settings"
        )
    return InputError(
        f"{path}: torch cannot trace the classifier, a {type(model.network.classifier).__name__} ({reason}); write it in "
        "operations of torch that depend neither on values nor on the number of rows"
    )


def _require_32_bits(preprocessing: Preprocessing) -> None:
    """Raises InputError for a channel that the graph, which standardises in 32 bits, cannot hold; the session has 64."""
    limits, mean, std = np.finfo(np.float32), np.array(preprocessing.mean), np.array(preprocessing.std)
    beyond = np.flatnonzero((std < limits.tiny) | (np.abs(mean) + 8 * std > limits.max))
    if len(beyond):
        channel = int(beyond[0])
        raise InputError(
            f"channel {channel} has the mean {mean[channel]:.3g} and the standard deviation {std[channel]:.3g}, "
            "beyond the 32 bits of an exported model; train on rows in another unit"
        )


def metadata(model: TrainedModel) -> dict[str, str]:
    """What else a user of the model's inputs and outputs must know, each item as a JSON text."""
    preprocessing, encoder = model.preprocessing, model.network.encoder
    state = encoder.zero_state(1)
    known: dict[str, Any] = {
        "format": FORMAT,
        "method": model.config.method,
        "classes": list(model.classes),
        "kind": preprocessing.kind,
        "channels": preprocessing.channels,
        "columns": list(preprocessing.columns),
        "initial_state": {name: part[0].tolist() for name, part in zip(_names(model), state, strict=True)},
    }
    if preprocessing.symbols:
        known |= {"vocabulary": list(preprocessing.vocabulary), "unknown": len(preprocessing.vocabulary)}
    return {name: json.dumps(value, default=str) for name, value in known.items()}


def _names(model: TrainedModel) -> tuple[str, ...]:
    names: tuple[str, ...] = model.network.encoder.zero_state(1)._fields
    return names


def _exported(model: TrainedModel) -> tuple[PlainModel, tuple[Tensor, ...], tuple[Any, ...]]:
    """The plain module on the CPU, example inputs, and which of their sizes are dynamic."""
    preprocessing = model.preprocessing
    mean, std = (torch.tensor(part, dtype=torch.float64) for part in (preprocessing.mean, preprocessing.std))
    plain = copy.deepcopy(PlainModel(model.network, mean, std)).cpu().eval()
    rows, steps = 2, 3
    x = torch.zeros(rows, steps, dtype=torch.int64)
    if not preprocessing.symbols:
        x = torch.zeros(rows, steps, preprocessing.channels)
    state = tuple(part.cpu().clone() for part in model.network.encoder.zero_state(rows))
    batch, time = torch.export.Dim("batch"), torch.export.Dim("time")
    return plain, (x, *state), ({0: batch, 1: time}, tuple({0: batch} for _ in state))


def _program(model: TrainedModel) -> tuple[bytes, Run | None, str]:
    plain, example, dynamic = _exported(model)
    with torch.no_grad(), _quiet():
        program = torch.export.export(plain, example, dynamic_shapes=dynamic)
        file = io.BytesIO()
        torch.export.save(program, file, extra_files={"metadata.json": json.dumps(metadata(model))})
        module = program.module()

    def run(inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        with torch.no_grad(), _quiet():
            return [part.numpy() for part in module(*map(torch.from_numpy, inputs.values()))]

    return file.getvalue(), run, "torch.export"


def _onnx(model: TrainedModel, opset: int) -> tuple[bytes, Run | None, str]:
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise InputError(f"to write ONNX, {' and '.join(missing)} must be installed: {INSTALL}")
    plain, example, dynamic = _exported(model)
    names = _names(model)
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            plain, example, dynamo=True, opset_version=opset, dynamic_shapes=dynamic, verbose=False,
            input_names=["x", *names], output_names=["logits", *(f"{name}_out" for name in names)],
        )  # fmt: skip
    assert program is not None
    program.model.metadata_props.update(metadata(model))
    content = program.model_proto.SerializeToString()
    if find_spec("onnxruntime") is None:
        return content, None, "onnxruntime"
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return content, lambda inputs: session.run(None, inputs), "onnxruntime"


def _check(model: TrainedModel, run: Run) -> float:
    """The largest difference from `StreamSession` over `CUTS`. Raises RunError where it is too large."""
    generator, preprocessing = np.random.default_rng(0), model.preprocessing
    names, largest = _names(model), 0.0
    for rows, pieces in CUTS:
        session = StreamSession(model, rows)
        initial = json.loads(metadata(model)["initial_state"])
        state = [np.array([initial[name]] * rows, np.float32) for name in names]
        for steps in pieces:
            if preprocessing.symbols:
                x = generator.integers(0, len(preprocessing.vocabulary), (rows, steps))
                session.push([[preprocessing.vocabulary[number] for number in row] for row in x])
            else:
                shape = (rows, steps, preprocessing.channels)
                x = (generator.normal(size=shape) * preprocessing.std + preprocessing.mean).astype(np.float32)
                session.push(x)
            logits, *state = run(dict(zip(("x", *names), (x, *state), strict=True)))
            saved = session.state_dict()
            expected = [session.logits().cpu(), *(saved[f"state.{name}"] for name in names)]
            for found, wanted in zip((logits, *state), expected, strict=True):
                scale = np.maximum(1, np.abs(wanted.numpy()))
                difference = (np.abs(found - wanted.numpy()) / scale).max()
                largest = float(np.maximum(largest, difference))  # NaN stays, which max() would drop
    if not largest < TOLERANCE:
        raise RunError(
            f"the exported model differs from the original by {largest:.1g}, which is not below {TOLERANCE:g}; it was not written: "
            "try the other format (.onnx, .pt2) or another --opset, and please report it with the settings of the run"
        )
    return largest


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporters' messages about themselves."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        # Where tracing fails, torch prints the whole graph.
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
