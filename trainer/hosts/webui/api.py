"""The WebUI around us: its callbacks, options, flags and folders, which all of them have alike.

Everything is asked for anew each time: "Reload UI" empties the lists of callbacks, and options change.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...paths import Folders

OWN = "trainyard"
"""What the names of our own options begin with, and the name of our folder below the host's."""


def on_tabs(make: Callable[[], list[tuple[Any, str, str]]]) -> None:
    """``make`` returns pages with their title and id; called whenever the host builds its own."""
    from modules import script_callbacks

    script_callbacks.on_ui_tabs(make)  # not one of the hosts' registrations may be given a name: Classic takes none


def on_settings(add: Callable[[], None]) -> None:
    """``add`` is called when the host wants to know the options of its extensions."""
    from modules import script_callbacks

    script_callbacks.on_ui_settings(add)


def on_started(mount: Callable[[Any], None]) -> None:
    """``mount`` is given the FastAPI application, after each start and each "Reload UI"; there may be no page."""
    from modules import script_callbacks

    script_callbacks.on_app_started(lambda _demo, app: mount(app))


def add_option(name: str, default: Any, label: str, component: Any, arguments: Mapping[str, Any], about: str) -> None:
    """An option in our section of the host's settings."""
    from modules import shared

    info = shared.OptionInfo(default, label, component, dict(arguments), section=(OWN, "Trainyard"))
    shared.opts.add_option(f"{OWN}_{name}", info.info(about) if hasattr(info, "info") else info)


def option(name: str, default: Any) -> Any:
    """The value of one of our options."""
    from modules import shared

    return getattr(shared.opts, f"{OWN}_{name}", default)


def language() -> str:
    """What our tab is read in: as our option says, else as the host's page is."""
    from modules import shared

    return str(option("language", "") or getattr(shared.opts, "localization", ""))


def flag(name: str, default: Any = None) -> Any:
    """What the host was started with: ``flag("listen")`` for ``--listen``. None where it has no such flag."""
    from modules import shared

    return getattr(shared.cmd_opts, name, default)


def folders() -> Folders:
    """Ours, within the host's: data below its data, LoRAs where it looks for them, unless the options say otherwise."""
    from modules import paths

    models = Path(paths.models_path).absolute()
    data = _folder(option("data_folder", "")) or Path(paths.data_path).absolute() / OWN
    return Folders(data, _folder(option("lora_folder", "")) or lora_folder(), models)


def lora_folder() -> Path:
    """Where the host looks for LoRAs; its built-in extension for them may be switched off."""
    from modules import paths

    found = flag("lora_dir") or os.path.join(paths.models_path, "Lora")
    return Path(found).absolute()


def _folder(chosen: Any) -> Path | None:
    text = str(chosen or "").strip()
    return Path(text).expanduser().absolute() if text else None


def is_open_to_others() -> bool:
    """Whether the host lets other machines in."""
    return any(flag(name) for name in ("listen", "share", "ngrok", "server_name"))


def is_interface_hidden() -> bool:
    """Whether the host was started without its page, for programs alone."""
    return bool(flag("nowebui"))
