"""A double of AUTOMATIC1111 1.10.1, by what was seen of it."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from tests.helpers.checkpoints import UNET
from tests.hosts.doubles.base import (
    CheckpointInfo,
    Double,
    Generation,
    SdConditioning,
    grow,
    lora_names,
    picture,
    read,
    updates,
)

_PATCHED: tuple[Any, ...] = (nn.Linear, nn.Conv2d, nn.GroupNorm, nn.LayerNorm, nn.MultiheadAttention)
_INSIDE = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner."


def hijacked(name: str) -> str:
    """A tensor's name in the running host: wrappers around text encoders and around their token embeddings."""
    for start in ("cond_stage_model.", "conditioner.embedders.0.", "conditioner.embedders.1."):
        if name.startswith(start):
            name = f"{start}wrapped.{name[len(start) :]}"
    return name.replace("token_embedding.weight", "token_embedding.wrapped.weight")


def plain(name: str) -> str:
    return name.replace(".wrapped.", ".")


class A1111Double(Double):
    """Loads at its start. LoRAs are merged in place, lazily, and stay until the next picture without them."""

    name = "A1111"
    adapter = "a1111:A1111"

    def __init__(self, root: Path, family: str = "SD1", dtype: torch.dtype = torch.float32) -> None:
        super().__init__(root, family, dtype)
        self.loaded_networks: list[types.SimpleNamespace] = []
        self.in_memory: dict[str, types.SimpleNamespace] = {}
        self.data.sd_model = self._made(self.first)
        self._unloaded: Any = None
        self.originals: dict[Any, Any] = {}
        self._forwards = {kind: self._forward_of(kind) for kind in _PATCHED}

    # ---- the model --------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Any:
        return self.data.sd_model

    def _made(self, path: Path) -> nn.Module:
        tensors = {hijacked(name): each for name, each in self.read(path).items() if name.startswith(_INSIDE)}
        model = grow(nn.Module(), tensors)
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
        model.register_buffer("betas", betas)
        model.register_buffer("alphas_cumprod", torch.cumprod(1 - betas, 0))
        model.eval()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(UNET))
        any_model: Any = model
        if self.family.startswith("SDXL"):
            any_model.cond_stage_model = any_model.conditioner  # another name for the same module
        by_module = {path: name for name, path in lora_names(self._of(model)).items()}
        for module_name, module in model.named_modules():
            if plain(f"{module_name}.").rstrip(".") in by_module:
                module.network_layer_name = plain(module_name)
        any_model.sd_checkpoint_info = CheckpointInfo(str(path))
        any_model.sd_model_checkpoint = str(path)
        any_model.lowvram = False
        any_model.loaded_vae_file = None
        any_model.parameterization = "v" if self.family == "SDXL-v" else "eps"
        any_model.get_learned_conditioning = self._conditioning
        return model

    def _of(self, model: nn.Module) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, tensor in model.named_parameters():
            if not name.startswith("cond_stage_model.embedders."):
                found[plain(name)] = tensor
        return found

    def weights(self) -> dict[str, Tensor]:
        return self._of(self.model)

    def choose(self, checkpoint: Path) -> None:
        """`reload_model_weights`: the next checkpoint of the same layout is read into the same tensors."""
        if Path(self.model.sd_model_checkpoint) == checkpoint:
            return
        tensors = read(checkpoint)
        with torch.no_grad():
            for name, parameter in self.weights().items():
                parameter.copy_(tensors[name])
        for module in self.model.modules():
            for mark in ("network_weights_backup", "network_current_names"):
                if hasattr(module, mark):
                    delattr(module, mark)
        self.model.sd_checkpoint_info = CheckpointInfo(str(checkpoint))
        self.model.sd_model_checkpoint = str(checkpoint)

    def marks(self) -> list[Any]:
        parts = [(name, part.training) for name, part in self.model.named_modules()]
        tensors = [(name, each.requires_grad, each.device, each.dtype) for name, each in self.model.named_parameters()]
        return [*parts, *tensors, self.model.lowvram, [id(module) for module in self.model.modules()]]

    # ---- pictures ---------------------------------------------------------------------------------------------------

    def process(self, wanted: Generation) -> Image.Image:
        assert self.lock.is_held
        prompt, names = self.parsed(wanted.prompt)
        self._load_networks(names)
        for module in self.model.modules():
            self._apply(module)
        self.state.sampling_step = 1
        skip = self.options["CLIP_stop_at_last_layers"]
        key = prompt, names, skip, self.model.sd_model_checkpoint
        states, pooled = self.conditioned(key, lambda: self.text.encode(self.weights(), prompt, skip))
        return picture(self.weights(), states, pooled, wanted)

    def _conditioning(self, prompts: SdConditioning) -> Any:
        """Gradients flow; a batch is as long as its longest prompt."""
        for module in self.model.modules():
            if getattr(module, "network_layer_name", "").startswith(("cond", "conditioner")):
                self._apply(module)
        found = [self.text.encode(self.weights(), each, self.options["CLIP_stop_at_last_layers"]) for each in prompts]
        states = torch.cat([states for states, _ in found])
        if found[0][1] is None:
            return states
        pooled = torch.cat([each for _, each in found if each is not None])
        sizes = torch.full((len(found), 6 * 256), float(prompts.width or 1024))
        return {"crossattn": states, "vector": torch.cat([pooled, sizes], dim=1)}

    # ---- the built-in extension for LoRAs ---------------------------------------------------------------------------

    def _load_networks(self, names: list[tuple[str, float]]) -> None:
        self.loaded_networks.clear()
        for name, strength in names:
            path = self.available[name]
            known = self.in_memory.get(name)
            if known is None or os.path.getmtime(path) > known.mtime:
                known = types.SimpleNamespace(name=name, mtime=os.path.getmtime(path), tensors=read(path))
                known.adds = updates(known.tensors, lora_names(self.weights()), self.weights())
                self.in_memory[name] = known
            known.strength = strength
            self.loaded_networks.append(known)

    def _apply(self, module: Any) -> None:
        """At a module's next forward: what is merged into its weight is what is wanted now."""
        if not hasattr(module, "network_layer_name"):
            return
        wanted = tuple((each.name, each.strength) for each in self.loaded_networks)
        if getattr(module, "network_current_names", ()) == wanted:
            return
        if not hasattr(module, "network_weights_backup"):
            assert getattr(module, "network_current_names", ()) == (), "no backup, and the weights are changed"
            module.network_weights_backup = module.weight.detach().to("cpu", copy=True)
        with torch.no_grad():
            self.restore(module)
            for each in self.loaded_networks:
                update = each.adds.get(module.network_layer_name)
                if update is not None:
                    module.weight.copy_((module.weight.float() + each.strength * update).to(module.weight.dtype))
        module.network_current_names = wanted

    def restore(self, module: Any) -> None:
        """`network_restore_weights_from_backup`: in place, and without a no_grad of its own."""
        backup = getattr(module, "network_weights_backup", None)
        if backup is not None:
            module.weight.copy_(backup)

    # ---- within Python ----------------------------------------------------------------------------------------------

    def asked_for_model(self) -> Any:
        """It is loaded when somebody asks for it."""
        if self.model is None:
            self.data.sd_model, self._unloaded = self._unloaded, None
        return self.model

    def unload(self) -> Any:
        """As the host is before its first picture, if it was told not to load at its start."""
        self._unloaded, self.data.sd_model = self.model, None
        return self._unloaded

    def use_other_unet(self) -> None:
        """The option SD Unet, for one in another form than the checkpoint's."""
        sys.modules["modules.sd_unet"].current_unet = object()  # type: ignore[attr-defined]

    def use_vae(self, path: Path) -> None:
        """The option SD VAE: the file's weights, in the same tensors."""
        weights = self.weights()
        with torch.no_grad():
            for name, tensor in read(path).items():
                weights[f"first_stage_model.{name}"].copy_(tensor)
        self.model.loaded_vae_file = str(path)

    def modules(self) -> dict[str, dict[str, Any]]:
        found = super().modules()
        found["modules.sd_unet"] = {"current_unet": None}
        found["networks"] |= {
            "loaded_networks": self.loaded_networks, "network_restore_weights_from_backup": self.restore,
        }  # fmt: skip
        return found

    # ---- the patches of torch's classes ----------------------------------------------------------------------------

    def patch(self) -> None:
        """The script of the built-in extension runs: every such layer of the process asks for its LoRA."""
        self.originals = {kind: kind.forward for kind in _PATCHED}
        for kind, forward in self._forwards.items():
            kind.forward = forward

    def unpatch(self) -> None:
        """ "Reload UI" unloads it: torch's own is back, and who has kept ours calls what is None."""
        for kind in _PATCHED:
            kind.forward, self.originals[kind] = self.originals[kind], None

    @property
    def changed(self) -> set[Any]:
        """What is in the place of torch's own."""
        return set(self._forwards.values())

    def _forward_of(self, kind: Any) -> Callable[..., Any]:
        """Always the same function: "Reload UI" runs the extension's script again, but not its modules."""

        def forward(module: nn.Module, *arguments: Any, **named: Any) -> Any:
            self._apply(module)
            return self.originals[kind](module, *arguments, **named)

        return forward

    @contextmanager
    def around(self) -> Iterator[Double]:
        self.patch()
        try:
            with super().around():
                yield self
        finally:
            self.unpatch()
