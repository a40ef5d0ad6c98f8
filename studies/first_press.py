"""What every shipped preset does to pairs and things it was not chosen on, beside TrainTrain's formulas.

One run after the other is trained from the command line, counted by the judge and written down as a line of JSON; what
is written down is not done again. So the study may be broken off, and several processes may share it::

    python -m studies.first_press --checkpoint tests/toy/toy-sd1.safetensors OTHER.safetensors
    python -m studies.first_press --table

**Ours** is a preset of ``presets/trainyard`` as it is. **TrainTrain's** are its formulas (:mod:`.traintrain`) with the
fitting preset of its own, with its learning rate, optimizer, scheduler and timesteps; steps, batch size and rank are
those of ours, and alpha is to the rank what it is there.

Settings are tried on the train half, with lines of their own::

    python -m studies.first_press --half train --seeds 20 --modes ADDifT --formulas ours
        --changes "train_learning_rate=1e-3" --results tried.jsonl

**What is counted**, in 24 prompts a seed (:mod:`.pairs`), one image each, in 10 steps at guidance 4; the base's images
have the same noise:

- *asked*. iLECO: prompts that name the original show the target. Erasing: prompts that name it do not show it, out of
  those in which the base without the word does not show it either. Pairs of images: prompts without a word about the
  attribute show the target. LoRA: the thing's own word makes the thing.
- *other values*: prompts that name a value that is neither the original nor the target still show it. A pair of images
  does not say whether red → green is to leave a prompt's blue as it is. So in the pair modes this is shown, and no mark
  is set.
- *other attributes*: in the images that *asked* counts, what the base shows as the prompt says is still shown. Of
  sliders at ±1; of LoRA in prompts of the known shapes, without the thing's word.
- *another word*, of LoRA: four other unknown words in turn make the thing.
- *at guidance 2*, of LoRA: the thing's own word makes it at a guidance that goes less beyond what was learned.
- *in words*: the base shows the target where the prompt asks for it, which is what a prompt can reach.

A pair's images show one scene, drawn by the seed, and have no captions; the pairs of Multi-ADDifT show six.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import torch
from PIL import Image

from studies import traintrain
from studies.first_press_table import OURS, TRAINTRAINS, Counts, tables
from studies.lora import QUAX, ZORP, Thing, prompts_of, shows, write_pictures
from studies.pairs import (
    SPLIT_SEED,
    Asked,
    Half,
    Pair,
    Share,
    erased,
    kept,
    kept_attributes,
    left_open,
    of_original,
    of_others,
    pairs,
    shown,
    slider_prompts,
    sliders,
    spread_scenes,
    told_by,
)
from studies.studio import CHECKPOINT, SEEDS, Studio, changes_in, train_lora
from tests.toy.judge import Verdict
from tests.toy.world import ATTRIBUTES, Scene, picture
from trainer.claims import locked
from trainer.config import presets
from trainer.config.schema import parse
from trainer.config.settings import Settings
from trainer.paths import CHECKOUT, SHIPPED_PRESETS, TRAINYARD_PRESETS

RESULTS = Path(__file__).parent / "results" / "first_press.jsonl"
NONE: Mapping[str, str] = MappingProxyType({})
STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Of sliders."""
PAIRS_IN_FOLDER = 6
"""Of Multi-ADDifT."""
THINGS: dict[Half, tuple[Thing, ...]] = {
    "train": (ZORP, QUAX),
    "test": (Thing("wug", (130, 80, 40), "pillar"), Thing("tek", (150, 200, 90), "star")),
}
"""With outlines that the toy checkpoints' autoencoders keep; the star's only where it is large, as it is in prompts."""
UNKNOWN = ("blorp", "fep", "vim", "dax")
"""Words that are no thing's."""
SMALL = {"image_size": "64", "image_min_length": "64", "image_buckets_step": "64"}


@dataclass(frozen=True)
class Mode:
    """A preset of ours, and the one of TrainTrain's that stands beside it.

    Attributes:
        of_traintrain_twice: the latter, where ours has settings of its own for a second pass.
    """

    name: str
    preset: str
    of_traintrain: str
    of_traintrain_twice: str = ""


