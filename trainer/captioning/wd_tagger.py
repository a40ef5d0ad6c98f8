"""Taggers of the WD14 kind: an ONNX file with a table of its tags.

The format is that of SmilingWolf's taggers: one input of (n, size, size, 3), BGR, float32 from 0 to 255, the image in
the middle of a white square; one output of (n, tags), the probability of each row of ``selected_tags.csv``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..config.documents import read_text
from ..config.values import shown
from ..errors import DataError, MemoryShortError, ModelError, UserError
from .base import CHARACTER, GENERAL, RATING, Check, Description, Tag, first_line, over_white

TABLE = "selected_tags.csv"
_MOST_BYTES = 64 * 2**20
_CATEGORIES = {"9": RATING, "4": CHARACTER}
"""Danbooru's numbers; 0 is a general tag, and artists, copyrights and meta tags count as such."""
_CHANNELS = 3
_LONGEST_SIDE = 4096
"""Pixels; what is longer is scaled down before it becomes a square."""
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class WdTagger:
    """A tagger that is loaded."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Args:
        folder: with the ONNX file and the table.
        device: where it computes; on anything but CUDA, and without the package for that, on the CPU.

        Raises:
            UserError: onnxruntime is not installed, or the files are no such tagger.
        """
        self._model = model_file(folder)
        self._tags = read_table(folder / TABLE)
        self._session = _session(self._model, device)
        self._input, self._size = self._checked_input()

    def describe(self, image: Image.Image, check: Check) -> Description:
        check()
        scores = self._scores(prepared(image, self._size))
        if len(scores) != len(self._tags):
            raise ModelError(
                "captioning.other_count", where=str(self._model), file=TABLE, rows=len(self._tags), count=len(scores)
            )
        named = zip(self._tags, scores.tolist(), strict=True)
        return Description(tags=tuple(Tag(name, score, category) for (name, category), score in named))

    def close(self) -> None:
        self._session = None

    def _scores(self, pixels: np.ndarray) -> np.ndarray:
        """The probabilities of all tags, float64 of shape (tags,)."""
        try:
            found = np.asarray(self._session.run(None, {self._input: pixels})[0], dtype=np.float64).reshape(-1)
        except MemoryError as error:
            raise MemoryShortError("captioning.memory") from error
        except Exception as error:  # onnxruntime has kinds of its own, which share no base
            if "alloc" in str(error).lower():
                raise MemoryShortError("captioning.memory") from error
            raise ModelError("captioning.onnx_failed", where=str(self._model), reason=first_line(error)) from error
        if not np.isfinite(found).all():
            raise ModelError("captioning.not_a_number", where=str(self._model))
        if found.min(initial=0.0) < 0 or found.max(initial=0.0) > 1:  # exported without its last layer
            found = 1 / (1 + np.exp(-found))
        return found

    def _checked_input(self) -> tuple[str, int]:
        """The input's name, and the side of the square it takes."""
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape)
        is_square = len(shape) == 4 and shape[3] == _CHANNELS and isinstance(shape[1], int) and shape[1] == shape[2]
        if len(inputs) != 1 or not is_square or shape[1] < 1 or inputs[0].type != "tensor(float)":
            raise ModelError("captioning.other_input", where=str(self._model), shape=shown(shape))
        return inputs[0].name, shape[1]


def model_file(folder: Path) -> Path:
    """The ONNX file of a tagger's folder.

    Raises:
        ModelError: there is none, or several of which none is called ``model.onnx``.
    """
    found = onnx_files(folder)
    named = [path for path in found if path.name.lower() == "model.onnx"]
    if not found:
        raise ModelError("captioning.no_onnx", where=str(folder))
    if len(found) > 1 and not named:
        raise ModelError("captioning.several_onnx", where=str(folder), names=[path.name for path in found])
    return (named or found)[0]


def onnx_files(folder: Path) -> list[Path]:
    """The ONNX files of a folder; none if it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".onnx" and path.is_file())
    except OSError:
        return []


def read_table(path: Path) -> Sequence[tuple[str, str]]:
    """The name and the category of each tag, in the order of the model's output.

    Raises:
        UserError: there is no such file, or it lacks the columns ``name`` and ``category``.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path, _MOST_BYTES)), strict=True))
        found = [(row["name"], _CATEGORIES.get(row["category"].strip(), GENERAL)) for row in rows]
    except (csv.Error, KeyError, AttributeError) as error:
        raise DataError("captioning.bad_table", where=str(path)) from error
    if not found:
        raise DataError("captioning.bad_table", where=str(path))
    return found


def prepared(image: Image.Image, size: int) -> np.ndarray:
    """An image as the tagger takes it: float32 of shape (1, size, size, 3), BGR, 0 to 255.

    Args:
        image: RGBA; what is transparent becomes white, as the border does.
        size: pixels.
    """
    if max(image.size) > _LONGEST_SIDE:
        image = image.copy()
        image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    side = max(image.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(over_white(image), ((side - image.width) // 2, (side - image.height) // 2))
    if side != size:
        square = square.resize((size, size), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(square, dtype=np.float32)[None, :, :, ::-1])


def _session(path: Path, device: torch.device) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        package = "onnxruntime-gpu" if device.type == "cuda" else "onnxruntime"
        raise UserError("captioning.needs_package", what=path.parent.name, package=package, reason=error) from error
    on_cuda = device.type == "cuda" and _CUDA in onnxruntime.get_available_providers()
    cuda: Any = (_CUDA, {"device_id": device.index or 0})
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors: it warns of what it optimises
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[*([cuda] if on_cuda else []), _CPU])
    except Exception as error:  # kinds of its own, which share no base
        raise ModelError("captioning.onnx_broken", where=str(path), reason=first_line(error)) from error
