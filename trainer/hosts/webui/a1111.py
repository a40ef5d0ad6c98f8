"""AUTOMATIC1111: a LightningModule in LDM's names, with wrappers around its text encoders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from ...config.size import Size
from ...diffusion.parameterisation import EPSILON, VELOCITY
from ...errors import ModelError
from ...models.base import HostTensors
from ...text.messages import label
from .backend import Loaded, NotPlainError, encoded
from .host import WebUI
from .images import forget_prompts
from .lists import selected_checkpoint

_DENOISER, _VAE, _TEXT = "model.diffusion_model.", "first_stage_model.", ("cond_stage_model.", "conditioner.embedders.")


class A1111(WebUI):
    """Versions 1.6 to 1.10."""

    def loaded(self) -> Loaded | None:
        from modules import sd_models, sd_vae

        model = sd_models.model_data.sd_model
        info = getattr(model, "sd_checkpoint_info", None)
        if info is None:
            return None
        vae = getattr(model, "loaded_vae_file", None) or getattr(sd_vae, "loaded_vae_file", None)
        return Loaded(model, Path(info.filename), Path(vae) if vae else None)

    def chosen(self) -> Path:
        return selected_checkpoint()

    def load(self) -> None:
        from modules import shared

        if shared.sd_model is None:  # asking loads it
            raise ModelError("hosts.checkpoint_not_loaded", where=label("model"))

    def tensors(self, loaded: Loaded) -> HostTensors:
        model = loaded.model
        _refuse_unless_plain(model)
        _take_loras_out(model)
        found = {name.replace(".wrapped.", "."): tensor for name, tensor in model.state_dict().items()}
        denoiser, vae = (
            {name[len(prefix) :]: tensor for name, tensor in found.items() if name.startswith(prefix)}
            for prefix in (_DENOISER, _VAE)
        )
        texts = {
            name: tensor
            for name, tensor in found.items()
            if name.startswith(_TEXT) and not name.startswith("cond_stage_model.embedders.")  # SDXL's, a second time
        }
        return HostTensors(denoiser, vae, texts)

    def prediction(self, loaded: Loaded) -> str:
        model = loaded.model
        scaling = type(getattr(getattr(model, "denoiser", None), "scaling", None)).__name__  # of SDXL alone
        if scaling not in ("NoneType", "EpsScaling", "VScaling"):  # which the host goes on to call "eps" all the same
            return scaling
        stated = str(getattr(model, "parameterization", "eps"))
        return {"eps": EPSILON.name, "v": VELOCITY.name}.get(stated, stated)

    def has_zero_terminal_snr(self, loaded: Loaded) -> bool:
        from modules import shared

        del loaded
        return getattr(shared.opts, "sd_noise_schedule", "Default") == "Zero Terminal SNR"

    def encode(self, loaded: Loaded, prompt: str, size: Size | None) -> Any:
        return encoded(loaded.model, prompt, size)

    def step_aside(self) -> None:
        from modules import sd_models

        sd_models.send_model_to_cpu(sd_models.model_data.sd_model)

    def step_back(self) -> None:
        from modules import sd_models

        if sd_models.model_data.sd_model is not None:
            sd_models.send_model_to_device(sd_models.model_data.sd_model)

    def saved(self, path: Path) -> None:
        from modules import sd_models

        del path
        forget_prompts()
        model = sd_models.model_data.sd_model
        if self.lock.is_mine and model is not None:  # the host would not notice a new file of the same name
            _take_loras_out(model)
        networks: Any = sys.modules.get("networks")
        if hasattr(networks, "list_available_networks"):  # which compares what is in memory with the file's time
            networks.list_available_networks()


def _refuse_unless_plain(model: torch.nn.Module) -> None:
    from modules import sd_unet

    if getattr(model, "lowvram", False):
        raise NotPlainError("hosts.model_is_split")
    if getattr(sd_unet, "current_unet", None) is not None:
        raise NotPlainError("hosts.other_unet")
    types = {parameter.dtype for parameter in model.parameters()}
    odd = types - {torch.float32, torch.float16, torch.bfloat16}
    if odd:
        names = sorted(str(each).removeprefix("torch.") for each in odd)
        raise NotPlainError("hosts.model_kept_in", types=names)
    if len({parameter.device for parameter in model.parameters()}) > 1:
        raise NotPlainError("hosts.model_on_several_devices")


def _take_loras_out(model: torch.nn.Module) -> None:
    """The host leaves the LoRAs of its last image in the weights, and puts them in again when it needs them."""
    networks: Any = sys.modules.get("networks")
    if not hasattr(networks, "network_restore_weights_from_backup"):
        return
    with torch.no_grad():
        networks.loaded_networks.clear()
        module: Any
        for module in model.modules():
            if getattr(module, "network_current_names", ()):
                networks.network_restore_weights_from_backup(module)
                module.network_current_names = ()
