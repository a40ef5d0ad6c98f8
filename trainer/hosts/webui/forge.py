"""Forge and its relatives, which keep a model as patchers: for the U-Net, the text encoders and the VAE.

A patcher puts LoRAs into the weights whenever its model is loaded, so loading the patchers without LoRAs, as an image
without LoRAs would, gives the clean weights. The next image finds another patcher loaded than its own, and puts its
LoRAs in again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ...config.size import Size
from ...diffusion.parameterisation import EPSILON, FLOW, VELOCITY
from ...errors import ModelError
from ...models.base import HostTensors
from ...models.checkpoint.identify import identify
from ...models.checkpoint.parts import DENOISER, VAE
from ...text.messages import label
from .backend import Loaded, NotPlainError, encoded
from .host import WebUI
from .images import forget_prompts
from .lists import no_checkpoint, selected_checkpoint

_PLAIN = (torch.float32, torch.float16, torch.bfloat16)
_QUANTISED = ("quant_state", "gguf_cls")
"""Attributes that only the parameters of bitsandbytes and GGUF have."""
_PLAIN_CLASSES = (nn.Parameter, Tensor)
"""Neo's other quantised parameters are of a class of their own, which names the type they are computed in."""
_NO_LORAS = str([])
_OUTDATED = "outdated"
_MOST_SIGMA = 1000.0
"""No noise schedule that leaves a signal at the last timestep has a sigma this large."""
_STEPS = 1000
"""What the times of a rectified flow are multiplied by where the U-Net counts timesteps."""
_SAMPLINGS: Mapping[frozenset[str], str] = MappingProxyType(
    {
        frozenset(("ModelSamplingDiscrete", "EPS")): EPSILON.name,
        frozenset(("ModelSamplingDiscrete", "V_PREDICTION")): VELOCITY.name,
        frozenset(("ModelSamplingDiscreteFlow", "CONST")): FLOW.name,
    }
)
"""The classes that the noise schedule of a ComfyUI model is made of -> what the model predicts."""
_LAYER_OF_SD2 = re.compile(r"clip_h\.transformer\.text_model\.encoder\.layers\.(\d+)\.")


