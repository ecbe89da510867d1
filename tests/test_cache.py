"""Imports that are cut short, run twice at once, or meet a disk that cannot be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from backcast import load
from backcast.cli import main
from backcast.data.forms import arrays
from backcast.data.sequences import Sequences
from backcast.data.store import cache, cache_entries, stored
from backcast.data.store.writer import RowWriter
from backcast.errors import InputError
from backcast.kernel import build

SLOW_IMPORT = """
import sys, time
from pathlib import Path
import numpy as np
from backcast.data.store.cache import import_rows

def read(writer):
    print("begun", flush=True)
    for i in range(20):
        writer.add(np.full((200_000, 1), i, np.uint8), i % 2)
        time.sleep(float(sys.argv[2]))

rows = import_rows("slow", [Path(sys.argv[1])], {}, read, dtype="u1", kind="real")
print(len(rows), int(rows.row(19)[0, 0]), flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BACKCAST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").write_text("1 2 3")
    return tmp_path / "source"


def rows_of(source: Path, read: object = None) -> Sequences:
    def one(writer: RowWriter) -> None:
        writer.add(np.arange(3.0), "a")

    return cache.import_rows("rows", [source], {}, read or one)  # type: ignore[arg-type]


def never(writer: RowWriter) -> None:
    raise AssertionError("it is in the cache")


def slow(source: Path, pause: float) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", SLOW_IMPORT, str(source), str(pause)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_a_killed_import_is_not_used_and_cleaned(folder: Path, source: Path) -> None:
    killed = slow(source, 30)
    assert killed.stdout is not None and killed.stdout.readline() == "begun\n"
    (part,) = folder.glob("*.part-*")
    (folder / "notes").mkdir()
    assert cache_entries.clean() == (0, 0, 0) and part.exists()  # it is under way
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    assert not cache_entries.entries()
    assert cache_entries.clean(older_than_days=9).remains == 1
    assert [path.name for path in folder.iterdir()] == ["notes"]


def test_the_next_import_removes_what_a_killed_one_left(folder: Path, source: Path) -> None:
    rows_of(source)
    (entry,) = cache_entries.entries()
    left = entry.folder.with_suffix(".part-1")
    entry.folder.rename(left)
    assert not cache_entries.entries()
    rows_of(source)
    assert not left.exists() and len(cache_entries.entries()) == 1


def test_two_imports_at_once_are_one(folder: Path, source: Path) -> None:
    both = [slow(source, 0.02) for _ in range(2)]
    told = [process.communicate()[0].split("\n") for process in both]
    assert sorted(len(lines) for lines in told) == [2, 3]  # only one of them read
    assert all(lines[-2] == "20 19" for lines in told) and len(cache_entries.entries()) == 1
    assert not list(folder.glob("*.part-*"))


def test_an_entry_that_is_deleted_while_another_waits_is_imported_anew(folder: Path, source: Path) -> None:
    rows_of(source)
    (entry,) = cache_entries.entries()
    found: list[Sequences] = []
    with FileLock(entry.folder.with_suffix(".lock")):
        cache.remove(entry.folder)
        waiting = threading.Thread(target=lambda: found.append(rows_of(source)))
        waiting.start()
        time.sleep(0.2)
        assert not found
        entry.folder.with_suffix(".lock").unlink()
    waiting.join()
    assert found[0].row(0).tolist() == [[0], [1], [2]] and len(cache_entries.entries()) == 1


def test_rows_in_use_outlive_their_entry_and_cleaning_counts(folder: Path, source: Path) -> None:
    rows = rows_of(source)
    (entry,) = cache_entries.entries()
    assert entry.rows == 1 and entry.sources == [str(source)] and entry.size > 24
    assert cache_entries.clean(older_than_days=1) == (0, 0, 0)
    assert cache_entries.clean() == (1, 0, entry.size)
    assert not any(folder.glob("*.*")) and rows.row(0).tolist() == [[0], [1], [2]]


@pytest.mark.parametrize("file", [stored.META, stored.ROWS, stored.VALUES])
def test_an_entry_that_is_not_whole_is_imported_anew(folder: Path, source: Path, file: str) -> None:
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])):
        rows_of(source)
        (entry,) = folder.glob("*/" + stored.META)
        damage(entry.parent / file)
        assert rows_of(source).row(0).tolist() == [[0], [1], [2]]
    (entry.parent / stored.META).unlink()
    assert cache_entries.clean().remains == 1


