"""A step of LoRA, iLECO and ADDifT beside two other loops, on one thread of the CPU.

    OMP_NUM_THREADS=1 python -m benchmarks.peers            # the table of docs/benchmarks.md
    OMP_NUM_THREADS=1 python -m benchmarks.peers --steps 30

*plain* is a loop as diffusers' examples have it, with peft's LoRA; *TrainTrain's habits* is one that does between and
around the same arithmetic what that extension does: adapters by hooks, a teacher that runs through them at strength 0,
a collection of garbage and two readings of the loss in each step. Both are written here, from what those programs do.

All three are in one process and take their steps in turn, so whatever else the machine does is shared evenly; what
counts is the time that the thread worked. Model, layers, rank, optimizer, image, prompts and loss are the same, latents
and conditionings are there before, and Trainyard's own terms (kept prompts, several noises) are off.
"""

from __future__ import annotations

import argparse
import gc
import queue
import statistics
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DConditionModel
from peft import LoraConfig
from PIL import Image
from torch import Tensor, nn

from studies.traintrain import without_ours
from trainer.config.schema import parse
from trainer.config.settings import Settings
from trainer.engine.run import run
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Event, Job, Step
from trainer.models.base import Bundle
from trainer.models.placement import place
from trainer.models.registry import load_bundle
from trainer.networks.registry import targets_of
from trainer.paths import Folders

TOY = Path(__file__).resolve().parents[1] / "tests" / "toy" / "toy-sd1.safetensors"
MODES = ("LoRA", "iLECO", "ADDifT")
RANK, RATE, SIDE, QUARTER = 16, 1e-4, 64, 0.25
WARM_UP = 5
ORIGINAL, TARGET = "a red circle", "a blue circle"
CPU = torch.device("cpu")


class Driver(ABC):
    """Takes one step at a time."""

    @abstractmethod
    def step(self) -> float:
        """The seconds that the thread worked for it."""

    def close(self) -> None:  # noqa: B027 - most have nothing to end
        """End it."""


class Ours(Driver):
    """A run of Trainyard's, held after each of its steps."""

    def __init__(self, settings: Settings, home: Path) -> None:
        self._control, self._worked, self._goes_on = Control(), queue.Queue[float](), threading.Semaphore(0)
        self._began = 0.0
        host = Standalone(CPU, Folders(home / "data", home / "loras", home / "models"))
        self._thread = threading.Thread(target=run, args=(Job.create(settings), host, self._control, self._heard))
        self._thread.start()
        self._worked.get(timeout=600)  # loading, and the first step

    def _heard(self, event: Event) -> None:
        if isinstance(event, Step):
            self._worked.put(time.thread_time() - self._began)
            self._goes_on.acquire()
            self._began = time.thread_time()

    def step(self) -> float:
        self._goes_on.release()
        return self._worked.get(timeout=600)

    def close(self) -> None:
        self._control.stop()
        self._goes_on.release()
        self._thread.join()


class Other(Driver):
    """A loop written here; its model is a copy."""

    def __init__(self, mode: str, bundle: Bundle, settings: Settings, latents: Sequence[Tensor]) -> None:
        self._mode, (self._original, self._target) = mode, latents
        encoded: Any = bundle.encode([ORIGINAL, TARGET])
        self._words = encoded.sequence.detach().split(1)
        theirs: Any = bundle.denoiser
        self._unet = cast(Any, UNet2DConditionModel.from_config(theirs.config))
        self._unet.load_state_dict(theirs.state_dict())
        self._unet.requires_grad_(False)
        self._noise = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
        wanted = {target.module for target in targets_of(bundle, settings, trains_text=False)}
        paths = [path for path, module in theirs.named_modules() if module in wanted]
        self._optimizer = torch.optim.AdamW(self._adapted(paths), lr=RATE, weight_decay=0.01)
        self._schedule = torch.optim.lr_scheduler.ConstantLR(self._optimizer, 1.0)
        self.losses: list[float] = []

    @abstractmethod
    def _adapted(self, paths: Sequence[str]) -> list[nn.Parameter]:
        """Give the modules adapters; what is trained."""

    @abstractmethod
    def _at(self, strength: float) -> None:
        """Set their strength."""

    def _after(self, loss: Tensor) -> None:
        self.losses.append(loss.item())

    def step(self) -> float:
        gc.enable()  # which a run of ours holds off
        began = time.thread_time()
        loss = self._loss()
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad()
        self._after(loss.detach())
        worked = time.thread_time() - began
        gc.disable()
        return worked

    def _loss(self) -> Tensor:
        noise = torch.randn_like(self._target)
        timesteps = torch.randint(0, 1000, (1,))
        original, target = self._words
        if self._mode == "LoRA":
            self._at(1.0)
            noisy = self._noise.add_noise(self._target, noise, timesteps)
            return F.mse_loss(self._predicted(noisy, timesteps, target), noise)
        seen, of_base, strength = noise, (noise, target), 1.0
        if self._mode == "ADDifT":
            seen, base = (self._noise.add_noise(each, noise, timesteps) for each in (self._target, self._original))
            of_base, strength = (base, original), QUARTER
        with torch.no_grad():
            self._at(0.0)
            wanted = self._predicted(of_base[0], timesteps, of_base[1])
        self._at(strength)
        return F.mse_loss(self._predicted(seen, timesteps, original), wanted)

    def _predicted(self, noisy: Tensor, timesteps: Tensor, words: Tensor) -> Tensor:
        predicted: Tensor = self._unet(noisy, timesteps, words).sample
        return predicted


