"""A GPU that is pretended, for machines without one: tensors lie in memory, say `cuda:0`, and what a GPU refuses is refused.

That is an operation on tensors of both devices (but for numbers and indices), a tensor of the GPU's as an array, and
a state that a recurrent layer is given but is not contiguous (cuDNN's check). It shows nothing of cuDNN's
arithmetic, of mixed precision, speed or memory, and only what Python calls is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("cuda", 0)
CPU = torch.device("cpu")
AS_ARRAY = ("numpy", "__array__")
MOVING = ("to", "cpu", "copy_", "_has_compatible_shallow_copy_type")
MAY_MIX = ("__getitem__", "__setitem__", "index_put_", *MOVING)
RECURRENT = (torch.lstm, torch.gru, torch.rnn_relu)


class PretendGpu(TorchFunctionMode):
    """While it is entered. A generator of the GPU's cannot be made without one: let `rng.torch_generator` give the CPU's."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        name = getattr(function, "__name__", "")
        if function == Tensor.device.__get__:
            return GPU if is_on_gpu(args[0]) else CPU
        if function == Tensor.is_cuda.__get__:
            return is_on_gpu(args[0])
        if function == Tensor.data.__set__:
            function(*args)
            return mark(args[0], is_on_gpu(args[1]))
        given = [one for one in tree_leaves((args, named)) if isinstance(one, Tensor)]
        on_gpu = any(map(is_on_gpu, given))
        if on_gpu:
            refuse(function, name, args, given)
        asked = device_asked(name, args, named)
        if asked is not None:
            args, named = [CPU if one == asked else one for one in args], {**named, **cpu_in(named)}
        found = function(*args, **named)
        if name in MOVING and found is args[0] and asked is not None and is_on_gpu(found) != (asked == GPU):
            found = found.clone()
        if name in ("__setitem__", "index_put_", "copy_"):
            return found
        for one in tree_leaves(found):
            if isinstance(one, Tensor):
                mark(one, on_gpu if asked is None else asked == GPU)
        return found


def refuse(function: Callable[..., Any], name: str, args: Any, given: list[Tensor]) -> None:
    """Raises what torch does where these tensors, some of them the GPU's, are not to be used together, or so."""
    if name in AS_ARRAY:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")
    if function in RECURRENT:
        states = args[1] if isinstance(args[1], tuple | list) else [args[1]]
        if not all(part.is_contiguous() for part in states):
            raise RuntimeError("rnn: hx is not contiguous")
    if name not in MAY_MIX:
        others = [tuple(one.shape) for one in given if not is_on_gpu(one) and one.dim()]
        if others:
            raise RuntimeError(f"{name}: expected all tensors on one device, found {GPU} and cpu {others}")


def device_asked(name: str, args: Any, named: Mapping[str, Any]) -> torch.device | None:
    """The device that a call says."""
    if name == "cpu":
        return CPU
    said = [named.get("device"), *(args[1:] if name == "to" else ())]
    return next((torch.device(one) for one in said if isinstance(one, torch.device | str)), None)


def cpu_in(named: Mapping[str, Any]) -> dict[str, Any]:
    return {"device": CPU} if named.get("device") is not None else {}


def is_on_gpu(tensor: Tensor) -> bool:
    return getattr(tensor, "pretended", False)


def mark(tensor: Tensor, on_gpu: bool) -> Tensor:
    tensor.pretended = on_gpu  # type: ignore[attr-defined]
    return tensor
