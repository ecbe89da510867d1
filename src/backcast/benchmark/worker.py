"""One contender's process, seen from inside and from outside.

Denormal flushing, malloc, threads, the kernel and peak memory belong to a process, so each contender has its own. It
computes when asked and sleeps otherwise, so that only one of them computes at any time.
"""

from __future__ import annotations

import ctypes
import importlib
import math
import multiprocessing
import os
import signal
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from backcast import process
from backcast.benchmark.machine import describe_machine, forget_peak, give_back, resident_bytes
from backcast.benchmark.plan import Contender
from backcast.errors import InputError, is_out_of_memory

LOOK_SECONDS = 0.25
"""How often the parent checks how much memory a computing worker holds."""


class Unfit(Exception):
    """The contender does not fit in memory."""


class Failed(Exception):
    """The contender failed in another way."""


class Worker:
    """The parent's side.

    most_bytes  a worker that holds more is ended
    idle_bytes  what it may hold while it sleeps
    """

    def __init__(
        self,
        contender: Contender | None,
        threads: int | None,
        most_bytes: float = math.inf,
        idle_bytes: float = math.inf,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._most = most_bytes
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=serve, args=(other, contender, threads, idle_bytes), daemon=True
        )
        self._process.start()
        other.close()

    def ask(self, what: str | None = None) -> Any:
        """The answer to a request; without one, what the worker says once it is ready.

        Raises Unfit, Failed, and InputError where its settings or BACKCAST_KERNEL are refused.
        """
        try:
            if what is not None:
                self._pipe.send(what)
            while not self._pipe.poll(LOOK_SECONDS):
                held = resident_bytes(self._process.pid or 0)
                if held is not None and held > self._most:
                    self.close()
                    raise Unfit(f"needs more than the limit of {self._most / 1e9:.1f} GB")
            kind, answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            if self._process.exitcode == -signal.SIGKILL:
                raise Unfit("its process was killed, as it is where memory runs out") from None
            raise Failed(f"its process ended (exit status {self._process.exitcode})") from None
        if kind == "unfit":
            raise Unfit(answer)
        if kind == "refused":
            raise InputError(answer)
        if kind == "failed":
            raise Failed(answer)
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def serve(pipe: Connection, contender: Contender | None, threads: int | None, idle_bytes: float) -> None:
    """The worker's side: sets its process up, builds the contender, then answers until nobody asks."""
    _set_up_process(contender)
    try:
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        answers = {"describe": describe_machine}
        if contender is not None:
            bench = Bench(contender, idle_bytes)
            answers |= {"first": bench.first, "round": bench.round}
        pipe.send(("ready", None))
        while True:
            pipe.send(("answer", answers[pipe.recv()]()))
    except EOFError:
        return
    except InputError as error:
        pipe.send(("refused", str(error)))
    except (MemoryError, RuntimeError) as error:
        pipe.send(("unfit", "memory ran out") if is_out_of_memory(error) else ("failed", _reason(error)))
    except Exception as error:
        pipe.send(("failed", _reason(error)))


class Bench:
    """A contender that has been built and has made one tiny step: libraries, threads and buffers are there.

    A process of ours keeps the memory that it has freed, for the next step. There may not be that much for all
    contenders together, so one that holds more than `idle_bytes` gives it back, and runs once untimed before it
    is timed again.
    """

    def __init__(self, contender: Contender, idle_bytes: float = math.inf) -> None:
        self._idle_bytes, self._is_cold = idle_bytes, False
        self._work = importlib.import_module(f"backcast.benchmark.work.{contender.work}").Work(
            dict(contender.settings)
        )
        self._work.prepare(tiny=True)
        self._work.run()

    def first(self) -> dict[str, int | None]:
        """The warm-up in full size, not timed; its memory.

        peak_bytes      the most it held, above what the process held before there was any input, less the input
        resident_bytes  the most it held in all, less the input
        kept_bytes      of that, what a training step saves for its backward pass
        """
        before = resident_bytes()
        given = self._work.prepare(tiny=False)
        forget_peak()
        self._work.run()
        peak = resident_bytes(peak=True)
        found: dict[str, int | None] = {"peak_bytes": None, "resident_bytes": None}
        if before is not None and peak is not None:
            found = {"peak_bytes": max(0, peak - before - given), "resident_bytes": peak - given}
        found["kept_bytes"] = self._work.kept()
        self._rest()
        return found

    def round(self) -> dict[str, float]:
        if self._is_cold:
            self._work.run()
        found: dict[str, float] = self._work.run()
        self._rest()
        return found

    def _rest(self) -> None:
        self._is_cold = (resident_bytes() or 0) > self._idle_bytes
        if self._is_cold:
            give_back()


def _set_up_process(contender: Contender | None) -> None:
    """How the process ends, then what must be settled before torch is imported, as the command does for itself."""
    if contender is not None and contender.kernel is not None:
        os.environ["BACKCAST_KERNEL"] = contender.kernel
    if contender is not None and not contender.prepared:
        os.environ[process.VARIABLE] = "as-is"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends its workers
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: end with the parent
        with suppress(OSError):  # where memory runs out, this process goes first
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    process.prepare()


def _reason(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return " ".join(f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})".split())
