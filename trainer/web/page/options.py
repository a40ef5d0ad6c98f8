"""Our section of a WebUI's settings page."""

from __future__ import annotations

import gradio as gr

from ...config import presets
from ...hosts.webui import api as webui_api
from ...text.language import LANGUAGES
from ...text.messages import say


def add() -> None:
    """Add our options to the host."""
    shipped = presets.list_presets(webui_api.folders().presets)
    _add("language", "", gr.Dropdown, choices=["", *LANGUAGES])
    _add("lora_folder", "", gr.Textbox)
    _add("data_folder", "", gr.Textbox)
    _add("training_first", False, gr.Checkbox)
    _add("continue_runs", False, gr.Checkbox)
    _add("preset", "", gr.Dropdown, choices=["", *shipped])


def _add(name: str, default: str | bool, component: type, **arguments: object) -> None:
    language = webui_api.language()
    about = say(f"option_help.{name}", language)
    webui_api.add_option(name, default, say(f"option.{name}", language), component, arguments, about)
