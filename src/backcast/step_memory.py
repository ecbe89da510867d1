"""What a training step of a configuration keeps for its backward pass."""

from __future__ import annotations

from functools import partial

import numpy as np

from backcast.activations import activation_bytes
from backcast.build import build_network, build_trainer, choose_device
from backcast.config import Config
from backcast.objectives import Draw
from backcast.prepared import prepare


def kept_for_backward(config: Config, count: int) -> int:
    """The most `activation_bytes` of a step of any phase on the `count` longest training rows, or on all.

    Raises InputError.
    """
    prepared = prepare(config)
    network = build_network(config, prepared.preprocessing, len(prepared.classes))
    device = choose_device(config.device)
    trainer = build_trainer(config, network, prepared.preprocessing, prepared.train, None, device)
    longest = np.argsort(-prepared.train.lengths, kind="stable")[:count]
    return max(
        activation_bytes(
            partial(trainer.step_terms, phase, longest, Draw(config.seed, 0, 0)), network.parameters()
        )
        for phase in trainer.phases
    )
