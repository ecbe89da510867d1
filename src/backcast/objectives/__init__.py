"""What is learned: classification, and the auxiliary losses."""

from __future__ import annotations

from backcast.objectives.classification import AveragedClassification, Classification
from backcast.objectives.objective import Draw, Objective, Plan, Term, losses
from backcast.objectives.prediction import Prediction
from backcast.objectives.reconstruction import Reconstruction
from backcast.objectives.whole_sequence import WholeSequence

__all__ = [
    "AveragedClassification", "Classification", "Draw", "Objective", "Plan", "Prediction", "Reconstruction", "Term",
    "WholeSequence", "losses",
]  # fmt: skip
