"""The model families, in the order shown, and how a model file finds its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..config import choices
from ..config.choices import WITH_FOLDER, load
from ..config.settings import FOUND
from ..config.size import DEFAULT_SIZE, Size
from ..errors import ModelError, NotBuiltError
from .base import Bundle, Family
from .checkpoint.identify import FileKind, Kind, as_chosen, identify, refuse_quantised
from .checkpoint.weights import Source

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {name: load(info.path)(info) for name, info in choices.FAMILIES.items()}
)


def load_bundle(path: Path | str, *, vae: Path | str | None = None, prediction: str = FOUND) -> Bundle:
    """A checkpoint, or a diffusers folder, as ready modules on the file's own pages.

    Args:
        path: the checkpoint.
        vae: a VAE file to use instead of the checkpoint's own.
        prediction: the setting.

    Raises:
        ModelError: a file is missing, broken, or not what it is chosen as. No weights have been read by then.
        NotBuiltError: the model is of a family that is not built yet.
    """
    kind, vae_kind = check_files(path, vae=vae)
    chosen_vae = None if vae_kind is None else Source.of_file(vae_kind)
    return family_of(kind).take(Source.of_file(as_chosen(kind, prediction)), vae=chosen_vae)


def load_libraries() -> None:
    """Import what bundles are made of, which takes seconds the first time."""
    for family in FAMILIES.values():
        family.load_libraries()


def check_files(path: Path | str, *, vae: Path | str | None = None) -> tuple[FileKind, FileKind | None]:
    """Everything that can be said against a model and its VAE from their headers alone.

    Returns:
        What the two files are.

    Raises:
        ModelError: a file is missing, broken, or not what it is chosen as; or the two lack a part together.
        NotBuiltError: the model is of a family that is not built yet.
    """
    kind = refuse_unless_checkpoint(path)
    vae_kind = None if vae is None else refuse_unless_vae(vae)
    family_of(kind).check(kind, vae_kind)
    return kind, vae_kind


def defaults_for(path: Path | str, mode: str, *, prediction: str = FOUND) -> dict[str, Any]:
    """Settings by short name that suit a checkpoint better than the table's defaults, in a mode.

    Args:
        prediction: the setting.

    Raises:
        ModelError: the file is missing, broken, or no checkpoint.
        NotBuiltError: it is one of a family that is not built yet.
    """
    kind = identify(path)
    return family_of(kind).defaults(mode, as_chosen(kind, prediction))


def size_for(path: Path | str, *, prediction: str = FOUND) -> Size:
    """The size of images that a checkpoint is made for, which a run on a folder of images has as its default.

    Raises:
        ModelError, NotBuiltError: as :func:`defaults_for`.
    """
    size = defaults_for(path, WITH_FOLDER, prediction=prediction).get("image_size")
    return size if isinstance(size, Size) else DEFAULT_SIZE


def refuse_unless_checkpoint(path: Path | str) -> FileKind:
    """Identify a file chosen as model, from its header alone.

    Raises:
        ModelError: it is missing, broken, or no checkpoint.
        NotBuiltError: it is one of a family that is not built yet.
    """
    kind = identify(path)
    family_of(kind)
    return kind


def family_of(kind: FileKind) -> Family:
    """The family that can train on a file.

    Raises:
        ModelError: the file is not a checkpoint.
        NotBuiltError: it is one of a family that is not built yet.
    """
    if kind.kind is Kind.OTHER_FAMILY:
        raise NotBuiltError(
            "models.not_yet", file=kind.name, kind=kind.label, family=kind.family, families=list(FAMILIES)
        )
    refuse_quantised(kind)
    for family in FAMILIES.values():
        if family.recognises(kind):
            return family
    choice: dict[str, Any] = {"file": kind.name, "kind": kind.label, "families": list(FAMILIES)}
    if kind.kind in (Kind.SD1_INPAINTING, Kind.SD2_INPAINTING, Kind.SDXL_INPAINTING, Kind.SD2_DEPTH, Kind.SD2_UNCLIP):
        raise ModelError("models.variant", file=kind.name, kind=kind.label)
    if kind.kind in (Kind.SDXL_REFINER, Kind.SD2_UPSCALER):
        raise ModelError("models.no_base_model", **choice)
    if kind.kind is Kind.SDXL_EDM:
        raise ModelError("models.cannot_train", **choice)
    raise ModelError("models.unknown" if kind.kind is Kind.UNKNOWN else "models.no_checkpoint", **choice)


def block_of(name: str) -> str | None:
    """The block of the module that an adapter of this name in a file belongs to, whatever model the file is for."""
    found = (family.block_of(name) for family in FAMILIES.values())
    return next((block for block in found if block is not None), None)


def family_of_lora(metadata: Mapping[str, str], inputs: Mapping[str, tuple[int, ...]]) -> Family | None:
    """The family a LoRA was trained for: as it says, else by its names and shapes; None if neither tells.

    Args:
        metadata: of the file's header.
        inputs: see :meth:`Family.fits_lora`.
    """
    families = FAMILIES.values()
    for key in ("ss_base_model_version", "modelspec.architecture"):
        for family in families:
            if metadata.get(key, "").startswith(family.lora_versions):
                return family
    return next((family for family in families if family.fits_lora(inputs)), None)


def refuse_unless_vae(path: Path | str) -> FileKind:
    """Identify a file chosen as VAE, from its header alone.

    Raises:
        ModelError: it is no VAE, or one that cannot be read.
    """
    kind = identify(path)
    if kind.kind is not Kind.VAE:
        raise ModelError("models.no_vae", file=kind.name, kind=kind.label)
    refuse_quantised(kind)
    return kind
