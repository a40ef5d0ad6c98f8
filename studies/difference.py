"""What Difference does to images, counted by the judge on the embedded checkpoint.

As a program it prints the rows of ``docs/differences.md`` that belong to Difference, in the columns of
``studies.addift``: ``python -m studies.difference``, with one torch thread.
"""

from __future__ import annotations

from dataclasses import replace

from studies.addift import Case, pair, table, texts
from studies.studio import print_table

TOY = {
    "network_rank": 16, "network_alpha": 16, "train_iterations": 200, "train_learning_rate": 3e-3,
    "save_precision": "fp32", "2nd_pass.network_rank": 16, "2nd_pass.network_alpha": 16,
    "2nd_pass.train_iterations": 200, "2nd_pass.train_learning_rate": 3e-3, "2nd_pass.train_min_timesteps": 500,
}  # fmt: skip
"""Over the shipped preset: rates that show on a model of three million parameters, and late timesteps in pass 2."""
PRESET = "Difference_Use2ndPass"


def _case(kind: str, value: str, name: str, changes: dict[str, object], **scene: str) -> Case:
    return replace(pair(kind, value, f"Difference, {name}", {**TOY, **changes}, **scene), preset=PRESET)


STRONGEST = (
    _case("colour", "blue", "batch 2", {}),
    _case("background", "cyan", "batch 4", {"train_batch_size": 4, "2nd_pass.train_batch_size": 4}),
    _case("size", "large", "batch 2", {}, size="small"),
    _case("colour", "blue", "batch 2", {}, colour="yellow"),
    _case("background", "black", "batch 2, rate 1e-3 in the 2nd pass", {"2nd_pass.train_learning_rate": 1e-3}),
)
SHAPE = (_case("shape", "square", "batch 2", {}),)
PRESETS = tuple(
    replace(pair("colour", "blue", f"Difference, preset {name}", {}), preset=name, settings=texts({}))
    for name in ("Difference", "Difference_Use2ndPass")
)


if __name__ == "__main__":
    print_table(lambda folder: table(folder, (*STRONGEST, *SHAPE, *PRESETS)))
