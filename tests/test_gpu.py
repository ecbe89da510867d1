"""Training and predicting on a GPU; where there is none, as far as that can be seen without one."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from backcast import inference, rng
from backcast.build import build_network, build_trainer
from backcast.config import resolve
from backcast.methods import METHODS
from backcast.prepared import prepare
from backcast.trainer import Recorder
from pretend_gpu import GPU, PretendGpu

pytestmark = pytest.mark.filterwarnings("ignore:PyTorch was compiled without cuDNN")

WAYS: dict[str, dict[str, Any]] = {
    "two segments": {"anchors": 2},
    "one segment": {"anchors": 1},
    "sampled": {"decoder_input": "scheduled", "sampling_steps": 2, "position_cue": False},
    "full": {"truncation": None},
    "recomputed": {"truncation": None, "recompute": True},
    "no supervised gradient": {"truncation": 0},
}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> AbstractContextManager[Any]:
    """The GPU where there is one; else one that is pretended."""
    if torch.cuda.is_available():
        return nullcontext()
    plain = rng.torch_generator
    monkeypatch.setattr(rng, "torch_generator", lambda device, *parts: plain("cpu", *parts))
    return PretendGpu()


@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_trains_on_one_device(
    method: str, symbols: bool, gpu: AbstractContextManager[Any], tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 4, (12, 14)) if symbols else generator.normal(size=(12, 14, 2)).astype("f4")
    np.savez(
        tmp_path / "rows.npz", x=x, y=np.arange(12) % 3, lengths=[14, 14, 14, 14, 14, 14, 14, 14, 9, 1, 2, 14]
    )
    settings = {
        "data": str(tmp_path / "rows.npz"), "method": method, "hidden_size": 8, "embedding_size": 4, "feedforward_size": 8,
        "truncation": 4, "segment_length": 3, "pretrain_epochs": 1, "epochs": 1, "batch_size": 4,
    }  # fmt: skip
    for way in WAYS.values():
        config = resolve([settings, way])
        ready = prepare(config)
        network = build_network(config, ready.preprocessing, 3)
        with gpu:
            trainer = build_trainer(config, network, ready.preprocessing, ready.train, ready.validation, GPU)
            trainer.fit(Recorder())
            scores = inference.evaluate(network, ready.preprocessing, ready.train, device=GPU)
        assert scores.count == len(ready.train)


@pytest.mark.skipif(torch.cuda.is_available(), reason="nothing is pretended where there is a GPU")
def test_what_is_pretended_refuses(gpu: AbstractContextManager[Any]) -> None:
    with gpu:
        here, there = torch.zeros(2, 3), torch.zeros(2, 3).to(GPU)
        assert (here.device.type, there.device) == ("cpu", GPU) and (there + 1).device == GPU
        assert there.cpu().device.type == "cpu" and (there * torch.tensor(2.0)).is_cuda
        with pytest.raises(RuntimeError, match="one device"):
            here + there
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        layer, state = nn.LSTM(3, 4, batch_first=True).to(GPU), torch.zeros(1, 5, 2, 4, device=GPU)
        x = torch.zeros(5, 7, 3, device=GPU)
        layer(x, (state[:, :, 0].contiguous(),) * 2)
        with pytest.raises(RuntimeError, match="contiguous"):
            layer(x, (state[:, :, 0],) * 2)
