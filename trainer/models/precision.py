"""Which number format each part is kept in, on which device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from ..config.settings import CODES, INT8, Settings
from ..errors import UserError
from ..text.messages import Message, message
from .checkpoint.parts import DENOISER, VAE, part_label

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_HALVES = (torch.float16, torch.bfloat16)

Stored = Mapping[str, Mapping[torch.dtype, int]]
"""Part of the model (``denoiser``, ``vae``, ``text_encoder`` …) -> type -> how many of its numbers are stored in it."""
Label = Callable[[str], Message]


@dataclass(frozen=True)
class Precision:
    """The formats of one run, and what is to be said about them.

    Attributes:
        parts: part of the model -> the type it is computed in.
        network: the type of what is trained.
        saved: the type of the file.
        codes: what the denoiser's weights are kept as if not as numbers to compute with, ``int8`` or ``nf4``.
        notes: one for each kind of copy.
    """

    parts: Mapping[str, torch.dtype]
    network: torch.dtype
    saved: torch.dtype
    codes: str = ""
    notes: tuple[Message, ...] = ()

    @property
    def base(self) -> torch.dtype:
        """What the denoiser is computed in."""
        return self.parts[DENOISER]

    @property
    def scales_loss(self) -> bool:
        """fp16's small gradients need scaling; the others' do not."""
        return torch.float16 in (dtype for part, dtype in self.parts.items() if part != VAE)


def choose_device(wanted: str = "") -> torch.device:
    """The device asked for, or the best there is: CUDA, then MPS, then the CPU.

    Raises:
        UserError: there is no such device here.
    """
    if not wanted or wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        taken = torch.empty(1, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError("models.no_device", where=message("models.device"), device=wanted) from error
    # With the card's number, also where it was left out: torch 2.1 does not tell the memory of a card without one.
    return taken if device.type == "cuda" else device


def choose_precision(
    settings: Settings,
    stored: Stored,
    device: torch.device,
    *,
    vae_survives_half: bool = True,
    label: Label = part_label,
) -> Precision:
    """The formats for weights ``stored`` as given, on ``device``; each part separately.

    Half formats take a denoiser and text encoders that are stored in either half format as they are, without a copy.
    On the CPU, where half formats are slow, they mean fp32. The VAE has the type asked for, unless that is fp16 and it
    does not survive it: the images of some turn black in fp16, and only in that.

    Args:
        label: what a note calls a part; the family's word for it.
    """
    wanted = settings.train_model_precision
    parts = {part: computed_in(wanted, main_type(types), device) for part, types in stored.items()}
    parts[VAE] = DTYPES[settings.train_VAE_precision]
    network = DTYPES[settings.train_lora_precision]
    kept = parts[VAE] is torch.float16 and not vae_survives_half and device.type != "cpu"
    if kept:
        parts[VAE] = torch.float32
    if device.type == "cpu":
        network = parts[VAE] = torch.float32
    base = main_type(stored[DENOISER])
    as_stored = base if base in _NAMES else torch.float16
    saved = as_stored if settings.save_precision == "model" else DTYPES[settings.save_precision]
    codes = wanted if wanted in CODES else ""
    notes = _notes(stored, parts, device, label, codes)
    return Precision(parts, network, saved, codes, (*notes, message("models.vae_in_fp32")) if kept else notes)


def main_type(types: Mapping[torch.dtype, int]) -> torch.dtype:
    """The type most of a part's numbers are stored in."""
    return max(types, key=lambda dtype: types[dtype], default=torch.float32)


def computed_in(wanted: str, stored: torch.dtype, device: torch.device) -> torch.dtype:
    """The type to compute in, for weights stored in a type and wanted ``model``, as codes or in one of ours.

    What can be stored but not computed in (fp8) becomes fp16; so does what is beside codes, unless it is stored in half
    already.
    """
    if wanted == "model" or wanted in CODES:
        as_it_is = _HALVES if wanted in CODES else tuple(_NAMES)
        dtype = stored if stored in as_it_is else torch.float16
    else:
        dtype = DTYPES[wanted]
        if dtype in _HALVES and stored in _HALVES:
            dtype = stored
    return torch.float32 if device.type == "cpu" and dtype in _HALVES else dtype


def codes_of(part: str, codes: str) -> str:
    """What a part's weights are kept as: text encoders, small and asked once, as nothing coarser than int8."""
    if part == VAE or not codes:
        return ""
    return codes if part == DENOISER else INT8


def _notes(
    stored: Stored, parts: Mapping[str, torch.dtype], device: torch.device, label: Label, codes: str
) -> tuple[Message, ...]:
    """One for all parts that go the same way; none for those that are taken as they are stored."""
    groups: dict[tuple[tuple[torch.dtype, ...], torch.dtype, str], list[Message]] = {}
    for part, types in stored.items():
        own = codes_of(part, codes)
        if set(types) - {parts[part]} or own:
            kept = main_type(types)
            key = ((kept, *sorted(set(types) - {kept}, key=_name)), parts[part], own)
            groups.setdefault(key, []).append(label(part))
    on_cpu = device.type == "cpu"
    return tuple(
        message(
            "models.copied_to_codes" if own else "models.copied_for_cpu" if on_cpu else "models.copied",
            parts=labels,
            stored=_types(kept),
            type=_name(dtype),
            **({"codes": own} if own else {}),
        )
        for (kept, dtype, own), labels in groups.items()
    )


def _types(stored: tuple[torch.dtype, ...]) -> Message | str:
    """The types a part is stored in, the most frequent first."""
    most, *rest = map(_name, stored)
    return message("models.mixed_types", most=most, rest=rest) if rest else most


def _name(dtype: torch.dtype) -> str:
    return _NAMES.get(dtype) or str(dtype).removeprefix("torch.").replace("float8", "fp8").replace("float", "fp")
