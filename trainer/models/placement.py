"""Where the parts of a model are and in which precision: cast once, moved when they are needed or no longer are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..text.messages import message
from .base import Bundle
from .checkpoint.parts import DENOISER, VAE, is_text_encoder
from .checkpoint.weights import cast
from .precision import codes_of, computed_in
from .streaming import Streamed


def stored_types(bundle: Bundle) -> dict[str, dict[torch.dtype, int]]:
    """How many numbers of each part (``denoiser``, ``vae``, ``text_encoder`` …) are in which type."""
    found: dict[str, dict[torch.dtype, int]] = {}
    for part, module in bundle.modules.items():
        counts = found.setdefault(part, {})
        for parameter in module.parameters():
            counts[parameter.dtype] = counts.get(parameter.dtype, 0) + parameter.numel()
    return found


def place(
    bundle: Bundle, device: torch.device, types: Mapping[str, torch.dtype], *, codes: str = "", streams: bool = False
) -> None:
    """Bring denoiser and text encoders to ``device``; the VAE waits on the CPU, unless a host has it on ``device``.

    Weights that are there already in their type are not copied.

    Args:
        bundle: the model.
        device: where it is to be.
        types: the type of each part, by its name in ``bundle.modules``.
        codes: keep the weights of the denoiser as codes, ``int8`` or ``nf4``, and those of the text encoders as int8;
            what is not kept so has the part's type.
        streams: the denoiser's blocks wait on the CPU, and are copied to the device when they are used.
    """
    place_vae(bundle, device, types[VAE])
    place_rest(bundle, device, types, codes=codes, streams=streams)


def place_vae(bundle: Bundle, device: torch.device, dtype: torch.dtype) -> None:
    """The VAE's share of :func:`place`, which comes first: then images can be encoded while the rest of a model is not
    on the device yet."""
    bundle.host_parts = frozenset(part for part in bundle.host_parts if device_of(bundle.modules[part]) == device)
    cast(bundle.vae, dtype, device if VAE in bundle.host_parts else torch.device("cpu"))


def place_rest(
    bundle: Bundle, device: torch.device, types: Mapping[str, torch.dtype], *, codes: str = "", streams: bool = False
) -> None:
    """All of :func:`place` but the VAE, which stays where it is."""
    for part, module in bundle.modules.items():
        if part == VAE:
            continue
        place_one = partial(cast, dtype=types[part], codes=codes_of(part, codes))
        if part == DENOISER and streams:
            blocks = bundle.family.blocks_to_stream(bundle)
            for block in blocks:
                place_one(block, device=torch.device("cpu"))
            bundle.streamed = Streamed(blocks, device)
            with bundle.streamed.taken_out():
                place_one(module, device=device)
        else:
            place_one(module, device=device)


def place_for_images(bundle: Bundle, device: torch.device) -> None:
    """Everything as it is stored, in float32 on the CPU, whose half precision is slow; the VAE always in float32."""
    stored = computed_in("model", bundle.dtypes[DENOISER], device)
    place(bundle, device, {part: torch.float32 if part == VAE else stored for part in bundle.modules})


def text_to(bundle: Bundle, device: torch.device | str) -> None:
    """Move the text encoders; a host's stay where they are, which is where the denoiser is."""
    for part, module in bundle.modules.items():
        if is_text_encoder(part) and part not in bundle.host_parts:
            module.to(device)


def text_device(bundle: Bundle) -> torch.device:
    """Where the text encoders are that may be moved, or else a host's; the CPU for a family without one."""
    own = [each for part, each in bundle.modules.items() if is_text_encoder(part) and part not in bundle.host_parts]
    encoders = own or list(bundle.text_encoders)
    return device_of(encoders[0]) if encoders else torch.device("cpu")


@contextmanager
def text_on(bundle: Bundle, device: torch.device) -> Iterator[None]:
    """The text encoders are on a device while the block lasts, and then where they were before."""
    home = text_device(bundle)
    try:
        text_to(bundle, device)  # of several, not all may fit
        yield
    finally:
        text_to(bundle, home)
        if device.type == "cuda" and home != device:
            torch.cuda.empty_cache()


def vae_to(bundle: Bundle, device: torch.device | str) -> None:
    """Move the VAE; a host's stays where it is, which is where the denoiser is."""
    if VAE not in bundle.host_parts:
        bundle.vae.to(device)


@contextmanager
def vae_on(bundle: Bundle, device: torch.device, *, stays: bool = False) -> Iterator[None]:
    """The VAE is on a device while the block lasts; what it took to compute there is free for others afterwards.

    Args:
        stays: whether it is left there if all goes well.
    """
    home = device_of(bundle.vae)
    vae_to(bundle, device)
    try:
        yield
    except BaseException:
        vae_to(bundle, home)
        raise
    if not stays:
        vae_to(bundle, home)
    if device.type == "cuda":
        torch.cuda.empty_cache()


def broken_model(bundle: Bundle) -> ModelError | None:
    """What to raise about a weight that is NaN or infinite, with the file that it is from; None if there is none."""
    for part, module in bundle.modules.items():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                weight = message("models.weight_of", weight=name, part=bundle.family.part_label(part))
                file = bundle.vae_name if part == VAE and bundle.vae_name else bundle.name
                return ModelError("models.nan_weights", file=file, weight=weight)
    return None


def device_of(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def dtype_of(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype


def tensors_of(bundle: Bundle) -> list[Tensor]:
    """Every parameter and buffer of the model, except the host's."""
    modules = [module for part, module in bundle.modules.items() if part not in bundle.host_parts]
    return [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]


def away(bundle: Bundle, tensors: Iterable[Tensor] = ()) -> Away:
    """A model's own tensors, and others, off the device."""
    if bundle.streamed is not None:
        bundle.streamed.put_back()
    return Away([*tensors_of(bundle), *tensors])


class Away:
    """Tensors that wait on the CPU, so that their device has room, and come back to where they were.

    Each stays the object it is, so references to it stay valid. No graph may refer to them.

    Raises:
        RuntimeError, MemoryError: the CPU has no room for them; all of them are where they were.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        # A paged tensor is bitsandbytes's: it leaves the device on its own when room is short.
        distinct = {id(each): each for each in tensors if not getattr(each, "is_paged", False)}
        self._homes = [(each, each.device) for each in distinct.values() if each.device.type != "cpu"]
        try:
            self._leave()
        except (RuntimeError, MemoryError):  # the machine has no room for them either
            self.come_back()
            raise

    def come_back(self) -> None:
        """Raises:
        RuntimeError: the device has no room (``torch.cuda.OutOfMemoryError`` there); all of them wait on the CPU
            again, and may be called back once more.
        """
        try:
            for tensor, home in self._homes:
                tensor.data = tensor.data.to(home)
        except RuntimeError:
            self._leave()
            raise

    def _leave(self) -> None:
        for tensor, _ in self._homes:
            tensor.data = tensor.data.to("cpu")
        if any(home.type == "cuda" for _, home in self._homes):
            torch.cuda.empty_cache()
