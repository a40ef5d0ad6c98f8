"""What the Stable Diffusion families share: where their parts lie in a file, and how modules are made of them.

A family says what sets it apart (:class:`TextPart`, heads, latents' scale); sizes are read from the tensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ...config.choices import MODES
from ...config.imports import without_advice
from ...config.settings import Settings, row_of
from ...config.size import DEFAULT_SIZE, Size
from ...config.values import read_value
from ...diffusion.parameterisation import CHOICES, EPSILON, FLOW, Parameterisation
from ...diffusion.process import Diffusion
from ...diffusion.schedule import NoiseSchedule, scaled_linear_betas
from ...diffusion.timesteps import LogitNormal, Uniform
from ...errors import ModelError
from ...text.messages import Message, label, message
from ..base import Bundle, CaptionReading, Family, HostTensors, Predicts, Sampler
from ..checkpoint.identify import FileKind, Kind, unet_prefix
from ..checkpoint.parts import DENOISER, VAE
from ..checkpoint.weights import Source, build_empty, fill, refuse_not_finite, stored_dtype
from ..euler import Euler
from ..lora_target import Target, TargetChoice
from . import ldm, shapes, stripes
from .blocks import block_of
from .clip import (
    Encoded,
    clip_tokenizer,
    count_layers,
    hidden_states,
    in_windows,
    matching,
    tokenize,
    tokens_of,
    weights_in_windows,
)
from .conditioning import CLIPConditioning
from .emphasis import emphasised, weighted
from .leaner import make_leaner
from .lora_targets import all_text_targets, known_names, unet_targets

Result = TypeVar("Result")

_LATENT_CHANNELS = 4
_IGNORED = ("position_ids",)
_OF_FLOW = LogitNormal(-0.2)
"""What the makers of SDXL's rectified-flow models train with, as they told those who train LoRAs on them
(67372a/LoRA_Easy_Training_Scripts, issue 58)."""
_DESCRIPTIONS = 96
"""How many stand in for captions on a flow."""
_BLOCKS = ("ResnetBlock2D", "BasicTransformerBlock")
"""What diffusers calls the parts that a U-Net checkpoints, which hold nearly all of its weights."""


@dataclass(frozen=True)
class TextPart:
    """One text encoder of a family.

    Attributes:
        name: its folder in diffusers' layout, and its name in a bundle.
        prefix: what its tensors' names begin with in a single file.
        open_clip: whether it is one of OpenCLIP's: their names in a single file, exact GELU, padding with zeros.
        acting: whether the last layer in a single file takes part; where it does not, it is not built.
        projected: whether it has a projection of the pooled output.
        skipped: layers at the end that the hidden states do not come from.
        final_norm: whether these are normalised once more.
    """

    name: str
    prefix: str
    open_clip: bool = False
    acting: bool = True
    projected: bool = False
    skipped: int = 0
    final_norm: bool = True

    @property
    def homes(self) -> tuple[str, ...]:
        """What its tensors' names begin with: in diffusers' layout, in a single file, and in one that has it under
        transformers' names."""
        return f"{self.name}.", self.prefix, self.prefix.replace(".model.", ".transformer.")

    def home_in(self, names: Iterable[str]) -> str | None:
        """Which of :attr:`homes` a model has; None if it lacks this text encoder."""
        found = list(names)
        return next((home for home in self.homes if any(name.startswith(home) for name in found)), None)

    @property
    def padding(self) -> int | None:
        """The token that fills a window; None is the tokenizer's own."""
        return 0 if self.open_clip else None


