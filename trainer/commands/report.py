"""``report``: plots of loss logs."""

from __future__ import annotations

import argparse

from .image_file import save_image
from .options import output_argument, path_argument
from .words import told


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "report", help=told("commands.report"), description=told("commands.report_description")
    )
    parser.add_argument("logs", nargs="+", type=path_argument, metavar="LOG.csv")
    parser.add_argument("--out", type=output_argument, required=True, metavar="F.png")
    parser.add_argument("--log-scale", action="store_true", help=told("commands.report_log_scale"))
    parser.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    from ..reports.log import read_log
    from ..reports.plot import loss_figure

    figure = loss_figure([read_log(path) for path in options.logs], logarithmic=options.log_scale)
    save_image(figure, options.out)
    print(told("commands.saved", path=options.out))
    return 0
