"""``images``: variations of a picture or of a folder of them, turned and made smaller over transparency."""

from __future__ import annotations

import argparse
import sys

FIELDS = ("folder", "name", "fixed_side", "number", "most_angle", "least_scale", "seed")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "images",
        help="vary images: turned and made smaller",
        description=(
            "Write variations of an image, or of every image of a folder: turned and made smaller at random, over "
            "transparency. No file is ever overwritten."
        ),
    )
    parser.add_argument("source", metavar="FILE|FOLDER", help="an image, or a folder; its sub-folders are included")
    parser.add_argument("--number", metavar="N", help="variations of each image (default: 5)")
    parser.add_argument("--max-angle", dest="most_angle", metavar="A", help="degrees to either side (default: 180)")
    parser.add_argument("--min-scale", dest="least_scale", metavar="S", help="of its own size (default: 0.4)")
    parser.add_argument(
        "--fix-side", dest="fixed_side", metavar="SIDE",
        help="none, right, left, top or bottom: where it stays (default: none, which is anywhere)",
    )  # fmt: skip
    parser.add_argument("--seed", metavar="N", help="the same seed makes the same variations (default: one is drawn)")
    parser.add_argument("--out", dest="folder", metavar="D", help="default: beside the image; beside the folder, D_rot")
    parser.add_argument("--name", metavar="NAME", help="what the files are called (default: as their images)")
    parser.add_argument("--no-captions", action="store_true", help="do not copy the images' caption files")
    parser.set_defaults(command=_images)


def _images(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..variations.files import Plan, write
    from ..variations.recipe import recipe_from

    given = {name: getattr(options, name) for name in FIELDS}
    plan = Plan.of(recipe_from({"source": options.source, "captions": not options.no_captions, **given}))
    with tqdm(desc="Writing", unit="image", total=plan.total, file=sys.stderr, leave=False, disable=None) as bar:
        written = write(plan, progress=lambda done, _: bar.update(done - bar.n))
    for problem in written.problems:
        print(problem)
    told = f"{written.variations} variations of {written.pictures} images"
    print(f"Wrote {told} to {written.folder}, with seed {written.seed}")
    return 0 if written.variations else 2
