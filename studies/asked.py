"""Does what the effect report says of a LoRA hold? Held against the judge of the toy world, image by image.

``python -m studies.asked FOLDER HALF CHECKPOINT [MODE ...]`` prints a table a mode; what is in FOLDER already is not
made again. LoRAs are trained with our presets, and their updates are scaled down, so that some work, some half work,
and some do not. The modes are those of :mod:`.first_press`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from studies import first_press
from studies.first_press import Run, runs
from studies.first_press_table import OURS
from studies.pairs import Half
from studies.pairs import Pair as Values
from studies.studio import Studio
from tests.toy.judge import Verdict, judge
from tests.toy.world import COLOURS, SIDE
from trainer.config.size import Size
from trainer.engine.asked import concepts, trigger
from trainer.engine.asked.concepts import ConceptQuestion, reading_of, shares_of_neighbour
from trainer.engine.asked.images import IMAGES, Images, distance, mean_distance
from trainer.engine.asked.pairs import Pair, way_of
from trainer.engine.asked.slider import SliderQuestion, readings_of
from trainer.engine.asked.trigger import CaptionQuestion
from trainer.models.image_spec import ImageSpec
from trainer.models.sample import decoded
from trainer.networks.files import file
from trainer.networks.files.read import network_from_file

SEEDS: dict[Half, int] = {"train": 10, "test": 0}
"""Of the LoRAs."""
FIRST_SEED = 100
"""Of their images; every LoRA has its own."""
STRENGTHS = (0.15, 0.35, 0.6, 1.0)
"""Of which LoRAs are saved."""
CHANGED, KEPT, LOST = "changed", "other words kept", "other words changed"

Findings = dict[str, list[str]]
"""By what is said: of each image whether the judge sees it, and whether it is said; None: nothing is."""


class Looking:
    """What the judge sees in a LoRA's images."""

    def __init__(self, studio: Studio, lora: Path, seed: int) -> None:
        self.bundle = studio.bundle
        network = network_from_file(lora, self.bundle)
        self.images = Images(self.bundle, network, ImageSpec("", seed=seed, size=Size(SIDE, SIDE)))

    def verdict(self, latents: Tensor) -> Verdict:
        """Of latents ``(1, C, h, w)``."""
        return judge(decoded(self.bundle, latents)[0])

    def value(self, latents: Tensor, attribute: str) -> str | None:
        """The same of one attribute."""
        found: str | None = getattr(self.verdict(latents), attribute)
        return found

    def encoded(self, path: Path) -> Tensor:
        """The latents of an image file."""
        with Image.open(path) as image:
            pixels = torch.from_numpy(np.asarray(image.convert("RGB"), np.float32) / 127.5 - 1)
        with torch.no_grad():
            return self.bundle.family.encode_images(self.bundle, pixels.permute(2, 0, 1)[None])


def of_concept(looking: Looking, run: Run, _folder: Path) -> Findings:
    """Images in which the judge sees no value of the attribute are left out, and those of which the base does not show
    what the prompt says."""
    pair, found = cast(Values, run.subject), Findings()
    images = looking.images
    for each in ConceptQuestion([pair.words], described=True, asks_empty=False).seen(images):
        before, after = (looking.value(latents, pair.attribute) for latents in (each.original, each.changed))
        if after is not None and before == pair.original:
            is_so = after == pair.target if pair.target else after != pair.original
            found.setdefault(CHANGED, []).append(f"{is_so} {reading_of(images, each).is_changed}")
        if each.neighbour is None or each.kept is None:
            continue
        before, after = (looking.value(latents, pair.attribute) for latents in (each.neighbour, each.kept))
        (share,) = shares_of_neighbour(each)
        if before is not None:
            found.setdefault(KEPT, []).append(f"{before == after} {share <= concepts.KEPT or None}")
            found.setdefault(LOST, []).append(f"{before != after} {share >= concepts.LOST or None}")
    return found


def of_slider(looking: Looking, run: Run, folder: Path) -> Findings:
    """Whether a shape's colour and size lead towards an end is measured; of other attributes it is told by the value,
    and images that show the end's already are left out."""
    pair, asked = cast(Values, run.subject), first_press.asked_for(run, folder)
    names = ("original_prompt", "slider_positive", "slider_negative")
    lines = [asked[name].split("\n") for name in names]
    found = Findings()
    for each in SliderQuestion(list(zip(*lines, strict=True)), described=True).seen(looking.images):
        base = looking.verdict(each.base)
        readings = readings_of(looking.images, each)
        for end, latents, reading in zip((pair.target, pair.original), (each.up, each.down), readings, strict=True):
            is_so = leads_to(end, pair, base, looking.verdict(latents))
            if is_so is not None:
                found.setdefault(CHANGED, []).append(f"{is_so} {reading.is_nearer}")
    return found


