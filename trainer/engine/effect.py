"""What a LoRA changes: how much of the weights, and what is seen of it at several strengths."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from ..config.choices import MODES
from ..config.settings import Settings
from ..errors import OutputError, Stopped, UserError
from ..job import Change, Control, Effect, Listener, Phase, Warned
from ..models.base import Bundle, Family
from ..models.image_spec import ImageSpec
from ..models.placement import device_of, text_on
from ..models.sample import decoded, is_black, sample
from ..networks.base import Adapter, Network
from ..networks.files.picture import write_picture
from ..networks.files.read import network_from_file
from ..networks.files.texts import plain
from ..paths import write_whole
from ..reports.effect import text_of
from ..text.messages import Message, message
from .asked.images import IMAGES, Images, Question
from .plan import saves_memory
from .sheet import Row, in_columns, row_height, sheet

STRENGTHS = (-1.0, 0.0, 1.0)
TOO_SMALL = 1e-4
"""Relative change of the weights below which half precision, in which hosts add LoRAs, rounds most of it away."""
TOO_LARGE = 1.0
"""The same, from which the update is more than the weights themselves."""
SAME = 0.01
"""Mean difference in levels of 255 up to which two images count as the same."""
LITTLE = 0.5
"""The same, up to which hardly anything is seen, unless it is a very small thing: measured on runs of a few steps."""
LORA_KEY, PROMPT_KEY, WORDS_KEY, ROW_KEY = "lora", "prompt", "asked", "row"
"""Under which the strip's file says what it shows: the name that the LoRA has in itself, the prompt, whether it does
what was asked, a line of JSON for each sentence, and how many pixels high its first row is, the LoRA at all
strengths."""
WORDS = "effect.txt"
"""The file beside the strip that has what was found in words."""
_PHASE = message("phase.measuring_effect")


def strength_grid(
    bundle: Bundle,
    network: Network,
    requests: Sequence[ImageSpec],
    strengths: Sequence[float],
    *,
    check: Callable[[], None] = lambda: None,
) -> list[list[Image.Image]]:
    """Images ``[request][strength]``; the network is attached only while they are made.

    Args:
        check: called before every denoising step; raises to stop.
    """
    columns = []
    with network.attached():
        for strength in strengths:
            network.strength = strength
            columns.append(sample(bundle, requests, check=check))
    return [list(row) for row in zip(*columns, strict=True)]


# ---- the weights ----------------------------------------------------------------------------------------------------


def measure(network: Network, family: Family) -> tuple[Change, tuple[Change, ...]]:
    """How much a network changes all weights it is beside, and those of each block."""
    adapters = list(network)
    squares = [_squares(each, each.weight) for each in adapters]
    by_block: dict[str, list[tuple[float, float]]] = {}
    for adapter, pair in zip(adapters, squares, strict=True):
        by_block.setdefault(family.block_of(adapter.name) or "", []).append(pair)
    blocks = tuple(_change(block, by_block[block]) for block in (*family.blocks, "") if block in by_block)
    return _change("", squares), blocks


def _squares(adapter: Adapter, weight: Tensor) -> tuple[float, float]:
    """The squared norms of an update and of the weight it is added to."""
    return adapter.norm(weight) ** 2, float(torch.linalg.vector_norm(weight.detach(), dtype=torch.float32)) ** 2


def _change(block: str, squares: Sequence[tuple[float, float]]) -> Change:
    update, weight = (math.sqrt(sum(column)) for column in zip(*squares, strict=True))
    return Change(block, update, update / weight if weight else math.nan)


# ---- the images -----------------------------------------------------------------------------------------------------


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """The mean absolute difference of two images' pixels, in levels of 255."""
    return float(np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64)).mean())


# ---- after a run ----------------------------------------------------------------------------------------------------


def report(
    lora: Path,
    bundle: Bundle,
    request: ImageSpec | None,
    strip: Path,
    settings: Settings,
    question: Question | None,
    *,
    control: Control,
    emit: Listener,
) -> None:
    """Report what a file that has just been saved does, and warn if it does nothing. Never raises for what goes wrong.

    Args:
        lora: the file; it is read again, so that what is reported holds for what hosts will load.
        bundle: the model; no network is attached.
        request: what to make images of, or None for none.
        strip: where they go, on one sheet.
        settings: what it was trained with.
        question: what else is measured on images; None: nothing.
    """
    emit(Phase(_PHASE))
    try:
        network = network_from_file(lora, bundle)
        whole, blocks = measure(network, bundle.family)
    except Exception as error:  # noqa: BLE001 - the LoRA is saved; whatever this was, it cannot take that back
        emit(Warned("engine.effect_unknown", reason=_reason(error)))
        return
    black: tuple[float, ...] = ()
    effect = Effect(lora, whole, blocks)
    if request is not None and not control.asked_to_stop:
        asked = question if whole.norm > 0 else None
        of_question = asked.launches() + asked.rows * IMAGES if asked is not None else 0
        check = _counted(len(STRENGTHS) * (request.steps + 1) + of_question, control, emit)
        at_once = nullcontext() if saves_memory(settings) else text_on(bundle, device_of(bundle.denoiser))
        try:
            with at_once:
                (images,) = strength_grid(bundle, network, [request], STRENGTHS, check=check)
                effect, black = _with_strip(effect, images, request.prompt, strip)
                if 1.0 not in black:
                    _put_picture(lora, images[STRENGTHS.index(1.0)], emit)
                if asked is not None and not black:
                    answer = asked.answer(Images(bundle, network, request, check), settings)
                    effect = replace(effect, asked=answer.asked)
                    shown = [(label, [_decoded(bundle, each, check) for each in row]) for label, row in answer.rows]
                    _write_sheet(effect, [[_labelled(images)], *in_columns(shown)], strip)
        except Stopped:
            pass  # the images are what was stopped: the LoRA is whole, and its numbers are known
        except Exception as error:  # noqa: BLE001 - as above
            emit(Warned(_failed(effect), reason=_reason(error)))
    emit(effect)
    if effect.strip is not None:
        try:
            write_whole(strip.with_name(WORDS), [text_of(effect).encode()], overwrite=True)
        except OutputError as error:
            emit(Warned(error.whole))
    for warning in _warnings(effect, settings, black):
        emit(Warned(warning))


