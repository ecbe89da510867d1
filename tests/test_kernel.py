"""The kernel against its slow definition, on every path that this processor has; and how it is built."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from backcast import kernel
from backcast.activations import activation_bytes
from backcast.cli import main
from backcast.errors import InputError
from backcast.kernel import build, library, reference
from backcast.nn.embedding import Embedding
from backcast.nn.lstm import EmbeddedLSTM, LSTMState
from backcast.sweep import run_to_ends

PATHS = library.available()


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    with kernel.using(request.param):
        yield request.param


@dataclass
class Case:
    """Random weights and rows, in float64."""

    x: Tensor
    lengths: Tensor
    weights: list[Tensor | None]  # input map (None for symbols), recurrent map, base
    state: list[Tensor]

    @classmethod
    def random(cls, seed: int, rows: int, steps: int, inputs: int, hidden: int, symbols: int = 0) -> Case:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        x = (
            torch.randint(0, symbols, (rows, steps), generator=generator)
            if symbols
            else normal(rows, steps, inputs)
        )
        lengths = torch.randint(0, steps + 1, (rows,), generator=generator)
        base = normal(symbols, 4 * hidden) if symbols else normal(4 * hidden)
        input_map = None if symbols else normal(4 * hidden, inputs) / inputs**0.5
        recurrent_map = normal(4 * hidden, hidden) / hidden**0.5
        state = [0.5 * normal(rows, hidden), normal(rows, hidden)]
        return cls(x, lengths, [input_map, recurrent_map, 0.5 * base], state)

    def in_single(self) -> list[Tensor | None]:
        """Rows, weights and states as the kernel takes them."""
        parts = (self.x, *self.weights, *self.state)
        return [part if part is None or not part.is_floating_point() else part.float() for part in parts]

    def results(self, fast: bool, ragged: bool = True) -> list[Tensor]:
        """Outputs, last states, and the gradients of everything in a random sum of them."""
        dtype = torch.float32 if fast else torch.float64
        floats = [
            None if part is None else part.to(dtype).requires_grad_() for part in (*self.weights, *self.state)
        ]
        x = self.x.to(dtype).requires_grad_() if self.x.is_floating_point() else self.x
        if fast:
            found = kernel.lstm(x, self.lengths.numpy() if ragged else None, *floats)
        else:
            full = torch.full_like(self.lengths, x.shape[1])
            found = reference.lstm(x, self.lengths if ragged else full, *floats)
        generator = torch.Generator().manual_seed(1)
        parts = [
            (part.double() * torch.randn(part.shape, generator=generator, dtype=torch.float64)).sum()
            for part in found
        ]
        torch.stack(parts).sum().backward()
        gradients = [part.grad for part in (x, *floats) if part is not None and part.grad is not None]
        return [part.detach() for part in (*found, *gradients)]


def assert_close(found: list[Tensor], wanted: list[Tensor], error: float) -> None:
    assert [part.shape for part in found] == [part.shape for part in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert float((one - other).detach().norm()) <= error * float(other.detach().norm()) + 1e-12


SHAPES = [
    # rows, steps, inputs, hidden, symbols
    (1, 1, 1, 1, 0),
    (2, 3, 2, 15, 0),
    (7, 33, 5, 17, 0),
    (32, 60, 3, 128, 0),
    (33, 17, 128, 64, 0),
    (5, 9, 0, 20, 4),
    (20, 40, 0, 64, 7),
    (6, 5, 3, 257, 0),
    (300, 12, 1, 40, 0),
    (3, 2000, 2, 24, 0),
]


@pytest.mark.parametrize("ragged", [True, False], ids=["ragged", "even"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_and_gradients_are_those_of_the_definition(
    path: str, shape: tuple[int, int, int, int, int], ragged: bool
) -> None:
    case = Case.random(sum(shape), *shape)
    assert_close(case.results(True, ragged), case.results(False, ragged), 1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_random_shapes_give_the_results_of_the_definition(path: str, seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows, steps, inputs, hidden = (int(draw.integers(1, high)) for high in (41, 61, 10, 90))
    case = Case.random(seed, rows, steps, inputs, hidden, symbols=int(draw.integers(0, 2)) * 5)
    assert_close(case.results(True), case.results(False), 1e-5)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing_but_the_last_bits_of_the_weights_gradient(path: str, threads: int) -> None:
    case = Case.random(3, 13, 20, 3, 50)
    before = torch.get_num_threads()
    try:
        one = case.results(True)
        torch.set_num_threads(threads)
        other = case.results(True)
        again = case.results(True)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(other, again, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))
    assert_close(one, other, 1e-6)


def test_the_backward_pass_is_that_of_the_forward_passs_kernel() -> None:
    case = Case.random(3, 5, 20, 3, 10)
    with kernel.using("portable"):
        x, *others = case.in_single()
        found = kernel.lstm(x, None, *[part.requires_grad_() for part in others])[0].square().sum()
        (wanted,) = torch.autograd.grad(found, others[1], retain_graph=True)
    with kernel.using("off"):
        (given,) = torch.autograd.grad(found, others[1])
    assert torch.equal(wanted, given)


def test_a_rows_result_does_not_depend_on_its_batch(path: str) -> None:
    case = Case.random(4, 17, 25, 2, 33)
    with torch.no_grad():
        x, *weights, h, c = case.in_single()
        together = kernel.lstm(x, None, *weights, h, c)[0]
        for row in (0, 8, 16):
            alone = kernel.lstm(x[row : row + 1], None, *weights, h[row : row + 1], c[row : row + 1])[0]
            assert torch.equal(together[row : row + 1], alone)


def test_a_sweep_keeps_the_states_at_each_rows_own_steps(path: str) -> None:
    case = Case.random(5, 9, 30, 3, 21)
    steps = np.random.default_rng(0).integers(0, 31, (9, 4))
    steps[0] = 0
    steps[1] = [7, 7, 30, 7]
    x, *others = case.in_single()
    kept = kernel.sweep(x, steps, *others)
    for column in range(4):
        _, h, c = reference.lstm(case.x, torch.from_numpy(steps[:, column]), *case.weights, *case.state)
        assert_close([part.reshape(9, 4, -1)[:, column] for part in kept], [h, c], 1e-5)


@pytest.mark.parametrize("hidden", [1, 21, 128])
def test_a_sweep_in_bf16_is_near_the_one_in_float32(path: str, hidden: int) -> None:
    x, *others = Case.random(11, 19, 200, 3, hidden).in_single()
    steps = np.random.default_rng(0).integers(0, 201, (19, 3))
    float32, bf16 = (kernel.sweep(x, steps, *others, bf16=bf16) for bf16 in (False, True))
    for one, other in zip(float32, bf16, strict=True):
        assert float((one - other).norm()) <= 5e-3 * float(one.norm())
    assert torch.equal(float32[0], bf16[0]) != library.choice().bf16


@pytest.mark.parametrize("symbols", [0, 6])
@pytest.mark.parametrize("embedding_size", [0, 8])
def test_the_encoder_is_the_same_with_and_without_it(path: str, symbols: int, embedding_size: int) -> None:
    torch.manual_seed(0)
    encoder = EmbeddedLSTM(Embedding(symbols, 1 if symbols else 2, embedding_size), 19)
    x = torch.randint(0, 6, (5, 14)) if symbols else torch.randn(5, 14, 2)
    lengths = np.array([14, 3, 14, 9, 1])
    state = LSTMState(torch.randn(5, 19), torch.randn(5, 19))
    found = []
    for name in (path, "off"):
        encoder.zero_grad()
        with kernel.using(name):
            outputs, last = encoder(x, state)
            ends = run_to_ends(encoder, x, state, lengths)
            (outputs.square().sum() + last.c.sum() + ends[0].sum() + ends[1].square().sum()).backward()
        gradients = [
            parameter.grad.clone() for parameter in encoder.parameters() if parameter.grad is not None
        ]
        found.append([outputs, *last, *ends, *gradients])
    assert_close(found[0], found[1], 1e-5)


def test_only_what_needs_a_gradient_keeps_anything() -> None:
    case = Case.random(6, 4, 10, 2, 8)
    x, *others = case.in_single()
    kept = [activation_bytes(lambda: kernel.lstm(x, None, *others), others)]
    graph = [part.requires_grad_() for part in others]
    with torch.no_grad():
        kept.append(activation_bytes(lambda: kernel.lstm(x, None, *graph), graph))
    assert kept == [0, 0]
    cells = 4 * 4 * 10 * 16  # bytes, rows, steps, units padded to a whole vector; as many for each gate
    wanted = 5 * cells + 4 * 4 * 10 * 8  # and the outputs
    assert wanted <= activation_bytes(lambda: kernel.lstm(x, None, *graph), graph) <= wanted + x.nbytes


def test_views_of_any_layout_are_read_as_they_are(path: str) -> None:
    x, input_map, recurrent_map, base, h, c = Case.random(12, 6, 9, 3, 10).in_single()
    turned = x.transpose(0, 1).contiguous().requires_grad_()
    maps = [input_map.T.contiguous().T, recurrent_map, base]
    views = [turned.transpose(0, 1), *maps, h.T.contiguous().T, c[:1].expand(6, 10)]
    plain = [part.detach().contiguous().clone() for part in views]
    plain[0].requires_grad_()
    lengths = np.array([9, 3, 9, 0, 1, 5])
    found, wanted = (kernel.lstm(parts[0], lengths, *parts[1:]) for parts in (views, plain))
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)
    lengths[:] = 1  # the caller's array is the caller's
    for parts in (found, wanted):
        torch.stack([part.square().sum() for part in parts]).sum().backward()
    assert torch.equal(turned.grad.transpose(0, 1), plain[0].grad)


@pytest.mark.parametrize("shape", [(0, 5), (4, 0)])
@pytest.mark.parametrize("symbols", [0, 3])
def test_no_rows_or_no_steps_are_nothing(path: str, shape: tuple[int, int], symbols: int) -> None:
    generator = torch.Generator().manual_seed(0)
    rows, steps = shape
    x = torch.zeros(rows, steps, dtype=torch.int64) if symbols else torch.zeros(rows, steps, 2)
    base = torch.randn(*([symbols] if symbols else []), 28, generator=generator).requires_grad_()
    recurrent_map = torch.randn(28, 7, generator=generator).requires_grad_()
    state = torch.randn(rows, 7, generator=generator).requires_grad_()
    input_map = None if symbols else torch.ones(28, 2)
    outputs, h, c = kernel.lstm(x, None, input_map, recurrent_map, base, state, state)
    assert outputs.shape == (*shape, 7) and torch.equal(h, state) and torch.equal(c, state)
    (outputs.sum() + h.sum() + c.sum()).backward()
    assert (base.grad == 0).all() and (recurrent_map.grad == 0).all() and (state.grad == 2).all()


@pytest.mark.parametrize("broken", ["x", "input_map", "recurrent_map", "base", "h", "c"])
def test_what_does_not_fit_is_refused_before_the_kernel_reads_it(path: str, broken: str) -> None:
    names = ("x", "input_map", "recurrent_map", "base", "h", "c")
    parts = dict(zip(names, Case.random(14, 3, 5, 2, 4).in_single(), strict=True))
    for wrong in (parts[broken][:-1], parts[broken].double()):
        x, *others = {**parts, broken: wrong}.values()
        with pytest.raises(ValueError, match="must be float32"):
            kernel.lstm(x, None, *others)
    x, *others = parts.values()
    for lengths in ([1, 2], [1, 2, 6], [-1, 2, 3]):
        with pytest.raises(ValueError, match=r"lengths must be 3 numbers, 0 \.\. 5"):
            kernel.lstm(x, np.array(lengths), *others)


@pytest.mark.parametrize("broken", range(3))
def test_a_linear_map_that_does_not_fit_is_refused(path: str, broken: int) -> None:
    parts = [torch.zeros(300, 64), torch.zeros(40, 64), torch.zeros(40)]
    for wrong in (torch.zeros(*parts[broken].shape[:-1], 128), parts[broken].double()):
        with pytest.raises(ValueError, match="must be float32"):
            kernel.dense(*parts[:broken], wrong, *parts[broken + 1 :], relu=True)


@pytest.mark.parametrize("broken", range(12))
def test_a_decoder_that_does_not_fit_is_refused(path: str, broken: int) -> None:
    sizes = [(32, 1), (32, 8), (32,), (32, 8), (32, 8), (32,), (20, 8), (20,), (20, 20), (20,), (1, 20), (1,)]
    weights = [torch.zeros(size) for size in sizes]
    truth, h = torch.zeros(2, 5, 1), torch.zeros(2, 8)

    def decode() -> None:
        maps = kernel.Maps(*weights[:3]), None, kernel.Maps(*weights[3:6])
        kernel.decode(truth, torch.ones(2, 5, dtype=torch.bool), torch.zeros(2, 5), h, h, *maps, weights[6:])

    decode()
    weights[broken] = torch.zeros(*weights[broken].shape[:-1], weights[broken].shape[-1] + 1)
    with pytest.raises(ValueError, match="must be float32"):
        decode()


def test_nan_stays_nan(path: str) -> None:
    x, *others = Case.random(15, 3, 5, 2, 4).in_single()
    x[1, 2, 0] = float("nan")
    outputs, _, c = kernel.lstm(x, None, *others)
    assert outputs[1, 2:].isnan().all() and c[1].isnan().all()
    assert outputs[[0, 2]].isfinite().all() and outputs[1, :2].isfinite().all()
    y = kernel.dense(x.reshape(15, 2), torch.ones(40, 2), torch.zeros(40), relu=True)
    assert y[7].isnan().all() and int(y.isnan().sum()) == 40


def test_symbols_outside_of_the_table_are_an_error(path: str) -> None:
    case = Case.random(7, 3, 5, 0, 8, symbols=4)
    x, *others = case.in_single()
    x[1, 2] = 4
    with pytest.raises(IndexError, match=r"0 \.\. 3"):
        kernel.lstm(x, None, *others)
    with pytest.raises(TypeError, match="symbols must be int64"):
        kernel.lstm(x.float(), None, *others)


def test_the_callers_denormals_are_left_alone(path: str) -> None:
    case = Case.random(8, 3, 5, 1, 8)
    case.results(True)
    assert float(torch.tensor([1e-40]) * 1.0) != 0
    # ... and count as zero inside: a cell state that fades through them takes no longer than any other
    weights = [torch.zeros(32, 1), torch.zeros(32, 8), torch.zeros(32)]
    tiny = torch.full((1, 8), 1e-38)
    _, _, c = kernel.lstm(torch.zeros(1, 3, 1), None, *weights, tiny, tiny)
    assert (c == 0).all()


def _in_a_child(path: str, connection: object) -> None:
    with kernel.using(path):
        connection.send([part.numpy() for part in Case.random(9, 8, 20, 2, 16).results(True)])  # type: ignore[attr-defined]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_computes_the_same(path: str) -> None:
    own = Case.random(9, 8, 20, 2, 16).results(True)
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_in_a_child, args=(path, theirs))
    child.start()
    assert ours.poll(60)
    found = ours.recv()
    child.join()
    assert all(np.array_equal(one.numpy(), other) for one, other in zip(own, found, strict=True))


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 1), (97, 33, 5), (300, 70, 130), (2, 3, 100, 64, 65)], ids=str)
def test_a_linear_map_is_torchs(path: str, shape: tuple[int, ...], relu: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    *rows, inputs, outputs = shape
    sizes = ((*rows, inputs), (outputs, inputs), (outputs,), (*rows, outputs))
    *given, weights = (torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes)

    def results(dtype: torch.dtype) -> list[Tensor]:
        parts = [part.to(dtype).requires_grad_() for part in given]
        if dtype == torch.float32:
            y = kernel.dense(*parts, relu)
        else:
            y = torch.nn.functional.linear(*parts)
            y = y.relu() if relu else y
        return [y.detach(), *torch.autograd.grad((y * weights).sum(), parts)]

    assert_close(results(torch.float32), results(torch.float64), 1e-5)


# How it is built.


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and nothing remembered of what was chosen before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library._choose.cache_clear()
    yield tmp_path / "backcast" / "kernel"
    library._choose.cache_clear()


def built() -> Path:
    return build.library("portable", library.FLAGS["portable"], "this processor")


def test_it_is_built_once_for_source_flags_and_processor(cache: Path) -> None:
    first = built()
    before = first.stat().st_mtime_ns
    assert built() == first and first.stat().st_mtime_ns == before
    assert build.library("portable", library.FLAGS["portable"], "another processor") != first
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert {path.suffix for path in cache.iterdir()} <= {".so", ".sha256", ".lock"}


def test_a_corrupt_library_is_built_again(cache: Path) -> None:
    path = built()
    good = path.read_bytes()
    path.write_bytes(good[:1000])
    assert built() == path and len(path.read_bytes()) == len(good)
    path.with_suffix(".sha256").unlink()
    assert built() == path and path.with_suffix(".sha256").exists()


def test_a_library_that_others_can_write_is_refused(cache: Path) -> None:
    path = built()
    path.chmod(0o722)
    with pytest.raises(build.BuildError, match="others can write"):
        built()
    path.chmod(0o700)
    cache.chmod(0o777)
    with pytest.raises(build.BuildError, match="others can write"):
        built()


def test_a_link_in_place_of_the_library_is_refused(cache: Path, tmp_path: Path) -> None:
    path = built()
    other = tmp_path / "other.so"
    path.rename(other)
    path.symlink_to(other)
    with pytest.raises(build.BuildError, match="does not belong"):
        built()


def test_two_processes_at_once_build_it_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = next(filter(None, map(shutil.which, build.COMPILERS)))
    monkeypatch.setenv("CXX", compiler(tmp_path, f'echo built >> "{tmp_path}/count"; exec {real} "$@"'))
    code = "from backcast.kernel import library as l, build; print(build.library('portable', l.FLAGS['portable'], 'p'))"
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    found = {child.communicate(timeout=120)[0].strip() for child in children}
    assert len(found) == 1 and Path(found.pop()).exists()
    assert all(child.returncode == 0 for child in children)
    assert (tmp_path / "count").read_text().split() == ["built"]


def test_without_a_compiler_nn_lstm_takes_its_place_and_says_so(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.warns(kernel.KernelWarning, match=r"nn\.LSTM.*no C\+\+ compiler"):
        assert kernel.description().startswith("off")
    encoder = EmbeddedLSTM(Embedding(0, 1, 4), 4)
    assert encoder(torch.zeros(2, 3, 1), encoder.zero_state(2))[0].shape == (2, 3, 4)


def compiler(folder: Path, body: str) -> str:
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_a_compiler_that_fails_or_hangs_is_given_up(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", compiler(tmp_path, "echo 'lstm.cpp:1: error: no such luck' >&2; exit 1"))
    with pytest.raises(build.BuildError, match="error: no such luck"):
        built()
    monkeypatch.setenv("CXX", compiler(tmp_path, "exec sleep 60"))
    monkeypatch.setattr(build, "BUILD_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(build.BuildError, match="did not finish"):
        built()
    assert time.monotonic() - began < 20
    monkeypatch.setenv("CXX", "/nowhere/c++")
    with pytest.raises(build.BuildError, match="cannot be run"):
        built()
    monkeypatch.setenv("CXX", 'g++ "')
    with pytest.raises(build.BuildError, match="is no command"):
        built()
    monkeypatch.setenv(
        "CXX", compiler(tmp_path, 'while [ "$1" != -o ]; do shift; done; echo nonsense > "$2"')
    )
    with pytest.warns(kernel.KernelWarning, match="cannot be loaded"):
        assert kernel.description().startswith("off")
    monkeypatch.delenv("CXX")
    monkeypatch.setattr(build, "BUILD_SECONDS", 120.0)
    library._choose.cache_clear()
    assert kernel.description().startswith(PATHS[0])  # what could not be loaded is not kept


def test_a_library_that_cannot_be_loaded_is_built_again_at_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, tries = library.ctypes.CDLL, iter((False, True, False, False))

    def load(path: str) -> Any:
        if next(tries):
            return plain(path)
        raise OSError("of another system")

    monkeypatch.setattr(library.ctypes, "CDLL", load)
    assert kernel.description().startswith(PATHS[0])
    monkeypatch.setattr(Path, "unlink", read_only)
    library._choose.cache_clear()
    with pytest.warns(kernel.KernelWarning, match="of another system"):
        assert kernel.description().startswith("off")


def read_only(*given: Any, **options: Any) -> None:
    raise OSError(30, "Read-only file system")


def test_a_cache_that_cannot_be_written_is_said(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(kernel.KernelWarning, match="XDG_CACHE_HOME"):
        assert kernel.description().startswith("off")


def test_an_unknown_kernel_or_one_that_cannot_be_had_is_an_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="it is one of auto, avx512"), kernel.using("avx1024"):
        pass
    monkeypatch.setattr(library, "available", lambda: ["portable"])
    with pytest.raises(InputError, match="cannot run it"), kernel.using("avx512"):
        pass
    monkeypatch.setenv("CXX", "/nowhere/c++")
    with pytest.raises(InputError, match="cannot be run"), kernel.using("portable"):
        pass
    monkeypatch.setenv("BACKCAST_KERNEL", "fast")
    assert main(["doctor"]) == 2
    assert "BACKCAST_KERNEL=fast" in capsys.readouterr().err


def test_doctor_says_what_is_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with kernel.using("off"):
        assert main(["doctor"]) == 0
        assert "kernel     none" in capsys.readouterr().out
    with kernel.using(PATHS[0]):
        assert main(["doctor"]) == 0
        found = capsys.readouterr().out
    assert f"kernel     {PATHS[0]}: asked for" in found and "with nn.LSTM to" in found