class ForgeFamily(WebUI):
    """What Forge, reForge and Classic have in common."""

    has_idle_layer: bool
    """Whether the last layer of SD2's text encoder is there, whose output is not used."""

    def load(self) -> None:
        from modules import shared

        if shared.sd_model is None:  # asking loads it
            raise _not_loaded()

    def tensors(self, loaded: Loaded) -> HostTensors:
        objects = loaded.model.forge_objects_original
        unet, texts, vae = objects.unet.model.diffusion_model, objects.clip.cond_stage_model, objects.vae
        for part in (unet, texts, vae.first_stage_model):
            _refuse_unless_plain(part)
        self._bring(objects)
        if len({parameter.device for parameter in unet.parameters()}) > 1:
            raise NotPlainError("hosts.model_partly_on_device")
        parts = (
            unet.state_dict(),
            vae.first_stage_model.state_dict(),
            _acting(texts.state_dict(), idle=self.has_idle_layer),
        )
        return HostTensors(*({name: _as_plain(tensor) for name, tensor in part.items()} for part in parts))

    def has_zero_terminal_snr(self, loaded: Loaded) -> bool:
        from modules import shared

        if getattr(shared.opts, "sd_noise_schedule", "Default") == "Zero Terminal SNR":
            return True
        return bool(self._schedule(loaded).sigmas[-1] > _MOST_SIGMA)

    def encode(self, loaded: Loaded, prompt: str, size: Size | None) -> Any:
        model = loaded.model
        with _without_loras(model):
            self._set_clip_skip(model)
            found = encoded(model, prompt, size)
        self._free_all_but(model.forge_objects_original.unet)
        return found

    def step_aside(self) -> None:
        management = self._management()
        management.unload_all_models()
        management.soft_empty_cache()

    def step_back(self) -> None:
        """Nothing to do: the host moves a model to the device when it needs it."""

    def saved(self, path: Path) -> None:
        """Empty the host's caches of LoRAs, which have the file's name as their only key."""
        del path
        networks: Any = sys.modules.get("networks")
        cached: Any = getattr(networks, "load_lora_state_dict", None)
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()
        self._forget_applied()
        forget_prompts()
        if hasattr(networks, "list_available_networks"):
            networks.list_available_networks()

    # ---- where they differ ------------------------------------------------------------------------------------------

    def _management(self) -> Any:
        """The host's module that moves models to the device and off it."""
        raise NotImplementedError

    def _schedule(self, loaded: Loaded) -> Any:
        """The host's noise schedule for a model."""
        raise NotImplementedError

    def _set_clip_skip(self, model: Any) -> None:
        """Pass clip skip to the model, if that does not read the option itself."""

    # ---- the model --------------------------------------------------------------------------------------------------

    def _bring(self, objects: Any) -> None:
        """Load U-Net and text encoders without LoRAs, and leave only the U-Net on the device."""
        management = self._management()
        with torch.inference_mode():
            management.load_models_gpu([objects.clip.patcher])
            management.load_models_gpu([objects.unet])
        self._free_all_but(objects.unet)

    def _free_all_but(self, patcher: Any) -> None:
        if self.device.type == "cpu":
            return
        management = self._management()
        with torch.inference_mode():
            kept = [each for each in management.current_loaded_models if each.model is patcher]
            management.free_memory(1e30, self.device, keep_loaded=kept)
            management.soft_empty_cache()

    def _forget_applied(self) -> None:
        """Make the next image put its LoRAs in again, even if the last one had the same."""
        from modules import sd_models

        model = sd_models.model_data.sd_model
        if getattr(model, "current_lora_hash", _NO_LORAS) == _NO_LORAS:
            return
        model.current_lora_hash = _OUTDATED
        objects = model.forge_objects_original
        for patched in (objects.unet.model, objects.clip.cond_stage_model):
            loader = getattr(patched, "lora_loader", None)
            if loader is not None and loader.loaded_hash != _NO_LORAS:
                loader.loaded_hash = _OUTDATED


class Forge(ForgeFamily):
    """Forge 2, and Neo, whose patchers are reForge's; what is asked of them is the same."""

    has_idle_layer = False
    skips_in_every_family = True

    def loaded(self) -> Loaded | None:
        from modules import sd_models

        data = sd_models.model_data
        info = getattr(data.sd_model, "sd_checkpoint_info", None)
        if info is None or data.forge_hash != str(data.forge_loading_parameters):  # it will load another one
            return None
        return Loaded(data.sd_model, Path(info.filename), _vae_among(_modules(data)))

    def chosen(self) -> Path:
        from modules import sd_models

        info = sd_models.model_data.forge_loading_parameters.get("checkpoint_info") or sd_models.select_checkpoint()
        if info is None:
            raise no_checkpoint()
        return Path(info.filename)

    def load(self) -> None:
        from modules import sd_models
        from modules_forge import main_entry

        data = sd_models.model_data
        if not data.forge_loading_parameters:
            main_entry.refresh_model_loading_parameters()
        if data.sd_model is None:
            data.forge_hash = ""  # or it considers the model loaded
        if data.forge_loading_parameters.get("checkpoint_info") is None:
            raise no_checkpoint()
        sd_models.forge_model_reload()
        if self.loaded() is None:
            raise _not_loaded()

    def tensors(self, loaded: Loaded) -> HostTensors:
        try:
            return super().tensors(loaded)
        except NotPlainError as error:
            from modules import sd_models

            others = [path.name for path in _modules(sd_models.model_data) if path != loaded.vae]
            if others:
                raise NotPlainError("hosts.modules_unused", reason=error.reason, files=others) from error
            raise

    def prediction(self, loaded: Loaded) -> str:
        predictor = self._schedule(loaded)
        kind, stated = type(predictor).__name__, str(predictor.prediction_type)
        if kind == "Prediction" and stated in (EPSILON.name, VELOCITY.name):
            return stated
        if kind == "PredictionDiscreteFlow" and getattr(predictor, "multiplier", _STEPS) == _STEPS:
            return FLOW.name
        return f"{kind} ({stated})"

    def _management(self) -> Any:
        from backend import memory_management

        return memory_management

    def _schedule(self, loaded: Loaded) -> Any:
        return loaded.model.forge_objects_original.unet.model.predictor

    def _set_clip_skip(self, model: Any) -> None:
        from modules import shared

        model.set_clip_skip(int(shared.opts.CLIP_stop_at_last_layers))


