"""One cell of a table, or one small file, as a row's elements."""

from __future__ import annotations

import io
import json
import re
import reprlib
import warnings
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from backcast.data.sequences import Picture
from backcast.data.store.writer import Elements
from backcast.errors import InputError

NUMBERS = (int, float, np.integer, np.floating)
# What `str` makes of a list of NumPy's numbers, an array, a tensor; and of a tuple.
PRINTED = re.compile(r"\b(np\.\w+|numpy\.\w+|array|tensor|Decimal|Timestamp)\(['\d\[.-]")
TUPLE = re.compile(r"\([^()]*,[^()]*\)")
MISSING_WORDS = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})


def numbers(words: Sequence[str]) -> NDArray[Any] | None:
    """Words as int64, or as float64 if one is missing or not whole; None if one is no number."""
    stripped = [word.strip() for word in words]
    known = [None if word.lower() in MISSING_WORDS else word for word in stripped]
    try:
        column = pa.array(known, pa.string())
        found = column.cast(pa.float64())  # first: as whole numbers Arrow would also read 0x1f
    except (pa.ArrowInvalid, UnicodeEncodeError):  # the latter for lone surrogates, which JSON can bring
        return None
    try:
        whole = found if column.null_count else column.cast(pa.int64())
    except pa.ArrowInvalid:
        whole = found
    return whole.to_numpy(zero_copy_only=False)


def dates(words: list[str]) -> tuple[str, NDArray[np.int64] | None]:
    """Whether dates have a time zone, and their microseconds; None where they are no dates, or mixed."""
    for name, kind in (("date", pa.timestamp("us")), ("date with a time zone", pa.timestamp("us", "UTC"))):
        try:
            return name, pa.array(words).cast(kind).cast(pa.int64()).to_numpy(zero_copy_only=False)
        except (pa.ArrowInvalid, UnicodeEncodeError):
            continue
    return "", None


def have_decimal_commas(words: Sequence[str]) -> bool:
    """Whether words would all be numbers (or missing) if their commas were points."""
    return numbers([word.replace(",", ".") for word in words]) is not None


def first_no_number(words: Sequence[str]) -> int:
    """The place of the first word that is no number."""
    return next(i for i, word in enumerate(words) if numbers([word]) is None)


def parse_list(text: str, kind: str, table: str, place: str) -> Elements:
    """A list written in a field: `1 2.5 3`, `[1, 2]`, `1;2`, `[[1, 2], [3, 4]]`, or words in the same forms."""
    text = text.strip()
    if kind != "symbols" and (printed := PRINTED.search(text)):
        raise InputError(
            f"{table}: {place} holds {printed[0]!r}, as Python prints its objects; save the numbers themselves, as 1,2.5,3"
        )
    if kind != "symbols" and TUPLE.fullmatch(text) and numbers(text[1:-1].strip(", ").split(",")) is not None:
        text = text[1:-1].strip(", ")
    if text.startswith(("[[", '["', "['")) and text.endswith("]"):
        try:
            found = json.loads(text.replace("'", '"') if text.startswith("['") else text)
        except (ValueError, RecursionError):
            raise InputError(f"{table}: {place}: {text[:40]!r} is no list that can be read") from None
        return from_list(found, kind, table, place)
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    separator = next((mark for mark in (",", ";") if mark in text), None)
    words = [word.strip() for word in text.split(separator)] if separator else text.split()
    if not words or (len(words) == 1 and not words[0]):
        raise InputError(f"{table}: {place} is empty; a row needs at least one step")
    return from_words(words, kind, table, place)


def from_words(words: list[str], kind: str, table: str, place: str) -> Elements:
    """Numbers if the first word that is not missing is one (then all must be), else the words themselves.

    Always words for `symbols`; never if only decimal commas keep them from being numbers.
    """
    found = None if kind == "symbols" else numbers(words)
    if found is not None:
        return found
    known = (word for word in words if word.strip().lower() not in MISSING_WORDS)
    if kind != "symbols" and (
        kind == "real" or numbers([*islice(known, 1)]) is not None or have_decimal_commas(words)
    ):
        step = first_no_number(words)
        raise InputError(f"{table}: {place}, step {step} is {words[step][:40]!r}, not a number")
    if "" in words:
        raise InputError(
            f"{table}: {place}, step {words.index('')} is empty; a missing word needs a name of its own, and a list ends without a separator"
        )
    return words


