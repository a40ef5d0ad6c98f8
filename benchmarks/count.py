"""What a training step asks of a card, counted on a machine without one: the same numbers everywhere.

    python -m benchmarks.count                      # the table of docs/benchmarks.md
    python -m benchmarks.count SD1 iLECO --places   # these models and cases, and where waits and copies come from

Models have their full size, and no numbers (:mod:`.counting`). Passes, network, optimizer and loop are Trainyard's own.
One step is counted, after one to warm up; of modes that take turns or look ahead four are, and a quarter of them is
shown.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

import torch

from benchmarks.counting import SPEEDS, Card, Counts, Speed
from tests.helpers.full_size import shapes_of
from trainer.config.choices import MODES
from trainer.config.settings import STREAMING, Settings
from trainer.config.size import Size
from trainer.data.latents import PIXELS_AT_ONCE, empty_dataset
from trainer.data.samples import Sample
from trainer.engine import loss_reader
from trainer.engine.loop import LoopHooks, train
from trainer.job import Control
from trainer.models.base import Bundle
from trainer.models.latents import decode, encode_images
from trainer.models.memory_trace import META
from trainer.models.placement import dtype_of, place, stored_types
from trainer.models.precision import choose_precision
from trainer.models.recompute import keeping_less
from trainer.models.registry import load_bundle
from trainer.models.stable_diffusion import stripes
from trainer.models.streaming import Streamed
from trainer.modes.base import PassContext
from trainer.modes.registry import mode_of
from trainer.networks.base import Network, build
from trainer.networks.registry import builder, targets_of
from trainer.optim.groups import rate_groups

WARM_UP, MOST, AHEAD = 1, 4, 3
BASE = Settings(
    model="x", original_prompt="a red car", target_prompt="a blue car", lora_data_directory="x", network_rank=16,
    network_alpha=16.0, train_batch_size=1, train_model_precision="bf16",
    train_iterations=WARM_UP + MOST + AHEAD, train_optimizer_settings="fused=True",
)  # fmt: skip
"""Of every case; on a real card the optimizer is fused without being told."""
TEXT_FREE = ("M00", *(f"IN{n:02}" for n in range(12)), *(f"OUT{n:02}" for n in range(12)))


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        changes: settings that differ from :data:`BASE`.
    """

    family: str
    mode: str
    name: str = ""
    changes: dict[str, object] = field(default_factory=dict)

    @property
    def size(self) -> Size:
        side = {"SD1": 512, "SD2": 768, "SDXL": 1024}[self.family]
        return Size(side, side)

    @property
    def steps(self) -> int:
        """How many are counted."""
        return 1 if self.mode in (*NO_STEPS, "LoRA", "Difference") else MOST

    @property
    def settings(self) -> Settings:
        mode = BASE.mode if self.mode in NO_STEPS else self.mode
        return replace(BASE, mode=mode, image_size=self.size, network_blocks=TEXT_FREE, **self.changes)  # type: ignore[arg-type]

    @property
    def title(self) -> str:
        return f"{self.mode}{', ' if self.name else ''}{self.name}"


def _ladder(precision: str, saving: str = "none") -> dict[str, object]:
    return {
        "use_gradient_checkpointing": True,
        "train_model_precision": precision,
        "train_memory_saving": saving,
    }


ALONE, ENCODING, DECODING = NO_STEPS = "U-Net alone", "images encoded", "image decoded"
"""What is counted beside steps."""
AS_DIFFUSERS = "as diffusers does"
CHANGING: dict[str, object] = {"caption_shuffle": True, "train_iterations": 100_000}
"""More captions than are kept."""
CASES = (
    Case("SD1", ALONE),
    Case("SD1", "LoRA"),
    Case("SD1", "LoRA", "light", {"train_memory_saving": "light"}),
    Case("SD1", "LoRA", "checkpointing", {"use_gradient_checkpointing": True}),
    Case("SD1", "LoRA", "int8", {"train_model_precision": "int8"}),
    Case("SD1", "LoRA", "int8, checkpointing", _ladder("int8")),
    Case("SD1", "LoRA", "nf4, checkpointing", _ladder("nf4")),
    Case("SD1", "LoRA", "streaming", {"train_memory_saving": "streaming"}),
    Case("SD1", "LoRA", "streaming, checkpointing", _ladder("bf16", "streaming")),
    Case("SD1", "LoRA", "batch 4", {"train_batch_size": 4}),
    Case("SD1", "LoRA", "loha", {"network_type": "loha"}),
    Case("SD1", "LoRA", "c3lier", {"network_type": "c3lier"}),
    Case("SD1", "LoRA", "captions encoded in each step", CHANGING),
    Case("SD1", "iLECO"),
    Case("SD1", "ADDifT"),
    Case("SD1", "Multi-ADDifT"),
    Case("SD1", "Difference"),
    Case("SD2", "LoRA"),
    Case("SDXL", ALONE),
    Case("SDXL", "LoRA"),
    Case("SDXL", "LoRA", "c3lier", {"network_type": "c3lier"}),
    Case("SDXL", "LoRA", "captions encoded in each step", CHANGING),
    Case("SDXL", "LoRA", "light", {"train_memory_saving": "light"}),
    Case("SDXL", "LoRA", "checkpointing", {"use_gradient_checkpointing": True}),
    Case("SDXL", "LoRA", "int8, checkpointing", _ladder("int8")),
    Case("SDXL", "LoRA", "nf4, checkpointing", _ladder("nf4")),
    Case("SDXL", "LoRA", "streaming, checkpointing", _ladder("bf16", "streaming")),
    Case("SDXL", "LoRA", "int8, streaming, checkpointing", _ladder("int8", "streaming")),
    Case("SDXL", "iLECO"),
    Case("SDXL", "ADDifT"),
    Case("SD1", ENCODING, AS_DIFFUSERS),
    Case("SD1", ENCODING),
    Case("SDXL", ENCODING, AS_DIFFUSERS),
    Case("SDXL", ENCODING),
    Case("SDXL", ENCODING, "bf16", {"train_VAE_precision": "bf16"}),
    Case("SDXL", DECODING, AS_DIFFUSERS),
    Case("SDXL", DECODING),
)


