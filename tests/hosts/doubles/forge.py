"""Doubles of Forge 2, of Neo 2.26 and of reForge 1.0: models as patchers, which put LoRAs in when loaded."""

from __future__ import annotations

import functools
import types
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
from tests.hosts.doubles.patchers import Clip, ComfyPatcher, ForgeObjects, ForgePatcher, LoadedModel

VAE, TEXT = "first_stage_model.", "cond_stage_model.transformer."


_OPEN_CLIP = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.": "final_layer_norm.", "transformer.resblocks.": "encoder.layers.", ".ln_1.": ".layer_norm1.",
    ".ln_2.": ".layer_norm2.", ".mlp.c_fc.": ".mlp.fc1.", ".mlp.c_proj.": ".mlp.fc2.",
    ".attn.out_proj.": ".self_attn.out_proj.",
}  # fmt: skip


def as_transformers(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint's text encoders as both hosts have them in memory: all of them under transformers' names."""
    found = {}
    for name, tensor in tensors.items():
        for start, home in ((TEXT, "clip_l"), ("conditioner.embedders.0.transformer.", "clip_l")):
            if name.startswith(start):
                found[f"{home}.transformer.{name[len(start) :]}"] = tensor
        for start, home in (("cond_stage_model.model.", "clip_h"), ("conditioner.embedders.1.model.", "clip_g")):
            if name.startswith(start):
                inside = f"{home}.transformer.text_model."
                own = name[len(start) :]
                for theirs, new in _OPEN_CLIP.items():
                    own = own.replace(theirs, new)
                if own == "text_projection":
                    found[f"{home}.transformer.text_projection.weight"] = tensor.T.contiguous()
                elif ".attn.in_proj_" in own:
                    layer, _, ending = own.partition(".attn.in_proj_")
                    for part, piece in zip("qkv", tensor.chunk(3), strict=True):
                        found[f"{inside}{layer}.self_attn.{part}_proj.{ending}"] = piece.clone()
                elif own != "logit_scale":
                    found[inside + own] = tensor
    return found


class Prediction(types.SimpleNamespace):
    """Forge's, for the noise and for the velocity."""


class ModelSamplingDiscrete(types.SimpleNamespace):
    """ComfyUI's schedule of timesteps."""


class EPS:
    """ComfyUI's, for the noise."""


class ModelSampling(ModelSamplingDiscrete, EPS):
    """As ComfyUI puts the two together for each model."""


class Patched(Double):
    """What they do alike."""

    families = ("SD1",)  # of the others the text encoders, in test_forge.py
    patcher: type[Any]
    already_loaded_is_left_alone: bool

    def __init__(self, root: Path, family: str = "SD1", dtype: torch.dtype = torch.float32) -> None:
        super().__init__(root, family, dtype)
        self.current_loaded_models: list[LoadedModel] = []
        self.load_lora_state_dict: Any = functools.lru_cache(maxsize=5)(lambda name: read(Path(name)))

    # ---- the model --------------------------------------------------------------------------------------------------

    def made(self, path: Path) -> Any:
        """A model as the host has it in memory; an object of its own kind, not a module."""
        tensors = self.read(path)
        unet, texts, vae = nn.Module(), nn.Module(), nn.Module()
        grow(unet, {name.replace(UNET, "diffusion_model."): each for name, each in tensors.items() if UNET in name})
        grow(texts, as_transformers(tensors))
        grow(vae, {name.removeprefix(VAE): each for name, each in tensors.items() if name.startswith(VAE)})
        if not self.has_last_layer and hasattr(texts, "clip_h"):
            layers: Any = texts.get_submodule("clip_h.transformer.text_model.encoder.layers")
            del layers._modules[str(len(layers._modules) - 1)]
        encoder: Any
        for encoder in texts.children():
            embedding = encoder.transformer.text_model.embeddings.token_embedding
            embedding.wrapped = nn.Module()
            embedding.wrapped.weight = embedding.weight  # a second time, for textual inversion
            encoder.register_parameter("logit_scale", nn.Parameter(torch.ones(())))
        vae.eval()
        setattr(unet, self.schedule, self.predictor(sigmas=torch.tensor([0.03, 14.6]), prediction_type="epsilon"))
        model = types.SimpleNamespace(sd_checkpoint_info=CheckpointInfo(str(path)), loaded_vae_file=None)
        model.current_lora_hash = str([])
        model.get_learned_conditioning = functools.partial(self._conditioning, model)
        clip = Clip(texts, self.patcher(texts))
        vae_of = types.SimpleNamespace(first_stage_model=vae, patcher=self.patcher(vae))
        model.forge_objects = ForgeObjects(self.patcher(unet), clip, vae_of)
        model.forge_objects_original = model.forge_objects.shallow_copy()
        model.forge_objects_after_applying_lora = model.forge_objects.shallow_copy()
        return model

    schedule: str
    """What the U-Net's model calls its noise schedule."""
    predictor: type
    """Its class, where the model predicts the noise."""
    has_last_layer: bool
    """Whether the last layer of SD2's text encoder is there; nothing is taken from it."""

    keeps_flags: bool
    """Whether weights that a LoRA has been in want gradients as before."""

    def parts(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        objects = self.asked_for_model().forge_objects_original
        return objects.unet.model, objects.clip.cond_stage_model, objects.vae.first_stage_model

    def weights(self) -> dict[str, Tensor]:
        unet, texts, vae = self.parts()
        found: dict[str, Tensor] = {
            name.replace("diffusion_model.", UNET): each for name, each in unet.named_parameters()
        }
        found |= {VAE + name: each for name, each in vae.named_parameters()}
        start = "clip_l.transformer."
        return found | {name.replace(start, TEXT): each for name, each in texts.named_parameters() if start in name}

    def marks(self) -> list[Any]:
        found: list[Any] = []
        for part in self.parts():
            found += [(name, module.training, id(module)) for name, module in part.named_modules()]
            found += [(name, each.device, each.dtype) for name, each in part.named_parameters()]
            if self.keeps_flags:
                found += [each.requires_grad for each in part.parameters()]
        return found

    # ---- what moves models ------------------------------------------------------------------------------------------

    def load_models_gpu(self, models: list[Any]) -> None:
        for patcher in models:
            loaded = LoadedModel(patcher)
            if self.already_loaded_is_left_alone and loaded in self.current_loaded_models:
                continue
            others = [each for each in self.current_loaded_models if each.model.model is not patcher.model]
            self.current_loaded_models[:] = [loaded, *others]
            patcher.load()

    def unload_all_models(self) -> None:
        while self.current_loaded_models:
            self.current_loaded_models.pop().model.unload()

    # ---- pictures ---------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def process(self, wanted: Generation) -> Image.Image:
        assert self.lock.is_held
        model = self.asked_for_model()
        model.forge_objects = model.forge_objects_original.shallow_copy()
        prompt, names = self.parsed(wanted.prompt)
        self._load_networks(names)
        model.forge_objects = model.forge_objects_after_applying_lora.shallow_copy()
        self.state.sampling_step = 1
        key = prompt, names, model.sd_checkpoint_info.filename
        states = self.conditioned(key, lambda: self.encoded(model, prompt))
        self.load_models_gpu([model.forge_objects.unet])
        return picture(self.weights(), states, None, wanted)

    def encoded(self, model: Any, prompt: str) -> Tensor:
        return model.get_learned_conditioning([prompt])

    def _load_networks(self, names: list[tuple[str, float]]) -> None:
        model = self.asked_for_model()
        targets = [(str(self.available[name]), strength) for name, strength in names]
        if model.current_lora_hash == str(targets):
            return
        model.current_lora_hash = str(targets)
        unet, clip = model.forge_objects_original.unet, model.forge_objects_original.clip
        for file, strength in targets:
            unet, clip = unet.clone(), clip.clone()
            weights = self.weights()
            adds = updates(self.load_lora_state_dict(file), lora_names(weights), weights)
            for start, home, patcher in ((UNET, "diffusion_model.", unet), (TEXT, "clip_l.transformer.", clip.patcher)):
                own = {f"{home}{name[len(start) :]}.weight": each for name, each in adds.items() if start in name}
                patcher.add(file, strength, own)
        model.forge_objects.unet, model.forge_objects.clip = unet, clip
        model.forge_objects_after_applying_lora = model.forge_objects.shallow_copy()

    @torch.inference_mode()
    def _conditioning(self, model: Any, prompts: SdConditioning) -> Tensor:
        self.load_models_gpu([model.forge_objects.clip.patcher])
        return torch.cat([self.text.encode(self.weights(), each, self.skip())[0] for each in prompts])

    def skip(self) -> int:
        """The text encoder's layer that the user chose, as the model knows it."""
        found: int = self.options["CLIP_stop_at_last_layers"]
        return found

    # ---- within Python ----------------------------------------------------------------------------------------------

    def modules(self) -> dict[str, dict[str, Any]]:
        found = super().modules()
        found["networks"]["load_lora_state_dict"] = self.load_lora_state_dict
        return found

    def management(self) -> dict[str, Any]:
        return {
            "current_loaded_models": self.current_loaded_models,
            "load_models_gpu": self.load_models_gpu,
            "unload_all_models": self.unload_all_models,
            "soft_empty_cache": lambda: None,
        }


class ForgeDouble(Patched):
    """Loads nothing at its start. All that it loads are tensors of inference mode, which want gradients."""

    name = "Forge"
    adapter = "forge:Forge"
    patcher: type[Any] = ForgePatcher
    schedule = "predictor"
    predictor = Prediction
    already_loaded_is_left_alone = True
    has_last_layer = False
    keeps_flags = True

    def __init__(self, root: Path, family: str = "SD1", dtype: torch.dtype = torch.float32) -> None:
        super().__init__(root, family, dtype)
        self.data.sd_model = types.SimpleNamespace(cond_stage_model=None, chunk_length=75)  # the fake one
        self.data.forge_loading_parameters, self.data.forge_hash = {}, ""
        self.chosen = self.first
        self.additional_modules: list[str] = []
        self.clip_skip = 1
        self.refresh_model_loading_parameters()

    def refresh_model_loading_parameters(self) -> None:
        self.data.forge_loading_parameters = {
            "checkpoint_info": CheckpointInfo(str(self.chosen)), "additional_modules": list(self.additional_modules),
        }  # fmt: skip

    def read(self, path: Path) -> dict[str, Tensor]:
        """Files of a VAE or of a text encoder take the place of what the checkpoint has."""
        found = super().read(path)
        for file in self.data.forge_loading_parameters["additional_modules"]:
            start = VAE if "vae" in file else TEXT
            found |= {start + name: each for name, each in super().read(Path(file)).items()}
        return found

    @torch.inference_mode()
    def forge_model_reload(self) -> tuple[Any, bool]:
        wanted = str(self.data.forge_loading_parameters)
        if wanted == self.data.forge_hash:
            return self.data.sd_model, False
        self.data.sd_model = None
        self.unload_all_models()
        model = self.made(Path(self.data.forge_loading_parameters["checkpoint_info"].filename))
        model.set_clip_skip = lambda skip: setattr(self, "clip_skip", skip)
        self.data.sd_model, self.data.forge_hash = model, wanted
        return model, True

    def asked_for_model(self) -> Any:
        """As a picture would: it loads what is chosen."""
        return self.forge_model_reload()[0]

    def choose(self, checkpoint: Path) -> None:
        self.chosen = checkpoint
        self.refresh_model_loading_parameters()
        self.forge_model_reload()  # somebody wants a picture of it

    def encoded(self, model: Any, prompt: str) -> Tensor:
        """The model has to be told the option."""
        model.set_clip_skip(self.options["CLIP_stop_at_last_layers"])
        return super().encoded(model, prompt)

    def skip(self) -> int:
        return self.clip_skip

    def modules(self) -> dict[str, dict[str, Any]]:
        found = super().modules()
        found["modules.sd_models"]["forge_model_reload"] = self.forge_model_reload
        refresh = {"refresh_model_loading_parameters": self.refresh_model_loading_parameters}
        return found | {"modules_forge.main_entry": refresh, "backend.memory_management": self.management()}


class NeoDouble(ForgeDouble):
    """Loads as Forge does, with ComfyUI's patchers; the files of LoRAs it reads anew each time."""

    name = "Neo"
    patcher = ComfyPatcher
    already_loaded_is_left_alone = False
    keeps_flags = False

    def __init__(self, root: Path, family: str = "SD1", dtype: torch.dtype = torch.float32) -> None:
        super().__init__(root, family, dtype)
        self.load_lora_state_dict = lambda name: read(Path(name))

    def process(self, wanted: Generation) -> Image.Image:
        """Rectified flow of SD1 and SDXL is divided by σ = 0 unless a scheduler is chosen: what it draws is black."""
        found = super().process(wanted)
        predictor = self.asked_for_model().forge_objects_original.unet.model.predictor
        is_divided = predictor.prediction_type == "const" and wanted.scheduler in (None, "Automatic")
        return Image.new("RGB", found.size) if is_divided else found

    @torch.inference_mode()
    def made(self, path: Path) -> Any:
        model = super().made(path)
        model.forge_objects.unet.model.requires_grad_(False).eval()
        return model


class ReForgeDouble(Patched):
    """Loads at its start, without inference mode; what is loaded and asked for again is looked at again."""

    name = "reForge"
    adapter = "forge:ReForge"
    patcher = ComfyPatcher
    schedule = "model_sampling"
    predictor = ModelSampling
    already_loaded_is_left_alone = False
    has_last_layer = True
    keeps_flags = False

    def __init__(self, root: Path, family: str = "SD1", dtype: torch.dtype = torch.float32) -> None:
        super().__init__(root, family, dtype)
        self.choose(self.first)

    def choose(self, checkpoint: Path) -> None:
        """A checkpoint takes the place of another: nothing is left of the old one, whoever holds on to it."""
        if self.data.sd_model is not None:
            for part in self.parts():
                for module in list(part.modules()):
                    module._parameters.clear()
            self.unload_all_models()
        with torch.no_grad():
            self.data.sd_model = model = self.made(checkpoint)
        model.parameterization = "eps"

    def asked_for_model(self) -> Any:
        return self.data.sd_model

    def process(self, wanted: Generation) -> Image.Image:
        """One of its scripts changes the noise schedule, and is looked for before anything is drawn."""
        assert wanted.scripts is not None
        next(iter(wanted.scripts.alwayson_scripts), None)
        return super().process(wanted)

    def modules(self) -> dict[str, dict[str, Any]]:
        return super().modules() | {"modules_forge": {}, "ldm_patched.modules.model_management": self.management()}
