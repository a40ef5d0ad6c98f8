"""Our section of a WebUI's settings page."""

from __future__ import annotations

import gradio as gr

from ...config import presets
from ...hosts.webui import api as webui_api
from ...text.language import LANGUAGES


def add() -> None:
    """Tell the host what there is to set."""
    shipped = presets.list_presets(webui_api.folders().presets)
    webui_api.add_option(
        "language", "", "Language of the tab", gr.Dropdown, {"choices": ["", *LANGUAGES]},
        f"empty: this WebUI's; {_AFTER}",
    )  # fmt: skip
    webui_api.add_option(
        "lora_folder", "", "Folder for finished LoRAs", gr.Textbox, {},
        "empty: where this WebUI looks for LoRAs; elsewhere it does not find them",
    )  # fmt: skip
    webui_api.add_option(
        "data_folder", "", "Folder for logs, the queue and presets", gr.Textbox, {},
        f"empty: {webui_api.OWN} below this WebUI's data; taken at the next start",
    )  # fmt: skip
    webui_api.add_option(
        "training_first", False, "Training before pictures", gr.Checkbox, {},
        "a picture that is asked for waits until the training ends; else only until its next step",
    )  # fmt: skip
    webui_api.add_option("preset", "", "Preset the form begins with", gr.Dropdown, {"choices": ["", *shipped]}, _AFTER)


_AFTER = "taken at Reload UI"
