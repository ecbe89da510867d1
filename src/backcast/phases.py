"""A method is a list of phases; a phase is a set of objectives (the paper's section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from backcast.config import Config
from backcast.methods import METHODS, Auxiliary
from backcast.objectives import (
    AveragedClassification,
    AveragedRegression,
    Classification,
    Objective,
    Prediction,
    Reconstruction,
    Regression,
    WholeSequence,
)


@dataclass(frozen=True)
class Phase:
    """`epochs` epochs on the sum of some objectives, the mean of each with weight 1.

    halve_at   numbers of epochs after which the learning rate is halved
    """

    name: str
    epochs: int
    objectives: tuple[Objective, ...]
    learning_rate: float
    halve_at: tuple[int, ...]

    @property
    def supervised(self) -> bool:
        """Does it learn classes or, in a regression, targets?"""
        return any(objective.supervised for objective in self.objectives)

    @property
    def only_supervised(self) -> bool:
        """Is that all it learns, so that rows without a label teach nothing?"""
        return all(objective.supervised for objective in self.objectives)

    def rate(self, epoch: int) -> float:
        """The learning rate in `epoch`, counted from 0 within the phase."""
        return self.learning_rate * 0.5 ** sum(epoch >= date for date in self.halve_at)


def phases(
    config: Config, class_weights: tuple[float, ...] | None = None, regression: bool = False
) -> list[Phase]:
    """The phases of a run; those without epochs are left out.

    class_weights  how much a row of each class counts
    regression     rows have targets instead of labels
    """
    method = METHODS[config.method]
    auxiliary = tuple(_auxiliary(name, config) for name in method.auxiliary)
    supervised: Objective
    if regression:
        supervised = (
            Regression(config.truncation, config.recompute) if method.recurrent else AveragedRegression()
        )
    elif method.recurrent:
        supervised = Classification(config.truncation, config.recompute, class_weights)
    else:
        supervised = AveragedClassification(class_weights)
    joint = auxiliary if method.joint and config.joint else ()
    both = [
        Phase("pretraining", config.pretrain_epochs, auxiliary, config.pretrain_learning_rate, config.pretrain_halve_at),
        Phase("joint" if joint else "supervised", config.epochs, (supervised, *joint), config.learning_rate, config.halve_at),
    ]  # fmt: skip
    return [phase for phase in both if phase.epochs and phase.objectives]


def _auxiliary(name: Auxiliary, config: Config) -> Objective:
    if name == "reconstruction":
        return Reconstruction(
            anchors=config.anchors,
            segment_length=config.segment_length,
            truncation=config.auxiliary_truncation,
            decoder_truncation=config.decoder_truncation,
            decoder_input=config.decoder_input,
            sampling_steps=config.sampling_steps,
            backwards=config.backwards,
            predict_future=config.predict_future,
            distant_past=config.distant_past,
        )
    if name == "prediction":
        return Prediction(config.anchors, config.segment_length)
    return WholeSequence(config.truncation, from_end=name == "autoencoder")
