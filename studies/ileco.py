"""What iLECO does to images, counted by the judge on the embedded checkpoint.

As a program it prints the table that ``docs/ileco.md`` holds: ``python -m studies.ileco``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

from studies.pairs import Asked, spread_scenes, with_values
from studies.studio import SEEDS, Studio, print_table, train_lora
from tests.toy.world import COLOURS

GOOD = {
    "network_rank": "16", "network_alpha": "32", "network_element": "CrossAttention", "train_iterations": "400",
    "train_batch_size": "2", "train_learning_rate": "2e-3", "train_loss_function": "L1", "save_precision": "fp32",
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One thing asked of iLECO.

    Attributes:
        other: another colour, which is to stay.
        changes: settings laid over the shipped preset; none: the preset as it is.
        named: colours that the keep prompts name.
    """

    name: str
    colour: str
    target: str
    other: str
    original_prompt: str
    target_prompt: str
    changes: tuple[tuple[str, str], ...] = ()
    named: tuple[str, ...] = ()


def pair(colour: str, target: str, other: str, *, preset: bool = False) -> Case:
    changes = () if preset else tuple(GOOD.items())
    name = f"{colour} → {target}" + (", shipped preset" if preset else "")
    return Case(name, colour, target, other, colour, target, changes)


def keeping(case: Case, *named: str) -> Case:
    """The same with these colours to be kept."""
    changes = (*case.changes, ("keep_prompts", "; ".join(named)))
    return replace(case, name=f"{case.name}, {' and '.join(named)} kept", changes=changes, named=named)


CASES = (pair("blue", "yellow", "red"), pair("red", "blue", "green"))
PRESET_CASES = (pair("blue", "yellow", "red", preset=True), pair("red", "blue", "green", preset=True))
KEEPING_CASES = (keeping(CASES[0], "red", "green", "purple", "orange"), keeping(CASES[0], "purple"))
ERASED = Case("red erased", "red", "", "green", "red", "", tuple(GOOD.items()))


def train(case: Case, seed: int, folder: Path) -> tuple[Path, float]:
    """Train one case; the LoRA and the seconds it took."""
    settings = {
        "image_size": "64", "original_prompt": case.original_prompt, "target_prompt": case.target_prompt,
        **dict(case.changes),
    }  # fmt: skip
    return train_lora("iLECO", settings, case.name, seed, folder)


def asked(*colours: str) -> Asked:
    """24 prompts: every size, shape and background, with these colours in turn or, of none, without one."""
    if not colours:
        return Asked(tuple(spread_scenes()), ("size", "shape", "background"))
    return Asked(with_values("colour", colours), ("size", "colour", "shape", "background"))


def prompts(*colours: str) -> list[str]:
    """Those of :func:`asked`."""
    return asked(*colours).prompts


def others(case: Case) -> tuple[str, ...]:
    """The colours that nobody asked to change."""
    return tuple(colour for colour in COLOURS if colour not in (case.colour, case.target))


@dataclass
class Counts:
    """Images that are what they should be, of how many.

    ``rest`` and ``of_rest`` are those of all other colours, without ``named`` and ``of_named``: those of colours that
    the keep prompts name.
    """

    became: int = 0
    remained: int = 0
    kept: int = 0
    rest: int = 0
    of_rest: int = 0
    named: int = 0
    of_named: int = 0
    shapes: int = 0
    of: int = 0
    seconds: float = 0.0

    def add(self, other: Counts) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def measure(studio: Studio, case: Case, lora: Path | None, seed: int = 0) -> Counts:
    """24 images each of the original concept, of another colour, and of all colours nobody asked to change."""
    changed = studio.verdicts(prompts(case.colour), lora, first_seed=100 * seed)
    other = studio.verdicts(prompts(case.other), lora, first_seed=100 * seed)
    rest = studio.verdicts(prompts(*others(case)), lora, first_seed=100 * seed)
    of_rest = [scene.colour for scene in asked(*others(case)).scenes]
    stayed = [colour for verdict, colour in zip(rest, of_rest, strict=True) if verdict.colour == colour]
    right = [verdict.shape == scene.shape for verdict, scene in zip(changed + other, spread_scenes() * 2, strict=True)]
    return Counts(
        became=sum(verdict.colour == case.target for verdict in changed),
        remained=sum(verdict.colour == case.colour for verdict in changed),
        kept=sum(verdict.colour == case.other for verdict in other),
        rest=sum(colour not in case.named for colour in stayed),
        of_rest=sum(colour not in case.named for colour in of_rest),
        named=sum(colour in case.named for colour in stayed),
        of_named=sum(colour in case.named for colour in of_rest),
        shapes=sum(right),
        of=len(changed),
    )