@dataclass(frozen=True)
class Step:
    """What one step of a case takes; bytes where nothing else is said.

    Attributes:
        counts: of all steps that are counted.
        parts: what lives at the peak, by what it is for: weights, network and optimizer, the rest of the step.
        steps: how many they are.
    """

    modules: int
    parameters: int
    counts: Counts
    parts: dict[str, int]
    steps: int

    @property
    def kernels(self) -> float:
        return self.counts.kernels.total() / self.steps

    @property
    def peak(self) -> int:
        return sum(self.parts.values())


def counted(case: Case, card: Card, folder: Path) -> Step:
    """Take the steps of a case, and count."""
    gc.collect()  # a case before this one: adapters and what is shared among them know each other
    settings = case.settings
    bundle = load_bundle(without_numbers(folder / f"{case.family}.safetensors", case.family))
    precision = choose_precision(settings, stored_types(bundle), card.device)
    place(bundle, META, precision.parts, codes=precision.codes)
    bundle.vae.to(META)
    before = card.living.now
    if case.mode in (ENCODING, DECODING):
        with card.on():
            weights = card.put(bundle.vae)
            return Step(0, 0, _through_vae(bundle, card, case), _parts(card, before, weights, 0), case.steps)
    targets = targets_of(bundle, settings, trains_text=False)
    network = build(targets, builder(settings, precision.network, META), torch.Generator())
    with card.on():
        for encoder in bundle.text_encoders:
            card.put(encoder)
        if settings.train_memory_saving == STREAMING:
            bundle.streamed = _streamed(bundle, card)
        with nullcontext() if bundle.streamed is None else bundle.streamed.taken_out():
            weights = card.put(bundle.denoiser)
        if case.mode == ALONE:
            return Step(0, 0, _alone(bundle, card, settings, case.steps), _parts(card, before, weights, 0), case.steps)
        of_network = card.put(network)
        found = _of_steps(bundle, network, card, settings, case.steps, scale_loss=precision.scales_loss)
    parts = _parts(card, before, weights, 3 * of_network)  # AdamW has two numbers for each of the network's
    return Step(len(network), sum(each.numel() for each in network.parameters()), found, parts, case.steps)


def _streamed(bundle: Bundle, card: Card) -> Streamed:
    blocks = bundle.family.blocks_to_stream(bundle)
    for block in blocks:
        card.put_on_host(block)
    return Streamed(blocks, card.device)


def _parts(card: Card, before: int, weights: int, trained: int) -> dict[str, int]:
    rest = card.living.peak - before - weights - trained
    return {"weights": weights, "network and optimizer": trained, "rest": rest}


def _of_steps(
    bundle: Bundle, network: Network, card: Card, settings: Settings, steps: int, *, scale_loss: bool
) -> Counts:
    """Those of the loop, after it has warmed up."""
    mode = mode_of(settings.mode)
    training = mode.passes(settings)[-1]
    family, images = bundle.family, MODES[settings.mode].images
    data = None
    if images != "none":
        sample = _sample(settings.size, pairs=images in ("pair", "folder of pairs"))
        if settings.caption_shuffle:
            sample = replace(sample, written=", ".join(map(str, range(20))))
        data = empty_dataset([sample] * settings.train_batch_size, bundle, settings)
    found, counting, control = Counts(), ExitStack(), Control()

    def step_done(number: int) -> None:
        nonlocal found
        if number == WARM_UP:
            found = counting.enter_context(card.counted())
        elif number == WARM_UP + steps:
            counting.close()
            control.stop()

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(loss_reader, "_READ_SECONDS", math.inf))  # a real card is not waited for
        stack.enter_context(network.attached())
        stack.enter_context(keeping_less(bundle, settings))
        training.prepare(PassContext(settings, bundle, network, bundle.diffusion.to(card.device), data))
        for encoder in () if training.needs_text_encoder else bundle.text_encoders:
            card.put_away(encoder)
        train(
            training, network, settings, device=card.device, scale_loss=scale_loss, control=control, emit=_nothing,
            hooks=LoopHooks(_nothing, _nothing, _nothing, step_done),
            groups=rate_groups(network, settings, family.block_of),
        )  # fmt: skip
    return found


