"""Stanford Dogs from its official layout, made small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from backcast.data.sources import load
from backcast.errors import InputError

FOLDERS = ("n02085620-Chihuahua", "n02085782-Japanese_spaniel", "n02091134-whippet")


def write_list(file: Path, paths: list[str], labels: list[int]) -> None:
    cells = np.empty((len(paths), 1), object)
    cells[:, 0] = paths
    savemat(file, {"file_list": cells, "annotation_list": cells, "labels": np.array(labels)[:, None]})


@pytest.fixture
def dogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three breeds: four pictures of each to train on, two to test, of different sizes; one of them grey."""
    monkeypatch.setenv("BACKCAST_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    folder = tmp_path / "data" / "stanford-dogs"
    lists: dict[str, tuple[list[str], list[int]]] = {"train": ([], []), "test": ([], [])}
    for number, breed in enumerate(FOLDERS, start=1):
        (folder / "Images" / breed).mkdir(parents=True)
        for i in range(6):
            grey = number == 2 and i == 0
            shape = (30 + i, 25) if grey else (30 + i, 25, 3)
            path = f"{breed}/{breed.split('-')[0]}_{i}.jpg"
            Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(folder / "Images" / path)
            paths, labels = lists["train" if i < 4 else "test"]
            paths.append(path)
            labels.append(number)
    for split, (paths, labels) in lists.items():
        write_list(folder / f"{split}_list.mat", paths, labels)
    return folder


def test_pictures_are_scaled_and_read_line_by_line_in_the_lists_order(dogs: Path) -> None:
    for data_dir in (dogs, dogs.parent):
        splits = load("stanford-dogs", data_dir=data_dir, side=10)
        assert splits.test is not None and (len(splits.train), len(splits.test)) == (12, 6)
        assert splits.train.classes == splits.test.classes == ("Chihuahua", "Japanese_spaniel", "whippet")
        assert splits.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        assert splits.train.channels == 3 and set(splits.train.lengths.tolist()) == {100}
    with Image.open(dogs / "Images" / str(splits.test.ids[5])) as image:
        wanted = np.asarray(image.resize((10, 10), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(splits.test.row(5), wanted.reshape(100, 3))
    grey = splits.train.row(4)
    assert (grey == grey[:, :1]).all() and grey.std() > 0


def test_lists_may_lie_in_a_folder_and_the_side_is_forty_unless_said(dogs: Path) -> None:
    (dogs / "lists").mkdir()
    for split in ("train", "test"):
        (dogs / f"{split}_list.mat").rename(dogs / "lists" / f"{split}_list.mat")
    assert load("stanford-dogs", data_dir=dogs).train.lengths[0] == 1600
    for side in (9, 129):
        with pytest.raises(InputError, match=f"--side {side}: .* from 10 to 128"):
            load("stanford-dogs", data_dir=dogs, side=side)


def test_what_is_not_there_is_named_with_what_to_fetch(dogs: Path, tmp_path: Path) -> None:
    for place in (None, tmp_path / "nothing", dogs / "Images"):
        with pytest.raises(InputError, match=r"images.tar and lists.tar from http.*--data-dir DIR"):
            load("stanford-dogs", data_dir=place)
    (dogs / "Images" / FOLDERS[2] / "n02091134_2.jpg").unlink()
    with pytest.raises(InputError, match=r"n02091134_2.jpg: is in train_list.mat .*1 of 12 pictures"):
        load("stanford-dogs", data_dir=dogs, side=10)
    (dogs / "test_list.mat").unlink()
    with pytest.raises(InputError, match=r"there is no test_list.mat in .*lists.tar"):
        load("stanford-dogs", data_dir=dogs, side=10)


@pytest.mark.parametrize(
    "path",
    ["../secret/n02085620-x/a.jpg", "/etc/n02085620-x/a.jpg", "n02085620-x/../../a.jpg", "n02085620-x/..", "x/a.jpg",
     "..\\n02085620-x\\a.jpg"],
)  # fmt: skip
def test_paths_that_lead_elsewhere_are_refused(dogs: Path, path: str) -> None:
    write_list(dogs / "train_list.mat", [f"{FOLDERS[0]}/n02085620_0.jpg", path], [1, 1])
    with pytest.raises(InputError, match=r"train_list.mat: `file_list`, entry 2 is .* below Images"):
        load("stanford-dogs", data_dir=dogs, side=10)


def test_labels_must_fit_the_folders_in_both_lists(dogs: Path) -> None:
    paths = [f"{FOLDERS[0]}/n02085620_0.jpg", f"{FOLDERS[2]}/n02091134_0.jpg"]
    for labels, message in (([1, 1], "entry 2 is 1 for n02091134-whippet, but Chihuahua had that number"),
                            ([2, 3], "test_list.mat: `labels`, entry 1 is 1 for .*, but Chihuahua had 2"),
                            ([1, 0], "numbers from 1"), ([1], "as many numbers")):  # fmt: skip
        write_list(dogs / "train_list.mat", paths, labels)
        with pytest.raises(InputError, match=message):
            load("stanford-dogs", data_dir=dogs, side=10)


def test_damaged_files_are_named(dogs: Path) -> None:
    whole = (dogs / "train_list.mat").read_bytes()
    for content in (b"", b"no mat", whole[:300]):
        (dogs / "train_list.mat").write_bytes(content)
        with pytest.raises(InputError, match=r"train_list.mat: .*fetch lists.tar again"):
            load("stanford-dogs", data_dir=dogs, side=10)
    savemat(dogs / "train_list.mat", {"something": 1})
    with pytest.raises(InputError, match="does not hold `file_list`"):
        load("stanford-dogs", data_dir=dogs, side=10)
    (dogs / "train_list.mat").write_bytes(whole)
    (dogs / "Images" / FOLDERS[1] / "n02085782_1.jpg").write_bytes(b"\xff\xd8\xff no picture")
    with pytest.raises(InputError, match=r"n02085782-Japanese_spaniel/n02085782_1.jpg is no picture"):
        load("stanford-dogs", data_dir=dogs, side=10)
