"""What every model family offers, so that modes, data and the sampler need not know which one they train.

A :class:`Family` turns a file's or a host's tensors into a :class:`Bundle`: ready modules, frozen, on the memory the
tensors already have. A :class:`Conditioning` is what a prompt becomes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..config.size import Size
from ..diffusion.process import Diffusion
from .checkpoint.identify import FileKind
from .checkpoint.weights import Source


@dataclass(frozen=True)
class Conditioning:
    """What the U-Net is told about ``B`` prompts.

    Attributes:
        sequence: ``(B, 77·k, D)``, the text encoder's hidden states; ``k`` windows for long prompts.
        pooled: ``(B, P)``, one vector a prompt, or None where the family has none.
        size_ids: ``(B, 6)``, whole numbers of pixels: the picture's height and width in its file, what is cropped off
            at the top and at the left after scaling, the height and width it is trained at. None where the family is
            not told.
    """

    sequence: Tensor
    pooled: Tensor | None = None
    size_ids: Tensor | None = None

    def __len__(self) -> int:
        return self.sequence.shape[0]

    def __getitem__(self, rows: int | slice | Sequence[int] | Tensor) -> Conditioning:
        """The prompts of these rows, still as a batch."""
        chosen = [rows] if isinstance(rows, int) else rows
        return self._each(lambda tensor: tensor[chosen])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Conditioning:
        """The same on another device or in another type; the size numbers keep theirs, half cannot hold 2049."""
        sizes = None if self.size_ids is None else self.size_ids.to(device=device)
        return replace(self._each(lambda tensor: tensor.to(device=device, dtype=dtype)), size_ids=sizes)

    def sized(self, sizes: Tensor) -> Conditioning:
        """The same for pictures of these sizes, where the family is told any; one prompt serves all of them.

        Args:
            sizes: ``(B, 6)``, see ``size_ids``.
        """
        if self.size_ids is None:
            return self
        return replace(self.expand(len(sizes)), size_ids=sizes.to(self.size_ids))

    def copied(self) -> Conditioning:
        """The same in memory of its own, as plain tensors, whatever mode it was computed in."""
        return self._each(lambda tensor: tensor.detach().clone())

    def detach(self) -> Conditioning:
        return self._each(Tensor.detach)

    def expand(self, batch: int) -> Conditioning:
        """One prompt for a whole batch, without copying it; a batch of that size stays as it is.

        Raises:
            ValueError: there are several prompts, and not ``batch`` of them.
        """
        if len(self) == batch:
            return self
        if len(self) != 1:
            raise ValueError(f"{len(self)} prompts cannot be spread over a batch of {batch}")
        return self._each(lambda tensor: tensor.expand(batch, *tensor.shape[1:]))

    @staticmethod
    def cat(parts: Sequence[Conditioning]) -> Conditioning:
        """Several conditionings as one batch.

        Sequences of different lengths are repeated to a common one: cross-attention over a sequence and its repetitions
        gives what it gives over the sequence alone, which padding with anything else would not.

        Raises:
            ValueError: some have a pooled vector and others not.
        """
        common = math.lcm(*(part.sequence.shape[1] for part in parts))
        sequences = [part.sequence.repeat(1, common // part.sequence.shape[1], 1) for part in parts]
        return Conditioning(
            torch.cat(sequences),
            _cat_all([part.pooled for part in parts]),
            _cat_all([part.size_ids for part in parts]),
        )

    def _each(self, change: Any) -> Conditioning:
        return Conditioning(
            change(self.sequence),
            None if self.pooled is None else change(self.pooled),
            None if self.size_ids is None else change(self.size_ids),
        )


def _cat_all(tensors: Sequence[Tensor | None]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    if not present:
        return None
    if len(present) != len(tensors):
        raise ValueError("conditionings with and without a pooled vector cannot go in one batch")
    return torch.cat(present)


@dataclass
class Bundle:
    """A model, ready for training and sampling. Its modules are frozen and in eval mode.

    Attributes:
        family: the family that made it.
        name: the source's file name, as messages and metadata call it.
        unet: diffusers' U-Net.
        vae: diffusers' AutoencoderKL.
        text_encoders: one CLIP for SD1 and SD2, two for SDXL.
        tokenizers: as many.
        diffusion: how it is noised, what it predicts, which timesteps it is trained at; on the CPU.
        latent_channels: channels of the latents.
        scaling_factor: latents are ``(z - shift) * scaling_factor``.
        shift: see above.
        dtypes: part (``"unet"``, ``"vae"``, ``"text_encoder"``) -> the type its weights are stored in.
        path: the checkpoint's file, or None for a folder or a host's tensors without one.
        vae_name: the separate VAE's file name, empty if the checkpoint's own is used.
        notes: what its user should know, a sentence each.
        borrowed: the parts, by their names in ``modules``, whose weights are a host's memory where it computes: to move
            them off the device would free nothing.
        encode_prompt: encodes a prompt for an image of this size as the host does, emphasis and embeddings
            and all; returns None where it cannot. None without a host.
    """

    family: Family
    name: str
    unet: nn.Module
    vae: nn.Module
    text_encoders: tuple[nn.Module, ...]
    tokenizers: tuple[Any, ...]
    diffusion: Diffusion
    latent_channels: int
    scaling_factor: float
    shift: float
    dtypes: dict[str, torch.dtype]
    path: Path | None = None
    vae_name: str = ""
    notes: tuple[str, ...] = ()
    borrowed: frozenset[str] = frozenset()
    encode_prompt: Callable[[str, Size | None], Conditioning | None] | None = None

    @property
    def text_encoder(self) -> nn.Module:
        """The first text encoder."""
        return self.text_encoders[0]

    @property
    def tokenizer(self) -> Any:
        """The first tokenizer."""
        return self.tokenizers[0]

    @property
    def modules(self) -> dict[str, nn.Module]:
        """All modules by name: ``unet``, ``vae``, ``text_encoder``, ``text_encoder_2`` …"""
        numbered = {"text_encoder" + (f"_{i + 1}" if i else ""): each for i, each in enumerate(self.text_encoders)}
        return {"unet": self.unet, "vae": self.vae, **numbered}

    def latent_shape(self, size: Size) -> tuple[int, int, int]:
        """The shape ``(C, h, w)`` of the latents of an image of this size."""
        factor = self.family.latent_factor
        return self.latent_channels, size.height // factor, size.width // factor

    def predict(self, latents: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The U-Net's prediction: what ``diffusion.parameterisation`` says.

        Args:
            latents: noisy latents ``(B, C, h, w)``, in the U-Net's type.
            timesteps: ``(B,)``, 0 … T-1.
            conditioning: of ``B`` prompts, or of one for the whole batch, in any type.

        Returns:
            ``(B, C, h, w)``.
        """
        fitting = conditioning.expand(latents.shape[0]).to(dtype=latents.dtype)
        return self.family.predict(self, latents, timesteps, fitting)

    def encode(
        self,
        prompts: Sequence[str],
        *,
        clip_skip: int = 1,
        size: Size | None = None,
        literal: bool = False,
    ) -> Conditioning:
        """What the prompts become; see :meth:`Family.encode`.

        Within a host they are encoded as it would encode them, unless something is attached to the text encoders.

        Args:
            literal: nothing in the prompts has a special meaning: captions.
        """
        if self.encode_prompt is not None and not literal and not self._text_is_changed():
            found = [self.encode_prompt(prompt, size) for prompt in prompts]
            as_host = [each for each in found if each is not None]
            if len(as_host) == len(prompts):
                device = next(self.text_encoder.parameters()).device
                return Conditioning.cat(as_host).to(device)
        return self.family.encode(self, prompts, clip_skip=clip_skip, size=size)

    def _text_is_changed(self) -> bool:
        """Whether some module of a text encoder has another ``forward`` than its class: an adapter's."""
        return any("forward" in vars(module) for encoder in self.text_encoders for module in encoder.modules())


