"""What moves models and puts LoRAs into them: Forge's of its own, and ComfyUI's, which reForge has."""

from __future__ import annotations

import uuid
from typing import Any

import torch
from torch import Tensor, nn

CPU = torch.device("cpu")


class LoraLoader:
    """Forge's: belongs to a model, and knows by the LoRAs' names alone whether they are in it already."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.loaded_hash = model, str([])
        self.backup: dict[str, nn.Parameter] = {}

    @torch.inference_mode()
    def refresh(self, lora_patches: dict[Any, dict[str, Tensor]]) -> None:
        wanted = str(list(lora_patches))
        if wanted == self.loaded_hash:
            return
        for name, parameter in self.backup.items():
            put(self.model, name, parameter)
        self.backup = {}
        for (_, strength), patches in lora_patches.items():
            for name, update in patches.items():
                weight = self.model.get_parameter(name)
                self.backup.setdefault(name, weight)
                merged = (weight.float() + strength * update).to(weight.dtype)
                put(self.model, name, nn.Parameter(merged, requires_grad=False))
        self.loaded_hash = wanted


class ForgePatcher:
    """A model with the LoRAs that belong to it; clones have the same model."""

    def __init__(self, model: Any) -> None:
        self.model, self.load_device = model, CPU
        self.lora_patches: dict[Any, dict[str, Tensor]] = {}
        if not hasattr(model, "lora_loader"):
            model.lora_loader = LoraLoader(model)

    def clone(self) -> ForgePatcher:
        made = ForgePatcher(self.model)
        made.lora_patches = dict(self.lora_patches)
        return made

    def add(self, file: str, strength: float, patches: dict[str, Tensor]) -> None:
        self.lora_patches[file, strength] = patches

    def load(self) -> None:
        self.model.lora_loader.refresh(self.lora_patches)

    def unload(self) -> None:
        """LoRAs stay where they are."""


class ComfyPatcher:
    """reForge's: what it put into the weights it knows by a number that each change of its LoRAs makes anew."""

    def __init__(self, model: Any) -> None:
        self.model, self.load_device = model, CPU
        self.patches: dict[str, list[tuple[float, Tensor]]] = {}
        self.backup: dict[str, Tensor] = {}
        self.patches_uuid = uuid.uuid4()
        if not hasattr(model, "current_weight_patches_uuid"):
            model.current_weight_patches_uuid, model.is_loaded = None, False

    def clone(self) -> ComfyPatcher:
        made = ComfyPatcher(self.model)
        made.patches = {name: list(each) for name, each in self.patches.items()}
        made.patches_uuid, made.backup = self.patches_uuid, self.backup
        return made

    def add(self, file: str, strength: float, patches: dict[str, Tensor]) -> None:
        del file
        for name, update in patches.items():
            self.patches.setdefault(name, []).append((strength, update))
        self.patches_uuid = uuid.uuid4()

    @torch.inference_mode()
    def load(self) -> None:
        """What a LoRA has been in is a tensor of inference mode from then on, and wants no gradient."""
        if self.model.current_weight_patches_uuid not in (None, self.patches_uuid):
            self.unload()
        if self.model.is_loaded:
            return
        for name, patches in self.patches.items():
            weight = self.model.get_parameter(name)
            self.backup.setdefault(name, weight)
            merged = weight.float()
            for strength, update in patches:
                merged = merged + strength * update
            put(self.model, name, nn.Parameter(merged.to(weight.dtype), requires_grad=False))
        self.model.current_weight_patches_uuid, self.model.is_loaded = self.patches_uuid, True

    def unload(self) -> None:
        for name, tensor in self.backup.items():
            put(self.model, name, nn.Parameter(tensor, requires_grad=False))
        self.backup.clear()
        self.model.current_weight_patches_uuid, self.model.is_loaded = None, False


def put(model: nn.Module, name: str, parameter: nn.Parameter) -> None:
    path, _, last = name.rpartition(".")
    setattr(model.get_submodule(path), last, parameter)


class ForgeObjects:
    """U-Net, text encoders, VAE; a shallow copy has the same ones."""

    def __init__(self, unet: Any, clip: Any, vae: Any) -> None:
        self.unet, self.clip, self.vae = unet, clip, vae

    def shallow_copy(self) -> ForgeObjects:
        return ForgeObjects(self.unet, self.clip, self.vae)


class Clip:
    """The text encoders with their patcher."""

    def __init__(self, cond_stage_model: Any, patcher: Any) -> None:
        self.cond_stage_model, self.patcher = cond_stage_model, patcher

    def clone(self) -> Clip:
        return Clip(self.cond_stage_model, self.patcher.clone())


class LoadedModel:
    def __init__(self, model: Any) -> None:
        self.model, self.device = model, model.load_device

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoadedModel) and self.model is other.model

    __hash__ = None  # type: ignore[assignment]
