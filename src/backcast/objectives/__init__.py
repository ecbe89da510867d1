"""What is learned: classification or regression, and the auxiliary losses."""

from __future__ import annotations

from backcast.objectives.classification import AveragedClassification, Classification
from backcast.objectives.objective import Draw, Objective, Plan, Term, losses
from backcast.objectives.prediction import Prediction
from backcast.objectives.reconstruction import Reconstruction
from backcast.objectives.regression import AveragedRegression, Regression
from backcast.objectives.whole_sequence import WholeSequence

__all__ = [
    "AveragedClassification", "AveragedRegression", "Classification", "Draw", "Objective", "Plan", "Prediction",
    "Reconstruction", "Regression", "Term", "WholeSequence", "losses",
]  # fmt: skip
