"""Samples as the loop takes them: latents and masks made once, in batches, with the captions of the step."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..config.settings import Settings
from ..config.size import Size
from ..diffusion.seeds import mixed_seed
from ..errors import DataError
from ..models.base import Bundle
from ..models.latents import encode_images
from ..models.placement import device_of, dtype_of, vae_on
from ..text.messages import Message, label, message
from .augmentation import Augmentation, Draw, flipped
from .batches import Batches
from .cache import DataCache
from .captions.variants import CaptionRules
from .images.colours import Tint
from .images.decoding import Mask, Pixels
from .kept import KeptTensors
from .pairs.pair import difference
from .samples import Sample, Scan, pixels_of

PIXELS_AT_ONCE = 4 * 512 * 512
"""What the VAE takes of several images together."""
_MOST_RESIDENT = 512 * 2**20
"""Bytes of latents that stay on the device; more than that wait in the machine's memory."""
_CAPTION_STREAM = 4 << 32  # no step has this number

Progress = Callable[[Message, int, int], None]


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    Attributes:
        latents: ``(B, C, h, w)`` on the device, in the model's precision; of pairs, those of the originals.
        mask: ``(B, 1, h, w)`` from 0 to 1, or None where everything counts; a pair has one for both.
        sizes: ``(B, 6)`` int64 on the device, see :attr:`Sample.sizes`; of pairs, those of the originals.
        captions: each sample's, as it is in this step.
        names: each sample's file name.
        targets: of pairs, the targets' latents, like ``latents``.
        target_captions: of pairs, the targets' captions, like ``captions``.
        outside: of pairs, what both images show alike, like ``mask``; None unless ``diff_use_diff_mask`` is set.
        weights: ``(B,)`` float32 on the device, how much each sample's loss counts; None where all count alike.
    """

    latents: Tensor
    mask: Tensor | None
    sizes: Tensor
    captions: tuple[str, ...]
    names: tuple[str, ...]
    targets: Tensor | None = None
    target_captions: tuple[str, ...] = ()
    outside: Tensor | None = None
    weights: Tensor | None = None

    def repeated(self, times: int) -> Batch:
        """Every sample ``times`` times, the whole batch after itself: for several noises on the same images."""
        return Batch(
            latents=_repeated(self.latents, times),
            mask=None if self.mask is None else _repeated(self.mask, times),
            sizes=self.sizes.repeat(times, 1),
            captions=self.captions * times,
            names=self.names * times,
            targets=None if self.targets is None else _repeated(self.targets, times),
            target_captions=self.target_captions * times,
            outside=None if self.outside is None else _repeated(self.outside, times),
            weights=None if self.weights is None else self.weights.repeat(times),
        )


def _repeated(tensor: Tensor, times: int) -> Tensor:
    return tensor.repeat(times, 1, 1, 1)


@dataclass(frozen=True)
class _Encoded:
    """What a sample has become; see :class:`Batch`, without its first dimension."""

    latents: Tensor
    mask: Tensor | None = None
    target: Tensor | None = None
    outside: Tensor | None = None


@dataclass(frozen=True)
class _Augmented:
    """What of the samples is drawn at random in each step.

    Attributes:
        augmentations: of each sample, by its number.
        flipped: those that were encoded the other way round as well, by their number.
        encode: makes samples that are drawn anew; the VAE stays on the device for it.
    """

    augmentations: tuple[Augmentation, ...]
    flipped: dict[int, _Encoded]
    encode: Callable[[list[Sample], list[Tint]], list[_Encoded]]
    seed: int

    def of_step(
        self, step: int, numbers: list[int], samples: list[Sample], encoded: list[_Encoded | None]
    ) -> tuple[list[Sample], list[_Encoded | None]]:
        """The samples of a step as they were drawn, from the seed, the step and the place in the batch alone."""
        samples, encoded = list(samples), list(encoded)
        anew: list[int] = []
        tints: list[Tint] = []
        for place, number in enumerate(numbers):
            augmentation, draw = self.augmentations[number], Draw.of(self.seed, step, place)
            if augmentation.needs_pixels:
                anew.append(place)
                tints.append(draw.tint_of(augmentation))
            elif augmentation.flip and draw.flip:
                encoded[place] = self.flipped[number]
            samples[place] = draw.applied(samples[place], augmentation)
        for place, made in zip(anew, self.encode([samples[place] for place in anew], tints), strict=True):
            encoded[place] = made
        return samples, encoded


@dataclass(frozen=True)
class Dataset:
    """All samples of a run; which of them make a step depends on the step's number alone.

    Attributes:
        samples: every one once.
        epoch: their numbers in the order of an epoch, repeats included; ``batches`` has the places in it.
    """

    samples: tuple[Sample, ...]
    epoch: tuple[int, ...]
    captions: tuple[str, ...]
    """Every caption once, as it is where nothing is drawn."""
    batches: Batches
    _rules: tuple[CaptionRules, ...]
    _seed: int
    _encoded: tuple[_Encoded | None, ...]
    """None for those that are encoded in each step."""
    _sizes: tuple[Tensor, ...]
    _weights: tuple[Tensor, ...] | None
    _device: torch.device
    _augmented: _Augmented | None = None

    def of_step(self, step: int) -> Batch:
        """The batch of a step, counted from 1."""
        numbers = self._numbers(step)
        samples = [self.samples[number] for number in numbers]
        made = [self._encoded[number] for number in numbers]
        sizes = torch.stack([self._sizes[number] for number in numbers])
        if self._augmented is not None:
            samples, made = self._augmented.of_step(step, numbers, samples, made)
            sizes = torch.tensor([sample.sizes for sample in samples]).to(self._device)
        encoded = [each for each in made if each is not None]
        latents = self._stacked([each.latents for each in encoded])
        targets = [sample.target for sample in samples if sample.target is not None]
        return Batch(
            latents=latents,
            mask=self._mask([each.mask for each in encoded], latents),
            sizes=sizes,
            captions=tuple(self._caption(each, step, place) for place, each in enumerate(samples)),
            names=tuple(sample.path.name for sample in samples),
            targets=self._stacked([each.target for each in encoded if each.target is not None]) if targets else None,
            target_captions=tuple(self._caption(each, step, place) for place, each in enumerate(targets)),
            outside=self._mask([each.outside for each in encoded], latents),
            weights=None if self._weights is None else torch.stack([self._weights[number] for number in numbers]),
        )

    @property
    def captions_vary(self) -> bool:
        """Whether a caption may be another one at another step."""
        return any(side.written is not None for sample in self.samples for side in sample.sides())

    def with_plain_captions(self) -> Dataset:
        """The same with captions that stay as they are where nothing is drawn."""
        plain = [
            replace(each, written=None, target=None if each.target is None else replace(each.target, written=None))
            for each in self.samples
        ]
        return replace(self, samples=tuple(plain))

    def captions_of(self, step: int) -> list[str]:
        """The captions of a step, of pairs the originals' and the targets'."""
        samples = [self.samples[number] for number in self._numbers(step)]
        return [self._caption(side, step, place) for place, sample in enumerate(samples) for side in sample.sides()]

    def _numbers(self, step: int) -> list[int]:
        return [self.epoch[place] for place in self.batches.of_step(step)]

    def _caption(self, side: Sample, step: int, place: int) -> str:
        """What a sample's caption is in a step, from the seed, the step and the place in the batch alone; the sides of
        a pair draw the same."""
        if side.written is None:
            return side.caption
        generator = random.Random(mixed_seed(self._seed, _CAPTION_STREAM, step, place))
        epoch = (step - 1) // self.batches.per_epoch + 1
        return self._rules[side.subset].drawn(side.written, generator, epoch)

    def _stacked(self, tensors: list[Tensor]) -> Tensor:
        return torch.stack(tensors).to(self._device, non_blocking=True)

    def _mask(self, masks: list[Tensor | None], latents: Tensor) -> Tensor | None:
        if all(mask is None for mask in masks):
            return None
        ones = torch.ones(1, *latents.shape[2:])
        return self._stacked([ones if mask is None else mask for mask in masks])


@torch.no_grad()
def encode_samples(
    scan: Scan,
    bundle: Bundle,
    settings: Settings,
    progress: Progress,
    cache: DataCache | None = None,
    *,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Dataset:
    """Latents of every distinct sample, through the VAE on a device; then the VAE is back where it was.

    Samples that are cropped or coloured at random have none: they are encoded in each step, and the VAE stays.

    Args:
        progress: called with the phase, how many are done and of how many; raises to stop.
        cache: what has been encoded earlier, and where it is kept for later.
        device, dtype: where the latents are to be, in which type: by default those of the denoiser, which may come
            there later.

    Raises:
        DataError: an image was there when it was scanned, but cannot be read now.
    """
    device, dtype = device or device_of(bundle.denoiser), dtype or dtype_of(bundle.denoiser)
    of_subsets = [Augmentation.of(subset.settings) for subset in scan.subsets]
    augmentations = tuple(of_subsets[sample.subset] for sample in scan.distinct)
    fixed = [number for number, each in enumerate(augmentations) if not each.needs_pixels]
    turned = [number for number in fixed if augmentations[number].flip]
    samples = (*(scan.distinct[number] for number in fixed), *(flipped(scan.distinct[number]) for number in turned))
    masked, needs_vae = settings.diff_use_diff_mask, len(fixed) < len(augmentations)
    encoded: dict[int, _Encoded] = {}
    resident = _bytes(samples, bundle, dtype) <= _MOST_RESIDENT
    home = device if resident else torch.device("cpu")
    kept = None
    if cache is not None and samples:
        kept = KeptTensors(cache, [bundle.vae], device, bundle.family.name, dtype, masked)
    with vae_on(bundle, device, stays=needs_vae):
        for numbers in _together(samples):
            progress(message("phase.encoding_images"), len(encoded), len(samples))
            chosen = [samples[number] for number in numbers]
            found = _kept_or(partial(_encode, chosen, bundle, dtype, home, masked=masked), chosen, kept, home)
            encoded.update(zip(numbers, found, strict=True))
    progress(message("phase.encoding_images"), len(samples), len(samples))
    batches = Batches([scan.bucket_of(sample) for sample in scan.samples], scan.batch_sizes, settings.train_seed)
    whole: list[_Encoded | None] = [None] * len(augmentations)
    for place, number in enumerate(fixed):
        whole[number] = encoded[place]
    rules = [CaptionRules.of(subset.settings) for subset in scan.subsets]
    dataset = _dataset(scan.distinct, scan.epoch, whole, batches, rules, settings.train_seed, _weights(scan), device)
    if not any(augmentations):
        return dataset
    other_way = {number: encoded[len(fixed) + place] for place, number in enumerate(turned)}
    encode = partial(_encode_anew, bundle=bundle, dtype=dtype, masked=masked)
    return replace(dataset, _augmented=_Augmented(augmentations, other_way, encode, settings.train_seed))


@torch.no_grad()
def _encode_anew(
    samples: list[Sample], tints: list[Tint], bundle: Bundle, dtype: torch.dtype, *, masked: bool
) -> list[_Encoded]:
    """Samples of one frame, as they are in a step; where a pair shows no difference there, nothing of it counts."""
    most = max(1, PIXELS_AT_ONCE // samples[0].frame.area) if samples else 1
    found: list[_Encoded] = []
    for at in range(0, len(samples), most):
        here = samples[at : at + most]
        found += _encode(here, bundle, dtype, device_of(bundle.denoiser), masked=masked, tints=tints[at : at + most])
    return found


def empty_dataset(samples: Sequence[Sample], bundle: Bundle, settings: Settings) -> Dataset:
    """The same for samples of one frame whose latents hold nothing: for what depends on shapes alone."""
    device = device_of(bundle.denoiser)

    def latents(sample: Sample) -> Tensor:
        return torch.empty(bundle.latent_shape(sample.frame), dtype=dtype_of(bundle.denoiser), device=device)

    encoded = [_Encoded(latents(each), None, latents(each) if each.target else None) for each in samples]
    batches = Batches([sample.frame for sample in samples], settings.train_batch_size, settings.train_seed)
    rules, seed = [CaptionRules.of(settings)], settings.train_seed
    return _dataset(samples, range(len(samples)), encoded, batches, rules, seed, None, device)


def _weights(scan: Scan) -> Tensor | None:
    """How much each distinct sample counts; None where all count alike."""
    weights = [each.settings.prior_loss_weight if each.is_reg else 1.0 for each in scan.subsets]
    if set(weights) == {1.0}:
        return None
    return torch.tensor([weights[sample.subset] for sample in scan.distinct])


def _dataset(
    samples: Sequence[Sample],
    epoch: Sequence[int],
    encoded: Sequence[_Encoded | None],
    batches: Batches,
    rules: Sequence[CaptionRules],
    seed: int,
    weights: Tensor | None,
    device: torch.device,
) -> Dataset:
    return Dataset(
        samples=tuple(samples),
        epoch=tuple(epoch),
        captions=tuple(dict.fromkeys(side.caption for sample in samples for side in sample.sides())),
        batches=batches,
        _rules=tuple(rules),
        _seed=seed,
        _encoded=tuple(encoded),
        _sizes=tuple(torch.tensor([sample.sizes for sample in samples]).to(device)),
        _weights=None if weights is None else tuple(weights.to(device)),
        _device=device,
    )


def _encode(
    samples: list[Sample],
    bundle: Bundle,
    dtype: torch.dtype,
    home: torch.device,
    *,
    masked: bool,
    tints: list[Tint] | None = None,
) -> list[_Encoded]:
    """Samples of one frame, with or without targets.

    Args:
        tints: of samples that are drawn for a step, how their colours change; None: they are as they were scanned.

    Raises:
        DataError: ``masked``, and a pair that was scanned differs nowhere any more.
    """
    shape = bundle.latent_shape(samples[0].frame)[1:]
    targets = [sample.target for sample in samples if sample.target is not None]
    pixels, target_pixels = (
        [_tinted(sides, number, tints) for number in range(len(sides))] for sides in (samples, targets)
    )
    latents = _latents(pixels, bundle).to(home, dtype)
    if not targets:
        return [_Encoded(one, _shrunk(alpha, shape)) for one, (_, alpha) in zip(latents, pixels, strict=True)]
    target_latents = _latents(target_pixels, bundle).to(home, dtype)
    found = []
    for number, sample in enumerate(samples):
        mask, outside = _pair_masks(pixels[number], target_pixels[number], shape, masked=masked)
        if masked and tints is None and mask is not None and not mask.any():
            raise DataError("data.sample_alike", where=str(sample.path), setting=label("diff_use_diff_mask"))
        found.append(_Encoded(latents[number], mask, target_latents[number], outside))
    return found


def _tinted(samples: Sequence[Sample], number: int, tints: Sequence[Tint] | None) -> tuple[Pixels, Mask | None]:
    pixels, mask = pixels_of(samples[number])
    return (pixels if tints is None else tints[number].applied(pixels)), mask


def _kept_or(
    encode: Callable[[], list[_Encoded]], samples: list[Sample], kept: KeptTensors | None, home: torch.device
) -> list[_Encoded]:
    """Samples as they were encoded together earlier, or from ``encode``."""
    keys = None if kept is None else kept.keys_of_samples(samples)
    if kept is None or keys is None:
        return encode()
    known = [kept.get(key) for key in keys]
    if all(known):
        return [_encoded_again(tensors, home) for tensors in known if tensors]
    found = encode()
    if kept.keys_of_samples(samples) == keys:  # or a file has changed meanwhile
        for key, encoded in zip(keys, found, strict=True):
            kept.put(key, vars(encoded))
    return found


def _encoded_again(tensors: dict[str, Tensor], home: torch.device) -> _Encoded:
    """What :func:`_encode` gave; masks stay in the machine's memory."""
    at_home = {name: tensors[name].to(home) for name in ("latents", "target") if name in tensors}
    return _Encoded(**(tensors | at_home))


