"""What a training step of a configuration keeps for its backward pass."""

from __future__ import annotations

from functools import partial

import numpy as np

from backcast.activations import activation_bytes
from backcast.build import build_network, build_trainer, choose_device
from backcast.config import Config
from backcast.objectives import Draw
from backcast.phases import Phase
from backcast.prepared import prepare


def kept_for_backward(config: Config, count: int) -> int:
    """The most `activation_bytes` of a step of any phase on the `count` longest training rows, or on all.

    Of a phase that classifies, on the longest with a label: others keep nothing for the classifier. Raises InputError.
    """
    prepared = prepare(config)
    network = build_network(config, prepared.preprocessing, len(prepared.classes))
    device = choose_device(config.device)
    trainer = build_trainer(config, network, prepared.preprocessing, prepared.train, None, device)
    longest = np.argsort(-prepared.train.lengths, kind="stable")
    labelled = longest[prepared.train.labelled[longest]]

    def kept(phase: Phase) -> int:
        rows = (labelled if phase.supervised else longest)[:count]
        step = partial(trainer.step_terms, phase, rows, Draw(config.seed, 0, 0))
        return activation_bytes(step, network.parameters())

    return max(map(kept, trainer.phases))
