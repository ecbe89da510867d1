"""Who takes part in archive.py, on which data, and with which settings. All of it was set before any test row was seen,
except the epochs of aeon's networks.

Data: of the classification sets with a train/test split that aeon's wheel ships (steps: ACSF1 1,460, OSULeaf 427,
PickupGestureWiimoteZ up to 361, ArrowHead 251, GunPoint 150, BasicMotions 100, JapaneseVowels up to 29,
ItalyPowerDemand 24), the two longest, because backcast is for long sequences.

Settings: every contender's own defaults, except for these.

    all cores      where a classifier has `n_jobs`; TensorFlow and torch take all cores by themselves
    aeon's epochs  their defaults (2,000 and 1,500) would take hours here, so they are cut, see below
    mini-batches   InceptionTime's default of 64 rows would be two updates per epoch; aeon's own option
                   `use_mini_batch_size` makes it a tenth of the training rows
    our batches    16 rows, FCN's default, for the same reason
    our classes    not weighted, though `backcast inspect` suggests it for OSULeaf: accuracy does not weight them, nor
                   do the others
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DATA = ("ACSF1", "OSULeaf")
FCN_EPOCHS, INCEPTION_EPOCHS = 200, 60
TINY_KERNELS, TINY_EPOCHS = 100, 1


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    build      (seed, tiny, folder) -> the classifier. `tiny`: trains in a moment, for a warm-up or a smoke run;
               `folder`: for files it writes as it trains
    settings   what differs from its defaults, for the table
    is_random  False: one seed is enough
    channels   does it read (n, 1, T)? Else (n, T)
    """

    name: str
    package: str
    settings: str
    build: Callable[[int, bool, str], Any]
    is_random: bool = True
    channels: bool = True


def _rocket(seed: int, tiny: bool, folder: str) -> Any:
    from aeon.classification.convolution_based import RocketClassifier

    return RocketClassifier(n_kernels=TINY_KERNELS if tiny else 10_000, n_jobs=-1, random_state=seed)


def _quant(seed: int, tiny: bool, folder: str) -> Any:
    from aeon.classification.interval_based import QUANTClassifier

    return QUANTClassifier(random_state=seed)


def _dtw(seed: int, tiny: bool, folder: str) -> Any:
    from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier

    return KNeighborsTimeSeriesClassifier(distance="dtw", n_neighbors=1, n_jobs=-1)


def _fcn(seed: int, tiny: bool, folder: str) -> Any:
    from aeon.classification.deep_learning import FCNClassifier

    return FCNClassifier(n_epochs=TINY_EPOCHS if tiny else FCN_EPOCHS, file_path=folder, random_state=seed)


def _inception(seed: int, tiny: bool, folder: str) -> Any:
    from aeon.classification.deep_learning import IndividualInceptionClassifier

    return IndividualInceptionClassifier(
        n_epochs=TINY_EPOCHS if tiny else INCEPTION_EPOCHS,
        use_mini_batch_size=True,
        file_path=folder,
        random_state=seed,
    )


def _ours(**settings: Any) -> Callable[[int, bool, str], Any]:
    def build(seed: int, tiny: bool, folder: str) -> Any:
        from backcast import BackcastClassifier

        epochs = {"pretrain_epochs": TINY_EPOCHS, "epochs": TINY_EPOCHS} if tiny else {}
        return BackcastClassifier(**settings, **epochs, batch_size=16, random_state=seed)

    return build


def _network(name: str, settings: str, **given: Any) -> Contender:
    return Contender(name, "backcast", settings, _ours(**given), channels=False)


CONTENDERS = (
    Contender("ROCKET", "aeon", "–", _rocket),
    Contender("QUANT", "aeon", "–", _quant),
    Contender("1-NN DTW", "aeon", "–", _dtw, is_random=False),
    Contender("FCN", "aeon", f"{FCN_EPOCHS} of 2,000 epochs", _fcn),
    Contender(
        "InceptionTime, one network",
        "aeon",
        f"{INCEPTION_EPOCHS} of 1,500 epochs, mini-batches",
        _inception,
    ),
    _network("lstm, truncated 300", "batches of 16", method="lstm"),
    _network("lstm, full BPTT", "batches of 16, no truncation", method="lstm", truncation=None),
    _network("r-lstm", "batches of 16", method="r-lstm"),
    _network("p-lstm", "batches of 16", method="p-lstm"),
)
"""In the order of the table and of every round."""
NAMED = {contender.name: contender for contender in CONTENDERS}
