"""One process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from backcast.errors import InputError


def held_beside(file: Path, name: str) -> AbstractContextManager[None]:
    """`held`, by a lock beside a file that is replaced when it is written: `.FILE.lock`. A link to it is followed."""
    target = file.resolve()
    return held(target.with_name(f".{target.name}.lock"), name)


@contextmanager
def held(file: Path, name: str) -> Iterator[None]:
    """Holds the lock `file`, whose folder is made. Raises InputError, which `name` begins, where another process holds it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file, timeout=0)
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{name}: another process is at work in it; wait until it has ended, or name another place"
        ) from None
    except OSError as error:
        raise InputError(f"{name}: cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()  # the file stays: another process may hold it by now, and would lose it
