"""Captioners that transformers knows by itself, from a folder: BLIP, BLIP-2, GIT, Florence-2 and ViT with GPT-2.

Nothing is fetched, and no code that lies in a folder is run.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from PIL import Image

from ..config.documents import json_object, read_text
from ..errors import MemoryShortError, ModelError, UserError
from .base import Check, Description, first_line, over_white

CONFIG = "config.json"
DETAILS = ("short", "long", "longest")
"""How much Florence-2 is asked to say; the others know one length only."""


class _Kind(NamedTuple):
    """One kind of captioner.

    Attributes:
        model: the class in transformers.
        tasks: what a model is asked that understands only its own words, by :data:`DETAILS`.
        takes_prompt: whether the caption continues words it is given.
        tokens: how long its captions may be.
    """

    model: str
    tasks: tuple[str, ...] = ()
    takes_prompt: bool = False
    tokens: int = 75


_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "blip": _Kind("BlipForConditionalGeneration", takes_prompt=True),
        "blip-2": _Kind("Blip2ForConditionalGeneration", takes_prompt=True),
        "git": _Kind("GitForCausalLM"),
        "florence2": _Kind(
            "Florence2ForConditionalGeneration",
            ("<CAPTION>", "<DETAILED_CAPTION>", "<MORE_DETAILED_CAPTION>"),
            tokens=256,
        ),
        "vision-encoder-decoder": _Kind("VisionEncoderDecoderModel"),
    }
)
"""By the ``model_type`` of a folder's configuration."""
KINDS = tuple(_KINDS)


class LocalCaptioner:
    """A captioner that is loaded."""

    def __init__(
        self,
        folder: Path,
        device: torch.device,
        *,
        prompt: str = "",
        detail: str = DETAILS[1],
        most_tokens: int = 0,
        beams: int = 1,
    ) -> None:
        """Args:
        folder: with the configuration, the weights as safetensors, and the tokenizer.
        device: where it computes; on CUDA in half precision.
        prompt: words the caption begins with, for those kinds that continue them.
        detail: one of :data:`DETAILS`.
        most_tokens: of a caption; 0 for as many as suit the kind.
        beams: how many beginnings are followed at once; more take longer and read more smoothly.

        Raises:
            UserError: transformers cannot load it.
        """
        self._folder, self._device = folder, device
        self._kind = kind_of(folder)
        if prompt and not self._kind.takes_prompt:
            raise UserError("captioning.no_prompt", where=folder.name)
        self._text = self._kind.tasks[DETAILS.index(detail)] if self._kind.tasks else prompt
        self._options = {"max_new_tokens": most_tokens or self._kind.tokens, "num_beams": beams, "do_sample": False}
        self._processor = _processor(folder)
        self._model = _on(device, _model(folder, self._kind), folder)

    def describe(self, image: Image.Image, check: Check) -> Description:
        check()
        asked: dict[str, Any] = {"images": over_white(image), "return_tensors": "pt"}
        if self._text:
            asked["text"] = self._text
        try:
            with torch.no_grad():
                inputs = {name: self._placed(value) for name, value in self._processor(**asked).items()}
                found = self._model.generate(**inputs, **self._options, logits_processor=[_Watch(check)])
            text = self._processor.batch_decode(found, skip_special_tokens=True)[0]
        except (torch.cuda.OutOfMemoryError, MemoryError) as error:
            raise MemoryShortError("captioning.memory") from error
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise ModelError("captioning.failed", where=str(self._folder), reason=error) from error
        return Description(text=" ".join(text.split()))

    def close(self) -> None:
        self._model = self._processor = None
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _placed(self, value: torch.Tensor) -> torch.Tensor:
        is_real = value.is_floating_point()
        return value.to(self._device, next(self._model.parameters()).dtype) if is_real else value.to(self._device)


class _Watch:
    """Called at each token; changes nothing, and ends the caption where it is no longer wanted."""

    def __init__(self, check: Check) -> None:
        self._check = check

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        del input_ids
        self._check()
        return scores


def kind_named(folder: Path) -> str | None:
    """The kind that a folder's configuration states, if it is one of those that are known here."""
    try:
        name = json_object(read_text(folder / CONFIG), str(folder / CONFIG)).get("model_type")
    except UserError:  # none, or none that can be read: it is no folder of ours
        return None
    return name if isinstance(name, str) and name in _KINDS else None


def kind_of(folder: Path) -> _Kind:
    """Which captioner a folder holds.

    Raises:
        ModelError: none that is known here, or one that brings code of its own.
    """
    name = kind_named(folder)
    if name is None:
        raise ModelError("captioning.unknown_kind", where=str(folder), known=KINDS)
    if "auto_map" in json_object(read_text(folder / CONFIG), str(folder / CONFIG)):
        raise ModelError("captioning.own_code", where=str(folder))
    if not any(folder.glob("*.safetensors")):
        raise ModelError("captioning.no_safetensors", where=str(folder))
    return _KINDS[name]


def _processor(folder: Path) -> Any:
    """What turns an image and words into numbers, and numbers into words."""
    import transformers

    where = {"local_files_only": True, "trust_remote_code": False}
    try:
        found = transformers.AutoProcessor.from_pretrained(folder, **where)
        if hasattr(found, "image_processor") and hasattr(found, "tokenizer"):
            return found
        # A kind without a processor of its own: what came is one half of it.
        image = transformers.AutoImageProcessor.from_pretrained(folder, **where)
        return _Pair(image, transformers.AutoTokenizer.from_pretrained(folder, **where))
    except Exception as error:  # whatever a broken folder brings about in transformers
        raise ModelError("captioning.not_loaded", where=str(folder), reason=first_line(error)) from error


class _Pair:
    """An image processor and a tokenizer as one."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        self._image_processor, self._tokenizer = image_processor, tokenizer

    def __call__(self, **asked: Any) -> Any:
        return self._image_processor(**asked)

    def batch_decode(self, *tokens: Any, **options: Any) -> Any:
        return self._tokenizer.batch_decode(*tokens, **options)


def _model(folder: Path, kind: _Kind) -> Any:
    import transformers

    made = getattr(transformers, kind.model, None)
    if made is None:
        raise UserError("captioning.too_old", where=folder.name, version=transformers.__version__, kind=kind.model)
    try:
        model, told = made.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except MemoryError as error:
        raise MemoryShortError("captioning.memory") from error
    except Exception as error:  # whatever a broken folder brings about in transformers
        raise ModelError("captioning.not_loaded", where=str(folder), reason=first_line(error)) from error
    lacking = _lacking(model, told)
    if lacking:
        raise ModelError("captioning.weights_missing", where=str(folder), name=lacking[0], count=len(lacking))
    return model.eval()


def _lacking(model: torch.nn.Module, told: Mapping[str, Any]) -> list[str]:
    """The weights that are not from the file, and are not the same tensor as one that is."""
    missing = {*told["missing_keys"], *(each[0] for each in told["mismatched_keys"])}
    weights = dict(model.named_parameters(remove_duplicate=False))
    there = {id(weight) for name, weight in weights.items() if name not in missing}
    return sorted(name for name, weight in weights.items() if name in missing and id(weight) not in there)


def _on(device: torch.device, model: Any, folder: Path) -> Any:
    try:
        return model.to(device, torch.float16 if device.type == "cuda" else torch.float32)
    except (torch.cuda.OutOfMemoryError, MemoryError) as error:
        raise MemoryShortError("captioning.memory") from error
    except RuntimeError as error:
        raise ModelError("captioning.not_loaded", where=str(folder), reason=first_line(error)) from error
