"""The tab: training, queue and plot, within a page of its own or a host's."""

from __future__ import annotations

from typing import Any

import gradio as gr

from . import plot, train
from .desk import Desk
from .form import PREFIX


def build(desk: Desk, page: Any) -> None:
    """Fill ``page``, which is being built."""
    with gr.Column(elem_id=PREFIX):
        gr.HTML(f'<div id="{PREFIX}_token" hidden data-token="{desk.guard.token}"></div>')
        with gr.Tabs(elem_id=f"{PREFIX}_tabs"):
            with gr.Tab("Train", elem_id=f"{PREFIX}_tab_train"):
                train.build(desk, page)
            with gr.Tab("Queue", elem_id=f"{PREFIX}_tab_queue"):
                gr.HTML(f'<div id="{PREFIX}_queue"></div>')
            with gr.Tab("Plot", elem_id=f"{PREFIX}_tab_plot"):
                plot.build(desk)
