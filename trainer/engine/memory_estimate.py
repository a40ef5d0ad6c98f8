"""How much memory a run will take, before it begins: its own code is traced on the meta device, with these settings.

What a trace cannot see is what kernels need inside and what allocators keep; ``_KEPT…`` and ``_CONTEXT`` stand for
that. Those of the CPU under glibc were measured (docs/benchmarks.md); the others were not.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config.choices import MODES
from ..config.key_values import split_loras
from ..config.settings import CODES, STREAMING, Settings, effective
from ..config.size import Size
from ..data.augmentation import Augmentation
from ..data.captions.variants import with_trigger
from ..data.dataset_file import dataset_file, read_dataset_file, with_largest
from ..data.latents import PIXELS_AT_ONCE, empty_dataset
from ..data.pairs.pair import open_pair
from ..data.samples import Sample
from ..errors import UserError
from ..models.checkpoint.parts import TEXT_ENCODER, VAE, is_text_encoder
from ..models.latents import decode, encode_images
from ..models.memory_trace import META, MemoryTrace, random_of_nothing
from ..models.placement import place, stored_types
from ..models.precision import Precision, choose_precision
from ..models.recompute import keeping_less
from ..models.registry import load_bundle
from ..models.streaming import streamed_bytes
from ..modes.base import Pass, PassContext
from ..modes.captions import bytes_of, may_encode_each_step, most_bytes
from ..modes.registry import mode_of
from ..networks.base import Network, build
from ..networks.files.find import find_lora
from ..networks.files.read import network_from_file
from ..networks.registry import builder, targets_of
from ..optim.optimizers import state_bytes
from .host import Host
from .plan import makes_previews, saves_memory
from .previews import host_makes_previews

_GLIBC = platform.libc_ver()[0] == "glibc"
_KEPT, _KEPT_CHECKPOINTED = (1.4, 3.2) if _GLIBC else (1.2, 1.2)
"""On the CPU: bytes of the process for each that lives in a small block, without and with gradient checkpointing.
glibc keeps what is freed between blocks."""
_KEPT_ON_CARD = 1.1
_CONTEXT = 512 * 2**20
"""Bytes that CUDA takes for itself."""
_HUGE = Size(1280, 1280), Size(1536, 1536)
"""Frames by which what the VAE takes for larger ones is told."""


@dataclass(frozen=True)
class MemoryEstimate:
    """The most memory of the device in each part of a run, in bytes. On the CPU, of the process beyond the libraries.

    Attributes:
        images: while the images are encoded.
        steps: in a training step.
        previews: while an image is made during the run, or the strip after it.
        in_ram: what waits in the CPU's memory, on its way to a card and back.
        lora: not of the memory: what the tensors of the finished LoRA take on the disk.
    """

    images: int
    steps: int
    previews: int
    in_ram: int = 0
    lora: int = 0

    @property
    def most(self) -> int:
        return max(self.images, self.steps, self.previews)

    def saves_over(self, other: MemoryEstimate) -> bool:
        """Whether any part of the run takes less than in the other, and the largest does not take more."""
        pairs = ((self.images, other.images), (self.steps, other.steps), (self.previews, other.previews))
        return self.most <= other.most and any(own < its for own, its in pairs)


def estimate_memory(settings: Settings, host: Host, device: torch.device | None = None) -> MemoryEstimate:
    """The memory that a run with these settings takes on a device, by default the host's. It takes a second or two.

    Args:
        device: any device, also of a type that this machine does not have.

    Raises:
        UserError: the settings, the model or a LoRA cannot be used.
    """
    model, *vae = host.files(settings)
    settings = effective(settings)
    file = dataset_file(settings)
    if file is not None:
        settings = with_largest(settings, [each.settings for each in read_dataset_file(file, settings).subsets])
    return _Estimate(settings, model, vae[0] if vae else None, host, device or host.device).of_run()


class _Taken(NamedTuple):
    """What a pass takes beside weights and networks, in bytes.

    Attributes:
        step: in a step, at most.
        trained: between steps: gradients and the optimizer's state.
        text: the text encoders that have left the card.
    """

    step: int
    trained: int
    text: int


class _Estimate:
    """One run on the meta device."""

    def __init__(self, settings: Settings, model: Path, vae: Path | None, host: Host, device: torch.device) -> None:
        self._host = host
        self._device = device
        self._bundle = load_bundle(model, vae=vae)
        self._precision = self._placed(settings)
        self._frame, self._captions = self._sizes(settings)
        self._settings = replace(settings, image_size=self._frame)
        self._lora = 0
        kernels = [each for each in self._bundle.denoiser.parameters() if each.ndim == 4]
        self._largest_kernel = max((_bytes([each]) for each in kernels), default=0)

    def of_run(self) -> MemoryEstimate:
        settings, weights = self._settings, self._weights()
        by_host = host_makes_previews(self._host, settings)
        makes_images = settings.effect_strip or (makes_previews(settings) and not by_host)
        with ExitStack() as attached:
            for name, _ in split_loras(settings.base_loras):
                network = network_from_file(find_lora(name, self._host.folders.loras), self._bundle)
                attached.enter_context(network.requires_grad_(False).to(META).attached())
            decoding = self._decoding() if makes_images else 0
            steps, previews = self._stepping(attached, decoding, trained_too=not by_host)
        images = self._images(weights)
        context = _CONTEXT if self._device.type == "cuda" else 0
        held, in_ram = weights + context, 0 if self._is_cpu else self._streamed[0]
        return MemoryEstimate(
            context + images, held + steps, held + (previews if makes_images else 0), in_ram, self._lora
        )

    # ---- what is there ----------------------------------------------------------------------------------------------

    def _placed(self, settings: Settings) -> Precision:
        """The model on the meta device, in the types it would have."""
        bundle = self._bundle
        precision = choose_precision(
            settings,
            stored_types(bundle),
            self._device,
            vae_survives_half=bundle.family.vae_survives_half(bundle.vae_name),
        )
        place(bundle, META, precision.parts, codes=precision.codes)
        bundle.vae.to(META)
        return precision

    def _sizes(self, settings: Settings) -> tuple[Size, tuple[str, str]]:
        """The largest frame that is trained, and captions as they may be."""
        if MODES[settings.mode].images != "pair":
            return settings.size, (with_trigger(settings.lora_trigger_word, "a"), "b")
        own = self._bundle.family.default_size
        try:
            pair = open_pair(settings)
        except UserError:  # which a run reports
            pair = None
        if pair is None or not pair.images:
            return settings.image_size or own, ("", "")
        sample = pair.placed(settings, own).distinct[0]
        return sample.frame, (sample.caption, sample.target.caption if sample.target else "")

    def _weights(self) -> int:
        """On a card the VAE is there only while it is needed, and counted then; so is what is streamed."""
        parts, (streamed, at_once) = self._bundle.modules, self._streamed
        whole = sum(_bytes(_tensors(module)) for part, module in parts.items() if self._stays or part != VAE)
        return whole + at_once if self._is_cpu else whole - streamed + at_once

    @property
    def _streamed(self) -> tuple[int, int]:
        """The bytes that wait to be streamed, and those that are on the device at once."""
        if self._settings.train_memory_saving != STREAMING:
            return 0, 0
        return streamed_bytes(self._bundle.family.blocks_to_stream(self._bundle))

    @property
    def _stays(self) -> bool:
        """Whether VAE and text encoders stay where they are: on the CPU, and where they may be a host's own."""
        return self._is_cpu or self._is_lent

    @property
    def _is_lent(self) -> bool:
        """Whether the weights may be a host's, which are on the device before and after."""
        settings = self._settings
        is_own = settings.train_model_precision in CODES or settings.train_memory_saving == STREAMING
        return self._host.lends_model and not is_own

    @property
    def _text(self) -> int:
        """The bytes of the text encoders."""
        return sum(_bytes(_tensors(each)) for part, each in self._bundle.modules.items() if is_text_encoder(part))

    @property
    def _is_cpu(self) -> bool:
        return self._device.type == "cpu"

    @property
    def _steps_on(self) -> torch.device:
        """Where an optimizer's step is tried: the device, if there is one here."""
        is_here = self._device.type != "cuda" or torch.cuda.is_available()
        return self._device if is_here else torch.device("cpu")

    # ---- the parts of a run -----------------------------------------------------------------------------------------

    def _images(self, weights: int) -> int:
        """The rest of a model of the run's own comes to the device after the images have been encoded."""
        if MODES[self._settings.mode].images == "none":
            return weights
        if self._is_lent:
            return weights + self._encoding()
        return self._encoding() + (_bytes(_tensors(self._bundle.vae)) if self._is_cpu else 0)

    def _encoding(self) -> int:
        """On a card as if there were any number of images; elsewhere as many as a batch has."""
        most = PIXELS_AT_ONCE // self._frame.area
        if self._is_cpu or MODES[self._settings.mode].images == "pair":
            most = min(self._settings.train_batch_size, most)
        count = max(1, most)

        def encoded(frame: Size) -> MemoryTrace:
            with self._trace() as trace, torch.no_grad():
                encode_images(self._bundle, torch.empty(count, 3, *reversed(frame), device=META))
            return trace

        return self._by_area(encoded)

    def _decoding(self) -> int:
        def decoded(frame: Size) -> MemoryTrace:
            with self._trace() as trace, torch.no_grad():
                decode(self._bundle, torch.empty(1, *self._bundle.latent_shape(frame), device=META))
            return trace

        return self._by_area(decoded)

    def _by_area(self, traced: Callable[[Size], MemoryTrace]) -> int:
        """What the VAE takes for the frame; of a huge one as two smaller ones tell, since it grows by as much for each
        pixel from there on, and so does the time to trace it."""
        area, (small, large) = self._frame.area, _HUGE
        if area <= large.area:
            return self._with_vae(traced(self._frame))
        least, most = traced(small), traced(large)
        pixel = (most.living.peak - least.living.peak) / (large.area - small.area)
        kept = 1 if self._is_cpu else _KEPT_ON_CARD  # what a CPU keeps beyond is of small blocks, which are no more
        return self._with_vae(most) + int(kept * pixel * (area - large.area))

    def _with_vae(self, trace: MemoryTrace) -> int:
        return self._taken(trace) + (0 if self._stays else _bytes(_tensors(self._bundle.vae)))

    def _stepping(self, attached: ExitStack, decoding: int, *, trained_too: bool) -> tuple[int, int]:
        """The most of any pass in a step, and while an image is made; networks of the passes before it stay attached.

        Args:
            decoding: what the VAE takes for an image, which is the most of it.
            trained_too: whether images are made in the midst of a pass.
        """
        most = images = held = 0
        passes = mode_of(self._settings.mode).passes(self._settings)
        for number, training in enumerate(passes, 1):
            settings = replace(training.spec.settings or self._settings, image_size=self._frame)
            network = self._network(settings)
            taken = None if training.spec.loaded else self._step(training, network, settings)
            held += _bytes(network.parameters())
            self._lora = sum(each.numel() for each in network.parameters()) * self._precision.saved.itemsize
            if taken is not None:
                text = taken.text if saves_memory(settings) else 0
                images = max(images, (held + taken.trained if trained_too else 0) + max(decoding - text, 0))
            most = max(most, held + (0 if taken is None else taken.step))
            if number < len(passes):
                attached.enter_context(network.requires_grad_(False).attached())
        return most, images

    def _step(self, training: Pass, network: Network, settings: Settings) -> _Taken:
        """What a step takes beyond weights and network: gradients, the optimizer's state and everything in between.

        The text encoders leave a card before the first one if it can do without them; until then, they are there.
        """
        bundle = self._bundle
        sample = _sample(self._frame, *self._captions, pairs=MODES[settings.mode].images in ("pair", "folder of pairs"))
        data = None if MODES[settings.mode].images == "none" else [sample] * settings.train_batch_size
        # Before the step: it may leave the network with one strength per sample, and this is one caption.
        with self._trace():
            caption = self._caption_bytes()
        with network.attached(), keeping_less(bundle, settings), self._trace(network) as trace:
            images = None if data is None else empty_dataset(data, bundle, settings)
            training.prepare(PassContext(settings, bundle, network, bundle.diffusion.to(META), images))
            preparing = self._taken(trace)
            trace.living.restart()
            trace.backward(training.loss(random_of_nothing()).samples.mean())
        network.zero_grad(set_to_none=True)
        average = 2 * _bytes(network.parameters()) if settings.train_ema_decay else 0  # and what it stands in for
        remembered = state_bytes(settings, list(network.parameters()), self._steps_on) + average
        taken = self._taken(trace)
        if MODES[settings.mode].learns_from_folder and Augmentation.of(settings).needs_pixels:
            # The VAE stays; what it takes to encode is free again when the step itself begins.
            taken = max(self._with_vae(trace), self._encoding())
        # Of captions that change from step to step, the trace has seen one.
        taken += remembered + most_bytes(settings, caption, on_cpu=self._is_cpu)
        encodes = training.needs_text_encoder or may_encode_each_step(settings, caption)
        text = 0 if self._stays or encodes or any(network.adapters_of(TEXT_ENCODER)) else self._text
        return _Taken(max(preparing, taken - text), _bytes(network.parameters()) + remembered, text)

    @torch.no_grad()
    def _caption_bytes(self) -> int:
        """What the conditioning of one caption takes."""
        return bytes_of(self._bundle.encode(["a"], literal=True))

    def _network(self, settings: Settings) -> Network:
        captions = [each for each in self._captions if each]
        trains_text = mode_of(settings.mode).trains_text_encoder(settings, captions)
        targets = targets_of(self._bundle, settings, trains_text=trains_text)
        return build(targets, builder(settings, self._precision.network, META), torch.Generator())

    def _trace(self, network: Network | None = None) -> MemoryTrace:
        modules = [*self._bundle.modules.values(), *([] if network is None else [network])]
        return MemoryTrace(tensor for module in modules for tensor in _tensors(module))

    def _taken(self, trace: MemoryTrace) -> int:
        if not self._is_cpu:
            return int(_KEPT_ON_CARD * trace.living.peak)
        kept = _KEPT_CHECKPOINTED if self._settings.use_gradient_checkpointing else _KEPT
        # A convolution on the CPU brings its weight into another order: a copy for as long as it lasts.
        small = trace.living.peak_small
        return int(kept * small) + trace.living.peak - small + 2 * self._largest_kernel


def _sample(frame: Size, caption: str, target_caption: str, *, pairs: bool) -> Sample:
    def one(name: str, own: str, target: Sample | None = None) -> Sample:
        return Sample(Path(name), own, frame, frame, (0, 0), False, False, frame, target)

    return one("original", caption, one("target", target_caption) if pairs else None)


def _tensors(module: nn.Module) -> Iterable[Tensor]:
    return (*module.parameters(), *module.buffers())


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