class Family(ABC):
    """One family of models. It keeps nothing: the same object serves every bundle.

    Attributes:
        name: ``"SD1"``, ``"SD2"`` …, as in a :class:`FileKind` and in the settings.
        label: what the user reads.
        default_size: what the family is made for.
        latent_factor: pixels a side for one latent.
        base_model_version: what a LoRA's ``ss_base_model_version`` says: ``"sd_v1"`` …
        architecture: what a LoRA's ``modelspec.architecture`` says before ``/lora``; see :meth:`architecture_of`.
        implementation: what a LoRA's ``modelspec.implementation`` says.
        blocks: the names of its blocks, ``BASE`` (text encoder) first.
        lora_names_as_sgm: whether LoRA files call U-Net modules by their paths in the original code, not in diffusers.
    """

    name: str
    label: str
    default_size: Size
    latent_factor: int
    base_model_version: str
    architecture: str
    implementation: str
    blocks: tuple[str, ...]
    lora_names_as_sgm: bool = False

    def architecture_of(self, bundle: Bundle) -> str:
        """The architecture of one model, where the family has several."""
        del bundle
        return self.architecture

    def defaults(self, mode: str, kind: FileKind) -> dict[str, Any]:
        """Settings by short name, for those of a mode that the family wants other defaults for than the table's."""
        del mode, kind
        return {}

    def vae_survives_half(self, vae_name: str) -> bool:
        """Whether fp16 has the range this VAE needs.

        Args:
            vae_name: the separate VAE's file name, empty for the checkpoint's own.
        """
        del vae_name
        return True

    def recognises(self, kind: FileKind) -> bool:
        """Whether a file of this kind is a checkpoint of the family."""
        return kind.family == self.name

    @abstractmethod
    def check(self, kind: FileKind, vae: FileKind | None) -> None:
        """Refuse a checkpoint that lacks a part, before its weights are read.

        Args:
            kind: the checkpoint.
            vae: the separate VAE, if one is chosen.

        Raises:
            ModelError: says which part is missing and what to choose.
        """

    @abstractmethod
    def take(self, source: Source, *, vae: Source | None = None) -> Bundle:
        """Build the modules on the source's own tensors; nothing is copied or cast.

        Args:
            source: the checkpoint.
            vae: a VAE to use instead of the checkpoint's own.

        Raises:
            ModelError: a part is missing, or its tensors do not fit together.
        """

    @abstractmethod
    def encode(
        self, bundle: Bundle, prompts: Sequence[str], *, clip_skip: int = 1, size: Size | None = None
    ) -> Conditioning:
        """What the prompts become, on the text encoder's device and in its type.

        Gradients flow if the caller's grad mode is on.

        Args:
            bundle: the model.
            prompts: ``B`` prompts, of any length.
            clip_skip: 1 = the hidden layer the family was trained with (SD1: the last; SD2, SDXL: the second last of
                the file), 2 = the one before …
            size: of the image, for families that are told; None is their default size. For
                pictures that were cropped see :meth:`Conditioning.sized`.
        """

    def predict(self, bundle: Bundle, latents: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """See :meth:`Bundle.predict`; as Stable Diffusion's U-Nets are called."""
        added = {}
        if conditioning.pooled is not None:
            added["added_cond_kwargs"] = {"text_embeds": conditioning.pooled, "time_ids": conditioning.size_ids}
        return bundle.unet(latents, timesteps, conditioning.sequence, return_dict=False, **added)[0]
