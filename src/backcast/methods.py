"""The paper's systems and ours, one entry each: a network, and what it learns besides classification (section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Network = Literal["lstm", "gru", "irnn", "urnn", "transformer", "t-dmca"]
Auxiliary = Literal["reconstruction", "prediction", "language model", "autoencoder"]


@dataclass(frozen=True)
class Method:
    """What reads the sequence, and the auxiliary losses of phase 1, which phase 2 keeps if `joint`."""

    description: str
    network: Network = "lstm"
    auxiliary: tuple[Auxiliary, ...] = ()
    joint: bool = True

    @property
    def recurrent(self) -> bool:
        """Does it read step by step, with a state? Only then can it be truncated."""
        return self.network not in ("transformer", "t-dmca")


METHODS = {
    "lstm": Method("classification alone: the baseline (full BPTT with --truncation none)"),
    "r-lstm": Method("reconstruct a segment of the past from the state at a random anchor", auxiliary=("reconstruction",)),
    "p-lstm": Method("predict the next elements behind a random anchor", auxiliary=("prediction",)),
    "rp-lstm": Method("both auxiliary losses, weights 1 and 1 (not in the paper)", auxiliary=("reconstruction", "prediction")),
    "lm-lstm": Method("Dai & Le 2015: pretrained to predict every next element, then classification alone", auxiliary=("language model",), joint=False),
    "sa-lstm": Method("Dai & Le 2015: pretrained to repeat the whole sequence from the last state, then classification alone", auxiliary=("autoencoder",), joint=False),
    "irnn": Method("Le et al. 2015: ReLU units, recurrent weights that begin as the identity", network="irnn"),
    "urnn": Method("Arjovsky et al. 2016: complex state, unitary recurrent weights", network="urnn"),
    "gru": Method("a gated recurrent unit, classification alone (not in the paper)", network="gru"),
    "r-gru": Method("a gated recurrent unit with r-LSTM's loss (not in the paper)", network="gru", auxiliary=("reconstruction",)),
    "p-gru": Method("a gated recurrent unit with p-LSTM's loss (not in the paper)", network="gru", auxiliary=("prediction",)),
    "transformer": Method("Vaswani et al. 2017: attention over all steps, as many parameters as the LSTM; not truncated", network="transformer"),
    "t-dmca": Method("Liu et al. 2018: local and memory-compressed attention, as many parameters as the LSTM; not truncated", network="t-dmca"),
}  # fmt: skip
