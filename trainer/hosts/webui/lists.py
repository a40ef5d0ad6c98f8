"""The host's lists of checkpoints and VAEs, and the file behind each name."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import ModelError
from ...models.checkpoint.identify import MODEL_ENDINGS
from ...paths import path_of
from ...text.messages import Message, label, message
from . import api as webui_api

NO_VAE = ("", "None")


class HostLists:
    """What the host's own lists offer."""

    def models(self) -> list[str]:
        from modules import sd_models

        return ["", *sd_models.checkpoint_tiles()]  # Gradio 4 shows the first if none is chosen

    def vaes(self) -> list[str]:
        from modules import sd_vae

        return list(sd_vae.vae_dict)

    def proposed(self) -> str:
        """None: the loaded one is trained on, also after the user has loaded another."""
        return ""

    def refresh(self) -> None:
        from modules import sd_models, sd_vae

        sd_models.list_models()
        sd_vae.refresh_vae_list()

    def advice(self) -> Message:
        return message("hosts.models_of_webui")


def find_checkpoint(name: str) -> Path:
    """The file of a checkpoint, by its title in the host's list (with or without hash) or by a path.

    Raises:
        ModelError: there is no such file.
    """
    from modules import sd_models

    found = sd_models.get_closet_checkpoint_match(name)
    if found is None and not _is_file(name, "model"):
        sd_models.list_models()  # the file may be newer than the list
        found = sd_models.get_closet_checkpoint_match(name)
    if found is not None and not _is_file(name, "model"):
        return Path(found.filename)
    return _path(name, "model", webui_api.folders().models / "Stable-diffusion")


def selected_checkpoint() -> Path:
    """The file of the checkpoint selected at the top of the host's page.

    Raises:
        ModelError: there is no checkpoint.
    """
    from modules import sd_models

    try:
        return Path(sd_models.select_checkpoint().filename)
    except FileNotFoundError as error:
        raise no_checkpoint() from error


def no_checkpoint() -> ModelError:
    return ModelError("hosts.no_checkpoint", where=label("model"))


def find_vae(name: str) -> Path:
    """The file of a VAE, by its name in the host's list or by a path.

    Raises:
        ModelError: there is no such file.
    """
    from modules import sd_vae

    if name not in sd_vae.vae_dict and not _is_file(name, "vae"):
        sd_vae.refresh_vae_list()
    found = sd_vae.vae_dict.get(name)
    return Path(found) if found else _path(name, "vae", webui_api.folders().models / "VAE")


def _is_file(name: str, setting: str) -> bool:
    path = path_of(name, label(setting))
    return path.is_absolute() and os.path.exists(path)


def _path(name: str, setting: str, folder: Path) -> Path:
    given = path_of(name, label(setting))
    for path in (given, folder / name, *(folder / f"{name}{ending}" for ending in MODEL_ENDINGS)):
        if path.is_absolute() and os.path.exists(path):
            return path
    raise ModelError("hosts.not_in_list", where=label(setting), name=name, folder=folder)
