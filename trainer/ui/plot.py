"""The page's plot: loss and learning rate of the run that goes on, or of any earlier ones over one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import UserError
from .compat import on
from .desk import Desk
from .form import PREFIX

MOST_RUNS = 8
"""Curves that can still be told apart."""


def build(desk: Desk) -> None:
    """Fill the tab that is being built."""
    with gr.Row():
        runs = gr.Dropdown(
            names(desk.folders.data),
            value=[],
            multiselect=True,
            label="runs",
            info="The newest first. Left empty, the run that goes on or the last one.",
            elem_id=f"{PREFIX}_plot_runs",
        )
    with gr.Row(elem_id=f"{PREFIX}_plot_buttons"):
        logarithmic = gr.Checkbox(label="logarithmic", value=False, elem_id=f"{PREFIX}_plot_logarithmic")
        draw = gr.Button("Draw", variant="primary", elem_id=f"{PREFIX}_plot_draw")
        refresh = gr.Button("Refresh list", elem_id=f"{PREFIX}_plot_refresh")
    message = gr.Textbox(label="message", interactive=False, lines=1, placeholder=" ", elem_id=f"{PREFIX}_plot_message")
    figure = gr.Plot(label="loss and learning rate", elem_id=f"{PREFIX}_plot")

    def drawn(chosen: list[str] | None, as_logarithm: bool) -> tuple[Any, str]:
        try:
            return figure_of(desk, chosen or [], as_logarithm), ""
        except UserError as error:
            return None, str(error)

    on(draw.click, drawn, [runs, logarithmic], [figure, message])
    on(refresh.click, lambda: gr.update(choices=names(desk.folders.data)), [], [runs])


def names(data: Path) -> list[str]:
    """The runs that left a log, the newest first."""
    return [path.stem for path in sorted(logs(data), key=_began, reverse=True)]


def logs(data: Path) -> list[Path]:
    return list((data / "runs").glob("*/*.csv"))


def _began(path: Path) -> tuple[str, str]:
    """The time at the end of ``<name>-<yyyymmdd_hhmmss>[_copy].csv``, then the name."""
    return path.stem.removesuffix("_copy")[-15:], path.stem


def figure_of(desk: Desk, chosen: list[str], logarithmic: bool) -> Any:
    """The figure of some runs, or of the newest one.

    Raises:
        UserError: there is no such run, or its log cannot be read.
    """
    from ..log import read_log
    from ..plot import loss_figure

    by_name = {path.stem: path for path in logs(desk.folders.data)}
    wanted = chosen or names(desk.folders.data)[:1]
    if not wanted:
        raise UserError("there is no run yet", do="Train a LoRA first")
    if len(wanted) > MOST_RUNS:
        raise UserError(f"{len(wanted)} runs are too many for one plot", do=f"Choose at most {MOST_RUNS}")
    gone = [name for name in wanted if name not in by_name]
    if gone:
        raise UserError("there is no such run", where=gone[0], do="Refresh the list")
    found = [read_log(by_name[name]) for name in wanted]
    return loss_figure(found, logarithmic=logarithmic)
