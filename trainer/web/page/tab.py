"""The tab with training, data, queue, plot and images, on our own page or a host's."""

from __future__ import annotations

import gradio as gr

from ..services.context import PageContext
from . import bar, image, room, train
from .form import PREFIX


def page_in_host(context: PageContext, version: str) -> gr.Blocks:
    """The tab as a page for a host to embed.

    Args:
        version: Trainyard's, to be shown.
    """
    with gr.Blocks(analytics_enabled=False) as page:
        build(context, version)
    # Otherwise the host keeps what it first saw in a field as its default for ever.
    for component in page.blocks.values():
        component.do_not_save_to_config = True
    return page


def build(context: PageContext, version: str) -> None:
    """Fill the page that is being built.

    Args:
        version: Trainyard's, to be shown.
    """
    words = context.words
    with gr.Column(elem_id=PREFIX):
        # For the page's script: the token that its requests need, and its texts.
        data = f'data-token="{context.access.token}" data-words="{words.data()}"'
        if context.access.reads_by_token:
            data += " data-cookie"
        gr.HTML(f'<div id="{PREFIX}_token" hidden {data}></div>')
        bar.place(context, version)
        with gr.Tabs(elem_id=f"{PREFIX}_tabs") as tabs:
            with gr.Tab(words.say("tab.train"), id=train.TAB, elem_id=f"{PREFIX}_tab_train"):
                train.build(context, tabs)
            with gr.Tab(words.say("tab.data"), id="data", elem_id=f"{PREFIX}_tab_data"):
                room.build(context)
            with gr.Tab(words.say("tab.queue"), id="queue", elem_id=f"{PREFIX}_tab_queue"):
                gr.HTML(f'<div id="{PREFIX}_queue"></div>')
            with gr.Tab(words.say("tab.gallery"), id="gallery", elem_id=f"{PREFIX}_tab_gallery"):
                gr.HTML(f'<div id="{PREFIX}_gallery"></div>')
            with gr.Tab(words.say("tab.plot"), id="plot", elem_id=f"{PREFIX}_tab_plot"):
                gr.HTML(f'<div id="{PREFIX}_plot"></div>')
            with gr.Tab(words.say("tab.image"), id="image", elem_id=f"{PREFIX}_tab_image"):
                image.build(context)