MODES = {
    mode.name: mode
    for mode in (
        Mode("iLECO", "change-concept", "iLECO"),
        Mode("erase", "erase-concept", "iLECO"),
        Mode("slider", "concept-slider", "iLECO"),
        Mode("ADDifT", "action-from-pair", "ADDifT_Action_SD1.5"),
        Mode("Multi-ADDifT", "action-from-many-pairs", "ADDifT_Action_SD1.5"),
        Mode("Difference", "difference-from-pair", "Difference", "Difference_Use2ndPass"),
        Mode("LoRA", "object-from-images", "LoRA"),
    )
}


@dataclass(frozen=True)
class Run:
    """One LoRA.

    Attributes:
        subject: what is asked of it: a pair of values, or a thing to be learned.
        changes: settings laid over our preset, to try them.
    """

    mode: Mode
    subject: Pair | Thing
    half: Half
    checkpoint: Path
    seed: int
    changes: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def told(self) -> tuple[str, ...]:
        return told_by(self.checkpoint)

    @property
    def attribute(self) -> str:
        return self.subject.attribute if isinstance(self.subject, Pair) else "thing"

    @property
    def name(self) -> str:
        return self.subject.name if isinstance(self.subject, Pair) else f"{self.subject.outline} ({self.subject.word})"


def runs(
    modes: Sequence[str],
    checkpoints: Sequence[Path],
    seeds: Sequence[int],
    half: Half,
    attributes: Collection[str] = tuple(ATTRIBUTES),
    changes: Mapping[str, str] = NONE,
) -> Iterator[Run]:
    """All of them, ordered so that what is done at any time is whole rows of few seeds; things have no attribute."""
    for seed in seeds:
        for name in modes:
            for subject in _subjects(name, half):
                for checkpoint in checkpoints:
                    if not isinstance(subject, Pair) or subject.attribute in {*told_by(checkpoint)} & {*attributes}:
                        yield Run(MODES[name], subject, half, checkpoint, seed, changes)


def _subjects(mode: str, half: Half) -> Sequence[Pair | Thing]:
    if mode == "LoRA":
        return THINGS[half]
    return {"erase": erased, "slider": sliders}.get(mode, pairs)(half)


