"""Stable Diffusion 2: OpenCLIP-H as text encoder, attention of 64 channels a head, noise or velocity."""

from __future__ import annotations

from ...config.size import Size
from ...diffusion.parameterisation import EPSILON, VELOCITY, Parameterisation
from ..base import Bundle, Predicts
from ..checkpoint.identify import FileKind, Kind
from ..checkpoint.weights import Source
from . import ldm
from .family import StableDiffusion, TextPart

_SPREAD = 0.09
"""The biases of one norm near the output spread less in models that predict the noise, more in those for the velocity:
the rule by which ComfyUI and Forge tell the published models and their descendants apart."""


class SD2(StableDiffusion):
    """Checkpoints in the layout of Stable Diffusion 2.0 and 2.1, for 512 (noise) or 768 pixels (velocity)."""

    kind = Kind.SD2
    default_size = Size(512, 512)
    scaling_factor = 0.18215
    text_parts = (TextPart("text_encoder", ldm.OPEN_CLIP, open_clip=True, acting=False),)
    base_model_version = "sd_v2"
    architecture = "stable-diffusion-v2-512"
    lora_versions = ("sd_v2", "stable-diffusion-v2")
    last_layer = 2
    context = 1024

    def architecture_of(self, bundle: Bundle) -> str:
        return "stable-diffusion-v2-768-v" if bundle.diffusion.parameterisation is VELOCITY else self.architecture

    def size_of(self, kind: FileKind) -> Size:
        return Size(768, 768) if self.predicts(kind).what is VELOCITY else self.default_size

    def predicts(self, kind: FileKind) -> Predicts:
        told = super().predicts(kind)
        if kind.prediction_type or not kind.files:
            return told
        source = Source.of_file(kind)
        return told._replace(what=self.parameterisation(source), reason="weights" if _telling_norm(source) else "")

    def parameterisation(self, source: Source) -> Parameterisation:
        """As the file says; published ones say nothing, so their weights have to."""
        if source.kind.prediction_type:
            return super().parameterisation(source)
        name = _telling_norm(source)
        if name is None:
            return EPSILON
        spread = float(source.tensors[name].float().std(unbiased=False))
        return VELOCITY if spread > _SPREAD else EPSILON


def _telling_norm(source: Source) -> str | None:
    """The bias of the first norm in the last transformer of a single file: ``output_blocks.11.1…`` at full depth."""
    ending = ".1.transformer_blocks.0.norm1.bias"
    start = f"{ldm.UNET}output_blocks."
    numbers = [
        int(name[len(start) : -len(ending)])
        for name in source.tensors
        if name.startswith(start) and name.endswith(ending)
    ]
    return f"{start}{max(numbers)}{ending}" if numbers else None
