"""Does what the effect report says of a LoRA hold? Held against the judge of the toy world, image by image.

Every pair of words is trained once, alternately with the empty prompt held and without, at a high rate; what is to be
erased with twice the target's change. Files saved on the way make LoRAs that work, half work and do not work.
``python -m studies.asked FOLDER HALF [CHECKPOINT]`` prints the table of the pairs of a half; what is in FOLDER already
is not made again.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from studies.pairs import Half, Pair, erased, pairs, told_by
from studies.studio import CHECKPOINT, Studio, train_lora
from tests.toy.judge import Verdict, judge
from tests.toy.world import SIDE
from trainer.config.size import Size
from trainer.engine.asked import concepts
from trainer.engine.asked.concepts import ConceptQuestion, empty_distances, reading_of, shares_of_neighbour
from trainer.engine.asked.images import Images
from trainer.models.image_spec import ImageSpec
from trainer.models.sample import decoded
from trainer.networks.files.read import network_from_file

STEPS = (20, 40, 80, 160)
SETTINGS = {
    "network_rank": "8", "network_alpha": "8", "train_iterations": str(STEPS[-1]), "train_learning_rate": "2e-3",
    "save_per_steps": str(STEPS[0]), "image_size": str(SIDE), "save_overwrite": "true",
}  # fmt: skip
FIRST_SEED = 100
"""Of the images; every pair has its own descriptions and noise."""
WHAT = {
    "images": "the image shows the target",
    "words kept": "the image of another word still shows it",
    "words changed": "the image of another word shows something else",
    "empty": "the empty prompt's image shows something else",
}
"""What the judge is asked."""


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


def findings(studio: Studio, pair: Pair, lora: Path, first_seed: int) -> dict[str, list[str]]:
    """Of each image what the judge sees, and what the report says: see :data:`WHAT`.

    Images in which the judge sees no value of the attribute are left out, and those of which the base does not show
    what the prompt says.
    """
    network = network_from_file(lora, studio.bundle)
    images = Images(studio.bundle, network, ImageSpec("", seed=first_seed, size=Size(SIDE, SIDE)))
    found: dict[str, list[str]] = {name: [] for name in WHAT}

    def seen_in(latents: Tensor) -> Verdict:
        return judge(decoded(studio.bundle, latents)[0])

    for each in ConceptQuestion([pair.words], described=True, asks_empty=True).seen(images):
        reading = reading_of(images, each)
        before, after = (getattr(seen_in(latents), pair.attribute) for latents in (each.original, each.changed))
        if after is not None and before == pair.original:
            is_so = after == pair.target if pair.target else after != pair.original
            found["images"].append(f"{is_so} {reading.is_changed}")
        if each.neighbour is None or each.kept is None:
            continue
        before, after = (getattr(seen_in(latents), pair.attribute) for latents in (each.neighbour, each.kept))
        (share,) = shares_of_neighbour(each)
        if before is not None:
            found["words kept"].append(f"{before == after} {share <= concepts.KEPT or None}")
            found["words changed"].append(f"{before != after} {share >= concepts.LOST or None}")
    for number, distance in enumerate(empty_distances(images)):
        (before, after) = (seen_in(images.of_specs([images.empty_spec(number)], strength)) for strength in (0.0, 1.0))
        if before.colour and before.background:
            one, other = ((each.colour, each.shape, each.size, each.background) for each in (before, after))
            found["empty"].append(f"{one != other} {distance >= concepts.MOVED}")
    return found


def table(folder: Path, half: Half, checkpoint: Path = CHECKPOINT) -> str:
    """Prints what each LoRA gave as soon as it is known; returns the sums."""
    told = told_by(checkpoint)
    studio, sums = Studio(checkpoint), {name: Counter[str]() for name in WHAT}
    for number, pair in enumerate([*erased(half, told), *pairs(half, told)]):
        for at, lora in enumerate(loras(pair, number % 2 == 0, checkpoint, folder)):
            kept = lora.with_suffix(".asked")
            if not kept.exists():
                first_seed = FIRST_SEED * (1 + number) + 10 * at
                kept.write_text(json.dumps(findings(studio, pair, lora, first_seed)), "utf-8")
            found = json.loads(kept.read_text("utf-8"))
            print(lora.stem, {what: dict(Counter(found[what])) for what in sums}, file=sys.stderr, flush=True)
            for what, count in sums.items():
                count.update(found[what])
    lines = ["| it is so, and the report says | " + " | ".join(WHAT.values()) + " |", "| --- |" + " --- |" * len(WHAT)]
    for key in ("True True", "True False", "True None", "False False", "False True", "False None"):
        lines.append(f"| {key} | " + " | ".join(str(sums[what][key]) for what in sums) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table(Path(sys.argv[1]), cast(Half, sys.argv[2]), *map(Path, sys.argv[3:])))