def leads_to(end: str, pair: Values, before: Verdict, after: Verdict) -> bool | None:
    """Whether one image is nearer to an end than another; None: the judge cannot tell."""
    values = [getattr(each, pair.attribute) for each in (before, after)]
    if None in values:
        return None
    if pair.attribute == "colour":
        one, other = (np.linalg.norm(np.asarray(each.rgb) - np.asarray(COLOURS[end])) for each in (before, after))
        return bool(other < one - 5)
    if pair.attribute == "size":
        grown = after.area / before.area
        return grown > 1.03 if end == "large" else grown < 1 / 1.03
    return values[1] == end if values[0] != end else None


def of_pair(looking: Looking, run: Run, folder: Path) -> Findings:
    """Images of which the base does not show the original's value are left out."""
    pair, found = cast(Values, run.subject), Findings()
    asked = first_press.asked_for(run, folder)
    for number in range(IMAGES):
        sides = [asked.get(name) for name in ("original_image", "target_image")]
        if not all(sides):
            sides = [str(folder / f"{number}{end}.png") for end in ("", "_changed")]
        original, target = (looking.encoded(Path(str(side))) for side in sides)
        sizes = torch.tensor([[SIDE, SIDE, 0, 0, SIDE, SIDE]])
        way = way_of(looking.images, Pair(original, target, "", sizes), number)
        before, after = (looking.value(latents, pair.attribute) for latents in (way.base, way.seen))
        if after is not None and before == pair.original:
            found.setdefault(CHANGED, []).append(f"{after == pair.target} {way.is_changed}")
    return found


def of_trigger(looking: Looking, run: Run, folder: Path) -> Findings:
    """Whether another word makes the same: the judge sees the same colour, shape, size and background as with the
    trigger word, and not what the base shows."""
    asked = first_press.asked_for(run, folder)
    word = asked["lora_trigger_word"]
    captions = sorted({each.read_text("utf-8").strip() for each in folder.glob("*.txt")})
    seen = list(CaptionQuestion(captions, word).seen(looking.images))
    apart, found = mean_distance([each.base for each in seen]), Findings()
    for each in seen:
        assert each.other is not None
        assert each.other_base is not None
        own, base, other, other_base = (
            astuple(looking.verdict(latents))[:4] for latents in (each.own, each.base, each.other, each.other_base)
        )
        is_changed = distance(each.own, each.base) >= trigger.CHANGED * apart
        found.setdefault(CHANGED, []).append(f"{own != base} {is_changed}")
        if is_changed and own != base:
            found.setdefault("another word makes the same", []).append(f"{other == own != other_base} {each.is_same}")
    return found


KINDS: dict[str, Callable[[Looking, Run, Path], Findings]] = {
    "iLECO": of_concept, "erase": of_concept, "slider": of_slider, "ADDifT": of_pair, "Multi-ADDifT": of_pair,
    "Difference": of_pair, "LoRA": of_trigger,
}  # fmt: skip


def findings(studio: Studio, run: Run, number: int, folder: Path) -> Iterator[Findings]:
    """Of a run's LoRA at every strength."""
    for at, strength in enumerate(STRENGTHS):
        kept = folder / f"{strength:g}.json"
        if not kept.exists():
            lora = folder / f"{strength:g}.safetensors"
            if not lora.exists():
                whole = network_from_file(first_press.train(run, OURS, folder)[0], studio.bundle)
                for each in STRENGTHS:
                    file.save(folder / f"{each:g}.safetensors", whole.tensors(factor=each), {})
            looking = Looking(studio, lora, FIRST_SEED * (1 + number) + 10 * at)
            kept.write_text(json.dumps(KINDS[run.mode.name](looking, run, folder / "images")), "utf-8")
        yield json.loads(kept.read_text("utf-8"))


def table(folder: Path, half: Half, checkpoint: Path, mode: str) -> str:
    """Prints what each LoRA gave as soon as it is known; returns the sums."""
    studio, sums, count = Studio(checkpoint), dict[str, Counter[str]](), 0
    for number, run in enumerate(runs([mode], [checkpoint], [SEEDS[half]], half)):
        own = folder / checkpoint.stem / mode / f"{run.name}".replace(" ", "")
        own.mkdir(parents=True, exist_ok=True)
        for found in findings(studio, run, number, own):
            count += 1
            print(
                mode, run.name, {what: dict(Counter(each)) for what, each in found.items()}, file=sys.stderr, flush=True
            )
            for what, seen in found.items():
                sums.setdefault(what, Counter()).update(seen)
    lines = [
        f"{mode}, {checkpoint.stem}, {half} pairs, {count} LoRAs",
        "",
        "| said | right | nothing said |",
        "| --- | --- | --- |",
    ]
    for what, each in sums.items():
        right = each["True True"] + each["False False"]
        told = right + each["True False"] + each["False True"]
        lines.append(f"| {what} | {right}/{told} | {sum(each.values()) - told} |")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[4:] or KINDS:
        print(table(Path(sys.argv[1]), cast(Half, sys.argv[2]), Path(sys.argv[3]), name), flush=True)
