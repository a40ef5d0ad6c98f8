"""Figures: loss curves, and a sheet of pictures over strengths. ``matplotlib.figure`` only, safe in any thread."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from PIL import Image

from .log import LossLog, smoothed


def loss_figure(logs: Sequence[LossLog], *, logarithmic: bool = False) -> Figure:
    """Loss, raw and smoothed, and below it the learning rate, of one or several runs over one another."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    loss_axes, rate_axes = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for log in logs:
        _draw_loss(loss_axes, log, label=log.name)
        for column in [name for name in log.rows.columns if name.startswith("Learning Rate")]:
            rate_axes.plot(log.rows["Step"], log.rows[column], linewidth=1)
    if logarithmic:
        loss_axes.set_yscale("log")
    loss_axes.set_ylabel("loss")
    loss_axes.legend(loc="upper right", fontsize="small")
    rate_axes.set_ylabel("learning rate")
    rate_axes.set_xlabel("step")
    rate_axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    for axes in (loss_axes, rate_axes):
        axes.grid(alpha=0.25)
    return figure


def strength_sheet(
    title: str, prompts: Sequence[str], strengths: Sequence[float], pictures: Sequence[Sequence[Image.Image]],
    log: LossLog | None = None,
) -> Figure:  # fmt: skip
    """One row a prompt, one column a strength; with ``log`` the loss curve beside them."""
    rows, columns = len(prompts), len(strengths)
    extra = 3.4 if log else 0.0
    figure = Figure(figsize=(1.9 + 1.25 * columns + extra, 0.75 + 1.28 * rows), layout="constrained")
    figure.suptitle(title)
    grid_part: Figure | SubFigure = figure
    if log is not None:
        parts: Any = figure.subfigures(1, 2, width_ratios=(1.9 + 1.25 * columns, extra))
        grid_part, loss_part = parts
        _draw_loss_beside(loss_part, log)
    grid = grid_part.subplots(rows, columns, squeeze=False)
    for row, prompt in enumerate(prompts):
        for column, strength in enumerate(strengths):
            axes = grid[row][column]
            axes.imshow(pictures[row][column], interpolation="lanczos")
            axes.set_xticks([])
            axes.set_yticks([])
            if row == 0:
                axes.set_title(f"{strength:+g}".replace("-", "−") if strength else "0 (off)", fontsize="medium")
            if column == 0:
                axes.set_ylabel(_wrapped(prompt), rotation=0, ha="right", va="center", fontsize="small", labelpad=6)
    return figure


def _draw_loss_beside(part: SubFigure, log: LossLog) -> None:
    axes = part.subplots()
    _draw_loss(axes, log, label="loss")
    axes.set_title("loss", fontsize="medium")
    axes.set_xlabel("step")
    axes.grid(alpha=0.25)


def _draw_loss(axes: Axes, log: LossLog, *, label: str) -> None:
    steps, losses = log.rows["Step"], log.rows["Loss"]
    (raw,) = axes.plot(steps, losses, linewidth=0.8, alpha=0.35)
    axes.plot(steps, smoothed(losses), linewidth=1.6, color=raw.get_color(), label=label)


def _wrapped(text: str, width: int = 18) -> str:
    return "\n".join(textwrap.wrap(text, width)) or "(empty prompt)"
