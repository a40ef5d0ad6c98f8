"""The WebUI we run in: its callbacks, options, flags and folders, which are the same in all WebUIs.

Nothing is cached: "Reload UI" empties the lists of callbacks, and options change.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...paths import Folders, path_of

OWN = "trainyard"
"""The prefix of our options' names, and the name of our folder in the host's data folder."""


def on_tabs(make: Callable[[], list[tuple[Any, str, str]]]) -> None:
    """Register ``make``, which returns pages with title and id; called whenever the host builds its page."""
    from modules import script_callbacks

    script_callbacks.on_ui_tabs(make)  # without a name for the registration: Classic takes none


def on_settings(add: Callable[[], None]) -> None:
    """Register ``add``, which is called when the host collects the options of its extensions."""
    from modules import script_callbacks

    script_callbacks.on_ui_settings(add)


def on_reload(begins: Callable[[], None]) -> None:
    """Register ``begins``, which is called when the host begins to reload its page, before it unloads extensions."""
    from modules import script_callbacks

    script_callbacks.on_before_reload(begins)


def on_started(mount: Callable[[Any], None]) -> None:
    """Register ``mount``, which gets the FastAPI application at each start and "Reload UI", even without a page."""
    from modules import script_callbacks

    script_callbacks.on_app_started(lambda _demo, app: mount(app))


def add_option(name: str, default: Any, label: str, component: Any, arguments: Mapping[str, Any], about: str) -> None:
    """Add an option to our section of the host's settings."""
    from modules import shared

    info = shared.OptionInfo(default, label, component, dict(arguments), section=(OWN, "Trainyard"))
    shared.opts.add_option(f"{OWN}_{name}", info.info(about) if hasattr(info, "info") else info)


def option(name: str, default: Any) -> Any:
    """The value of one of our options."""
    from modules import shared

    return getattr(shared.opts, f"{OWN}_{name}", default)


def language() -> str:
    """The language of our tab: our option's, else that of the host's page."""
    from modules import shared

    return str(option("language", "") or getattr(shared.opts, "localization", ""))


def flag(name: str, default: Any = None) -> Any:
    """A flag of the host's command line: ``flag("listen")`` for ``--listen``; ``default`` if it has no such flag."""
    from modules import shared

    return getattr(shared.cmd_opts, name, default)


def folders() -> Folders:
    """Our folders: data below the host's data, LoRAs where it looks for them, unless our options say otherwise."""
    from modules import paths

    models = Path(paths.models_path).absolute()
    data = _folder(option("data_folder", "")) or Path(paths.data_path).absolute() / OWN
    return Folders(data, _folder(option("lora_folder", "")) or lora_folder(), models)


def lora_folder() -> Path:
    """Where the host looks for LoRAs, even if its built-in extension for them is off."""
    from modules import paths

    found = flag("lora_dir") or os.path.join(paths.models_path, "Lora")
    return Path(found).absolute()


def _folder(chosen: Any) -> Path | None:
    text = str(chosen or "").strip()
    return path_of(text, to_write=True).absolute() if text else None


def on_main_thread(act: Callable[[], object]) -> None:
    """Have the main thread do something, soon; where the host runs nothing there for others, nothing happens."""
    if threading.current_thread() is threading.main_thread():
        act()
        return
    try:
        from modules_forge import main_thread
    except ImportError:
        return
    main_thread.async_run(act)


def is_open_to_others() -> bool:
    """Whether other machines can reach the host."""
    return any(flag(name) for name in ("listen", "share", "ngrok", "server_name"))
