"""r-LSTM's auxiliary loss, and scheduled sampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backcast import windows
from backcast.batch import Batch
from backcast.config import DECODER_INPUTS
from backcast.errors import InputError, require_count
from backcast.nn.decoder import Decoder
from backcast.nn.model import Model, full_precision
from backcast.objectives.objective import Draw, Plan, Term
from backcast.sweep import State, run_to_ends


@dataclass(frozen=True)
class Reconstruction:
    """r-LSTM's auxiliary loss (section 3): decode a segment from the state at a random anchor.

    anchors             n, the segments per row, each with its own anchor and place
    segment_length      l, the number of targets
    truncation          steps before the anchor that carry a gradient, at least 1
    decoder_truncation  cut the gradient inside the decoder at intervals of this many steps; None: not cut
    decoder_input       what the decoder is fed after the first element: `fed` the truth (teacher forcing),
                        `scheduled` the truth or its own output (the paper's), `unfed` nothing (ours, and the default of
                        `Config` and the estimators)
    sampling_steps      with `scheduled`, the chance of the truth falls linearly from 1 to 0 over this many
                        training steps, both phases together
    backwards           decode the segment from its end
    predict_future, distant_past   where the segment may lie, see `windows.draw_reconstruction`

    Raises InputError for a number below 1, and an unknown `decoder_input`.
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
    supervised = False

    def __post_init__(self) -> None:
        for name in ("anchors", "segment_length", "truncation", "sampling_steps"):
            require_count(name, getattr(self, name))
        if self.decoder_truncation is not None:
            require_count("decoder_truncation", self.decoder_truncation)
        if self.decoder_input not in DECODER_INPUTS:
            raise InputError(
                f"decoder_input={self.decoder_input!r}: it must be one of {', '.join(DECODER_INPUTS)}"
            )

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        segments = windows.draw_reconstruction(
            batch.lengths,
            self.segment_length,
            draw.uniform(f"{self.name}/anchor", batch.rows, self.anchors),
            draw.uniform(f"{self.name}/place", batch.rows, self.anchors),
            self.predict_future,
            self.distant_past,
        )
        return Plan(windows.window_starts(segments.anchors, self.truncation), segments)

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        assert model.decoder is not None and plan.segments is not None
        anchors, places, lengths = plan.segments
        if not lengths.any():
            return Term.nothing(batch.device)
        window = (anchors - plan.starts).ravel()
        x = batch.take(windows.window_positions(plan.starts, window))
        state = run_to_ends(model.encoder, x, states, window)

        positions = windows.segment_positions(places, lengths, self.backwards)
        elements = batch.take(positions)
        fed, target = elements[:, :-1], elements[:, 1:]
        target_places = torch.from_numpy(positions[:, :, 1:].reshape(len(fed), -1)).to(batch.device)
        second_weight = model.decoder.output.drop(draw.generator("dropconnect/decoder", batch.device))
        if self.decoder_input == "scheduled":
            fed = self._scheduled_inputs(model, batch, fed, target_places, state, second_weight, draw)
        predicted = self.decode(model.decoder, fed, target_places, state, second_weight)
        return Term.of_segments(model.element_losses(predicted, target), lengths)

    def decode(
        self, decoder: Decoder, fed: Tensor, places: Tensor, state: State, second_weight: Tensor | None
    ) -> Tensor:
        """All steps of the segments (N, L) at once, from known inputs: (N, L, output_size)."""
        length = fed.shape[1]
        if self.decoder_input == "unfed":
            fed = fed[:, :1]
        carried = decoder.initial_state(state)
        pieces = []
        step = self.decoder_truncation or length
        for start in range(0, length, step):
            part = slice(start, start + step)
            carried = carried.detach() if start else carried
            predicted, carried = decoder(fed[:, part], places[:, part], carried, second_weight)
            pieces.append(predicted)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)

    def _scheduled_inputs(
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

        This is a first pass, step by step and without a graph. The ordinary pass on its result has the same
        gradients as sampling along the way would, because what is fed back carries none.
        """
        assert model.decoder is not None
        chance_of_truth = max(0.0, 1.0 - draw.step / self.sampling_steps)
        count, length = truth.shape[:2]
        # A segment's own numbers do not depend on how far rows of this batch cut it short.
        columns = (np.arange(self.anchors)[:, None] * self.segment_length + np.arange(length)).ravel()
        coins = draw.uniform(f"{self.name}/coin", batch.rows, columns).reshape(count, length)
        feed_truth = coins < chance_of_truth
        feed_truth[:, 0] = True
        sampled = np.flatnonzero(~feed_truth.all(axis=0))  # on the host: a GPU is not waited for
        if not len(sampled):
            return truth
        uniform = np.zeros((count, length))
        if model.symbols:
            uniform = draw.uniform(f"{self.name}/sample", batch.rows, columns).reshape(count, length)
        last_sampled = int(sampled[-1])
        part = slice(0, last_sampled + 1)
        is_truth, draws = (torch.from_numpy(each[:, part]).to(batch.device) for each in (feed_truth, uniform))
        asked = truth[:, part], is_truth, draws, places[:, part]
        fed = model.decoder.sample_by_kernel(*asked, state, second_weight)
        if fed is None:
            fed = sample_inputs(model, *asked, state, second_weight)
        return torch.cat([fed, truth[:, last_sampled + 1 :]], dim=1)


def sample_inputs(
    model: Model,
    truth: Tensor,
    feed_truth: Tensor,
    uniform: Tensor,
    places: Tensor,
    state: State,
    second_weight: Tensor,
) -> Tensor:
    """What the decoder is fed, (N, L[, C]), step by step: the truth (N, L[, C]), or its own last output.

    feed_truth (N, L) bool, uniform (N, L) in [0, 1) for `own_output`. This defines what `Decoder.sample_by_kernel`
    computes, and runs where the kernel cannot.
    """
    decoder = model.decoder
    assert decoder is not None
    inputs = [truth[:, 0]]
    with torch.no_grad():
        carried = decoder.initial_state(state)
        for step in range(1, truth.shape[1]):
            last = inputs[-1][:, None]
            predicted, carried = decoder(last, places[:, step - 1 : step], carried, second_weight)
            own = own_output(model, predicted[:, 0], uniform[:, step])
            keep = feed_truth[:, step].reshape(len(truth), *[1] * (truth.ndim - 2))
            inputs.append(torch.where(keep, truth[:, step], own))
    return torch.stack(inputs, dim=1)


def own_output(model: Model, predicted: Tensor, uniform: Tensor) -> Tensor:
    """What a decoder feeds itself: its vector (N, C), or for symbols a sample from its softmax (N,).

    The sample is where the running sum of the softmax passes `uniform` (N,), each in [0, 1).
    """
    if not model.symbols:
        return full_precision(predicted)
    sums = predicted.double().softmax(dim=-1).cumsum(dim=-1)
    passed = (sums <= uniform[:, None] * sums[:, -1:]).sum(dim=-1)
    return passed.clamp(max=model.symbols - 1)