# ---- settings -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """What a run is trained with.

    Attributes:
        preset: the file.
        changes: settings laid over it, without what is asked.
        ours: the settings of our preset, whose steps, batch size and rank both formulas have.
    """

    preset: Path
    changes: Mapping[str, str]
    ours: Settings

    @property
    def steps(self) -> int:
        passes = [self.ours] if self.ours.mode != "Difference" else [self.ours, _second_pass(self.ours) or self.ours]
        return sum(settings.train_iterations for settings in passes)

    @property
    def given(self) -> dict[str, Any]:
        """What the preset and the changes say."""
        return {"preset": json.loads(self.preset.read_text(encoding="utf-8")), "changes": dict(self.changes)}


def recipe(mode: Mode, formula: str, tried: Mapping[str, str] = NONE) -> Recipe:
    """The settings of a mode with one of the formulas.

    Args:
        tried: settings laid over our preset.
    """
    path = TRAINYARD_PRESETS / f"{mode.preset}.json"
    ours = parse(tried, base=presets.load_file(path).settings).settings
    if formula == OURS:
        return Recipe(path, tried, ours)
    second = _second_pass(ours)
    path = SHIPPED_PRESETS / f"{mode.of_traintrain if second is None else mode.of_traintrain_twice}.json"
    theirs = presets.load_file(path).settings
    changes = {"mode": ours.mode, **traintrain.without_ours(), **_sized_as(ours, theirs)}
    if second is not None:
        of_second = _sized_as(second, _second_pass(theirs) or theirs)
        changes |= {f"2nd_pass.{key}": value for key, value in of_second.items()}
    return Recipe(path, changes, ours)


def _second_pass(settings: Settings) -> Settings | None:
    return settings.second_pass if settings.use_2nd_pass_settings else None


def _sized_as(ours: Settings, theirs: Settings) -> dict[str, str]:
    """The steps, batch size and rank of ours, and an alpha that is to the rank what theirs is."""
    return {
        "train_iterations": str(ours.train_iterations), "train_batch_size": str(ours.train_batch_size),
        "network_rank": str(ours.network_rank),
        "network_alpha": f"{ours.network_rank * theirs.network_alpha / theirs.network_rank:g}",
    }  # fmt: skip


# ---- training -------------------------------------------------------------------------------------------------------


def train(run: Run, formula: str, folder: Path) -> tuple[Path, float]:
    """Train from the command line; the LoRA, and the processor seconds of the whole run."""
    used = recipe(run.mode, formula, run.changes)
    given = {**used.changes, **SMALL, **asked_for(run, folder / "images")}
    with ExitStack() as stack:
        if formula == TRAINTRAINS:
            stack.enter_context(traintrain.formulas())
        return train_lora(str(used.preset), given, run.mode.name, run.seed, folder, run.checkpoint)


def asked_for(run: Run, folder: Path) -> dict[str, str]:
    """The prompts or images of a run, as settings."""
    subject = run.subject
    if isinstance(subject, Thing):
        write_pictures(folder, subject, run.seed, names_place="place" in run.told)
        return {"lora_data_directory": str(folder), "lora_trigger_word": subject.word}
    if run.mode.name == "slider":
        concepts, positive, negative = ("\n".join(lines) for lines in slider_prompts(subject))
        return {"original_prompt": concepts, "slider_positive": positive, "slider_negative": negative}
    if run.mode.name in ("iLECO", "erase"):
        original, target = subject.words
        return {"original_prompt": original, "target_prompt": target}
    folder.mkdir(parents=True, exist_ok=True)
    if run.mode.name == "Multi-ADDifT":
        for number, scene in enumerate(scenes_of(run, PAIRS_IN_FOLDER)):
            _write_pair(folder, subject, scene, str(number), f"{number}_changed", number)
        return {"lora_data_directory": str(folder), "diff_target_name": "_changed"}
    _write_pair(folder, subject, scenes_of(run, 1)[0], "original", "target", run.seed)
    return {"original_image": str(folder / "original.png"), "target_image": str(folder / "target.png")}


def scenes_of(run: Run, count: int) -> list[Scene]:
    """What the images of pairs show beside the attribute: by pair and seed, the same in every mode."""
    return Random(f"{SPLIT_SEED} {run.name} {run.seed}").sample(spread_scenes(), count)


def _write_pair(folder: Path, pair: Pair, scene: Scene, original: str, target: str, jitter: int) -> None:
    for name, value in ((original, pair.original), (target, pair.target)):
        shows_it = replace(scene, **{pair.attribute: value})
        picture(shows_it, np.random.default_rng(jitter)).save(folder / f"{name}.png")


# ---- measuring ------------------------------------------------------------------------------------------------------


class Remembering:
    """A checkpoint that draws, and remembers in a folder what it draws without a LoRA."""

    def __init__(self, checkpoint: Path, folder: Path) -> None:
        self._studio, self._folder = Studio(checkpoint), folder / hash_of(checkpoint)
        self._folder.mkdir(parents=True, exist_ok=True)

    def verdicts(self, asked: Asked, seed: int, lora: Path | None = None, strength: float = 1.0) -> list[Verdict]:
        """What the judge sees in an image of each prompt."""
        if lora is not None:
            return self._studio.verdicts(asked.prompts, lora, strength=strength, first_seed=100 * seed)
        made = self._remembered(
            [asked.prompts, seed],
            lambda: [asdict(verdict) for verdict in self._studio.verdicts(asked.prompts, first_seed=100 * seed)],
        )
        return [Verdict(**{name: verdict[name] for name in ATTRIBUTES}) for verdict in made]

    def showing(
        self, thing: Thing, prompts: Sequence[str], seed: int, lora: Path | None = None, *, cfg: float = 4.0
    ) -> list[bool]:
        """Whether an image of each prompt shows a thing."""

        def drawn() -> list[bool]:
            made: list[Image.Image] = self._studio.pictures(prompts, lora, first_seed=100 * seed, cfg=cfg)
            return [bool(shows(image, thing)) for image in made]

        return drawn() if lora else cast("list[bool]", self._remembered([asdict(thing), [*prompts], seed, cfg], drawn))

    def _remembered(self, what: object, make: Callable[[], list[Any]]) -> list[Any]:
        path = self._folder / f"{_hash(what)}.json"
        if not path.exists():
            written = path.with_suffix(f".{os.getpid()}")
            written.write_text(json.dumps(make()), encoding="utf-8")
            written.replace(path)
        found: list[Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


def measure(run: Run, draw: Remembering, lora: Path) -> Counts:
    """All counts of a run by their names."""
    if isinstance(run.subject, Thing):
        return _of_thing(run, run.subject, draw, lora)
    if run.mode.name == "slider":
        return _of_slider(run, run.subject, draw, lora)
    return _of_pair(run, run.subject, draw, lora)


def _of_pair(run: Run, pair: Pair, draw: Remembering, lora: Path) -> Counts:
    named, free, seed = of_original(pair, run.told), left_open(pair, run.told), run.seed
    asked = named if run.mode.name in ("iLECO", "erase") else free
    base, seen = draw.verdicts(asked, seed), draw.verdicts(asked, seed, lora)
    counts = {f"kept {name}": share for name, share in kept_attributes(pair, asked, base, seen).items()}
    if pair.target:
        counts["asked"] = shown(pair.target, pair.attribute, base, seen)
        in_words = draw.verdicts(of_original(Pair(pair.attribute, pair.target, ""), run.told), seed)
        counts["in words"] = shown(pair.target, pair.attribute, in_words, in_words)
    else:
        still, without = (shown(pair.original, pair.attribute, base, one) for one in (seen, draw.verdicts(free, seed)))
        images = still.images
        counts["asked"] = Share(images - still.count, images - without.count, images - still.base, images)
    others = of_others(pair, run.told)
    if others.scenes:
        base, seen = draw.verdicts(others, seed), draw.verdicts(others, seed, lora)
        counts["others"] = kept(pair.attribute, others, base, seen)
    return counts


def _of_slider(run: Run, pair: Pair, draw: Remembering, lora: Path) -> Counts:
    asked = left_open(pair, run.told)
    base, counts = draw.verdicts(asked, run.seed), dict[str, Share]()
    for strength in STRENGTHS:
        seen = draw.verdicts(asked, run.seed, lora, strength) if strength else base
        counts[f"at {strength:+g}"] = shown(pair.target, pair.attribute, base, seen)
        counts[f"negative at {strength:+g}"] = shown(pair.original, pair.attribute, base, seen)
        if abs(strength) == 1:
            for name, share in kept_attributes(pair, asked, base, seen).items():
                counts[f"kept {name}"] = counts.get(f"kept {name}", Share()) + share
    return counts


def _of_thing(run: Run, thing: Thing, draw: Remembering, lora: Path) -> Counts:
    def made_by(prompts: Sequence[str], cfg: float = 4.0) -> Share:
        base, seen = (draw.showing(thing, prompts, run.seed, one, cfg=cfg) for one in (None, lora))
        return Share(sum(seen), len(seen), sum(base), len(base))

    own, *others = (prompts_of(word, names_place="place" in run.told) for word in (thing.word, *UNKNOWN))
    in_turn = [others[number % len(others)][number] for number in range(len(own))]
    classes = Asked(tuple(spread_scenes()), run.told)
    base, seen = draw.verdicts(classes, run.seed), draw.verdicts(classes, run.seed, lora)
    return {
        "asked": made_by(own),
        "at guidance 2": made_by(own, cfg=2.0),
        "another word": made_by(in_turn),
        **{f"kept {name}": kept(name, classes, base, seen) for name in run.told},
    }


# ---- the study ------------------------------------------------------------------------------------------------------


def study(todo: Iterable[Run], formulas: Sequence[str], results: Path, scratch: Path) -> None:
    """Do the runs of which no line is there, and append a line for each that is done.

    Both formulas of a run follow one another, so that their seconds can be compared. What another process is doing is
    left to it.
    """
    results.parent.mkdir(parents=True, exist_ok=True)
    draws = dict[Path, Remembering]()
    process = f"{os.getpid()}-{int(time.time())}"
    for run in todo:
        with locked(claim_of(run, scratch)) as is_free:
            if not is_free:
                continue
            for formula in formulas:
                if key_of(run, formula) in keys(read(results)):
                    continue
                if run.checkpoint not in draws:
                    draws[run.checkpoint] = Remembering(run.checkpoint, scratch)
                line = {**_done(run, formula, draws[run.checkpoint], scratch), "process": process}
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                asked = Share(*line["counts"].get("asked", line["counts"].get("at +1")))
                print(*line["key"].values(), f"{asked}, {line['seconds']} s", file=sys.stderr, flush=True)


def _done(run: Run, formula: str, draw: Remembering, scratch: Path) -> dict[str, Any]:
    used = recipe(run.mode, formula, run.changes)
    folder = Path(tempfile.mkdtemp(dir=scratch))
    try:
        lora, seconds = train(run, formula, folder)
        counts = measure(run, draw, lora)
    finally:
        shutil.rmtree(folder)
    return {
        "key": key_of(run, formula),
        "attribute": run.attribute,
        "preset": used.preset.stem,
        "settings": used.given,
        "formulas": formulas_hash(),
        "steps": used.steps,
        "batch": used.ours.train_batch_size,
        "rank": used.ours.network_rank,
        "seconds": round(seconds, 1),
        "counts": {name: share.numbers for name, share in counts.items()},
    }


def claim_of(run: Run, scratch: Path) -> Path:
    """What is locked while a run is done."""
    return scratch / _hash([run.mode.name, run.name, run.half, str(run.checkpoint.resolve()), run.seed])


def key_of(run: Run, formula: str) -> dict[str, Any]:
    """What tells a run from all others; a preset that is changed makes it another."""
    return {
        "mode": run.mode.name, "subject": run.name, "half": run.half, "checkpoint": run.checkpoint.stem,
        "bytes": hash_of(run.checkpoint), "seed": run.seed, "formula": formula,
        "settings": _hash(recipe(run.mode, formula, run.changes).given),
    }  # fmt: skip


def keys(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [line["key"] for line in lines]


def read(results: Path) -> list[dict[str, Any]]:
    """The lines of a file of results; none where there is none."""
    if not results.exists():
        return []
    *whole, _being_written = results.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in whole]


@cache
def hash_of(path: Path) -> str:
    """Of the bytes of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@cache