def test_a_note_of_a_checksum_that_is_damaged_is_not_believed(
    folder: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_of(source)
    assert not (
        folder / "checksums"
    ).exists()  # the file was written a moment ago and may change again unseen
    monkeypatch.setattr("backcast.data.store.cache.SETTLED", 0)
    rows_of(source)
    (note,) = (folder / "checksums").iterdir()
    for content in (b"", b"0" * 63, b"\xff"):
        note.write_bytes(content)
        rows_of(source, never)


def test_a_disk_that_fills_up_is_told_in_one_line_and_left_clean(
    folder: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"cannot be kept there \(No space left on device\); make room"):
        rows_of(source)
    assert not [path for path in folder.iterdir() if path.is_dir() and path.name != "checksums"]


def test_a_source_that_cannot_be_read_is_not_blamed_on_the_cache(folder: Path, source: Path) -> None:
    def vanished(writer: RowWriter) -> None:
        source.with_name("gone").read_bytes()

    with pytest.raises(InputError, match="gone: cannot be read: No such file"):
        rows_of(source, vanished)


def test_a_cache_that_cannot_be_made_or_written(
    folder: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_text("a file")
    with pytest.raises(InputError, match="name another folder in BACKCAST_CACHE"):
        rows_of(source)
    folder.unlink()
    rows_of(source)

    def read_only(*arguments: object, **more: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", read_only)
    monkeypatch.setattr(cache, "FileLock", read_only)
    rows_of(source, never)  # what is there is read without a lock
    source.write_text("other")
    with pytest.raises(InputError, match="Read-only file system"):
        rows_of(source)


def test_a_file_that_changes_while_it_is_read_is_not_kept(folder: Path, source: Path) -> None:
    def changing(writer: RowWriter) -> None:
        source.write_text("4 5 6 7")
        writer.add(np.arange(4.0), "a")

    with pytest.raises(InputError, match="was changed while it was read"):
        rows_of(source, changing)
    source.write_text("1 2 3")
    assert rows_of(source).row(0).ravel().tolist() == [0, 1, 2]


def test_an_archive_that_is_replaced_while_it_is_open_is_not_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, column = tmp_path / "x.npz", arrays._Member.column

    def replaced(member: arrays._Member, count: int) -> Any:
        found = column(member, count)
        np.savez(tmp_path / "new.npz", x=np.full((2, 5), 2.0), y=[0, 1])
        os.replace(tmp_path / "new.npz", path)
        return found

    np.savez(path, x=np.ones((2, 5)), y=[0, 1])
    with monkeypatch.context() as patched, pytest.raises(InputError, match="was changed while it was read"):
        patched.setattr(arrays._Member, "column", replaced)
        load(path)
    assert load(path).train.values[0, 0] == 2.0


def test_the_cache_may_lie_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKCAST_CACHE", "~/kept")
    assert cache.cache_folder() == Path.home() / "kept"
    monkeypatch.delenv("BACKCAST_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/kept")
    assert cache.cache_folder() == Path.home() / "kept" / "backcast" / "data"
    assert build.cache_folder() == Path.home() / "kept" / "backcast" / "kernel"


def test_a_user_without_a_home_names_another_place(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for name in ("HOME", "XDG_CACHE_HOME", "BACKCAST_CACHE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"has no home .* name a folder in BACKCAST_CACHE"):
        rows_of(source)
    assert main(["cache"]) == 2 and capsys.readouterr().err.count("\n") == 1
    with pytest.raises(build.BuildError, match="set XDG_CACHE_HOME"):
        build.cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert len(rows_of(source)) == 1 and (tmp_path / "backcast" / "data").is_dir()
