"""Which number format each part is kept in, on which device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ..config.settings import Settings
from ..errors import UserError
from .checkpoint.parts import DENOISER, VAE, text_encoder_part

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PARTS = {
    DENOISER: "the U-Net",
    VAE: "the VAE",
    text_encoder_part(0): "the text encoder",
    text_encoder_part(1): "the second text encoder",
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_HALVES = (torch.float16, torch.bfloat16)

_VAE_KEPT = (
    "The VAE is computed in fp32: in fp16 its pictures turn black. Choose bf16 as VAE precision, or the VAE "
    "sdxl-vae-fp16-fix, to save memory."
)

Stored = Mapping[str, Mapping[torch.dtype, int]]
"""Part of the model (``denoiser``, ``vae``, ``text_encoder`` …) -> type -> how many of its numbers are stored in it."""


@dataclass(frozen=True)
class Precision:
    """The formats of one run, and what is to be said about them.

    Attributes:
        parts: part of the model -> the type it is computed in.
        network: the type of what is trained.
        saved: the type of the file.
        int8: whether the weights of denoiser and text encoders are kept as int8.
        notes: sentences, one for each kind of copy.
    """

    parts: Mapping[str, torch.dtype]
    network: torch.dtype
    saved: torch.dtype
    int8: bool = False
    notes: tuple[str, ...] = ()

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
        raise UserError(f"{wanted} cannot be used here", where="device", do="Choose cpu, or leave it out") from error
    # With the card's number, also where it was left out: torch 2.1 does not tell the memory of a card without one.
    return taken if device.type == "cuda" else device


def choose_precision(
    settings: Settings, stored: Stored, device: torch.device, *, vae_survives_half: bool = True
) -> Precision:
    """The formats for weights ``stored`` as given, on ``device``; each part goes by itself.

    Half formats take U-Net and text encoders that are stored in either half format as they are, without a copy. On the
    CPU, where half formats are slow, they mean fp32. The VAE is in the type it is wanted in, unless that is fp16 and it
    does not survive it: some lose their pictures in fp16, and only in that.
    """
    int8 = settings.train_model_precision == "int8"
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
    notes = _notes(stored, parts, device, int8=int8)
    return Precision(parts, network, saved, int8, (*notes, _VAE_KEPT) if kept else notes)


def main_type(types: Mapping[torch.dtype, int]) -> torch.dtype:
    """The type most of a part's numbers are stored in."""
    return max(types, key=lambda dtype: types[dtype], default=torch.float32)


def computed_in(wanted: str, stored: torch.dtype, device: torch.device) -> torch.dtype:
    """The type to compute in, for weights stored in a type and wanted ``model``, ``int8`` or in one of ours.

    What can be stored but not computed in (fp8) becomes fp16; so does what is beside int8, unless it is stored in half
    already.
    """
    if wanted in ("model", "int8"):
        as_it_is = _HALVES if wanted == "int8" else tuple(_NAMES)
        dtype = stored if stored in as_it_is else torch.float16
    else:
        dtype = DTYPES[wanted]
        if dtype in _HALVES and stored in _HALVES:
            dtype = stored
    return torch.float32 if device.type == "cpu" and dtype in _HALVES else dtype


def _notes(stored: Stored, parts: Mapping[str, torch.dtype], device: torch.device, *, int8: bool) -> tuple[str, ...]:
    """One sentence for all parts that go the same way; none for those that are taken as they are stored."""
    groups: dict[tuple[str, torch.dtype, bool], list[str]] = {}
    for part, types in stored.items():
        becomes_int8 = int8 and part != VAE
        if set(types) - {parts[part]} or becomes_int8:
            key = (_told(types), parts[part], becomes_int8)
            groups.setdefault(key, []).append(PARTS.get(part, part))
    return tuple(_note(names, *key, device) for key, names in groups.items())


def _note(names: list[str], stored: str, dtype: torch.dtype, int8: bool, device: torch.device) -> str:
    subject = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    verb = "are" if len(names) > 1 else "is"
    because = ": the CPU computes in fp32" if device.type == "cpu" else ""
    copied = f"copied to int8, computed in {_NAMES[dtype]}" if int8 else f"copied to {_NAMES[dtype]}"
    return f"{subject[0].upper()}{subject[1:]} {verb} stored as {stored} and {verb} {copied}{because}."


def _told(types: Mapping[torch.dtype, int]) -> str:
    most = main_type(types)
    rest = sorted(_name(dtype) for dtype in types if dtype is not most)
    return _name(most) + (f", in part {' and '.join(rest)}," if rest else "")


def _name(dtype: torch.dtype) -> str:
    return _NAMES.get(dtype) or str(dtype).removeprefix("torch.").replace("float8", "fp8").replace("float", "fp")
