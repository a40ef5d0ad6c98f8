"""``images``: variations of an image or of a folder of them, rotated and scaled down over transparency."""

from __future__ import annotations

import argparse
import sys

from .words import told

FIELDS = ("folder", "name", "fixed_side", "number", "most_angle", "least_scale", "seed")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "images", help=told("commands.images"), description=told("commands.images_description")
    )
    parser.add_argument("source", metavar="FILE|FOLDER", help=told("commands.images_source"))
    parser.add_argument("--number", metavar="N", help=told("commands.images_number"))
    parser.add_argument("--max-angle", dest="most_angle", metavar="A", help=told("commands.images_angle"))
    parser.add_argument("--min-scale", dest="least_scale", metavar="S", help=told("commands.images_scale"))
    parser.add_argument("--fix-side", dest="fixed_side", metavar="SIDE", help=told("commands.images_side"))
    parser.add_argument("--seed", metavar="N", help=told("commands.images_seed"))
    parser.add_argument("--out", dest="folder", metavar="D", help=told("commands.images_out"))
    parser.add_argument("--name", metavar="NAME", help=told("commands.images_name"))
    parser.add_argument("--no-captions", action="store_true", help=told("commands.images_no_captions"))
    parser.set_defaults(command=_images)


def _images(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..variations.files import Plan, write
    from ..variations.recipe import recipe_from

    given = {name: getattr(options, name) for name in FIELDS}
    plan = Plan.of(recipe_from({"source": options.source, "captions": not options.no_captions, **given}))
    with tqdm(
        desc=told("commands.writing"),
        unit=told("commands.image"),
        total=plan.total,
        file=sys.stderr,
        leave=False,
        disable=None,
    ) as bar:
        written = write(plan, progress=lambda done, _: bar.update(done - bar.n))
    for problem in written.problems:
        print(told(problem.message))
    counts = {"variations": written.variations, "images": written.images}
    print(told("commands.images_written", **counts, folder=written.folder, seed=written.seed))
    return 0 if written.variations else 2
