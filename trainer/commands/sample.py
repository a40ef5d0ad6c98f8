"""``sample``: an image from a model and LoRAs."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from ..config.settings import FOUND, PREDICTIONS
from ..config.size import Size
from ..errors import NetworkError, UserError
from ..networks.files.find import find_lora
from ..text.messages import Message, message
from .bar import Bar
from .image_file import check_ending, save_image
from .options import add_device, add_folders, folders_of, output_argument
from .words import phase_line, told

_LARGEST_SIDE = 8192


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "sample", help=told("commands.sample"), description=told("commands.sample_description")
    )
    parser.add_argument("--model", required=True, metavar="F", help=told("commands.sample_model"))
    parser.add_argument("--vae", default="", metavar="F", help=told("commands.sample_vae"))
    parser.add_argument("--prediction", choices=PREDICTIONS, default=FOUND, help=told("help.prediction"))
    parser.add_argument("--lora", action="append", default=[], metavar="F:STRENGTH", help=told("commands.sample_lora"))
    parser.add_argument("--prompt", required=True, help=told("commands.sample_prompt"))
    parser.add_argument("--negative", default="", help=told("commands.sample_negative"))
    parser.add_argument("--seed", type=int, default=0, help=told("commands.sample_seed"))
    parser.add_argument("--steps", type=_at_least_one, default=20, help=told("commands.sample_steps"))
    parser.add_argument("--cfg", type=float, default=7.0, help=told("commands.sample_cfg"))
    parser.add_argument("--clip-skip", type=int, default=0, help=told("commands.sample_clip_skip"))
    parser.add_argument("--size", type=_size, metavar="WxH", help=told("commands.sample_size"))
    parser.add_argument("--out", type=output_argument, required=True, metavar="F.png")
    add_device(parser)
    add_folders(parser)
    parser.set_defaults(command=_sample)


def _sample(options: argparse.Namespace) -> int:
    folders = folders_of(options)
    loras = [_lora(text, folders.loras) for text in options.lora]
    check_ending(options.out)
    _only_one_varies(loras)
    from ..engine.sheet import side_by_side
    from ..hosts.standalone import find_model
    from ..models.image_spec import ImageSpec
    from ..models.placement import place_for_images
    from ..models.precision import choose_device
    from ..models.registry import load_bundle, size_for
    from ..models.sample import is_black, sample
    from ..networks.files.read import network_from_file

    device = choose_device(options.device)
    models = folders.models
    vae = find_model(options.vae, models, "vae") if options.vae else None
    model = find_model(options.model, models, "model")
    _check_model(model, [path for path, _ in loras], options.prediction)
    size = options.size or size_for(model, prediction=options.prediction)
    print(phase_line(message("phase.loading_model")), file=sys.stderr)
    bundle = load_bundle(model, vae=vae, prediction=options.prediction)
    place_for_images(bundle, device)
    bundle.clip_skip = options.clip_skip
    request = ImageSpec(options.prompt, options.negative, options.seed, options.steps, options.cfg, size)
    most = max((strengths for _, strengths in loras), key=len, default=(1.0,))
    images = []
    with ExitStack() as stack:
        networks = [stack.enter_context(network_from_file(path, bundle, _tell).attached()) for path, _ in loras]
        advance = stack.enter_context(_progress(len(most) * (request.steps + 1)))
        for number in range(len(most)):
            for network, (_, strengths) in zip(networks, loras, strict=True):
                network.strength = strengths[number % len(strengths)]
            images += sample(bundle, [request], check=advance)
    labels = [f"{strength:+g}" for strength in most]
    if any(map(is_black, images)):
        print(told("commands.black_image"), file=sys.stderr)
    save_image(side_by_side(images, labels) if len(images) > 1 else images[0], options.out)
    print(told("commands.saved", path=options.out))
    return 0


def _check_model(model: Path, loras: list[Path], prediction: str) -> None:
    """Tell what is doubtful about the model.

    Raises:
        UserError: it is no checkpoint, or a LoRA is for another family.
    """
    from ..models.about import about_model
    from ..models.registry import family_of, refuse_unless_checkpoint
    from ..networks.files.read import refuse_other_family

    kind = refuse_unless_checkpoint(model)
    family = family_of(kind)
    for lora in loras:
        refuse_other_family(lora, family.name)
    for doubt in about_model(kind, family, prediction).doubts:
        _tell(doubt)


def _tell(what: Message) -> None:
    print(told(what), file=sys.stderr)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    with closing(Bar(total, told("commands.drawing"))) as bar:
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            bar.at(done, told("commands.drawn", percent=100 * done // total))

        yield advance


def _lora(text: str, folder: Path) -> tuple[Path, tuple[float, ...]]:
    """``FILE:STRENGTH`` or ``FILE:STRENGTH,STRENGTH``; a colon of a Windows drive is no strength.

    A bare name is looked for among the LoRAs.

    Raises:
        NetworkError: there is no such file.
    """
    number = r"[+-]?(?:\d+\.?\d*|\.\d+)"
    found = re.fullmatch(rf"(.+):({number}(?:,{number})*)", text)
    name, strengths = (found[1], tuple(map(float, found[2].split(",")))) if found else (text, (1.0,))
    try:
        return find_lora(name, folder), strengths
    except NetworkError as error:
        raise NetworkError("commands.no_such_lora", where=name, folder=folder) from error


def _only_one_varies(loras: list[tuple[Path, tuple[float, ...]]]) -> None:
    varying = [path.name for path, strengths in loras if len(strengths) > 1]
    if len(varying) > 1:
        raise UserError("commands.several_vary", where=", ".join(varying))


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(told("commands.at_least_one"))
    return number


def _size(text: str) -> Size:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(told("commands.not_a_size", value=repr(text)))
    size = Size(int(width), int(height))
    if any(side % 8 or not 64 <= side <= _LARGEST_SIDE for side in size):
        raise argparse.ArgumentTypeError(told("commands.size_not_possible"))
    return size
