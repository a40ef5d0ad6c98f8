"""What every model family offers, so that modes, data and the sampler need not know which one they train.

A :class:`Family` turns a file's or a host's tensors into a :class:`Bundle`: ready modules, frozen, on the memory the
tensors already have. A :class:`Conditioning` is what a prompt becomes. A :class:`Sampler` makes latents of noise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from ..config.choices import FamilyInfo
from ..config.size import Size
from ..diffusion.parameterisation import Parameterisation
from ..diffusion.process import Diffusion
from ..text.messages import Message
from .checkpoint.identify import FileKind, Kind
from .checkpoint.parts import DENOISER, VAE, part_label, text_encoder_part
from .checkpoint.weights import Source
from .lora_target import Target, TargetChoice
from .streaming import Streamed

Own = TypeVar("Own", bound="Conditioning")
"""The family's own class."""


@dataclass(frozen=True)
class Conditioning(ABC):
    """What the denoiser receives for ``B`` prompts. A family's own is a frozen dataclass of tensors that begin with
    the batch, or None."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of prompts, ``B``."""

    @staticmethod
    @abstractmethod
    def join(parts: Any) -> Any:
        """Several of this class as one batch, in their order; prompts of different lengths must not change by that."""

    @staticmethod
    def cat(parts: Sequence[Conditioning]) -> Conditioning:
        """Several conditionings of one family as one batch, joined as the family does."""
        joined: Conditioning = type(parts[0]).join(parts)
        return joined

    def __getitem__(self: Own, rows: int | slice | Sequence[int] | Tensor) -> Own:
        """The prompts of these rows, still as a batch."""
        if isinstance(rows, slice | Tensor):
            return self._each(lambda tensor: tensor[rows])
        every = range(len(self))
        numbers = [every[number] for number in ([rows] if isinstance(rows, int) else rows)]
        if numbers and numbers == [*range(numbers[0], numbers[-1] + 1)]:
            return self._each(lambda tensor: tensor[numbers[0] : numbers[-1] + 1])
        # Not by the list, which would become a tensor on the host that the device has to be given.
        return self._each(lambda tensor: torch.cat([tensor[:0], *(tensor[each : each + 1] for each in numbers)]))

    def to(self: Own, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Own:
        """The same on another device or in another type; whole numbers and masks keep theirs."""
        return self._each(lambda tensor: tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None))

    def sized(self, _sizes: Tensor) -> Conditioning:
        """The same for images of these sizes, where the family uses the image size; one prompt serves all of them.

        Args:
            _sizes: ``(B, 6)``, whole numbers of pixels: the image's height and width in its file, what is cropped off
                at the top and at the left after scaling, the height and width it is trained at.
        """
        return self

    def sized_like(self, _other: Conditioning) -> Conditioning:
        """The same for images of the sizes that another one of the family is for."""
        return self

    def without(self, _rows: Sequence[int]) -> Conditioning:
        """The same with no prompt at all in some rows, for families that tell this from an empty prompt."""
        return self

    def copied(self: Own) -> Own:
        """The same in its own memory, as plain tensors, whatever mode it was computed in."""
        return self._each(lambda tensor: tensor.detach().clone())

    def detach(self: Own) -> Own:
        return self._each(Tensor.detach)

    def expand(self: Own, batch: int) -> Own:
        """One prompt for a whole batch, without copying it; a batch of that size stays as it is.

        Raises:
            ValueError: there are several prompts, and not ``batch`` of them.
        """
        if len(self) == batch:
            return self
        if len(self) != 1:
            raise ValueError(f"{len(self)} prompts cannot be spread over a batch of {batch}")
        return self._each(lambda tensor: tensor.expand(batch, *tensor.shape[1:]))

    def tensors(self) -> dict[str, Tensor]:
        """Those that are there, by the names that the family's class has for them."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def _each(self: Own, change: Callable[[Tensor], Tensor]) -> Own:
        return replace(self, **{name: change(each) for name, each in self.tensors().items()})


class Sampler(Protocol):
    """A deterministic way from noise to latents."""

    def timesteps(self, steps: int) -> Tensor:
        """Where the denoiser is asked, from the noisiest on; int64, or float32 where some lie between two timesteps.

        Called before :meth:`step`.
        """

    def step(self, predicted: Tensor, timestep: Tensor, latents: Tensor) -> Tensor:
        """The latents of the next timestep, from those of ``timestep`` and what was predicted of them."""


@dataclass(frozen=True)
class CaptionReading:
    """How captions are read.

    Attributes:
        weights: brackets stress words, as in the prompts of a WebUI; if not, nothing in a caption has a meaning.
        most_tokens: a caption is cut after so many; 0: it is not.
    """

    weights: bool = False
    most_tokens: int = 0


@dataclass
class Bundle:
    """A model, ready for training and sampling. Its modules are frozen and in eval mode.

    Attributes:
        family: the family that made it.
        name: the source's file name, as messages and metadata call it.
        denoiser: what is trained beside: a U-Net or a transformer.
        vae: the autoencoder.
        text_encoders: in the family's order; a family may have none.
        tokenizers: as many.
        diffusion: how it is noised, what it predicts, which timesteps it is trained at; on the CPU.
        latent_channels: channels of the latents.
        dtypes: the type that the weights of each part are stored in, by its name in ``modules``.
        path: the checkpoint's file, or None for a folder or a host's tensors without one.
        vae_name: the separate VAE's file name, empty if the checkpoint's own is used.
        notes: what its user should know.
        host_parts: the parts, by their names in ``modules``, whose weights are a host's memory where it computes: to
            move them off the device would free nothing.
        encode_prompt: encodes a prompt for an image of this size, from this layer (``clip_skip``), as the host does,
            emphasis and embeddings and all; returns None where it cannot. None without a host.
        clip_skip: the layer of the text encoders that prompts come from, 1 = the last; 0: as the family is made, or
            as the host's user chose.
        reading: how captions are read.
        streamed: the blocks of the denoiser whose weights are on the device only while they are used; None: it is
            there as a whole.
    """

    family: Family
    name: str
    denoiser: nn.Module
    vae: nn.Module
    text_encoders: tuple[nn.Module, ...]
    tokenizers: tuple[Any, ...]
    diffusion: Diffusion
    latent_channels: int
    dtypes: dict[str, torch.dtype]
    path: Path | None = None
    vae_name: str = ""
    notes: tuple[Message, ...] = ()
    host_parts: frozenset[str] = frozenset()
    encode_prompt: Callable[[str, Size | None, int], Conditioning | None] | None = None
    clip_skip: int = 0
    reading: CaptionReading = CaptionReading()
    streamed: Streamed | None = None

    @property
    def modules(self) -> dict[str, nn.Module]:
        """All modules by the name of their part: ``denoiser``, ``vae``, ``text_encoder``, ``text_encoder_2`` …"""
        encoders = {text_encoder_part(number): each for number, each in enumerate(self.text_encoders)}
        return {DENOISER: self.denoiser, VAE: self.vae, **encoders}

    def latent_shape(self, size: Size) -> tuple[int, int, int]:
        """The shape ``(C, h, w)`` of the latents of an image of this size."""
        factor = self.family.latent_factor
        return self.latent_channels, size.height // factor, size.width // factor

    def predict(self, latents: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The denoiser's prediction, of what ``diffusion.parameterisation`` says.

        Args:
            latents: noisy latents ``(B, C, h, w)``, in the denoiser's type.
            timesteps: ``(B,)``, 0 … T-1, also between two.
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
        size: Size | None = None,
        literal: bool = False,
    ) -> Conditioning:
        """What the prompts become; see :meth:`Family.encode`.

        Within a host they are encoded as it would encode them, unless something is attached to the text encoders.

        Args:
            literal: they are captions, which are read as ``reading`` says.
        """
        if self.encode_prompt is not None and not literal and not self.text_is_changed():
            found = [self.encode_prompt(prompt, size, self.clip_skip) for prompt in prompts]
            as_host = [each for each in found if each is not None]
            if len(as_host) == len(prompts):
                home = self.text_encoders[0] if self.text_encoders else self.denoiser
                return Conditioning.cat(as_host).to(next(home.parameters()).device)
        if literal and self.reading != CaptionReading():
            return self.family.encode_captions(self, prompts, self.reading, size=size)
        return self.family.encode(self, prompts, size=size)

    def text_is_changed(self) -> bool:
        """Whether some module of a text encoder has another ``forward`` than its class: an adapter's."""
        return any("forward" in vars(module) for encoder in self.text_encoders for module in encoder.modules())


