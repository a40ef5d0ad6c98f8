"""Our section of a WebUI's settings page."""

from __future__ import annotations

import gradio as gr

from .. import presets
from ..help import LANGUAGES
from ..hosts import inside


def add() -> None:
    """Tell the host what there is to set."""
    shipped = presets.list_presets(inside.folders().presets)
    inside.add_option(
        "language", "", "Language of the tab", gr.Dropdown, {"choices": ["", *LANGUAGES]},
        f"empty: this WebUI's; {_AFTER}",
    )  # fmt: skip
    inside.add_option(
        "lora_folder", "", "Folder for finished LoRAs", gr.Textbox, {},
        "empty: where this WebUI looks for LoRAs; elsewhere it does not find them",
    )  # fmt: skip
    inside.add_option(
        "data_folder", "", "Folder for logs, the queue and presets", gr.Textbox, {},
        f"empty: {inside.OWN} below this WebUI's data; taken at the next start",
    )  # fmt: skip
    inside.add_option(
        "training_first", False, "Training before pictures", gr.Checkbox, {},
        "a picture that is asked for waits until the training ends; else only until its next step",
    )  # fmt: skip
    inside.add_option("preset", "", "Preset the form begins with", gr.Dropdown, {"choices": ["", *shipped]}, _AFTER)


_AFTER = "taken at Reload UI"
