"""From C++ to a shared library, once per user and machine, in a cache that nobody else can write.

What is loaded runs with the user's rights. So the cache's own folder and the library must belong to the user and be
writable by nobody else (the folders above are the user's responsibility), and the library must have the checksum that
was noted when it was built.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from backcast.files import cache_home, file_checksum

HERE = Path(__file__).parent
SOURCES = (HERE / "lstm.cpp", HERE / "decode.cpp", HERE / "dense.cpp")
HEADERS = (HERE / "layer.h", HERE / "vector.h")
COMMON = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC", "-pthread")
COMPILERS = ("c++", "g++", "clang++")
BUILD_SECONDS = 120.0  # it takes about 3; a compiler that hangs must not hang us


class BuildError(Exception):
    """Why there is no library, in one line."""


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/backcast/kernel`, by default under `~/.cache`."""
    try:
        return cache_home() / "backcast" / "kernel"
    except RuntimeError:
        raise BuildError("this user has no home; set XDG_CACHE_HOME to a folder of yours") from None


def library(name: str, flags: tuple[str, ...], processor: str) -> Path:
    """The library built from `SOURCES` with `flags`, from the cache or newly built.

    Raises BuildError where there is no compiler, it fails or hangs, or the cache cannot be trusted or written.
    """
    if not hasattr(os, "getuid"):
        raise BuildError("it is built on Linux and macOS only")
    folder = cache_folder()
    _make(folder)
    texts = [path.read_bytes() for path in (*SOURCES, *HEADERS)]
    asked = os.environ.get("CXX", "")
    parts = [*texts, " ".join(COMMON + flags).encode(), processor.encode(), asked.encode(errors="replace")]
    key = hashlib.sha256(b"\0".join(parts))
    path = folder / f"lstm-{name}-{key.hexdigest()[:16]}.so"
    if _is_good(path):
        return path
    try:
        with FileLock(path.with_suffix(".lock"), timeout=BUILD_SECONDS + 10):
            if not _is_good(path):  # another process may have built it while we waited
                _build(path, flags)
    except Timeout:
        raise BuildError(
            f"{path.with_suffix('.lock')}: another process has been building for too long"
        ) from None
    except OSError as error:
        raise BuildError(
            f"{folder}: cannot be written: {error.strerror}; set XDG_CACHE_HOME to a folder of yours"
        ) from None
    return path


def forget(path: Path) -> None:
    """Makes sure that a library that cannot be loaded is built again, if the cache can be written."""
    with suppress(OSError):
        path.with_suffix(".sha256").unlink(missing_ok=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BuildError(
            f"{folder}: cannot be made: {error.strerror}; set XDG_CACHE_HOME to a folder of yours"
        ) from None
    _require_own(folder)


def _require_own(path: Path) -> None:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) or found.st_uid != os.getuid():
        raise BuildError(f"{path}: does not belong to this user; remove it or set XDG_CACHE_HOME")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BuildError(f"{path}: others can write it; say chmod go-w, or set XDG_CACHE_HOME")


def _is_good(path: Path) -> bool:
    """Is there a library with the checksum that was noted? Raises BuildError where it is not ours."""
    noted = path.with_suffix(".sha256")
    try:
        _require_own(path)
        _require_own(noted)
        return noted.read_text(encoding="ascii").strip() == file_checksum(path)
    except (OSError, ValueError):
        return False


def compiler() -> str | None:
    """The C++ compiler's command: CXX, else the first that the system has."""
    return os.environ.get("CXX") or next(filter(None, map(shutil.which, COMPILERS)), None)


def _build(path: Path, flags: tuple[str, ...]) -> None:
    command = compiler()
    if command is None:
        raise BuildError("there is no C++ compiler (c++, g++ or clang++)")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        try:
            whole = [*shlex.split(command), *COMMON, *flags, *map(str, SOURCES), "-o", str(made)]
            done = subprocess.run(whole, capture_output=True, text=True, timeout=BUILD_SECONDS)
        except subprocess.TimeoutExpired:
            raise BuildError(f"{command} did not finish within {BUILD_SECONDS:.0f} s") from None
        except OSError as error:
            raise BuildError(f"{command}: cannot be run: {error.strerror}") from None
        except ValueError as error:
            raise BuildError(f"{command}: is no command: {error}") from None
        if done.returncode or not made.exists():
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise BuildError(
                f"{command} failed: {next((line for line in lines if 'error' in line), lines[0])[:200]}"
            )
        made.chmod(0o700)
        checksum = file_checksum(made)
        noted = path.with_suffix(".sha256")
        noted.unlink(missing_ok=True)  # a library without its checksum counts as none
        os.replace(made, path)
        new = Path(folder) / "sha256"
        new.write_text(checksum, encoding="ascii")
        new.chmod(0o600)
        os.replace(new, noted)
