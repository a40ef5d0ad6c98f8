"""What pairs teach where the embedded checkpoint predicts a velocity or a flow, by converted predictions.

What a denoiser makes of a noisy image says where image and noise lie in it, and so what a model of the same knowledge
that predicts a velocity or a flow would say. As a program it prints the table that ``docs/flow.md`` holds:
``python -m studies.conversions``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from studies import addift
from studies.studio import CHECKPOINT, SEEDS, Studio, print_table, train_lora
from trainer.diffusion.parameterisation import CHOICES, EPSILON, FLOW, Parameterisation
from trainer.diffusion.schedule import NoiseSchedule, scaled_linear_betas
from trainer.models.base import Bundle
from trainer.models.stable_diffusion.conditioning import CLIPConditioning
from trainer.models.stable_diffusion.family import StableDiffusion

_OWN = NoiseSchedule.of_betas(scaled_linear_betas())
_MOST = 0.93
"""Of a flow's noise; the checkpoint knows no noisier images."""


def converted(
    _family: StableDiffusion, bundle: Bundle, latents: Tensor, timesteps: Tensor, conditioning: CLIPConditioning
) -> Tensor:
    """The prediction of the bundle's parameterisation, from the checkpoint's of the noise."""
    kind = bundle.diffusion.parameterisation
    times, scale, flow = timesteps.float(), torch.ones(1), (timesteps.float() + 1).view(-1, 1, 1, 1) / 1000
    if kind is FLOW:
        known = flow.clamp(max=_MOST).double()
        scale = (known**2 + (1 - known) ** 2).sqrt()
        a, s = ((each / scale).float() for each in (1 - known, known))
        scale, times = scale.float(), _time_of((known / (1 - known)).log().flatten())
    else:
        a, s = (table[timesteps].view(-1, 1, 1, 1) for table in (_OWN.signal, _OWN.noise))
    seen = latents / scale
    noise: Tensor = bundle.denoiser(seen, times, conditioning.sequence, return_dict=False)[0]
    clean = (seen - s * noise) / a
    if kind is EPSILON:
        return noise
    return (latents - clean) / flow if kind is FLOW else a * noise - s * clean


def _time_of(ratio: Tensor) -> Tensor:
    """The checkpoint's own time, between two timesteps, at which noise and signal have this ratio, as a logarithm."""
    ratios = (_OWN.noise.double() / _OWN.signal.double()).log()
    above = torch.searchsorted(ratios, ratio).clamp(1, len(ratios) - 1)
    below = ratios[above - 1]
    return (above - 1 + ((ratio - below) / (ratios[above] - below)).clamp(0, 1)).float()


def as_it_is(_kind: Parameterisation, predicted: Tensor, _by: Tensor, _s: Tensor) -> Tensor:
    """The base's prediction, which pairs were matched with before, whatever it predicts."""
    return predicted


def checkpoint_of(prediction: str, folder: Path) -> Path:
    """The embedded checkpoint, which says that it predicts this."""
    with safe_open(str(CHECKPOINT), "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = json.loads(file.metadata()["trainyard_config"])
    path = folder / f"{prediction}.safetensors"
    save_file(tensors, str(path), {"trainyard_config": json.dumps({**config, "prediction": prediction})})
    return path


def counted(prediction: str, folder: Path, *, moved: bool) -> str:
    """How many images have the target's value at strength 1 and at -1, case by case."""
    folder = folder / f"{prediction}-{moved}"
    folder.mkdir()
    checkpoint, found = checkpoint_of(prediction, folder), []

    kind = type(CHOICES[prediction])
    with (
        patch.object(StableDiffusion, "predict", converted),
        patch.object(kind, "moved", kind.moved if moved else as_it_is),
        patch.object(addift, "train_lora", partial(train_lora, checkpoint=checkpoint)),
    ):
        for case in addift.STRONGEST[:2]:
            named = replace(case, name=f"{case.name}, {prediction}, {moved}")
            counts = addift.study(Studio(checkpoint), named, folder, SEEDS[:1])
            found.append(f"{counts.plus} and {counts.minus}")
    return "; ".join(found)


def table(folder: Path) -> str:
    """The table of ``docs/flow.md``."""
    lines = ["| predicts | the base's prediction as it is | moved by `d` |", "| --- | --- | --- |"]
    for prediction in CHOICES:
        lines.append(
            f"| {prediction} | {' | '.join(counted(prediction, folder, moved=each) for each in (False, True))} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    print_table(table)