def _alone(bundle: Bundle, card: Card, settings: Settings, steps: int) -> Counts:
    """The denoiser's own forward and backward passes, of its input."""
    conditioning = bundle.encode(["a car"] * settings.train_batch_size, size=settings.size)
    for encoder in bundle.text_encoders:
        card.put_away(encoder)
    shape = settings.train_batch_size, *bundle.latent_shape(settings.size)
    latents = torch.empty(shape, dtype=dtype_of(bundle.denoiser), device=card.device, requires_grad=True)
    timesteps = torch.empty(settings.train_batch_size, dtype=torch.int64, device=card.device)
    with card.counted() as found:
        for _ in range(steps):
            bundle.predict(latents, timesteps, conditioning).sum().backward()
    return found


@torch.no_grad()
def _through_vae(bundle: Bundle, card: Card, case: Case) -> Counts:
    """As many images as a run encodes at once, or one decoded."""
    large = math.inf if case.name == AS_DIFFUSERS else stripes.LARGE
    count = max(1, PIXELS_AT_ONCE // case.size.area) if case.mode == ENCODING else 1
    shape = (3, *reversed(case.size)) if case.mode == ENCODING else bundle.latent_shape(case.size)
    given = torch.empty(count, *shape, dtype=dtype_of(bundle.vae), device=card.device)
    with mock.patch.object(stripes, "LARGE", large), card.counted() as found:
        (encode_images if case.mode == ENCODING else decode)(bundle, given)
    return found


def _nothing(*_: object) -> None:
    pass


def _sample(frame: Size, *, pairs: bool) -> Sample:
    def one(name: str, target: Sample | None = None) -> Sample:
        return Sample(Path(name), "a car", frame, frame, (0, 0), False, False, frame, target)

    return one("original.png", one("target.png") if pairs else None)


def without_numbers(path: Path, family: str) -> Path:
    """A checkpoint of full size that takes no room: its header is there, and nothing behind it."""
    if path.exists():
        return path
    header, end = dict[str, object](), 0
    for name, shape in shapes_of(family).items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return path


COLUMNS = (
    "model, size", "case", "modules", "parameters", "kernels", "casts", "TFLOP", "GB moved", "floor ms", "roofline ms",
    "waits", "copies", "GiB at most", "weights", "network and optimizer", "rest",
)  # fmt: skip


def row(case: Case, step: Step, speed: Speed) -> str:
    """A case as a row of the table."""
    counts, steps, gib = step.counts, step.steps, 2**30
    cells = (
        f"{case.family} {case.size.width}²", case.title, str(step.modules or "–"),
        f"{step.parameters / 1e6:.2f} M" if step.parameters else "–",
        f"{step.kernels:,.0f}", f"{counts.kernels['_to_copy'] / steps:,.0f}", f"{counts.flop / steps / 1e12:.2f}",
        f"{counts.bytes / steps / 1e9:.1f}", f"{1e3 * counts.flop / steps / speed.flops:.1f}",
        f"{1e3 * counts.seconds(speed) / steps:.1f}", f"{counts.waits.total() / steps:g}",
        f"{counts.copies.total() / steps:g}", f"{step.peak / gib:.2f}", f"{step.parts['weights'] / gib:.2f}",
        f"{step.parts['network and optimizer'] / gib:.2f}", f"{step.parts['rest'] / gib:.2f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def places(found: Counter[str], steps: int) -> Iterable[str]:
    return (f"  {count / steps:g} {place or 'in the backward pass'}" for place, count in found.most_common())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    every = [list(dict.fromkeys(getattr(case, name) for case in CASES)) for name in ("family", "title")]
    names = f"models ({', '.join(every[0])}) and cases (such as {every[1][1]}); default: all"
    parser.add_argument("names", nargs="*", help=names)
    parser.add_argument("--card", choices=SPEEDS, default="H200", help="whose floor is shown; default: %(default)s")
    parser.add_argument("--places", action="store_true", help="where waits and copies are asked for, and the kernels")
    chosen = parser.parse_args(arguments)
    unknown = sorted({*chosen.names} - {*every[0], *every[1]})
    if unknown:
        parser.error(f"{', '.join(unknown)}: no such model or case. There are {', '.join([*every[0], *every[1]])}.")
    chosen_families, chosen_titles = ([each for each in names if each in chosen.names] or names for names in every)
    card = Card()
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if case.family in chosen_families and case.title in chosen_titles:
                step = counted(case, card, Path(folder))
                print(row(case, step, SPEEDS[chosen.card]), flush=True)
                if chosen.places:
                    print(
                        "waits:",
                        *places(step.counts.waits, step.steps),
                        "copies:",
                        *places(step.counts.copies, step.steps),
                        sep="\n",
                    )
                    print("kernels:", *places(step.counts.kernels, step.steps), sep="\n")


if __name__ == "__main__":
    main()
