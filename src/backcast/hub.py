"""The Hugging Face Hub: how its names look, and how it is asked."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

PREFIX = "hf:"
"""What stands before the name of a data set or model of the Hub."""


def is_repository(name: str) -> bool:
    """Is it `owner/name`?"""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None


def ask(call: Callable[[Any], Any], refuse: Callable[[str], Exception]) -> Any:
    """What `call` makes of the module `huggingface_hub`; where that fails, raises what `refuse` makes of the reason."""
    import huggingface_hub

    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)  # hides its retries; the final error is reported once, below
    try:
        return call(huggingface_hub)
    except Exception as error:  # the Hub's client raises many kinds: network, names, permissions
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise refuse(reason) from None
    finally:
        logger.setLevel(level)