class Plain(Other):
    """diffusers and peft; the teacher is the model with its adapters disabled."""

    def _adapted(self, paths: Sequence[str]) -> list[nn.Parameter]:
        self._unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(paths)))
        self._strength = 1.0
        return [each for each in self._unet.parameters() if each.requires_grad]

    def _at(self, strength: float) -> None:
        if strength == self._strength:
            return
        if not strength:
            self._unet.disable_adapters()
        elif not self._strength:
            self._unet.enable_adapters()
        if strength:
            self._unet.set_adapters("default", strength)
        self._strength = strength


class Habits(Other):
    """Adapters that stand in for ``forward``, in the teacher's pass too; garbage is collected after each step."""

    def _adapted(self, paths: Sequence[str]) -> list[nn.Parameter]:
        self._strength = 1.0
        return [each for path in paths for each in self._hooked(self._unet.get_submodule(path))]

    def _hooked(self, module: Any) -> list[nn.Parameter]:
        inner: Callable[..., Tensor] = module.forward
        down: nn.Module
        up: nn.Module
        if isinstance(module, nn.Linear):
            down = nn.Linear(module.in_features, RANK, bias=False)
            up = nn.Linear(RANK, module.out_features, bias=False)
        else:
            down = nn.Conv2d(module.in_channels, RANK, 1, bias=False)
            up = nn.Conv2d(RANK, module.out_channels, 1, bias=False)
        nn.init.zeros_(up.weight)
        module.forward = lambda x, *_more: inner(x) + up(down(x)) * self._strength * 1.0
        return [*down.parameters(), *up.parameters()]

    def _at(self, strength: float) -> None:
        self._strength = strength

    def _after(self, loss: Tensor) -> None:
        self.losses.append(loss.item())
        self.losses[-1] = loss.item()
        gc.collect()


def settings_of(mode: str, home: Path) -> Settings:
    """Those of Trainyard's run: what the other loops compute, and no more."""
    files = {}
    for name, seed in (("original", 1), ("target", 2)):
        path = home / f"{name}.png"
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)
        files[name] = str(path)
    images = home / "images"
    images.mkdir(exist_ok=True)
    (images / "one.png").write_bytes(Path(files["target"]).read_bytes())
    (images / "one.txt").write_text(TARGET)
    given: Mapping[str, object] = {
        **without_ours(), "mode": mode, "model": str(TOY), "network_rank": RANK, "network_alpha": RANK,
        "train_learning_rate": RATE, "train_iterations": 100000, "train_batch_size": 1, "image_size": SIDE,
        "save_lora_name": "x", "save_overwrite": "true", "effect_strip": "false", "state_every_minutes": 0,
        "train_lr_scheduler": "constant", "train_optimizer": "AdamW", "train_snr_gamma": 0, "network_blocks": "M00,"
        + ",".join(f"IN{n:02}" for n in range(12)) + "," + ",".join(f"OUT{n:02}" for n in range(12)),
    }  # fmt: skip
    of_mode: dict[str, dict[str, object]] = {
        "LoRA": {"lora_data_directory": str(images)},
        "iLECO": {"original_prompt": ORIGINAL, "target_prompt": TARGET},
        "ADDifT": {"original_image": files["original"], "target_image": files["target"]},
    }
    return parse({**given, **of_mode[mode]}).settings


def measured(mode: str, steps: int, home: Path) -> dict[str, list[float]]:
    """Seconds a step of each loop, in turn."""
    torch.manual_seed(1)
    settings = settings_of(mode, home)
    bundle = load_bundle(TOY)
    place(bundle, CPU, dict.fromkeys(bundle.modules, torch.float32))
    side = SIDE // 8
    latents = [torch.randn(1, bundle.latent_channels, side, side) for _ in range(2)]
    drivers: dict[str, Driver] = {"Trainyard": Ours(settings, home)}
    drivers |= {name: kind(mode, bundle, settings, latents) for name, kind in OTHERS.items()}
    found: dict[str, list[float]] = {name: [] for name in drivers}
    for number in range(WARM_UP + steps):
        for name, driver in drivers.items():
            worked = driver.step()
            if number >= WARM_UP:
                found[name].append(worked)
    for driver in drivers.values():
        driver.close()
    return found


OTHERS: Mapping[str, type[Other]] = {"plain diffusers and peft": Plain, "TrainTrain's habits": Habits}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modes", nargs="*", default=MODES, help=", ".join(MODES))
    parser.add_argument("--steps", type=int, default=100, help="of each loop, after some to warm up")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print("| mode | loop | ms a step | 10–90 % | × Trainyard |\n| --- | --- | --- | --- | --- |", flush=True)
    for mode in chosen.modes:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(mode, chosen.steps, Path(folder))
        own = statistics.median(found["Trainyard"])
        for name, times in found.items():
            tenths = statistics.quantiles(times, n=10)
            middle, spread = statistics.median(times), f"{1e3 * tenths[0]:.0f}–{1e3 * tenths[-1]:.0f}"
            print(f"| {mode} | {name} | {1e3 * middle:.1f} | {spread} | {middle / own:.2f} |", flush=True)


if __name__ == "__main__":
    main()