class StableDiffusion(Family):
    """A U-Net with cross-attention, an autoencoder of four channels, one or two CLIP text encoders.

    Attributes:
        kind: what its checkpoints are.
        scaling_factor: latents are what its VAE gives times this.
        text_parts: its text encoders.
        context: how wide the hidden states are that its full-size U-Net looks at.
        sgm_names: whether LoRA files call U-Net modules by their paths in the original code, not in diffusers.
    """

    kind: Kind
    scaling_factor: float
    text_parts: tuple[TextPart, ...]
    context: int
    sgm_names: bool = False
    latent_factor = 8
    implementation = "diffusers"
    denoiser_label = message("models.part_unet")

    def heads(self, width: int) -> int:
        """Attention heads of the U-Net where it is ``width`` channels wide."""
        return max(1, width // 64)

    def named_as_in_file(self, held: HostTensors) -> dict[str, Tensor]:
        return {
            **{f"{ldm.UNET}{name}": tensor for name, tensor in held.denoiser.items()},
            **{f"{ldm.VAE}{name}": tensor for name, tensor in held.vae.items()},
            **ldm.text_from_host(held.text_encoders),
        }

    def load_libraries(self) -> None:
        with without_advice():
            from diffusers import AutoencoderKL, UNet2DConditionModel
            from diffusers.loaders import single_file_utils
        from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

        del AutoencoderKL, UNet2DConditionModel, single_file_utils
        del CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    def recognises(self, kind: FileKind) -> bool:
        return kind.kind is self.kind

    def check(self, kind: FileKind, vae: FileKind | None) -> None:
        missing = [] if DENOISER in kind.parts else [DENOISER]
        missing += [text.name for text in self.text_parts if text.home_in(kind.tensors) is None]
        missing += [] if VAE in kind.parts or vae is not None else [VAE]
        if missing == [VAE]:
            raise ModelError("models.lacks_vae", file=kind.name)
        if missing and kind.is_folder:
            raise ModelError("models.folder_lacks", folder=kind.name, part=missing)
        if missing:
            raise ModelError("models.lacks", file=kind.name, parts=[self.part_label(part) for part in missing])
        if vae is not None and VAE not in vae.parts:
            raise ModelError("models.no_vae_for", file=vae.name, kind=vae.label, family=self.name)
        if vae is not None and vae.family is not None:
            raise ModelError("models.vae_of_other", file=vae.name, kind=vae.label, family=self.name)
        channels = None if vae is None else _latent_channels(vae)
        if vae is not None and channels not in (None, _LATENT_CHANNELS):
            raise ModelError(
                "models.vae_channels", file=vae.name, count=channels, family=self.name, wanted=_LATENT_CHANNELS
            )

    def defaults(self, mode: str, kind: FileKind) -> dict[str, Any]:
        """The size a checkpoint is made for; a mode without images does well with less, but not with more.

        Of a flow, one pair without captions is trained at descriptions, without which guidance takes its change back.
        """
        size = _told_size(kind) or self.size_of(kind)
        if MODES[mode].images == "none":
            return {"image_size": size} if size.area < DEFAULT_SIZE.area else {}
        if not MODES[mode].learns_from_folder:
            return {"diff_descriptions": _DESCRIPTIONS} if _stated(kind) is FLOW else {}
        return {"image_size": size} | ({"image_min_length": min(size)} if min(size) < Settings.image_min_length else {})

    def size_of(self, kind: FileKind) -> Size:
        """What one checkpoint is made for."""
        del kind
        return self.default_size

    def predicts(self, kind: FileKind) -> Predicts:
        what = _stated(kind) or EPSILON
        zero_snr = what is not FLOW and not self.schedule(kind).leaves_signal
        return Predicts(what, kind.prediction_reason, zero_snr)

    def parameterisation(self, source: Source) -> Parameterisation:
        """What the U-Net predicts: as the file says, else the noise."""
        return _stated(source.kind) or EPSILON

    def schedule(self, kind: FileKind) -> NoiseSchedule:
        """The noise schedule of one checkpoint, of 1000 timesteps."""
        if _stated(kind) is FLOW:
            return NoiseSchedule.of_flow()
        return NoiseSchedule.of_betas(scaled_linear_betas())

    def take(self, source: Source, *, vae: Source | None = None) -> Bundle:
        self.check(source.kind, vae.kind if vae else None)
        vae_source = vae or source
        what = self._part_of(DENOISER, source), self._part_of(VAE, vae_source)
        unet = _or_incomplete(lambda: _unet_tensors(source), what[0])
        autoencoder = _or_incomplete(lambda: _vae_tensors(vae_source), what[1])
        if vae is not None:  # a small file, read in whole anyway; a checkpoint's weights are checked when a loss is NaN
            refuse_not_finite(autoencoder, vae.name)
        texts = [self._text(source, part) for part in self.text_parts]
        tokenizer = clip_tokenizer()
        return Bundle(
            family=self,
            name=source.name,
            denoiser=self._unet(unet, _norm_groups(source.kind, "unet"), what[0]),
            vae=self._vae(autoencoder, _norm_groups(vae_source.kind, "vae"), what[1]),
            text_encoders=tuple(module for module, _ in texts),
            tokenizers=(tokenizer,) * len(texts),
            diffusion=self._diffusion(source),
            latent_channels=_LATENT_CHANNELS,
            dtypes={
                DENOISER: stored_dtype(unet),
                VAE: stored_dtype(autoencoder),
                **{part.name: dtype for part, (_, dtype) in zip(self.text_parts, texts, strict=True)},
            },
            path=source.path,
            vae_name=vae.name if vae else "",
            notes=_notes_on_vae(vae.kind, self.name) if vae else (),
        )

    def _diffusion(self, source: Source) -> Diffusion:
        what = self.parameterisation(source)
        return Diffusion(self.schedule(source.kind), what, _OF_FLOW if what is FLOW else Uniform())

    # ---- computing --------------------------------------------------------------------------------------------------

    def encode(
        self, bundle: Bundle, prompts: Sequence[str], *, size: Size | None = None, clip_skip: int | None = None
    ) -> CLIPConditioning:
        """See :meth:`Family.encode`.

        Args:
            clip_skip: 1 = the hidden layer the family was trained with (SD1: the last; SD2, SDXL: the second last of
                the file), 2 = the one before … None: as the bundle says.
        """
        ids = [
            torch.stack([tokenize(tokenizer, prompt, part.padding) for tokenizer, part in self._tokens(bundle)])
            for prompt in prompts
        ]  # (encoders, k, 77) each
        return self._encoded(bundle, ids, [], size, clip_skip)

    def encode_captions(
        self, bundle: Bundle, captions: Sequence[str], reading: CaptionReading, *, size: Size | None = None
    ) -> CLIPConditioning:
        read = [self._tokens_of_caption(bundle, caption, reading) for caption in captions]
        ids = [
            torch.stack([in_windows(tokenizer, tokens, part.padding) for tokenizer, part in self._tokens(bundle)])
            for tokens, _ in read
        ]
        weights = [weights_in_windows(each) for _, each in read] if reading.weights else []
        return self._encoded(bundle, ids, weights, size, None)

    def count_tokens(self, bundle: Bundle, caption: str, reading: CaptionReading) -> int:
        return len(self._tokens_of_caption(bundle, caption, replace(reading, most_tokens=0))[0])

    def states_of(self, conditioning: CLIPConditioning) -> Tensor:
        return conditioning.sequence

    def matching_places(self, bundle: Bundle, prompt: str, other: str) -> list[int]:
        as_host = bundle.encode_prompt is not None and not bundle.text_is_changed()  # which reads brackets in prompts
        reading = CaptionReading(weights=as_host)
        one, another = (
            in_windows(bundle.tokenizers[0], self._tokens_of_caption(bundle, each, reading)[0]).flatten().tolist()
            for each in (prompt, other)
        )
        return matching(one, another)

    def _tokens_of_caption(
        self, bundle: Bundle, caption: str, reading: CaptionReading
    ) -> tuple[list[int], list[float]]:
        """The tokens, and the factor of each. The tokenizers of a family are alike."""
        pieces = emphasised(caption) if reading.weights else [(caption, 1.0)]
        tokens, weights = [], []
        for text, weight in pieces:
            found = tokens_of(bundle.tokenizers[0], text)
            tokens += found
            weights += [weight] * len(found)
        most = reading.most_tokens or len(tokens)
        return tokens[:most], weights[:most]

    def _encoded(
        self, bundle: Bundle, ids: list[Tensor], weights: list[Tensor], size: Size | None, clip_skip: int | None
    ) -> CLIPConditioning:
        """Prompts ``(encoders, k, 77)`` each, and the factors of their tokens ``(k, 77)`` each, or no factors."""
        skip = self._layer(bundle) if clip_skip is None else clip_skip
        encoded: dict[int, CLIPConditioning] = {}
        for windows in {one.shape[1] for one in ids}:  # a prompt is encoded alike whatever its neighbours are
            rows = [row for row, one in enumerate(ids) if one.shape[1] == windows]
            factors = torch.stack([weights[row] for row in rows]) if weights else None
            together = self._encode_alike(bundle, torch.stack([ids[row] for row in rows], dim=1), factors, skip)
            encoded.update({row: together[place] for place, row in enumerate(rows)})
        return self._with_sizes(CLIPConditioning.join([encoded[row] for row in range(len(ids))]), size)

    def _layer(self, bundle: Bundle) -> int:
        """The bundle's ``clip_skip``, which is counted from the text encoder's last layer, counted from the family's
        own; 0 is that itself.

        Raises:
            ModelError: there are not so many layers.
        """
        parts = zip(bundle.text_encoders, self.text_parts, strict=True)
        layers = min(count_layers(encoder) - part.skipped for encoder, part in parts) + self.last_layer - 1
        if bundle.clip_skip > layers:
            raise ModelError("models.clip_skip", value=bundle.clip_skip, layers=layers)
        return max(1, bundle.clip_skip - self.last_layer + 1)

    def conditioning_of_host(self, encoded: Any, size: Size | None) -> CLIPConditioning:
        """From the hidden states alone, or from them and SDXL's vector: the pooled prompt, and the sizes behind it."""
        if isinstance(encoded, Tensor):
            return CLIPConditioning(encoded)
        pooled = encoded["vector"][:, : -6 * shapes.SIZE_WIDTH]
        return self._with_sizes(CLIPConditioning(encoded["crossattn"], pooled), size)

    def _tokens(self, bundle: Bundle) -> list[tuple[Any, TextPart]]:
        return list(zip(bundle.tokenizers, self.text_parts, strict=True))

    def _encode_alike(self, bundle: Bundle, ids: Tensor, weights: Tensor | None, clip_skip: int) -> CLIPConditioning:
        """Prompts ``(encoders, B, k, 77)`` of as many windows each; the encoders' states stand side by side."""
        parts: list[Encoded] = []
        for encoder, part, tokens in zip(bundle.text_encoders, self.text_parts, ids, strict=True):
            parts.append(
                hidden_states(encoder, tokens, clip_skip=clip_skip, skipped=part.skipped, final_norm=part.final_norm)
            )
        pooled = [part.pooled for part in parts if part.pooled is not None]
        states = [part.states if weights is None else weighted(part.states, weights) for part in parts]
        return CLIPConditioning(
            torch.cat(states, dim=-1) if len(states) > 1 else states[0], pooled[0] if pooled else None
        )

    def _with_sizes(self, conditioning: CLIPConditioning, size: Size | None) -> CLIPConditioning:
        """The conditioning with the numbers for a whole image of this size, where there is a place for them."""
        if conditioning.pooled is None:
            return conditioning
        width, height = size or self.default_size
        numbers = torch.tensor([[height, width, 0, 0, height, width]], device=conditioning.sequence.device)
        return CLIPConditioning(conditioning.sequence, conditioning.pooled, numbers.expand(len(conditioning), 6))

    def predict(self, bundle: Bundle, latents: Tensor, timesteps: Tensor, conditioning: CLIPConditioning) -> Tensor:
        added = {}
        if conditioning.pooled is not None:
            added["added_cond_kwargs"] = {"text_embeds": conditioning.pooled, "time_ids": conditioning.size_ids}
        times = timesteps + 1 if bundle.diffusion.parameterisation is FLOW else timesteps  # the flow's are 1000 s_t
        predicted: Tensor = bundle.denoiser(latents, times, conditioning.sequence, return_dict=False, **added)[0]
        return predicted

    def encode_images(self, bundle: Bundle, pixels: Tensor) -> Tensor:
        """The mean of the VAE's posterior, scaled; of large images from stripes, where no gradient is asked for."""
        vae: Any = bundle.vae
        if torch.is_grad_enabled() or not stripes.is_large(vae, pixels.shape):
            mean: Tensor = vae.encode(pixels).latent_dist.mean
        else:
            mean, _ = stripes.moments(vae, pixels).chunk(2, dim=1)
        return mean * self.scaling_factor

    def decode(self, bundle: Bundle, latents: Tensor) -> Tensor:
        """See :meth:`Family.decode`; large images one by one, in stripes, where no gradient is asked for."""
        vae: Any = bundle.vae
        scaled = latents / self.scaling_factor
        if torch.is_grad_enabled() or not stripes.is_large(vae, latents.shape, self.latent_factor):
            images: Tensor = vae.decode(scaled).sample
            return images
        return torch.cat([stripes.images(vae, each) for each in scaled.split(1)])

    def sampler(self, bundle: Bundle) -> Sampler:
        if bundle.diffusion.parameterisation is FLOW:
            return Euler(bundle.diffusion)
        from .sampler import DDIM

        return DDIM(bundle.diffusion)

    def blocks_to_stream(self, bundle: Bundle) -> list[nn.Module]:
        return [each for each in bundle.denoiser.modules() if type(each).__name__ in _BLOCKS]

    # ---- LoRA -------------------------------------------------------------------------------------------------------

    def lora_targets(self, bundle: Bundle, choice: TargetChoice) -> list[Target]:
        targets = all_text_targets(bundle.text_encoders) if choice.text_encoders else []
        return targets + unet_targets(
            bundle.denoiser,
            choice.blocks,
            choice.element,
            include_resnets=choice.include_resnets,
            sgm=self.sgm_names,
        )

    def known_names(self, bundle: Bundle) -> dict[str, Target]:
        return known_names(bundle.denoiser, bundle.text_encoders, sgm=self.sgm_names)

    def block_of(self, name: str) -> str | None:
        return block_of(name)

    def fits_lora(self, inputs: Mapping[str, tuple[int, ...]]) -> bool:
        """By the width of what its cross-attention looks at."""
        return any(name.endswith("attn2_to_k") and shape[1] == self.context for name, shape in inputs.items())

    # ---- modules ----------------------------------------------------------------------------------------------------

    def _part_of(self, part: str, source: Source) -> Message:
        return message("models.part_of", part=self.part_label(part), file=source.name)

    def _unet(self, tensors: Mapping[str, Tensor], groups: int, what: Message) -> Any:
        with without_advice():
            from diffusers import UNet2DConditionModel

        config = _or_incomplete(
            lambda: shapes.unet_config(ldm.shapes_of(tensors), heads=self.heads, norm_groups=groups), what
        )
        unet = fill(_build(lambda: UNet2DConditionModel(**config), what), tensors, what)
        make_leaner(unet)
        return unet

    def _vae(self, tensors: Mapping[str, Tensor], groups: int, what: Message) -> Any:
        with without_advice():
            from diffusers import AutoencoderKL

        config = _or_incomplete(
            lambda: shapes.vae_config(ldm.shapes_of(tensors), norm_groups=groups, scaling_factor=self.scaling_factor),
            what,
        )
        return fill(_build(lambda: AutoencoderKL(**config), what), tensors, what)

    def _text(self, source: Source, part: TextPart) -> tuple[Any, torch.dtype]:
        """A text encoder, and the type its weights are stored in."""
        from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

        what = self._part_of(part.name, source)
        tensors = _or_incomplete(lambda: _text_tensors(source, part), what)
        config = _or_incomplete(
            lambda: shapes.clip_config(ldm.shapes_of(tensors), exact_gelu=part.open_clip),
            what,
        )
        model = CLIPTextModelWithProjection if part.projected else CLIPTextModel
        module = _build(lambda: model(CLIPTextConfig(**config)), what)
        level = "text_model." if any(name.startswith("text_model.") for name in module.state_dict()) else ""
        named = {name if name == ldm.PROJECTION else level + name: tensor for name, tensor in tensors.items()}
        return fill(module, named, what, optional=_IGNORED), stored_dtype(tensors)


_VAE_OF_SDXL = re.compile(r"(?<![a-z])(sd)?xl(?![a-z])", re.IGNORECASE)
_VAE_OF_SD1 = re.compile(r"ft[-_]?(mse|ema)|kl[-_]f8|(?<![a-z])sd[-_ ]?v?[12](?![0-9])|orangemix", re.IGNORECASE)


def _notes_on_vae(vae: FileKind, family: str) -> tuple[Message, ...]:
    """The VAEs of SD1 and SD2 are alike, and of one shape with SDXL's, which has other latents: names alone tell."""
    says = f"{Path(vae.name).stem} {vae.metadata.get('modelspec.architecture', '')}"
    sdxl, sd1 = bool(_VAE_OF_SDXL.search(says)), bool(_VAE_OF_SD1.search(says))
    if sdxl == sd1 or sdxl == (family == "SDXL"):
        return ()
    return (message("models.vae_of_sdxl" if sdxl else "models.vae_of_sd", file=vae.name, family=family),)


def _stated(kind: FileKind) -> Parameterisation | None:
    """What a file says that its U-Net predicts; None where it says nothing.

    Raises:
        ModelError: it is nothing that can be trained.
    """
    stated = kind.prediction_type
    found = next((each for each in CHOICES.values() if each.name == stated), None)
    if stated and found is None:
        values = {"reason": message(f"models.because_{kind.prediction_reason}"), "setting": label("prediction")}
        raise ModelError("models.other_prediction", file=kind.name, what=stated, choices=list(CHOICES), **values)
    return found


def _latent_channels(vae: FileKind) -> int | None:
    for prefix in ("", ldm.VAE, "vae."):
        info = vae.tensors.get(f"{prefix}decoder.conv_in.weight")
        if info is not None and len(info.shape) > 1:
            return info.shape[1]
    return None


def _norm_groups(kind: FileKind, part: str) -> int:
    """Groups of group normalisation, which no tensor's shape shows: 32, unless the file says otherwise."""
    groups = kind.configs.get(part, {}).get("norm_num_groups", 32)
    try:
        stated = json.loads(kind.metadata.get("trainyard_config", "{}"))
        return int(stated.get(f"{part}_norm_groups", groups))
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError("models.config", file=kind.name) from error


def _unet_tensors(source: Source) -> dict[str, Tensor]:
    """Under diffusers' names."""
    tensors = ldm.part(source.tensors, unet_prefix(source.tensors) or "")
    return tensors if "conv_in.weight" in tensors else ldm.unet_from_ldm(tensors)


def _text_tensors(source: Source, part: TextPart) -> dict[str, Tensor]:
    """Under transformers' names, without the level ``text_model.``.

    What has those names already has the layers that act, as diffusers saves them.
    """
    home = part.home_in(source.tensors) or part.prefix
    tensors = ldm.part(source.tensors, home)
    if home == part.prefix and part.open_clip:
        tensors = ldm.clip_from_open_clip(tensors, last_layer=part.acting)
    else:
        tensors = ldm.clip_without_level(tensors)
    if not part.projected:
        tensors.pop(ldm.PROJECTION, None)
    return tensors


def _vae_tensors(source: Source) -> dict[str, Tensor]:
    prefix = next((each for each in ("vae.", ldm.VAE) if any(name.startswith(each) for name in source.tensors)), "")
    tensors = ldm.part(source.tensors, prefix)
    if any(name.startswith("encoder.down_blocks.") for name in tensors):
        return ldm.vae_with_new_names(tensors)
    return ldm.vae_from_ldm(tensors)


def _told_size(kind: FileKind) -> Size | None:
    """The size that the file says by ModelSpec's key, if that is a size to train at."""
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", kind.metadata.get("modelspec.resolution", ""))
    row = row_of("image_size")
    try:
        size: Size | None = read_value(f"{found[2]},{found[1]}", row) if found else None
    except ValueError:
        return None
    return size


def _or_incomplete(read: Callable[[], Result], what: Message) -> Result:
    try:
        return read()
    except (LookupError, ValueError, AttributeError, StopIteration, ZeroDivisionError) as error:
        raise ModelError("models.incomplete", what=what) from error


def _build(make: Callable[[], nn.Module], what: Message) -> nn.Module:
    try:
        return build_empty(make)
    except (ValueError, ZeroDivisionError) as error:
        raise ModelError("models.sizes", what=what, reason=error) from error
