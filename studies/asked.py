"""Does what the effect report says of an iLECO LoRA hold? Held against the judge of the toy world, image by image.

Every pair of words is trained once, alternately with the empty prompt held and without, at a high rate; what is to be
erased with twice the target's change. Files saved on the way make LoRAs that work, half work and do not work.
``python -m studies.asked FOLDER [CHECKPOINT]`` prints the table of the test pairs; what is in FOLDER already is not
made again.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import torch

from studies.pairs import Pair, erased, pairs, told_by
from studies.studio import CHECKPOINT, Studio, train_lora
from tests.toy.judge import judge
from tests.toy.world import SIDE
from trainer.config.size import Size
from trainer.engine import asked
from trainer.models.image_spec import ImageSpec
from trainer.models.sample import sample
from trainer.networks.files.read import network_from_file

STEPS = (20, 40, 80, 160)
SETTINGS = {
    "network_rank": "8", "network_alpha": "8", "train_iterations": str(STEPS[-1]), "train_learning_rate": "2e-3",
    "save_per_steps": str(STEPS[0]), "image_size": str(SIDE), "save_overwrite": "true",
}  # fmt: skip


def loras(pair: Pair, holds: bool, checkpoint: Path, folder: Path) -> list[Path]:
    """The LoRAs of a pair, by their steps."""
    original, target = pair.words
    case = f"{checkpoint.stem} {original} {target}"
    made = sorted((folder / "loras").glob(f"{case.replace(' ', '-')}-0.safetensors"))
    if not made:
        settings = {
            **SETTINGS, "original prompt": original, "target prompt": target,
            "hold_unconditional": "yes" if holds else "no", "ileco_scale": "1" if target else "2",
        }  # fmt: skip
        made = [train_lora("iLECO", settings, case, 0, folder, checkpoint)[0]]
    (last,) = made
    return [*(last.with_stem(f"{last.stem}_{steps}steps") for steps in STEPS[:-1]), last]


def findings(studio: Studio, pair: Pair, lora: Path) -> dict[str, list[str]]:
    """Of each image: whether the judge sees the target, and what the report says; of the empty prompt's: whether the
    judge sees something else than without the LoRA, and whether the report calls it changed."""
    network = network_from_file(lora, studio.bundle)
    request = ImageSpec("", size=Size(SIDE, SIDE))
    found: dict[str, list[str]] = {"images": [], "empty": []}
    for number, reading in enumerate(asked.readings(studio.bundle, network, [pair.words], request)):
        spec = ImageSpec(pair.words[0], seed=number, steps=asked.STEPS, size=Size(SIDE, SIDE))
        with network.attached():
            (image,) = sample(studio.bundle, [spec])
        value = getattr(judge(image), pair.attribute)
        if value is not None:
            is_so = value == pair.target if pair.target else value != pair.original
            found["images"].append(f"{is_so} {reading.is_changed}")
    for number, distance in enumerate(asked.empty_distances(studio.bundle, network, request)):
        spec = ImageSpec("", seed=number, steps=asked.STEPS, cfg=1.0, size=Size(SIDE, SIDE))
        (before,) = sample(studio.bundle, [spec])
        with network.attached():
            (after,) = sample(studio.bundle, [spec])
        verdicts = [judge(image) for image in (before, after)]
        if verdicts[0].colour and verdicts[0].background:
            one, other = ((each.colour, each.shape, each.size, each.background) for each in verdicts)
            found["empty"].append(f"{one != other} {distance >= asked.MOVED}")
    return found


def table(folder: Path, checkpoint: Path = CHECKPOINT) -> str:
    """Prints what each LoRA gave as soon as it is known; returns the sums."""
    told = told_by(checkpoint)
    studio, sums = Studio(checkpoint), {"images": Counter[str](), "empty": Counter[str]()}
    for number, pair in enumerate([*erased("test", told), *pairs("test", told)]):
        for lora in loras(pair, number % 2 == 0, checkpoint, folder):
            kept = lora.with_suffix(".asked")
            if not kept.exists():
                kept.write_text(json.dumps(findings(studio, pair, lora)), "utf-8")
            found = json.loads(kept.read_text("utf-8"))
            print(lora.stem, {what: dict(Counter(found[what])) for what in sums}, file=sys.stderr, flush=True)
            for what, count in sums.items():
                count.update(found[what])
    lines = ["| it is so, and the report says | " + " | ".join(sums) + " |", "| --- | --- | --- |"]
    for key in ("True True", "True False", "True None", "False False", "False True", "False None"):
        lines.append(f"| {key} | {sums['images'][key]} | {sums['empty'][key]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table(Path(sys.argv[1]), *map(Path, sys.argv[2:])))
