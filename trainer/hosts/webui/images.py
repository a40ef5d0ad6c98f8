"""Images made by the host itself, with a LoRA from its folder; the same call in every WebUI."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ...engine.image_request import ImageRequest
from ...errors import MemoryShortError, UserError
from ...networks.files.find import guest_name
from . import api as webui_api

_SAMPLER = "Euler"
_SCHEDULER = "Automatic"
_FLOW_SCHEDULER = "Simple"
"""Neo's automatic one ends with σ = 0 twice for rectified flow of SDXL; Euler divides by it."""


def takes_loras() -> bool:
    """Whether the host understands ``<lora:…>`` in a prompt: its built-in extension for that may be off."""
    from modules import extra_networks

    return "lora" in extra_networks.extra_network_registry


def draw(
    request: ImageRequest, listed: Callable[[Path], None], advance: Callable[[int, int], None], *, is_flow: bool
) -> list[Image.Image]:
    """Make the images of a request with the model the host has loaded; called with the host's lock held.

    Args:
        listed: called with a LoRA file that is new in the host's folder, to have it listed.
        advance: see :meth:`Host.draw`; called before each image.
        is_flow: the model predicts the flow.

    Raises:
        UserError: the host could not make one.
    """
    strengths = request.strengths if request.lora is not None else (0.0,)
    found = []
    with _name_of(request.lora, listed) as name:
        for number, strength in enumerate(strengths):
            advance(number, len(strengths))
            lora = f"<lora:{name}:{strength:g}>" if name and strength else ""
            found.append(_image(request, lora, _FLOW_SCHEDULER if is_flow else _SCHEDULER))
    advance(len(strengths), len(strengths))
    return found


@contextmanager
def _name_of(lora: Path | None, listed: Callable[[Path], None]) -> Iterator[str]:
    """The host's name for a LoRA in prompts; one from elsewhere is put into its folder while the block lasts."""
    folder = webui_api.lora_folder()
    if lora is None or folder in lora.absolute().parents:
        if lora is not None:
            listed(lora)
        yield lora.stem if lora else ""
        return
    guest = folder / f"{guest_name()}{lora.suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            os.link(lora, guest)
        except OSError:  # another disk, or one without links
            shutil.copyfile(lora, guest)
        listed(guest)
        yield guest.stem
    except OSError as error:
        raise UserError("hosts.lora_not_copied", folder=folder, reason=error.strerror or error) from error
    finally:
        guest.unlink(missing_ok=True)


def _image(request: ImageRequest, lora: str, scheduler: str) -> Image.Image:
    from modules import processing, scripts, shared

    wanted: dict[str, Any] = {
        "sd_model": shared.sd_model,
        "prompt": f"{request.prompt} {lora}".strip(),
        "negative_prompt": request.negative,
        "seed": request.seed,
        "steps": request.steps,
        "cfg_scale": request.cfg,
        "width": request.size.width,
        "height": request.size.height,
        "sampler_name": _SAMPLER,
        "scheduler": scheduler,
        "do_not_save_samples": True,
        "do_not_save_grid": True,
    }
    known = {each.name for each in dataclasses.fields(processing.StableDiffusionProcessingTxt2Img)}
    process = processing.StableDiffusionProcessingTxt2Img(**{key: wanted[key] for key in wanted if key in known})
    process.scripts, process.script_args = scripts.ScriptRunner(), ()  # empty: reForge needs one
    try:
        images = processing.process_images(process).images
    except (torch.cuda.OutOfMemoryError, MemoryError) as error:
        raise MemoryShortError("hosts.images_too_large") from error
    except (RuntimeError, ValueError, TypeError, AttributeError, OSError) as error:
        raise UserError("hosts.image_failed", reason=error) from error
    finally:
        process.close()
    if not images:
        raise UserError("hosts.image_interrupted")
    found: Image.Image = images[0]
    return found


def forget_prompts() -> None:
    """Empty the host's cache of encoded prompts: its keys have the names of LoRAs, not the contents of their files."""
    from modules import processing

    for kind in (processing.StableDiffusionProcessing, processing.StableDiffusionProcessingTxt2Img):
        for name in ("cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc"):
            if name in vars(kind):
                setattr(kind, name, [None] * len(getattr(kind, name)))