def study(studio: Studio, case: Case, folder: Path, seeds: tuple[int, ...] = SEEDS) -> Counts:
    """Train and measure a case with every seed, pooled."""
    pooled = Counts()
    for seed in seeds:
        lora, seconds = train(case, seed, folder)
        pooled.add(measure(studio, case, lora, seed))
        pooled.seconds += seconds
    return pooled


@dataclass(frozen=True)
class Erasure:
    """Images that have the erased colour, of ``of``: with the word, before and after; the base without the word."""

    before: int
    after: int
    without_word: int
    kept: int
    of: int
    seconds: float


def study_erasing(studio: Studio, case: Case, folder: Path, seeds: tuple[int, ...] = SEEDS) -> Erasure:
    before, after, without_word, kept = 0, 0, 0, 0
    seconds = 0.0
    for seed in seeds:
        lora, taken = train(case, seed, folder)
        seconds += taken
        first = 100 * seed

        before += _drawn_in(studio, case.colour, prompts(case.colour), None, first)
        after += _drawn_in(studio, case.colour, prompts(case.colour), lora, first)
        without_word += _drawn_in(studio, case.colour, prompts(), None, first)
        kept += _drawn_in(studio, case.other, prompts(case.other), lora, first)
    return Erasure(before, after, without_word, kept, 24 * len(seeds), seconds)


def _drawn_in(studio: Studio, colour: str, asked: list[str], lora: Path | None, first_seed: int) -> int:
    """How many of the images of these prompts show this colour."""
    return sum(verdict.colour == colour for verdict in studio.verdicts(asked, lora, first_seed=first_seed))


def share(count: int, of: int, base: int) -> str:
    return f"{count}/{of} (base {base})" if of else "–"


def table(folder: Path) -> str:
    """The table of ``docs/ileco.md``."""
    studio = Studio()
    lines = [
        "| case | became target | original left | another kept | named others | all others | shape kept | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for case in CASES + PRESET_CASES + KEEPING_CASES:
        base, counts = Counts(), study(studio, case, folder)
        for seed in SEEDS:
            base.add(measure(studio, case, None, seed))
        of = counts.of
        lines.append(
            f"| {case.name} | {counts.became}/{of} | {counts.remained}/{of} | {case.other} "
            f"{counts.kept}/{of} (base {base.kept}) | {share(counts.named, counts.of_named, base.named)} | "
            f"{share(counts.rest, counts.of_rest, base.rest)} | "
            f"{counts.shapes}/{2 * of} (base {base.shapes}) | {counts.seconds / len(SEEDS):.0f} |"
        )
    lines += [
        "",
        "| erased | with the word, base | with the word, LoRA | without the word, base | another kept | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    erased = study_erasing(studio, ERASED, folder)
    lines.append(
        f"| {ERASED.colour} | {erased.before}/{erased.of} | {erased.after}/{erased.of} | "
        f"{erased.without_word}/{erased.of} | {ERASED.other} {erased.kept}/{erased.of} | "
        f"{erased.seconds / len(SEEDS):.0f} |"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    print_table(table)
