"""Which number format each part is kept in, on which device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from .errors import NotBuiltError, UserError
from .settings import Settings

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Precision:
    """The formats of one run, and what is to be said about them."""

    base: torch.dtype
    network: torch.dtype
    vae: torch.dtype
    saved: torch.dtype
    notes: tuple[str, ...]

    @property
    def scales_loss(self) -> bool:
        """fp16's small gradients need scaling; the others' do not."""
        return self.base is torch.float16


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
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"{wanted} cannot be used here", where="device", do="Choose cpu, or leave it out") from error
    return device


def choose_precision(settings: Settings, stored: Iterable[torch.dtype], device: torch.device) -> Precision:
    """The formats for weights ``stored`` as given, on ``device``.

    Half formats take weights that are stored in either half format as they are, without a copy. On the CPU, where half
    formats are slow, they mean fp32.

    Raises:
        NotBuiltError: int8.
    """
    stored = set(stored)
    base, notes = _base(settings.train_model_precision, stored, device)
    network = DTYPES[settings.train_lora_precision]
    vae = DTYPES[settings.train_VAE_precision]
    if device.type == "cpu":
        network = vae = torch.float32
    saved = base_as_stored(stored) if settings.save_precision == "model" else DTYPES[settings.save_precision]
    return Precision(base, network, vae, saved, tuple(notes))


def base_as_stored(stored: set[torch.dtype]) -> torch.dtype:
    """The one format for a file's weights: the widest found in it."""
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        if dtype in stored:
            return dtype
    return torch.float32


def _base(wanted: str, stored: set[torch.dtype], device: torch.device) -> tuple[torch.dtype, list[str]]:
    if wanted == "int8":
        raise NotBuiltError("int8 is not built yet", where="train model precision", do="Choose fp16 or bf16")
    widest = base_as_stored(stored)
    dtype = widest if wanted == "model" else DTYPES[wanted]
    if wanted in ("fp16", "bf16") and stored <= set(_HALVES) and len(stored) == 1:
        dtype = widest
    if device.type == "cpu" and dtype in _HALVES:
        dtype = torch.float32
    if stored == {dtype}:
        return dtype, []
    names = " and ".join(sorted(_NAMES.get(found, str(found)) for found in stored))
    because = ": the CPU computes in fp32" if device.type == "cpu" and dtype is torch.float32 else ""
    return dtype, [f"The model is stored as {names} and is copied to {_NAMES[dtype]}{because}."]
