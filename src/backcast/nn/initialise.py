"""Initial weights, from the seed and each parameter's own name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from backcast import rng


@torch.no_grad()
def initialise(model: nn.Module, seed: int, forget_gate_bias: float = 1.0) -> None:
    """Sets every parameter of `model`: from torch's distributions, and the bias of the LSTMs' forget gates.

    A part that is an `OwnInitialWeights` (iRNN, uRNN) says itself how it starts. The bias is not stated in the
    paper; 1 is what TensorFlow's cell added at the time. For one seed a parameter's numbers depend only on its name, so
    the same main network starts with the same weights whatever else the model contains.
    """
    own = dict(_initial_weights(model, seed))
    for module_name, module in model.named_modules():
        if isinstance(module, nn.LayerNorm):
            module.reset_parameters()  # ones and zeros
            continue
        bound = _bound(module)
        for name, parameter in module.named_parameters(recurse=False):
            if (given := own.get(parameter)) is not None:
                parameter.copy_(given)
                continue
            generator = rng.torch_generator("cpu", seed, "initialise", f"{module_name}.{name}")
            value = torch.empty(parameter.shape, dtype=parameter.dtype)
            if bound is None:
                value.normal_(generator=generator)
            else:
                value.uniform_(-bound, bound, generator=generator)
            if isinstance(module, nn.LSTM) and name.startswith("bias"):
                size = module.hidden_size
                value[size : 2 * size] = forget_gate_bias if name.startswith("bias_ih") else 0.0
            parameter.copy_(value)


@runtime_checkable
class OwnInitialWeights(Protocol):
    """A network whose source says how its weights start."""

    def initial_weights(self, name: str, shape: torch.Size, generator: torch.Generator) -> Tensor | None:
        """The initial values of the parameter `name`; None: as for any other."""


def _initial_weights(model: nn.Module, seed: int) -> Iterator[tuple[nn.Parameter, Tensor]]:
    for module_name, module in model.named_modules():
        if isinstance(module, OwnInitialWeights):
            parameters = dict(model.get_submodule(module_name).named_parameters())
            for name, parameter in parameters.items():
                whole = f"{module_name}.{name}"
                generator = rng.torch_generator("cpu", seed, "initialise", whole)
                if (found := module.initial_weights(name, parameter.shape, generator)) is not None:
                    yield parameter, found


def _bound(module: nn.Module) -> float | None:
    """The half-width of torch's uniform distribution for `module`; None for a table (standard normal)."""
    if isinstance(module, nn.LSTM | nn.GRU):
        return module.hidden_size**-0.5
    if isinstance(module, nn.Linear):
        return max(module.in_features, 1) ** -0.5
    if isinstance(module, nn.Conv1d):
        return (module.in_channels // module.groups * module.kernel_size[0]) ** -0.5
    return None
