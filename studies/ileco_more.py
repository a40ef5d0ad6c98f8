"""What iLECO's own settings and ``base_loras`` do, each against the default, on the embedded checkpoint; one seed.

As a program it prints the table that ``docs/ileco.md`` holds: ``python -m studies.ileco_more``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from studies.ileco import GOOD, Case, measure, pair, prompts, train
from studies.studio import Studio, print_table
from trainer.networks.files.read import network_from_file

SEED = 3
YELLOW = replace(pair("blue", "yellow", "purple"), changes=tuple({**GOOD, "train_iterations": "200"}.items()))
GREEN = replace(YELLOW, name="red → green", colour="red", target="green", original_prompt="red", target_prompt="green")
BOTH = replace(
    YELLOW, name="both in one run", original_prompt="blue\nred", target_prompt="yellow\ngreen",
    changes=tuple({**GOOD, "train_iterations": "400"}.items()),
)  # fmt: skip
DENOISED = replace(YELLOW, name="denoised in 3 steps", changes=(*YELLOW.changes, ("ileco_denoise_steps", "3")))
SLIDER = replace(
    YELLOW, name="slider", original_prompt="circle", target_prompt="",
    changes=(*YELLOW.changes, ("slider_positive", "blue circle"), ("slider_negative", "red circle")),
)  # fmt: skip


def _row(name: str, steps: str, studio: Studio, case: Case, lora: Path, seconds: float) -> str:
    found = measure(studio, case, lora, SEED)
    return (
        f"| {name} | {case.colour} → {case.target} | {steps} | {found.became}/{found.of} | {found.kept}/{found.of} "
        f"({case.other}) | {found.rest}/{found.of_rest} | {found.shapes}/{2 * found.of} | {seconds:.0f} |"
    )


def table(folder: Path) -> str:
    studio = Studio()
    lines = [
        "| run | measured | steps | became target | another kept | all others | shape kept | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    yellow, seconds = train(YELLOW, SEED, folder)
    lines.append(_row("default", "200", studio, YELLOW, yellow, seconds))
    alone, seconds = train(GREEN, SEED, folder)
    lines.append(_row("default", "200", studio, GREEN, alone, seconds))
    both, seconds = train(BOTH, SEED, folder)
    lines += [_row("two concepts in one run", "400", studio, case, both, seconds) for case in (YELLOW, GREEN)]
    denoised, seconds = train(DENOISED, SEED, folder)
    lines.append(_row("`ileco_denoise_steps` 3", "200", studio, YELLOW, denoised, seconds))
    on_top = replace(GREEN, name="red → green on top", changes=(*GREEN.changes, ("base_loras", str(yellow))))
    green, seconds = train(on_top, SEED, folder)
    with network_from_file(yellow, studio.bundle).attached():
        lines += [_row("`base_loras`: the default's", "200", studio, case, green, seconds) for case in (YELLOW, GREEN)]
    slider, seconds = train(SLIDER, SEED, folder)
    lines += ["", "| slider red … blue, 200 steps | red | blue |", "| --- | --- | --- |"]
    for strength in (-1.0, 0.0, 1.0):
        seen = studio.verdicts(prompts(), slider, strength=strength, first_seed=100 * SEED)
        shares = [sum(verdict.colour == colour for verdict in seen) for colour in ("red", "blue")]
        lines.append(f"| {strength:+g} | {shares[0]}/{len(seen)} | {shares[1]}/{len(seen)} |")
    return "\n".join([*lines, f"Slider: {seconds:.0f} seconds."])


if __name__ == "__main__":
    print_table(table)
