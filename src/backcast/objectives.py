"""What is learned: classification, reconstruction of a past segment, prediction of the next one.

An objective first *plans*: integers only, which says where its windows begin. One sweep without a graph then
carries the state there for all objectives at once. Then each objective runs its windows with a graph and
returns a sum and a count, never a mean, so that batches can be split and put together again.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from backcast import recompute, rng, windows
from backcast.batch import Batch
from backcast.nn.decoder import Decoder
from backcast.nn.lstm import LSTMState
from backcast.nn.model import Model, full_precision
from backcast.sweep import State, like, run_to_ends, sweep


@dataclass(frozen=True)
class Draw:
    """The randomness of one training step; `epoch` and `step` count from 0 over all phases."""

    seed: int
    epoch: int
    step: int

    def uniform(self, purpose: str, rows: NDArray[np.int64], columns: int) -> NDArray[np.float64]:
        """Numbers in [0, 1), (len(rows), columns), each row's own."""
        return rng.uniform(rows, columns, self.seed, purpose, self.epoch)

    def generator(self, purpose: str, device: torch.device) -> torch.Generator:
        """A generator for what the whole batch shares, always at the beginning of its stream."""
        return rng.torch_generator(device, self.seed, purpose, self.step)


class Plan(NamedTuple):
    """`starts` (B, m): the steps at which a state is needed. `segments`: where there are any."""

    starts: NDArray[np.int64]
    segments: windows.Segments | None = None


@dataclass(frozen=True)
class Term:
    """One objective's loss over a batch: the sum (with a graph), over how many, and how many were right."""

    total: Tensor
    count: int
    correct: int | None = None