def _latents(pixels: list[tuple[Pixels, Mask | None]], bundle: Bundle) -> Tensor:
    return encode_images(bundle, _normalised([colours for colours, _ in pixels]))


def _pair_masks(
    original: tuple[Pixels, Mask | None], target: tuple[Pixels, Mask | None], shape: tuple[int, int], *, masked: bool
) -> tuple[Tensor | None, Tensor | None]:
    """What counts of a pair, and what both images show alike; None where everything counts.

    A pixel counts as far as both images show it. The difference is pooled by its maximum, so that thin lines survive.
    """
    (colours, alpha), (target_colours, target_alpha) = original, target
    alphas = [each for each in (alpha, target_alpha) if each is not None]
    seen = _shrunk(np.minimum.reduce(alphas), shape) if alphas else None
    if not masked:
        return seen, None
    different = torch.from_numpy(difference(colours, target_colours)).float()[None]
    mask = F.adaptive_max_pool2d(different, shape)
    return (mask, 1 - mask) if seen is None else (mask * seen, (1 - mask) * seen)


def _together(samples: Sequence[Sample]) -> list[list[int]]:
    """Numbers of samples that go through the VAE at once: of one frame, and not too many pixels."""
    by_frame: dict[Size, list[int]] = {}
    for number, sample in enumerate(samples):
        by_frame.setdefault(sample.frame, []).append(number)
    groups = []
    for frame, numbers in by_frame.items():
        most = max(1, PIXELS_AT_ONCE // frame.area)
        groups += [numbers[at : at + most] for at in range(0, len(numbers), most)]
    return groups


def _bytes(samples: Sequence[Sample], bundle: Bundle, dtype: torch.dtype) -> int:
    shapes = (bundle.latent_shape(sample.frame) for sample in samples)
    numbers = sum(channels * height * width for channels, height, width in shapes)
    return numbers * dtype.itemsize * (2 if any(sample.target for sample in samples) else 1)


def _normalised(pixels: list[Pixels]) -> Tensor:
    """uint8 ``(h, w, 3)`` each to ``(B, 3, h, w)`` in -1…1."""
    stacked = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    return stacked.float() / 127.5 - 1.0


def _shrunk(alpha: Mask | None, shape: tuple[int, int]) -> Tensor | None:
    """A mask ``(H, W)`` in the latents' shape, ``(1, h, w)``: how much of each latent's pixels counts."""
    return None if alpha is None else F.adaptive_avg_pool2d(torch.from_numpy(alpha).float()[None], shape)
