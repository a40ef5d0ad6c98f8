"""``demo``: trains on the toy checkpoint and shows the result."""

from __future__ import annotations

import argparse

from ..config.size import Size
from ..paths import CHECKOUT, TRAINYARD_PRESETS
from ..text.messages import say
from .image_file import save_image
from .options import add_device, add_folders, folders_of, output_argument
from .words import told

CHECKPOINT = CHECKOUT / "tests" / "toy" / "toy-sd1.safetensors"
ORIGINAL, TARGET = "red", "blue"
STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)
PROMPTS = (
    "a large red circle on a white background, centre",
    "a small red triangle on a gray background, left",
    "a large red square on a black background, right",
    "a large green circle on a cyan background, centre",
    "a large yellow triangle on a gray background, left",
)
PRESET = TRAINYARD_PRESETS / "change-concept.json"
SETTINGS = {
    "original_prompt": ORIGINAL,
    "target_prompt": TARGET,
    "image_size": "64",
    "train_seed": 0,
    "save_lora_name": "demo_red_to_blue",
    "save_overwrite": True,
}


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("demo", help=told("commands.demo"), description=told("commands.demo_description"))
    parser.add_argument("--out", type=output_argument, metavar="F.png", help=told("commands.demo_out"))
    add_device(parser)
    add_folders(parser, output=True)
    parser.set_defaults(command=_demo)


def _demo(options: argparse.Namespace) -> int:
    from ..claims import files_of
    from ..config.presets import load_file
    from ..config.schema import parse
    from ..engine.effect import strength_grid
    from ..engine.run import run
    from ..hosts.standalone import Standalone
    from ..job import Control, Job
    from ..models.image_spec import ImageSpec
    from ..models.placement import place_for_images
    from ..models.precision import choose_device
    from ..models.registry import load_bundle
    from ..networks.files.read import network_from_file
    from ..reports.log import read_log
    from ..reports.plot import strength_sheet
    from .train import Interrupt, Progress, say_last

    folders = folders_of(options)
    host = Standalone(choose_device(options.device), folders)
    preset = load_file(PRESET).settings
    job = Job.create(parse({**SETTINGS, "model": str(CHECKPOINT)}, base=preset).settings)
    print(told("commands.demo_training", original=ORIGINAL, target=TARGET))
    control = Control()
    with Interrupt(control) as interrupt, Progress() as progress:
        done = run(job, host, control, progress)
    if done.path is None or interrupt.code:
        say_last(told("commands.demo_stopped"))
        return interrupt.code or 130

    print(told("commands.demo_drawing"))
    bundle = load_bundle(CHECKPOINT)
    place_for_images(bundle, host.device)
    requests = [ImageSpec(prompt, seed=seed, cfg=2.0, size=Size(64, 64)) for seed, prompt in enumerate(PROMPTS)]
    images = strength_grid(bundle, network_from_file(done.path, bundle), requests, STRENGTHS)
    log = read_log(files_of(job.id, job.name, job.created, folders).run_log())
    title = say("commands.demo_title", original=ORIGINAL, target=TARGET)  # matplotlib's own font has Latin letters
    out = options.out or folders.data / "demo.png"
    save_image(strength_sheet(title, PROMPTS, STRENGTHS, images, log), out)
    print(told("commands.demo_lora", path=done.path))
    print(told("commands.demo_image", path=out.resolve()))
    return 0