class Objective(Protocol):
    @property
    def name(self) -> str:
        """What it is called in the metrics."""

    def plan(self, batch: Batch, draw: Draw) -> Plan: ...

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term: ...


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of the label, from the last output of the row.

    truncation  steps before the end of the row that carry a gradient; None: all of them (full BPTT);
                0: no supervised gradient reaches the main network (section 4, figure 4)
    recompute   with truncation None: the same gradient, in memory of the square root of the length
    weights     how much a row of each class counts, 1 on average; None: all the same
    """

    truncation: int | None
    recompute: bool = False
    weights: tuple[float, ...] | None = None
    name: str = "classification"

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        ends = batch.lengths[:, None]
        truncation = int(ends.max()) if self.truncation is None else max(self.truncation, 1)
        return Plan(windows.window_starts(ends, truncation))

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        assert model.classifier is not None
        labelled = (batch.labels >= 0).nonzero()[:, 0]
        if not len(labelled):
            return Term(torch.zeros((), device=batch.device), 0, 0)
        if self.recompute:
            output = recompute.last_outputs(model.encoder, batch)[labelled]
        else:
            with torch.no_grad() if self.truncation == 0 else nullcontext():
                output = self._last_outputs(model, batch, plan, states, labelled)
        second_weight = model.classifier.drop(draw.generator("dropconnect/classifier", batch.device))
        logits = full_precision(model.classifier(output, second_weight))
        labels = batch.labels[labelled]
        correct = int((logits.argmax(dim=1) == labels).sum())
        losses = F.cross_entropy(logits, labels, reduction="none")
        if self.weights is not None:
            losses = losses * losses.new_tensor(self.weights)[labels]
        return Term(losses.sum(), len(labelled), correct)

    def _last_outputs(
        self, model: Model, batch: Batch, plan: Plan, states: State, labelled: Tensor
    ) -> Tensor:
        """The labelled rows' windows, with a graph: the output at each one's last step."""
        lengths = batch.lengths[:, None] - plan.starts
        x = batch.take(plan.starts[:, :, None] + np.arange(int(lengths.max())))[labelled]
        last = torch.from_numpy(lengths[:, 0] - 1).to(batch.device)[labelled]
        outputs, _ = model.encoder(x, like(states, [part[labelled] for part in states]))
        return outputs[torch.arange(len(labelled), device=batch.device), last]


@dataclass(frozen=True)
class Reconstruction:
    """r-LSTM's auxiliary loss (section 3): decode a segment from the state at a random anchor.

    anchors             n segments a row, each with its own anchor and place
    segment_length      l, the number of targets
    truncation          steps before the anchor that carry a gradient, at least 1
    decoder_truncation  cut the gradient inside the decoder every so many steps; None: not cut
    decoder_input       what the decoder is fed behind the first element: `fed` the truth (teacher forcing),
                        `scheduled` the truth or its own output, `unfed` nothing (ours)
    sampling_steps      with `scheduled`, the chance of the truth falls linearly from 1 to 0 over so many
                        training steps of both phases together
    backwards           decode the segment from its end
    predict_future, distant_past   where the segment may lie, see `windows.draw_reconstruction`
    """

    anchors: int
    segment_length: int
    truncation: int
    decoder_truncation: int | None = None
    decoder_input: str = "scheduled"
    sampling_steps: int = 100_000
    backwards: bool = True
    predict_future: bool = True
    distant_past: bool = True
    name: str = "reconstruction"

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        segments = windows.draw_reconstruction(
            batch.lengths,
            self.segment_length,
            draw.uniform("reconstruction/anchor", batch.rows, self.anchors),
            draw.uniform("reconstruction/place", batch.rows, self.anchors),
            self.predict_future,
            self.distant_past,
        )
        return Plan(windows.window_starts(segments.anchors, self.truncation), segments)

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        assert model.decoder is not None and plan.segments is not None
        anchors, places, lengths = plan.segments
        if not lengths.any():
            return Term(torch.zeros((), device=batch.device), 0)
        window = (anchors - plan.starts).ravel()
        x = batch.take(plan.starts[:, :, None] + np.arange(int(window.max())))
        state = run_to_ends(model.encoder, x, states, window)

        positions = windows.segment_positions(places, lengths, self.backwards)
        elements = batch.take(positions)
        fed, target = elements[:, :-1], elements[:, 1:]
        target_places = torch.from_numpy(positions[:, :, 1:].reshape(len(fed), -1)).to(batch.device)
        second_weight = model.decoder.output.drop(draw.generator("dropconnect/decoder", batch.device))
        if self.decoder_input == "scheduled":
            fed = self._sample_inputs(model, batch, fed, target_places, state, second_weight, draw)
        predicted = self.decode(model.decoder, fed, target_places, LSTMState(*state), second_weight)
        losses = model.element_losses(predicted, target)
        mask = torch.from_numpy(windows.target_mask(lengths).reshape(losses.shape)).to(batch.device)
        return Term(torch.where(mask, losses, 0.0).sum(), int(lengths.sum()))

    def decode(
        self, decoder: Decoder, fed: Tensor, places: Tensor, state: LSTMState, second_weight: Tensor | None
    ) -> Tensor:
        """All steps of the segments (N, L) at once, on inputs that are known: (N, L, output_size)."""
        length = fed.shape[1]
        is_fed = None
        if self.decoder_input == "unfed":
            is_fed = torch.zeros(length, device=fed.device, dtype=state.h.dtype)
            is_fed[0] = 1.0
        carried = decoder.initial_state(state)
        pieces = []
        step = self.decoder_truncation or length
        for start in range(0, length, step):
            part = slice(start, start + step)
            carried = carried.detach() if start else carried
            fed_flags = None if is_fed is None else is_fed[part]
            predicted, carried = decoder(fed[:, part], fed_flags, places[:, part], carried, second_weight)
            pieces.append(predicted)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)

    def _sample_inputs(
        self,
        model: Model,
        batch: Batch,
        truth: Tensor,
        places: Tensor,
        state: State,
        second_weight: Tensor,
        draw: Draw,
    ) -> Tensor:
        """Scheduled sampling (Bengio et al. 2015), exactly: which elements the decoder is fed, (N, L[, C]).

        A first pass without a graph, step by step. The ordinary pass on its result has the same gradients
        as sampling on the way, because what is fed back carries none.
        """
        assert model.decoder is not None
        chance_of_truth = max(0.0, 1.0 - draw.step / self.sampling_steps)
        count, length = truth.shape[:2]
        coins = draw.uniform("reconstruction/coin", batch.rows, self.anchors * self.segment_length)
        coins = coins.reshape(count, self.segment_length)[:, :length]
        feed_truth = torch.from_numpy(coins < chance_of_truth).to(batch.device)
        feed_truth[:, 0] = True
        if bool(feed_truth.all()):
            return truth
        last_sampled = int((~feed_truth).any(dim=0).nonzero().max())
        uniform = torch.zeros(count, length, dtype=torch.float64)
        if model.symbols:
            draws = draw.uniform("reconstruction/sample", batch.rows, self.anchors * self.segment_length)
            uniform = torch.from_numpy(draws.reshape(count, self.segment_length)[:, :length])
        part = slice(0, last_sampled + 1)
        asked = truth[:, part], feed_truth[:, part], uniform[:, part].to(batch.device)
        start = LSTMState(*state)
        fed = model.decoder.sample_inputs(*asked, start, second_weight)
        if fed is None:
            fed = sample_inputs(model, *asked, places, start, second_weight)
        return torch.cat([fed, truth[:, last_sampled + 1 :]], dim=1)


def sample_inputs(
    model: Model,
    truth: Tensor,
    feed_truth: Tensor,
    uniform: Tensor,
    places: Tensor,
    state: LSTMState,
    second_weight: Tensor,
) -> Tensor:
    """What the decoder is fed, (N, L[, C]), step by step: the truth (N, L[, C]), or its own last output.

    feed_truth (N, L) bool, uniform (N, L) in [0, 1) for `own_output`. The definition of `Decoder.sample_inputs`,
    and what runs where the kernel cannot.
    """
    decoder = model.decoder
    assert decoder is not None
    inputs = [truth[:, 0]]
    with torch.no_grad():
        carried = decoder.initial_state(state)
        for step in range(1, truth.shape[1]):
            last = inputs[-1][:, None]
            predicted, carried = decoder(last, None, places[:, step - 1 : step], carried, second_weight)
            own = own_output(model, predicted[:, 0], uniform[:, step])
            keep = feed_truth[:, step].reshape(len(truth), *[1] * (truth.ndim - 2))
            inputs.append(torch.where(keep, truth[:, step], own))
    return torch.stack(inputs, dim=1)


@dataclass(frozen=True)
class Prediction:
    """p-LSTM's auxiliary loss (section 3): the next l elements behind a random anchor, each from the one before.

    The main network itself reads the segment with a graph, from a state that carries no gradient.
    """

    anchors: int
    segment_length: int
    name: str = "prediction"

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        anchor_draw = draw.uniform("prediction/anchor", batch.rows, self.anchors)
        segments = windows.draw_prediction(batch.lengths, self.segment_length, anchor_draw)
        return Plan(segments.anchors, segments)

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        assert model.predictor is not None and plan.segments is not None
        _, places, lengths = plan.segments
        if not lengths.any():
            return Term(torch.zeros((), device=batch.device), 0)
        elements = batch.take(windows.segment_positions(places, lengths, backwards=False))
        outputs, _ = model.encoder(elements[:, :-1], states)
        second_weight = model.predictor.output.drop(draw.generator("dropconnect/predictor", batch.device))
        start = model.predictor.layer.zero_state(len(elements))
        predicted, _ = model.predictor(outputs, start, second_weight)
        losses = model.element_losses(predicted, elements[:, 1:])
        mask = torch.from_numpy(windows.target_mask(lengths).reshape(losses.shape)).to(batch.device)
        return Term(torch.where(mask, losses, 0.0).sum(), int(lengths.sum()))


def own_output(model: Model, predicted: Tensor, uniform: Tensor) -> Tensor:
    """What a decoder feeds itself: its vector (N, C), or for symbols a sample from its softmax (N,).

    The sample is where the running sum of the softmax passes `uniform` (N,), each in [0, 1).
    """
    if not model.symbols:
        return full_precision(predicted)
    sums = predicted.double().softmax(dim=-1).cumsum(dim=-1)
    passed = (sums <= uniform[:, None] * sums[:, -1:]).sum(dim=-1)
    return passed.clamp(max=model.symbols - 1)


def losses(model: Model, objectives: list[Objective], batch: Batch, draw: Draw) -> dict[str, Term]:
    """Every objective's loss over `batch`: plans, one sweep for all of them, then their windows."""
    plans = [objective.plan(batch, draw) for objective in objectives]
    starts = np.concatenate([plan.starts for plan in plans], axis=1)
    states = sweep(model.encoder, batch, starts)
    terms, first = {}, 0
    for objective, plan in zip(objectives, plans, strict=True):
        count = plan.starts.shape[1]
        own = [part.unflatten(0, starts.shape)[:, first : first + count].flatten(0, 1) for part in states]
        terms[objective.name] = objective.loss(model, batch, plan, like(states, own), draw)
        first += count
    return terms
