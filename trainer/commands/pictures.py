"""``sample``: pictures from a model and LoRAs. ``report``: plots of loss logs."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..config.size import DEFAULT_SIZE, Size
from ..errors import NetworkError, UserError
from ..networks.files.find import find_lora
from .options import add_device, add_folders, folders_of


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("sample", help="make a picture", description="Make a picture, with LoRAs or without.")
    parser.add_argument("--model", required=True, metavar="F", help="a checkpoint file or a diffusers folder")
    parser.add_argument("--vae", default="", metavar="F", help="a VAE file, instead of the checkpoint's own")
    parser.add_argument(
        "--lora", action="append", default=[], metavar="F:STRENGTH",
        help="repeatable; strength 1 if left out. One may have several, F:-1,0,1: their pictures stand side by side",
    )  # fmt: skip
    parser.add_argument("--prompt", required=True, help="what is to be seen")
    parser.add_argument("--negative", default="", help="what is not to be seen")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same picture (default: 0)")
    parser.add_argument("--steps", type=_at_least_one, default=20, help="denoising steps (default: 20)")
    parser.add_argument("--cfg", type=float, default=7.0, help="guidance scale (default: 7)")
    parser.add_argument("--size", type=_size, default=DEFAULT_SIZE, metavar="WxH", help="default: 512x512")
    parser.add_argument("--out", type=Path, required=True, metavar="F.png")
    add_device(parser)
    add_folders(parser)
    parser.set_defaults(command=_sample)

    report = commands.add_parser("report", help="plot loss logs", description="Plot one or several loss logs.")
    report.add_argument("logs", nargs="+", type=Path, metavar="LOG.csv")
    report.add_argument("--out", type=Path, required=True, metavar="F.png")
    report.add_argument("--log-scale", action="store_true", help="logarithmic loss axis")
    report.set_defaults(command=_report)


def _sample(options: argparse.Namespace) -> int:
    folders = folders_of(options)
    loras = [_lora(text, folders.loras) for text in options.lora]
    _check_ending(options.out)
    _only_one_varies(loras)
    from ..engine.effect import side_by_side
    from ..hosts.standalone import find_model
    from ..models.placement import place_for_pictures
    from ..models.precision import choose_device
    from ..models.registry import load_bundle
    from ..models.sample import Request, sample
    from ..networks.files.read import network_from_file

    device = choose_device(options.device)
    models = folders.models
    vae = find_model(options.vae, models, "vae") if options.vae else None
    bundle = load_bundle(find_model(options.model, models, "model"), vae=vae)
    place_for_pictures(bundle, device)
    request = Request(options.prompt, options.negative, options.seed, options.steps, options.cfg, options.size)
    most = max((strengths for _, strengths in loras), key=len, default=(1.0,))
    pictures = []
    with ExitStack() as stack:
        networks = [stack.enter_context(network_from_file(path, bundle).attached()) for path, _ in loras]
        advance = stack.enter_context(_progress(len(most) * (request.steps + 1)))
        for number in range(len(most)):
            for network, (_, strengths) in zip(networks, loras, strict=True):
                network.strength = strengths[number % len(strengths)]
            pictures += sample(bundle, [request], check=advance)
    labels = [f"{strength:+g}" for strength in most]
    picture = side_by_side(pictures, labels) if len(pictures) > 1 else pictures[0]
    save_picture(picture, options.out)
    print(f"Saved {options.out}")
    return 0


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    from tqdm import tqdm

    with tqdm(total=total, desc="Drawing", unit="step", disable=None) as bar:

        def advance() -> None:
            bar.update()

        yield advance


def _check_ending(path: Path) -> None:
    """Known before a minute is spent on the picture."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp") or path.is_dir():
        raise UserError("is no name for a picture", where=str(path), do="Choose a name that ends in .png")


def save_picture(picture: object, path: Path) -> None:
    """Write a Pillow picture or a matplotlib figure.

    Raises:
        UserError: the folder cannot be written to, or the ending is none Pillow or matplotlib knows.
    """
    write = getattr(picture, "savefig", None) or picture.save  # type: ignore[attr-defined]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot be written ({error})", where=str(path), do="Choose a name that ends in .png"
        ) from error


def _report(options: argparse.Namespace) -> int:
    from ..reports.log import read_log
    from ..reports.plot import loss_figure

    figure = loss_figure([read_log(path) for path in options.logs], logarithmic=options.log_scale)
    save_picture(figure, options.out)
    print(f"Saved {options.out}")
    return 0


def _lora(text: str, folder: Path) -> tuple[Path, tuple[float, ...]]:
    """``FILE:STRENGTH`` or ``FILE:STRENGTH,STRENGTH``; a colon of a Windows drive is no strength.

    A bare name is looked for among the LoRAs.

    Raises:
        UserError: there is no such file.
    """
    number = r"[+-]?(?:\d+\.?\d*|\.\d+)"
    found = re.fullmatch(rf"(.+):({number}(?:,{number})*)", text)
    name, strengths = (found[1], tuple(map(float, found[2].split(",")))) if found else (text, (1.0,))
    try:
        return find_lora(name, folder), strengths
    except NetworkError as error:
        do = f"Write FILE or FILE:STRENGTH; names are looked for in {folder}"
        raise NetworkError(error.what, where=error.where, do=do) from error


def _only_one_varies(loras: list[tuple[Path, tuple[float, ...]]]) -> None:
    varying = [path.name for path, strengths in loras if len(strengths) > 1]
    if len(varying) > 1:
        raise UserError(
            "only one LoRA may have several strengths", where=", ".join(varying), do="Give the others one strength each"
        )


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1, please")
    return number


def _size(text: str) -> Size:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 512x768")
    size = Size(int(width), int(height))
    if any(side % 8 or side < 64 for side in size):
        raise argparse.ArgumentTypeError("both sides are to be multiples of 8, and 64 at least")
    return size
