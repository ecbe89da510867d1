"""The parts of an r-LSTM step, each called by itself: what takes how long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backcast.benchmark.work.base import seconds
from backcast.benchmark.work.method import DRAW
from backcast.benchmark.work.method import Work as Method
from backcast.objectives import Reconstruction
from backcast.sweep import like, run_to_ends, sweep
from backcast.windows import window_positions


class Work(Method):
    """The paper's r-LSTM with scheduled sampling, half of it sampled."""

    def run(self) -> dict[str, float]:
        """Seconds of every part; `PARTS` in paper.py says what each is.

        What has no call of its own is a difference: the decoder is the teacher-forced loss less its windows,
        the sampling pass is the scheduled loss less the teacher-forced one.
        """
        classification, scheduled = self.objectives
        assert isinstance(scheduled, Reconstruction)
        forced = replace(scheduled, decoder_input="fed")
        model, batch, found = self.network, self.batch, {}

        def timed(name: str, run: Any) -> Any:
            kept: list[Any] = []
            found[name] = seconds(lambda: kept.append(run()))
            return kept[0]

        plans = timed("plan", lambda: [each.plan(batch, DRAW) for each in self.objectives])
        starts = np.concatenate([plan.starts for plan in plans], axis=1)
        states = timed("sweep", lambda: sweep(model.encoder, batch, starts))
        first, second = (
            like(states, [part.unflatten(0, starts.shape)[:, column] for part in states]) for column in (0, 1)
        )
        supervised = timed("classification", lambda: classification.loss(model, batch, plans[0], first, DRAW))
        segments, window_starts = plans[1].segments, plans[1].starts
        lengths = (segments.anchors - window_starts).ravel()

        def windows() -> None:
            x = batch.take(window_positions(window_starts, lengths))
            run_to_ends(model.encoder, x, second, lengths)

        timed("windows", windows)
        timed("forced", lambda: forced.loss(model, batch, plans[1], second, DRAW))
        term = timed("scheduled", lambda: scheduled.loss(model, batch, plans[1], second, DRAW))
        total = supervised.total / supervised.count + term.total / max(term.count, 1)
        timed("backward", total.backward)
        for parameter in model.parameters():
            parameter.grad = None
        found["decoder"] = found["forced"] - found["windows"]
        found["sampling"] = found["scheduled"] - found["forced"]
        found["seconds"] = sum(
            found[name] for name in ("plan", "sweep", "classification", "scheduled", "backward")
        )
        return found

    def kept(self) -> int | None:
        return None
