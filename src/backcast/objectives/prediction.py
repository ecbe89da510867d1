"""p-LSTM's auxiliary loss."""

from __future__ import annotations

from dataclasses import dataclass

from backcast import windows
from backcast.batch import Batch
from backcast.errors import require_count
from backcast.nn.model import Model
from backcast.objectives.objective import Draw, Plan, Term
from backcast.sweep import State


@dataclass(frozen=True)
class Prediction:
    """p-LSTM's auxiliary loss (section 3): the next l elements after a random anchor, each from the one before.

    The main network itself reads the segment with a graph, from a state that carries no gradient.

    anchors         n, the segments per row, each after its own anchor
    segment_length  l, the number of targets

    Raises InputError for a number below 1.
    """

    anchors: int
    segment_length: int
    name: str = "prediction"
    supervised = False

    def __post_init__(self) -> None:
        require_count("anchors", self.anchors)
        require_count("segment_length", self.segment_length)

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        anchor_draw = draw.uniform(f"{self.name}/anchor", batch.rows, self.anchors)
        segments = windows.draw_prediction(batch.lengths, self.segment_length, anchor_draw)
        return Plan(segments.anchors, segments)

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        assert model.predictor is not None and plan.segments is not None
        _, places, lengths = plan.segments
        if not lengths.any():
            return Term.nothing(batch.device)
        elements = batch.take(windows.segment_positions(places, lengths, backwards=False))
        outputs, _ = model.encoder(elements[:, :-1], states)
        second_weight = model.predictor.output.drop(draw.generator("dropconnect/predictor", batch.device))
        start = model.predictor.layer.zero_state(len(elements))
        predicted, _ = model.predictor(outputs, start, second_weight)
        return Term.of_segments(model.element_losses(predicted, elements[:, 1:]), lengths)
