"""A page that only says something, for where the tab cannot be built."""

from __future__ import annotations

from typing import Any

import gradio as gr


def page(html: str) -> Any:
    """The page, for a host to show as a tab."""
    with gr.Blocks(analytics_enabled=False) as made:
        gr.HTML(html)
    return made