class Predicts(NamedTuple):
    """What a checkpoint's denoiser is taken to predict.

    Attributes:
        what: the noise, the velocity or the flow.
        reason: a file's :attr:`.FileKind.prediction_reason`; ``"weights"`` where they show it; empty where nothing says
            otherwise.
        zero_snr: whether no signal is left at the last timestep.
    """

    what: Parameterisation
    reason: str
    zero_snr: bool


class HostTensors(NamedTuple):
    """The tensors of a model in a host's memory, by the names the host has for them.

    Attributes:
        denoiser: by its own names, without a prefix.
        vae: likewise.
        text_encoders: all of them, each with the prefix that the host gives it.
    """

    denoiser: Mapping[str, Tensor]
    vae: Mapping[str, Tensor]
    text_encoders: Mapping[str, Tensor]


class Family(ABC):
    """One family of models. It keeps no state of a model: the same object serves every bundle.

    Attributes:
        info: its row in :mod:`.config.choices`.
        default_size: what the family is made for.
        latent_factor: pixels a side for one latent.
        base_model_version: what a LoRA's ``ss_base_model_version`` says: ``"sd_v1"`` …
        architecture: what a LoRA's ``modelspec.architecture`` says before ``/lora``; see :meth:`architecture_of`.
        implementation: what a LoRA's ``modelspec.implementation`` says.
        denoiser_label: what a sentence calls its denoiser.
        last_layer: the layer of its text encoders that prompts come from, counted from the end, which is also the last
            that ``clip_skip`` may choose.
        lora_versions: what ``ss_base_model_version`` or ``modelspec.architecture`` of its LoRAs begin with, from any
            trainer.
    """

    default_size: Size
    latent_factor: int
    base_model_version: str
    architecture: str
    implementation: str
    lora_versions: tuple[str, ...]
    last_layer: int = 1
    denoiser_label: Message = part_label(DENOISER)

    def __init__(self, info: FamilyInfo) -> None:
        self.info = info

    @property
    def name(self) -> str:
        """``"SD1"``, ``"SD2"`` …, as in a :class:`FileKind` and in the settings."""
        return self.info.name

    @property
    def label(self) -> str:
        """What the user reads."""
        return self.info.label

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of its blocks, the one for text encoders first."""
        return self.info.blocks

    def part_label(self, part: str) -> Message:
        """What a sentence calls a part of its models."""
        return self.denoiser_label if part == DENOISER else part_label(part)

    # ---- files ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def load_libraries(self) -> None:
        """Import what its bundles are made of, which takes seconds the first time."""

    def recognises(self, kind: FileKind) -> bool:
        """Whether a file of this kind is a checkpoint of the family."""
        return kind.kind is Kind.CHECKPOINT and kind.family == self.name

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
    def named_as_in_file(self, held: HostTensors) -> dict[str, Tensor]:
        """A host's tensors under the names of a checkpoint file, for :meth:`take`."""

    def architecture_of(self, _bundle: Bundle) -> str:
        """The architecture of one model, where the family has several."""
        return self.architecture

    def defaults(self, _mode: str, _kind: FileKind) -> dict[str, Any]:
        """Settings by short name, for those of a mode that the family wants other defaults for than the table's."""
        return {}

    def predicts(self, _kind: FileKind) -> Predicts | None:
        """What a checkpoint predicts, where the family has models of several kinds; else None."""
        return None

    def vae_survives_half(self, _vae_name: str) -> bool:
        """Whether fp16 has the range this VAE needs.

        Args:
            _vae_name: the separate VAE's file name, empty for the checkpoint's own.
        """
        return True

    # ---- computing --------------------------------------------------------------------------------------------------

    @abstractmethod
    def encode(self, bundle: Bundle, prompts: Sequence[str], *, size: Size | None = None) -> Conditioning:
        """What the prompts become, on the text encoder's device and in its type.

        Gradients flow if the caller's grad mode is on.

        Args:
            bundle: the model.
            prompts: ``B`` prompts, of any length.
            size: of the image, for families that use it; None is their default size. For images that were cropped
                see :meth:`Conditioning.sized`.
        """

    def encode_captions(
        self, bundle: Bundle, captions: Sequence[str], _reading: CaptionReading, *, size: Size | None = None
    ) -> Conditioning:
        """The same for captions, read as the settings say, where the family can."""
        return self.encode(bundle, captions, size=size)

    def count_tokens(self, _bundle: Bundle, _caption: str, _reading: CaptionReading) -> int:
        """How many tokens a caption has before it is cut; 0 for families that do not cut."""
        return 0

    @abstractmethod
    def states_of(self, conditioning: Any) -> Tensor:
        """What targets that read a prompt (:attr:`.Target.reads_prompt`) read of each, ``(B, places, D)``."""

    @abstractmethod
    def matching_places(self, bundle: Bundle, prompt: str, other: str) -> list[int]:
        """For each place of a prompt's states, the place of another's that says the same, or stands in for it.

        Words that both say match; of what one says in the place of the other's words, the last matches the last.
        """

    @abstractmethod
    def conditioning_of_host(self, encoded: Any, size: Size | None) -> Conditioning:
        """What a host made of one prompt, as the conditioning that :meth:`encode` would give.

        Args:
            encoded: what the host's model of this family returned.
            size: of the image, as in :meth:`encode`.
        """

    @abstractmethod
    def predict(self, bundle: Bundle, latents: Tensor, timesteps: Tensor, conditioning: Any) -> Tensor:
        """See :meth:`Bundle.predict`; the conditioning is the family's own, of as many prompts as latents."""

    @abstractmethod
    def encode_images(self, bundle: Bundle, pixels: Tensor) -> Tensor:
        """The latents of images, normalised as the denoiser knows them.

        Args:
            pixels: ``(B, 3, H, W)`` in -1 … 1, on the VAE's device and in its type.

        Returns:
            ``(B, C, h, w)``; gradients flow through the VAE if the caller's grad mode is on.
        """

    @abstractmethod
    def decode(self, bundle: Bundle, latents: Tensor) -> Tensor:
        """The images ``(B, 3, H, W)`` of normalised latents ``(B, C, h, w)`` on the VAE's device, in its type."""

    @abstractmethod
    def sampler(self, bundle: Bundle) -> Sampler:
        """How images are made of noise; one call, one batch."""

    @contextmanager
    def checkpointing(self, bundle: Bundle) -> Iterator[None]:
        """Gradient checkpointing of the denoiser while the block lasts: memory for a second forward pass.

        As diffusers' models do it. Those of the older hosts checkpoint only modules in training mode; a denoiser has no
        dropout, so that changes nothing else. Text encoders are small beside it and are left alone.
        """
        denoiser: Any = bundle.denoiser
        denoiser.train()
        denoiser.enable_gradient_checkpointing()
        try:
            yield
        finally:
            denoiser.disable_gradient_checkpointing()
            denoiser.eval()

    def blocks_to_stream(self, _bundle: Bundle) -> Sequence[nn.Module]:
        """The parts of the denoiser that it computes one after the other, none within another, each of them either
        checkpointed as a whole by :meth:`checkpointing` or not at all; none where weights cannot be streamed."""
        return ()

    # ---- LoRA -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def lora_targets(self, bundle: Bundle, choice: TargetChoice) -> list[Target]:
        """The modules that a choice trains: those of the text encoders first, then the denoiser's in its own order."""

    @abstractmethod
    def known_names(self, bundle: Bundle) -> dict[str, Target]:
        """Every module that any LoRA file may change, under every name that files have for it.

        :attr:`Target.name` is the one written for this family, whichever was read.
        """

    @abstractmethod
    def block_of(self, name: str) -> str | None:
        """The block of the module that an adapter of this name in a file belongs to; None if it belongs to none."""

    def fits_lora(self, _inputs: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether names and shapes of a LoRA tell that it was trained for this family.

        Args:
            _inputs: for each adapter by its name, the shape of the factor that takes the module's input:
                ``(rank, in, …)``.
        """
        return False
