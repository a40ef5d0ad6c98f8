"""Requests of the page for images: checked, and turned into what a host understands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...config.check import check_for_run
from ...config.key_values import prompt_pairs, split_lines
from ...config.sample_prompts import first_prompt
from ...config.settings import ROWS, Settings
from ...config.values import read_value, shown
from ...engine.image_request import ImageRequest
from ...errors import SettingsError, UserError, WrongValue
from ...models.checkpoint.header import read_header
from ...networks.files.find import find_lora
from ...networks.files.settings import settings_of
from ...paths import Folders
from ...text.messages import label, message
from .image_jobs import LabelledRequest

STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)
MOST_IMAGES = 16
MOST_STEPS = 150
MOST_CFG = 30.0
_ROWS = {"prompt": "sample_prompt", "negative": "sample_negative", "seed": "sample_seed",
         "strengths": "sample_strengths", "size": "image_size", "model": "model", "vae": "vae",
         "prediction": "prediction", "clip_skip": "clip_skip"}  # fmt: skip
"""Fields that are checked like the setting of that name."""
_ONLY_LABELS = ("vae", "prediction", "clip_skip")
"""Settings without a field beside the images: errors name them by their label."""


def of_prompts(settings: Settings, which: str, asked: Mapping[str, Any]) -> list[LabelledRequest]:
    """iLECO's prompts as the model knows them now: each concept as it is, and what it is to become.

    Args:
        which: ``original``, ``target`` or ``both``.
        asked: ``seed``, ``steps`` and ``cfg``, as typed.

    Raises:
        UserError: a prompt is missing, or a value is wrong.
    """
    names = ("original_prompt", "target_prompt", "slider_positive", "slider_negative")
    concerns = {row.key for row in ROWS if row.name in names}
    problems = [each for each in check_for_run(replace(settings, mode="iLECO")) if each.key in concerns]
    if problems:
        raise SettingsError(problems)
    originals, targets = prompt_pairs(settings.original_prompt, settings.target_prompt)
    wanted = {"draw.is_target": targets}
    if settings.slider_positive.strip() or settings.slider_negative.strip():
        wanted = {
            "draw.is_positive": split_lines(settings.slider_positive),
            "draw.is_negative": split_lines(settings.slider_negative),
        }
    shown_ones = {} if which == "target" else {"draw.is_original": originals}
    shown_ones |= {} if which == "original" else wanted
    labelled = [(message(key), prompt) for key, prompts in shown_ones.items() for prompt in prompts]
    _require_few(len(labelled))
    common = {
        "negative": settings.sample_negative,
        "size": settings.size,
        "model": settings.model,
        "vae": settings.vae,
        "prediction": settings.prediction,
        "clip_skip": settings.clip_skip,
    }
    first = _request(asked, **common)
    return [LabelledRequest(replace(first, prompt=prompt), (called,)) for called, prompt in labelled]


def of_lora(asked: Mapping[str, Any], folders: Folders) -> LabelledRequest:
    """A LoRA at several strengths, from the body of a request.

    Raises:
        UserError: there is no such LoRA, or a value is wrong.
    """
    unknown = set(asked) - {"lora", "steps", "cfg", *_ROWS}
    if unknown:
        raise UserError("web.unknown_keys", where=shown(min(unknown)), known=sorted({"lora", "steps", "cfg", *_ROWS}))
    if not str(asked.get("lora") or "").strip():
        raise UserError("web.no_lora_chosen", where=message("try.lora"))
    request = _request(asked, lora=find_lora(str(asked["lora"]), folders.loras))
    _require_few(len(request.strengths))
    labels = tuple(f"{strength:+g}" if strength else message("draw.off") for strength in request.strengths)
    return LabelledRequest(request, labels)


def of_loras(loras: Sequence[str], asked: Mapping[str, Any], folders: Folders) -> list[LabelledRequest]:
    """Several LoRAs at the same strengths, from the same noise; each image says whose it is.

    Raises:
        UserError: as for :func:`of_lora`.
    """
    found = [of_lora({**asked, "lora": each}, folders) for each in loras]
    _require_few(sum(len(each.labels) for each in found))
    named = []
    for each in found:
        assert each.request.lora is not None
        name = each.request.lora.stem
        labels = tuple(message("draw.of_lora", name=name, strength=label) for label in each.labels)
        named.append(LabelledRequest(each.request, labels))
    return named


def _request(asked: Mapping[str, Any], **known: Any) -> ImageRequest:
    """Args:
    asked: what was typed; the defaults where nothing was.
    known: values that need no check.
    """
    given: dict[str, Any] = {"prompt": "", "strengths": STRENGTHS} if "lora" in known else {"prompt": ""}
    given |= {name: _checked(name, asked[name]) for name in _ROWS if name in asked and asked[name] not in ("", None)}
    steps = _number("steps", asked.get("steps"), ImageRequest.steps, 1, MOST_STEPS)
    cfg = _number("cfg", asked.get("cfg"), ImageRequest.cfg, 0, MOST_CFG)
    if not steps.is_integer():
        raise UserError("web.not_whole", where=message("try.steps"), value=f"{steps:g}")
    return ImageRequest(**{**given, "steps": int(steps), "cfg": cfg, **known})


def _checked(name: str, value: Any) -> Any:
    row = next(row for row in ROWS if row.name == _ROWS[name])
    try:
        return read_value(value, row)
    except WrongValue as error:
        where = label(row.name) if row.name in _ONLY_LABELS else message(f"try.{name}")
        raise UserError("error.problem", where=where, problem=error.message) from error


def _number(name: str, value: Any, default: float, least: float, most: float) -> float:
    if value is None or (isinstance(value, str) and not value.strip()):
        return float(default)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not least <= number <= most:
        where = message(f"try.{name}")
        raise UserError("web.not_in_range", where=where, least=f"{least:g}", most=f"{most:g}", value=shown(value))
    return number


def _require_few(count: int) -> None:
    if count > MOST_IMAGES:
        raise UserError("web.too_many_images", count=count, most=MOST_IMAGES)


# ---- LoRAs to choose from -------------------------------------------------------------------------------------------


def suited(lora: Path, models: list[str], proposed: str) -> dict[str, Any]:
    """What shows a LoRA's effect best: a prompt and the model it was trained on, as far as its file says.

    Args:
        models: the names of all there are.
        proposed: the model to take if the LoRA's is not among them; empty for the loaded one.
    """
    try:
        settings = settings_of(lora).settings
    except UserError:
        trigger = read_header(lora).metadata.get("modelspec.trigger_phrase", "")
        return {"prompt": trigger, "model": proposed}
    from ...modes.registry import mode_of

    # Where none is proposed and none is loaded, the host reports that the LoRA's model is missing.
    known = settings.model in models or Path(settings.model).is_file() or not (proposed or "" in models)
    return {
        "prompt": mode_of(settings.mode).usage(settings, ()).prompt or first_prompt(settings.sample_prompt),
        "negative": settings.sample_negative,
        "model": settings.model if known else proposed,
        "vae": settings.vae,
        "prediction": settings.prediction,
        "clip_skip": settings.clip_skip,
        "size": [settings.size.height, settings.size.width],
    }