def from_list(values: Any, kind: str, table: str, place: str) -> Elements:
    """A list of numbers, of words, or of lists of numbers (steps of several channels)."""
    if not isinstance(values, (list, tuple)):
        raise InputError(f"{table}: {place} holds {shown(values)} ({type(values).__name__}), not a list")
    if not len(values):
        raise InputError(f"{table}: {place} is empty; a row needs at least one step")
    if all(isinstance(value, str) for value in values):
        return list(values)
    if all(value is None or isinstance(value, str) for value in values) and any(values):
        raise InputError(
            f"{table}: {place}, step {list(values).index(None)} is missing; a missing word needs a name of its own"
        )
    rows = values if isinstance(values[0], (list, tuple)) else [values]
    width = len(values[0]) if isinstance(values[0], (list, tuple)) else len(values)
    for step, row in enumerate(rows):
        if not isinstance(row, (list, tuple)) or len(row) != width:
            raise InputError(
                f"{table}: {place}, step {step} does not hold {width} numbers, as the steps before it do"
            )
        for number, value in enumerate(row):
            if value is not None and (isinstance(value, bool) or not isinstance(value, NUMBERS)):
                step = step if rows is values else number
                raise InputError(f"{table}: {place}, step {step} is {shown(value)}, not a number")
    try:
        has_missing = any(value is None for row in rows for value in row)
        found = np.array(values, dtype=np.float64) if has_missing else np.array(values)
        return found.astype(np.float64) if found.dtype == object else found  # whole numbers beyond 64 bits
    except (OverflowError, ValueError, TypeError):
        raise InputError(f"{table}: {place} holds numbers that cannot be read") from None


def shown(value: Any) -> str:
    """A value as messages show it: short, and without descending into deeply nested lists."""
    return reprlib.repr(value)


# Other formats are not read: Pillow hands PostScript to a program that runs it.
PICTURES = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")


class Pictures:
    """Decodes pictures, one pixel per step, line by line; all of one size, or scaled to side × side.

    rgb  grey pictures become RGB, too: three channels throughout
    """

    def __init__(self, side: int | None, rgb: bool = False) -> None:
        self.side, self.rgb = side, rgb
        self.picture: Picture | None = None

    def decode(self, content: bytes, table: str, place: str) -> NDArray[np.uint8]:
        """(height · width, 1 or 3): grey or RGB. Raises InputError for what is no picture, or differs in size."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(io.BytesIO(content), formats=PICTURES) as image:
                    if image.mode.startswith(("I", "F")):  # Pillow would make everything above 255 white
                        raise ValueError("more than 8 bits a channel; save it with 8, or as .npy")
                    _require_whole(image)
                    grey = not self.rgb and image.mode in ("1", "L")
                    upright = ImageOps.exif_transpose(image)  # cameras say how a picture is to be turned
                    converted = upright.convert("L" if grey else "RGB")
                    if self.side is not None:
                        converted = converted.resize((self.side, self.side), Image.Resampling.LANCZOS)
                    pixels = np.asarray(converted)
        except UnidentifiedImageError:
            raise InputError(
                f"{table}: {place} is no picture ({', '.join(PICTURES)}) and no WAV sound"
            ) from None
        except Exception as error:  # Pillow's readers raise all kinds of errors for damaged files
            raise InputError(f"{table}: {place} holds no readable picture ({str(error)[:120]})") from None
        shape = Picture(*pixels.shape[:2])
        self.picture = self.picture or shape
        if shape != self.picture:
            raise InputError(
                f"{table}: {place} is a picture of {shape.height}×{shape.width}, those before it are "
                f"{self.picture.height}×{self.picture.width}; --side N scales all to N×N"
            )
        return pixels.reshape(shape.height * shape.width, -1)


def _require_whole(image: Image.Image) -> None:
    """Raises ValueError for what three channels of 8 bits would lose."""
    if image.format != "BMP" and any(";16" in str(part.args) for part in getattr(image, "tile", ())):
        raise ValueError("more than 8 bits a channel; save it with 8, or as .npy")
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:  # whose second is a preview
        raise ValueError("several frames; save each as a picture")
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise ValueError("transparent pixels; put it on a background first")


class Sounds:
    """Decodes WAV sounds: integers or floats as they are, one step per sample; all of one rate and format."""

    def __init__(self) -> None:
        self.rate: int | None = None
        self.format: np.dtype[Any] | None = None

    def decode(self, content: bytes, table: str, place: str) -> NDArray[Any]:
        """(T, channels). Raises InputError for what is no WAV file, or differs in rate or format."""
        from scipy.io import wavfile

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks of notes, cover pictures
                if content[4:8] != b"\xff\xff\xff\xff":  # written by programs that do not know the size yet
                    warnings.filterwarnings("error", "Reached EOF prematurely", wavfile.WavFileWarning)
                rate, samples = wavfile.read(io.BytesIO(content))
        except Exception as error:  # scipy's reader raises all kinds of errors for damaged headers
            raise InputError(f"{table}: {place} holds no readable WAV sound ({str(error)[:80]})") from None
        if not samples.size:
            raise InputError(f"{table}: {place} holds no samples")
        self.rate = self.rate or rate
        if rate != self.rate:
            raise InputError(
                f"{table}: {place} has {rate} samples a second, those before it {self.rate}; resample them first"
            )
        self.format = self.format or samples.dtype
        if samples.dtype != self.format:  # 1.0 is as loud as 32,767
            raise InputError(
                f"{table}: {place} has samples of {samples.dtype}, those before it of {self.format}; save all in one format"
            )
        return samples.reshape(len(samples), -1)