def formulas_hash() -> str:
    """Of the code of the modes as they are now: a table says where its lines were made by several."""
    modes = sorted((CHECKOUT / "trainer" / "modes").glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in modes)).hexdigest()[:12]


def _hash(what: object) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]


def main(arguments: Sequence[str] | None = None) -> None:
    """Do the study, or print its tables."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.first_press", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--checkpoint", type=Path, nargs="+", default=[CHECKPOINT], help="toy checkpoints")
    parser.add_argument("--modes", default=",".join(MODES), help="default: %(default)s")
    parser.add_argument("--attributes", default=",".join(ATTRIBUTES), help="default: %(default)s")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="default: %(default)s")
    parser.add_argument("--half", choices=("train", "test"), default="test", help="default: %(default)s")
    parser.add_argument("--formulas", default=f"{OURS},{TRAINTRAINS}", help="default: %(default)s")
    parser.add_argument("--changes", default="", help="settings laid over our presets: key=value; key=value")
    parser.add_argument("--results", type=Path, default=RESULTS, help="default: %(default)s")
    scratch, of_scratch = Path(tempfile.gettempdir()) / "first_press", "LoRAs being measured, and what the base shows"
    parser.add_argument("--scratch", type=Path, default=scratch, help=f"{of_scratch}; default: %(default)s")
    parser.add_argument("--table", action="store_true", help="print the tables of what is done")
    options = parser.parse_args(arguments)
    if options.table:
        print(tables(read(options.results), options.half))
        return
    options.scratch.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    modes, attributes = options.modes.split(","), options.attributes.split(",")
    todo = runs(modes, options.checkpoint, seeds, options.half, attributes, changes_in(options.changes))
    study(todo, options.formulas.split(","), options.results, options.scratch)


if __name__ == "__main__":
    main()
