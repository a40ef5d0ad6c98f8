"""Figures: loss curves, and a sheet of images over strengths. ``matplotlib.figure`` only, safe in any thread."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ..errors import UserError
from .log import VALIDATION, LossLog, smoothed

MOST_POINTS = 2000
"""Of one drawn curve: more than any screen is wide."""
_STYLES = ("solid", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
"""Kinds of line, after which the colours start again."""
_RATE = "Learning Rate"
_LIGHT, _DARK = ("white", "#1f2937"), ("#18181b", "#e5e7eb")
"""Background and ink."""
_LONGEST_NAME = 48
_EAST_ASIAN = (
    "Noto Sans CJK JP",
    "Yu Gothic",
    "Meiryo",
    "Hiragino Sans",
    "MS Gothic",
    "IPAGothic",
    "WenQuanYi Zen Hei",
)


def loss_figure(
    logs: Sequence[LossLog], *, raw: bool = True, smooth: bool = True, rate: bool = True, logarithmic: bool = False,
    dark: bool = False, width: float = 9.0,
) -> Figure:  # fmt: skip
    """Loss, raw and smoothed, and below it the learning rate, of one or several runs over one another.

    A validation loss is drawn with the loss, with a dot wherever it was measured.

    Args:
        logarithmic: of the loss.
        dark: light ink on a dark ground.
        width: in inches.

    Raises:
        UserError: neither of the curves is wanted.
    """
    if not (raw or smooth or rate):
        raise UserError("reports.nothing_to_draw")
    ground, ink = _DARK if dark else _LIGHT
    figure = Figure(figsize=(width, max(3.4, 0.6 * width)), layout="constrained", facecolor=ground)
    heights = [3] * (raw or smooth) + [1] * rate
    every = list(
        figure.subplots(len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    )
    for number, log in enumerate(logs):
        look = {"color": f"C{number % 10}", "linestyle": _STYLES[number // 10 % len(_STYLES)]}
        if raw or smooth:
            _draw_loss(every[0], log, raw=raw, smooth=smooth, **look)
        if rate:
            for column in [name for name in log.rows.columns if name.startswith(_RATE)]:
                every[-1].plot(*thinned(log.rows["Step"], log.rows[column]), linewidth=1, **look)
    if raw or smooth:
        every[0].set_ylabel("loss")
        if logarithmic:
            every[0].set_yscale("log")
    if rate:
        every[-1].set_ylabel("learning rate")
        every[-1].ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        every[-1].set_ylim(0, 1.08 * every[-1].get_ylim()[1])  # or what hardly changes would fill the height
    every[-1].set_xlabel("step")
    _legend(every[0], logs, width)
    for axes in every:
        axes.xaxis.set_major_locator(MaxNLocator(max(3, int(1.2 * width)), integer=True))
        _ink(axes, ground, ink)
    return figure


def thinned(steps: ArrayLike, values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most :data:`MOST_POINTS` points of a curve that look the same: of each stretch its lowest and its highest.

    The first and the last point are always among them.
    """
    x, y = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    if len(x) <= MOST_POINTS:
        return x, y
    stretch = -(-2 * len(x) // (MOST_POINTS - 2))
    whole = len(x) // stretch * stretch
    finite = np.isfinite(y[:whole])
    begins = np.arange(0, whole, stretch)
    low = begins + np.where(finite, y[:whole], np.inf).reshape(-1, stretch).argmin(1)
    high = begins + np.where(finite, y[:whole], -np.inf).reshape(-1, stretch).argmax(1)
    kept = np.unique(np.concatenate([[0], low, high, [len(x) - 1]]))
    return x[kept], y[kept]


def strength_sheet(
    title: str, prompts: Sequence[str], strengths: Sequence[float], images: Sequence[Sequence[Image.Image]],
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
            axes.imshow(images[row][column], interpolation="lanczos")
            axes.set_xticks([])
            axes.set_yticks([])
            if row == 0:
                axes.set_title(f"{strength:+g}".replace("-", "−") if strength else "0 (off)", fontsize="medium")
            if column == 0:
                axes.set_ylabel(_wrapped(prompt), rotation=0, ha="right", va="center", fontsize="small", labelpad=6)
    return figure


def _draw_loss_beside(part: SubFigure, log: LossLog) -> None:
    axes = part.subplots()
    _draw_loss(axes, log, color="C0")
    axes.set_title("loss", fontsize="medium")
    axes.set_xlabel("step")
    axes.grid(alpha=0.25)


def _draw_loss(axes: Axes, log: LossLog, *, raw: bool = True, smooth: bool = True, **look: Any) -> None:
    steps, losses = log.rows["Step"], log.rows["Loss"]
    if raw:
        faint = {**look, "linestyle": "solid", "alpha": 0.35} if smooth else look
        axes.plot(*thinned(steps, losses), linewidth=0.8, **faint)
    if smooth:
        axes.plot(*thinned(steps, smoothed(losses)), linewidth=1.6, **look)
    if VALIDATION in log.rows:
        measured = log.rows[["Step", VALIDATION]].dropna()
        axes.plot(*thinned(measured["Step"], measured[VALIDATION]), linewidth=1.2, marker="o", markersize=4, **look)


def _legend(axes: Axes, logs: Sequence[LossLog], width: float) -> None:
    """The runs' names above the curves, which they never cover."""
    narrow = width < 5
    letter = 4.2 if narrow else 5.5  # points, about
    names = [_shortened(log.name, min(_LONGEST_NAME, int((72 * width - 75) / letter))) for log in logs]
    handles = [
        Line2D([], [], color=f"C{number % 10}", linestyle=_STYLES[number // 10 % len(_STYLES)], linewidth=1.6)
        for number in range(len(logs))
    ]
    columns = max(1, int(72 * width / (letter * max(map(len, names), default=1) + 40)))
    legend = axes.legend(
        handles, [f"run {number}" for number in range(len(logs))], loc="lower left", bbox_to_anchor=(0, 1.0),
        ncol=min(columns, max(1, len(logs))), fontsize="x-small" if narrow else "small",
        frameon=False, borderaxespad=0.2, handlelength=2.6,
    )  # fmt: skip
    for text, name in zip(legend.get_texts(), names, strict=True):
        # Not as the label: there an underscore in front hides it, and dollar signs make a formula of it.
        text.set_text(name.replace("$", r"\$"))
        text.set_fontfamily(_families(name))


def _shortened(name: str, most: int) -> str:
    """Its middle left out: what tells two runs apart is mostly the time at the end."""
    return name if len(name) <= most else f"{name[: most - 17]}…{name[-16:]}"


def _families(text: str) -> list[str]:
    """What to write a text in: fonts of this machine that have its letters, the usual one first."""
    if text.isascii():
        return ["DejaVu Sans"]
    known = {entry.name for entry in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _EAST_ASIAN if name in known)]


def _ink(axes: Axes, ground: str, ink: str) -> None:
    axes.set_facecolor(ground)
    axes.grid(alpha=0.25)
    axes.tick_params(colors=ink)
    for text in (axes.xaxis.label, axes.yaxis.label, axes.yaxis.get_offset_text(), axes.title):
        text.set_color(ink)
    for spine in axes.spines.values():
        spine.set_color(ink)
        spine.set_alpha(0.4)
    legend = axes.get_legend()
    for text in legend.get_texts() if legend else ():
        text.set_color(ink)


def _wrapped(text: str, width: int = 18) -> str:
    return "\n".join(textwrap.wrap(text, width)) or "(empty prompt)"
