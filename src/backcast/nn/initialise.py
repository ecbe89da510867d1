"""First weights, from the seed and each parameter's own name."""

from __future__ import annotations

import torch
from torch import nn

from backcast import rng


@torch.no_grad()
def initialise(model: nn.Module, seed: int) -> None:
    """Sets every parameter of `model`: torch's distributions, the LSTMs' forget-gate bias at 1.

    Not stated in the paper; 1 is what TensorFlow's cell added at the time. A parameter's numbers depend on
    its name alone, so the same main network begins with the same weights whatever stands beside it.
    """
    for module_name, module in model.named_modules():
        if isinstance(module, nn.LayerNorm):
            module.reset_parameters()  # ones and zeros
            continue
        bound = _bound(module)
        for name, parameter in module.named_parameters(recurse=False):
            generator = rng.torch_generator("cpu", seed, "initialise", f"{module_name}.{name}")
            value = torch.empty(parameter.shape, dtype=parameter.dtype)
            if bound is None:
                value.normal_(generator=generator)
            else:
                value.uniform_(-bound, bound, generator=generator)
            if isinstance(module, nn.LSTM) and name.startswith("bias"):
                size = module.hidden_size
                value[size : 2 * size] = 1.0 if name.startswith("bias_ih") else 0.0
            parameter.copy_(value)


def _bound(module: nn.Module) -> float | None:
    """The half-width of torch's uniform distribution for `module`; None for a table (standard normal)."""
    if isinstance(module, nn.LSTM):
        return module.hidden_size**-0.5
    if isinstance(module, nn.Linear):
        return max(module.in_features, 1) ** -0.5
    if isinstance(module, nn.Conv1d):
        return (module.in_channels // module.groups * module.kernel_size[0]) ** -0.5
    return None