class ReForge(ForgeFamily):
    """reForge and Forge Classic: A1111's loader with ComfyUI's patchers."""

    has_idle_layer = True

    def loaded(self) -> Loaded | None:
        from modules import sd_models, sd_vae

        model = sd_models.model_data.sd_model
        info = getattr(model, "sd_checkpoint_info", None)
        if info is None or getattr(model, "forge_objects_original", None) is None:
            return None
        vae = getattr(model, "loaded_vae_file", None) or getattr(sd_vae, "loaded_vae_file", None)
        return Loaded(model, Path(info.filename), Path(vae) if vae else None)

    def chosen(self) -> Path:
        return selected_checkpoint()

    def prediction(self, loaded: Loaded) -> str:
        kinds = [each.__name__ for each in type(self._schedule(loaded)).__bases__]
        stated = _SAMPLINGS.get(frozenset(kinds), " + ".join(kinds))
        is_velocity = stated == EPSILON.name and getattr(loaded.model, "parameterization", "eps") == "v"
        return VELOCITY.name if is_velocity else stated

    def _management(self) -> Any:
        from ldm_patched.modules import model_management

        return model_management

    def _schedule(self, loaded: Loaded) -> Any:
        return loaded.model.forge_objects_original.unet.model.model_sampling


@contextmanager
def _without_loras(model: Any) -> Iterator[None]:
    """Put the patchers without LoRAs in place of the last image's, as the host does when an image begins."""
    before = model.forge_objects
    model.forge_objects = model.forge_objects_original.shallow_copy()
    try:
        yield
    finally:
        model.forge_objects = before


def _refuse_unless_plain(module: nn.Module) -> None:
    for parameter in module.parameters():
        is_marked = any(getattr(parameter, name, None) is not None for name in _QUANTISED)
        if is_marked or type(parameter) not in _PLAIN_CLASSES:
            raise NotPlainError("hosts.model_is_quantised")
        if parameter.dtype not in _PLAIN:
            raise NotPlainError("hosts.model_kept_in", types=[str(parameter.dtype).removeprefix("torch.")])


def _acting(tensors: dict[str, Tensor], *, idle: bool) -> dict[str, Tensor]:
    """The tensors of a patcher's text encoders that take part, each once."""
    layers = [int(match[1]) for match in map(_LAYER_OF_SD2.match, tensors) if match]
    # .wrapped: the same tensor again, for textual inversion
    last = f"clip_h.transformer.text_model.encoder.layers.{max(layers)}." if layers and idle else ".wrapped."
    return {name: tensor for name, tensor in tensors.items() if ".wrapped." not in name and not name.startswith(last)}


def _as_plain(tensor: Tensor) -> Tensor:
    """The same memory as a tensor that gradients can pass through.

    All of Forge's are inference tensors, and of reForge's those that a LoRA has been in.
    """
    if not tensor.is_inference():
        return tensor
    with torch.inference_mode(False):
        plain = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        return plain.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())


def _modules(data: Any) -> list[Path]:
    """The files from which Forge is to take VAE and text encoders."""
    return [Path(each) for each in data.forge_loading_parameters.get("additional_modules") or []]


def _vae_among(files: list[Path]) -> Path | None:
    for file in files:
        try:
            parts = identify(file).parts
        except ModelError:
            continue
        if VAE in parts and DENOISER not in parts:
            return file
    return None


def _not_loaded() -> ModelError:
    return ModelError("hosts.checkpoint_not_loaded", where=label("model"))