def _counted(total: int, control: Control, emit: Listener) -> Callable[[], None]:
    """What is called before each of ``total`` parts: it tells how many are done, and raises if the user stops."""
    done = 0

    def check() -> None:
        nonlocal done
        control.check()
        emit(Phase(_PHASE, done, total))
        done += 1

    return check


def _with_strip(
    effect: Effect, images: Sequence[Image.Image], prompt: str, path: Path
) -> tuple[Effect, tuple[float, ...]]:
    """The effect with its images, one a strength, and the strengths at which nothing is to be seen."""
    off = images[STRENGTHS.index(0.0)]
    pairs = list(zip(STRENGTHS, images, strict=True))
    differences = tuple((strength, mean_difference(each, off)) for strength, each in pairs if strength)
    found = replace(effect, strip=path, prompt=prompt, differences=differences)
    _write_sheet(found, [[_labelled(images)]], path)
    return found, tuple(strength for strength, image in pairs if is_black(image))


def _put_picture(lora: Path, image: Image.Image, emit: Listener) -> None:
    try:
        write_picture(lora, image)
    except OutputError as error:
        emit(Warned("engine.no_picture", error=error.whole))


def _labelled(images: Sequence[Image.Image]) -> Row:
    """The images of all strengths."""
    labels = [f"{strength:+g}" if strength else "off" for strength in STRENGTHS]
    return list(zip(images, labels, strict=True))


def _write_sheet(effect: Effect, groups: Sequence[Sequence[Row]], path: Path) -> None:
    content, texts = io.BytesIO(), PngImagePlugin.PngInfo()
    texts.add_itxt(LORA_KEY, plain(effect.path.stem))
    texts.add_itxt(PROMPT_KEY, effect.prompt)
    if effect.asked is not None:
        texts.add_itxt(WORDS_KEY, "\n".join(words.as_json() for words in effect.asked.words))
    texts.add_itxt(ROW_KEY, str(row_height(groups)))
    sheet(groups).save(content, "PNG", pnginfo=texts)
    write_whole(path, [content.getvalue()], overwrite=True)


def _decoded(bundle: Bundle, latents: Tensor, check: Callable[[], None]) -> Image.Image:
    """The image of latents ``(C, h, w)``; one at a time, so that it takes no more memory than the strip."""
    check()
    (image,) = decoded(bundle, latents[None])
    return image


def _failed(effect: Effect) -> str:
    """What an error has prevented."""
    if effect.strip is None:
        return "engine.no_strip"
    return "engine.asked_failed" if effect.asked is None else "engine.asked_not_shown"


def _reason(error: Exception) -> Message | str:
    return error.whole if isinstance(error, UserError) else str(error)


def _warnings(effect: Effect, settings: Settings, black: Sequence[float]) -> list[Message]:
    norm, relative = effect.whole.norm, effect.whole.relative
    found = []
    if not (math.isfinite(norm) and math.isfinite(relative)):
        found.append(message("engine.effect_nan"))
    elif norm == 0:
        found.append(message("engine.effect_zero"))
    elif relative < TOO_SMALL:
        found.append(message("engine.effect_tiny", share=f"{relative:.1e}"))
    elif relative > TOO_LARGE:
        found.append(message("engine.effect_huge", percent=round(100 * relative)))
    if len(black) == len(STRENGTHS):
        found.append(message("engine.effect_black", strip=effect.strip))
    elif black:
        strengths = [f"{strength:+g}" if strength else "0" for strength in black]
        found.append(message("engine.effect_black_at", strengths=strengths, strip=effect.strip))
    elif effect.strip is not None and norm > 0 and all(difference <= SAME for _, difference in effect.differences):
        found.append(message("engine.effect_unseen", prompt=effect.prompt, strip=effect.strip))
    elif found == [] and (difference := dict(effect.differences).get(1.0, LITTLE)) < LITTLE:
        # Trained at a quarter of the strength it is used at.
        at_quarter = "turns" in MODES[settings.mode].groups and not settings.diff_reach_target
        key = "engine.effect_little_in_pairs" if at_quarter else "engine.effect_little"
        found.append(message(key, prompt=effect.prompt, difference=f"{difference:.1g}"))
    return found
