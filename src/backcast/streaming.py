"""Streams: a trained network that reads data as it comes, its state carried from one call to the next."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from backcast.build import TrainedModel
from backcast.data.preprocessing import Preprocessing
from backcast.data.pushed import read_pushed
from backcast.data.sequences import some
from backcast.errors import InputError, plural, require_count
from backcast.files import write_atomically
from backcast.nn.lstm import EmbeddedLSTM, FixedLSTM, LSTMState
from backcast.sweep import State, like, run_to_ends

FORMAT = "backcast stream 1"
STEPS_OF_A_CALL = 65_536
"""Over all rows together: the network's outputs at every step of a call are in memory at once."""
PIECE = 16
"""A call may read at least this many steps of each row, however many rows there are."""


class Overflowed(InputError):
    """Streams whose output is no number any more; `rows`: which, to be reset."""

    def __init__(self, rows: list[int]) -> None:
        self.rows = rows
        super().__init__(
            f"{plural(len(rows), 'stream')} {some(tuple(rows))}: the state has grown beyond 32 bits, so there are no probabilities; "
            "reset(rows) begins anew, and values in the range of the training rows may keep it smaller"
        )


class StreamSession:
    """The states of `batch_size` streams. Pushed data may be cut anywhere: the result is that of one pass.

    model       from `backcast.load_model`; it must read step by step, in the order in which the data comes
    batch_size  streams side by side, numbered from 0: the rows of pushed data

    Memory does not grow with the steps. The model must not be trained further while a session uses it; a session
    belongs to one thread at a time.

        session = StreamSession(load_model("runs/mine"), batch_size=1000)
        probabilities = session.push(x)                    # (1000, steps, C)
        probabilities = session.push(y, rows=[3, 17])      # (2, steps, C): only these read on
        session.reset([3])                                 # stream 3 begins anew

    Raises InputError for a model that cannot stream.
    """

    def __init__(self, model: TrainedModel, batch_size: int = 1) -> None:
        require_streamable(model)
        self.model = model
        self.classes = model.classes
        self._encoder, self._classifier = model.network.encoder, model.network.classifier
        self._state, self._outputs, self._steps = self._fresh(require_count("batch_size", batch_size))
        self._fixed = FixedLSTM(self._encoder) if isinstance(self._encoder, EmbeddedLSTM) else None
        self._fingerprint = fingerprint(model)

    @property
    def batch_size(self) -> int:
        """How many streams there are."""
        return len(self._steps)

    @property
    def steps(self) -> NDArray[np.int64]:
        """(batch,): how many steps each stream has read since it began."""
        return self._steps.copy()

    def push(self, x: Any, rows: Any = None, lengths: Any = None) -> NDArray[np.float32]:
        """Reads on; returns the probability of every class after what has been read so far, (rows of x, classes).

        x        real vectors (rows, steps, C), or (rows, steps) for one channel, in the units of the training rows; symbols
                 (rows, steps); texts or bytes: a list of them, or one for one row. No steps at all are fine, too. The C
                 numbers are taken by position, in the order of the training; names of a table's columns must be in it
        rows     (m,) the streams that x is for, each once; None: all, in order
        lengths  (m,) how many steps of each row of x count; None: all. What stands behind them may be anything

        Before its first step a stream's probabilities are what the classifier gives for an output of zeros, not
        the frequencies of the classes. Raises InputError, with nothing read, where x does not fit; Overflowed, with x
        read, where the output of a stream is no number any more.
        """
        which = self._which(rows)
        count = self.batch_size if which is None else len(which)
        _require_order(feature_names(self.model.preprocessing), x)
        elements, steps = read_pushed(self.model.preprocessing, x, count, lengths)
        self._read(elements.to(self.model.device), steps, which)
        return self._answer(which)

    def probabilities(self, rows: Any = None) -> NDArray[np.float32]:
        """What `push` gives, without reading on: (rows, classes)."""
        return self._answer(self._which(rows))

    @torch.no_grad()
    def logits(self, rows: Any = None) -> Tensor:
        """The classifier's logits (rows, classes), whose softmax are the probabilities."""
        return self._logits(self._which(rows))

    def reset(self, rows: Any = None) -> None:
        """These streams (None: all) begin anew."""
        which = self._which(rows)
        if which is None:
            which = np.arange(self.batch_size)
        self._put(which, *self._fresh(len(which)))

    def resize(self, batch_size: int) -> None:
        """Adds streams, which begin anew, or drops the last ones."""
        kept = min(self.batch_size, require_count("batch_size", batch_size))
        before = (self._state, self._outputs, self._steps)
        self._state, self._outputs, self._steps = self._fresh(batch_size)
        state, outputs, steps = before
        self._put(np.arange(kept), like(state, [part[:kept] for part in state]), outputs[:kept], steps[:kept])

    def keep(self, rows: Any) -> None:
        """Only these streams go on, at least one, numbered from 0 in this order."""
        which = self._which(rows)
        if which is None:
            return
        require_count("the number of streams to keep", len(which))
        places = torch.from_numpy(which)
        self._state = like(self._state, [part[places] for part in self._state])
        self._outputs, self._steps = self._outputs[places], self._steps[which]

    def state_dict(self) -> dict[str, Tensor]:
        """The streams' whole state, copied to the CPU.

        The network's state and last output (batch, ...), steps read (batch,), and the model's fingerprint (32,).
        """
        found = {f"state.{name}": part for name, part in zip(self._names, self._state, strict=True)}
        found |= {"output": self._outputs, "steps": torch.from_numpy(self._steps), "model": self._fingerprint}
        return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in found.items()}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Continues where `saved` stopped. Raises InputError for the state of another model, or of other streams."""
        own = self.state_dict()
        if saved.keys() != own.keys():
            raise InputError(
                f"this state holds {', '.join(saved) or 'nothing'}; a session of this model holds {', '.join(own)}"
            )
        if not torch.equal(saved["model"], own["model"]):
            raise InputError(
                "this state was saved by another model (their fingerprints differ): load the model that wrote it, or begin anew"
            )
        if len(saved["steps"]) != self.batch_size:
            raise InputError(
                f"this state holds {len(saved['steps'])} {plural(len(saved['steps']), 'stream')}, the session {self.batch_size}: "
                f"make it with batch_size={len(saved['steps'])}"
            )
        for name, tensor in own.items():
            if saved[name].shape != tensor.shape or saved[name].dtype != tensor.dtype:
                raise InputError(
                    f"this state's {name} is {saved[name].dtype} {tuple(saved[name].shape)}, not {tensor.dtype} {tuple(tensor.shape)}"
                )
        device = self.model.device
        self._state = like(
            self._state, [saved[f"state.{name}"].to(device, copy=True) for name in self._names]
        )
        self._outputs = saved["output"].to(device, copy=True)
        self._steps = saved["steps"].numpy().copy()

    def save(self, path: str | Path, note: dict[str, str] | None = None) -> None:
        """The state as one safetensors file, whole or not at all; `note` goes into its header. Raises OSError."""
        write_atomically(Path(path), save(self.state_dict(), {"format": FORMAT, **(note or {})}))

    def load(self, path: str | Path) -> None:
        """Continues where `save` stopped. Raises InputError as `load_state_dict` does, and for a damaged file."""
        _, tensors = read_state(Path(path))
        try:
            self.load_state_dict(tensors)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @property
    def _names(self) -> tuple[str, ...]:
        return getattr(self._state, "_fields", tuple(map(str, range(len(self._state)))))

    @torch.no_grad()
    def _fresh(self, count: int) -> tuple[State, Tensor, NDArray[np.int64]]:
        """The beginning of `count` streams: state, last output, steps."""
        state = self._encoder.zero_state(count)
        outputs = state[0].new_zeros(count, self._encoder.output_size)
        return like(state, [part.clone() for part in state]), outputs, np.zeros(count, np.int64)

    def _which(self, rows: Any) -> NDArray[np.int64] | None:
        if rows is None:
            return None
        found = np.asarray(rows)
        if found.ndim != 1 or (found.dtype.kind not in "iu" and found.size):
            raise InputError(f"rows must be a list of whole numbers, not {found.dtype} {found.shape}")
        found = found.astype(np.int64)
        if found.size and not 0 <= int(found.min()) <= int(found.max()) < self.batch_size:
            raise InputError(
                f"rows must lie in 0 .. {self.batch_size - 1}, the streams of this session; "
                f"they are {int(found.min())} .. {int(found.max())}"
            )
        if len(np.unique(found)) < len(found):
            raise InputError("rows names a stream twice; push its steps one after the other")
        return found

    @torch.no_grad()
    def _read(self, x: Tensor, lengths: NDArray[np.int64], which: NDArray[np.int64] | None) -> None:
        """Reads the first `lengths` steps of each row of x, in calls of a bounded size."""
        piece = max(PIECE, STEPS_OF_A_CALL // max(1, len(x)))
        for start in range(0, int(lengths.max(initial=0)), piece):
            left = np.minimum(lengths - start, piece)
            if (left == left[0]).all():
                self._advance(x[:, start : start + int(left[0])], left, which)
                continue
            alive = np.flatnonzero(left > 0)
            stop = start + int(left[alive].max())
            streams = alive if which is None else which[alive]
            self._advance(x[torch.from_numpy(alive), start:stop], left[alive], streams)

    def _advance(self, x: Tensor, lengths: NDArray[np.int64], which: NDArray[np.int64] | None) -> None:
        """One call of the network: rows of x, each with its own length of at least 1, for the streams `which`."""
        state = self._state
        if which is not None:
            places = torch.from_numpy(which)
            state = like(state, [part[places] for part in state])
        found = None if self._fixed is None else self._fixed(x, LSTMState(*state), lengths)
        if found is not None:
            state, last = found, found.h
        elif (lengths == lengths[0]).all():
            outputs, state = self._encoder(x, state)
            last = outputs[:, -1].clone()  # not a view, which would keep all of them
        else:  # up to the step before each row's last, then the last one on its own, for its output
            state = run_to_ends(self._encoder, x, state, lengths - 1)
            ends = x[torch.arange(len(x)), torch.from_numpy(lengths - 1)]
            outputs, state = self._encoder(ends[:, None], state)
            last = outputs[:, 0].clone()
        steps = self._steps if which is None else self._steps[which]
        self._put(which, state, last, steps + lengths)

    def _put(
        self, which: NDArray[np.int64] | None, state: State, outputs: Tensor, steps: NDArray[np.int64]
    ) -> None:
        """Replaces the state of the streams `which` (None: all)."""
        if which is None:
            self._state, self._outputs, self._steps = state, outputs, steps
            return
        places = torch.from_numpy(which)
        for store, part in zip((*self._state, self._outputs), (*state, outputs), strict=True):
            store[places] = part
        self._steps[which] = steps

    def _logits(self, which: NDArray[np.int64] | None) -> Tensor:
        outputs = self._outputs if which is None else self._outputs[torch.from_numpy(which)]
        assert self._classifier is not None, "require_streamable"
        logits: Tensor = self._classifier(outputs)
        if not math.isfinite(float(logits.sum())):
            broken = np.flatnonzero(~logits.isfinite().all(dim=1).cpu().numpy())
            if len(broken):  # the sum alone may overflow
                raise Overflowed((broken if which is None else which[broken]).tolist())
        return logits

    @torch.no_grad()
    def _answer(self, which: NDArray[np.int64] | None) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._logits(which).softmax(dim=1).cpu().numpy()
        return found


def require_streamable(model: TrainedModel) -> None:
    """Raises InputError for a model that does not read step by step, in the order of the data, or has no classes."""
    if not isinstance(model, TrainedModel):
        raise InputError(f"model must be what load_model(...) gives, not a {type(model).__name__}")
    method, order = model.config.method, model.preprocessing.permutation_name
    if not model.network.recurrent:
        raise InputError(
            f"this model is a {method}: it attends to whole rows and has no state that could be carried; a recurrent method "
            "(lstm, r-lstm, gru, ...) can stream, and predict_proba reads whole rows by this one"
        )
    if order is not None:
        raise InputError(
            f"this model reads the steps of a row in the order '{order}', for which the whole row must be there; "
            "train one on the plain order to stream, or use predict_proba"
        )
    if not model.classes:
        raise InputError(
            "this run has only been pretrained, so it knows no classes; fine-tune it: train DATA --from RUN"
        )


def feature_names(preprocessing: Preprocessing) -> tuple[str, ...]:
    """The columns that the numbers of a step come from, in order; none where the training rows had no names for them."""
    columns = preprocessing.columns  # may also be the steps, of rows of one channel
    return columns if not preprocessing.symbols and len(columns) == preprocessing.channels else ()


def _require_order(features: tuple[str, ...], x: Any) -> None:
    """Raises InputError for a table, or one in a list, whose columns have other names or another order."""
    if not features:
        return
    for table in x if isinstance(x, list | tuple) else [x]:
        names = tuple(getattr(table, "columns", ()))
        if names and all(isinstance(name, str) for name in names) and names != features:
            raise InputError(
                f"x has the columns {some(names)}; the model reads {some(features)}: name them in this order, or push an array"
            )


def fingerprint(model: TrainedModel) -> Tensor:
    """(32,) bytes, SHA-256 of all that decides what a model says about a stream: weights, preprocessing, classes."""
    description = [model.config.method, model.preprocessing.to_json(), model.classes]
    digest = hashlib.sha256(json.dumps(description, sort_keys=True, default=str).encode())
    for part in (model.network.encoder, model.network.classifier):
        assert part is not None
        for name, tensor in sorted(part.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return torch.from_numpy(np.frombuffer(digest.digest(), np.uint8).copy())


def read_state(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """What `StreamSession.save` wrote: the notes of its header, and the tensors. Raises InputError for anything else."""
    try:
        with safe_open(path, framework="pt") as file:
            note = file.metadata() or {}
            if note.get("format") != FORMAT:
                raise ValueError(f"its format is {note.get('format')!r}, not {FORMAT!r}")
            return note, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{path}: this state cannot be read: {' '.join(str(error).split())[:200]}") from None
