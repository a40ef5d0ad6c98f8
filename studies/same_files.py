"""Whether two revisions make the same files of the same jobs: ``python -m studies.same_files OLD NEW``.

OLD and NEW are checkouts. Each runs the same jobs on its own copy of the embedded checkpoint, one after the other, and
whatever the jobs leave in their folders is compared: LoRAs byte for byte, logs row by row, images by their pixels.

    python -m studies.same_files OLD NEW                    both are run
    python -m studies.same_files --record FOLDER OLD        OLD is run and its files are kept in FOLDER
    python -m studies.same_files FOLDER NEW                 only NEW is run

A record holds for the processor and the package versions it was made with; it says so where they differ.
Exit code 0: the same files; 1: others, or a job failed; 2: the comparison could not be made.

Nothing of the trainer is imported here. It is called as ``python -m trainer`` is, with settings files and folders of
its own, no more of the environment than it needs to start, a clock that stands still and one thread. Its home folder
is the run's folder, so paths of two runs are the same in LoRA files, where the home folder is written ``~``. All jobs
of a checkout share one process, since starting takes longer than most of them. Python's hashes of text are left
random, so what depends on the order of a set shows up as a difference.

``--ignore-metadata KEY`` passes over a key of the LoRAs' headers that tells a version, such as the trainer's own, which
must not be the same. Where one is passed over ``sshs_legacy_hash`` is, too: it is made of bytes at a fixed place in the
file, which a longer header moves.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

CHECKPOINT = "toy-sd1.safetensors"
_CLOCK = "1700000000"
_NOTE = "run.json"
_PACKAGES = ("torch", "diffusers", "transformers", "safetensors", "pytorch-optimizer", "numpy", "pillow")
_KEPT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "SYSTEMDRIVE", "PATHEXT", "COMSPEC")
"""What is taken over from the environment: without it some systems start no Python."""
_NO_VERSION = ("ss_base_model_version",)
"""What is called so, but says for which models a LoRA is."""


# ---- the jobs -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One call of ``train``; ``{home}`` in a text stands for the folder of the run.

    Attributes:
        settings: by short name; in a separate file, or laid over ``source``.
        source: a preset's name, or a LoRA to train again.
        after: jobs whose LoRAs it takes.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    after: tuple[str, ...] = ()


_LONG_KEYS = {
    "original_prompt": "original prompt",
    "target_prompt": "target prompt",
    "original_image": "original image",
    "target_image": "target image",
    "network_blocks": "network_blocks(BASE = TextEncoder)",
    "image_size": "image_size(height, width)",
    "second_pass": "2nd pass",
}
_MODEL = f"{{home}}/models/{CHECKPOINT}"
_UNET = ["IN01", "IN04", "IN08", "M00", "OUT03", "OUT08", "OUT11"]
_COMMON = {
    "model": _MODEL, "image_size": "64", "image_min_length": 64, "image_buckets_step": 64, "network_rank": 4,
    "network_alpha": 4.0, "train_iterations": 6, "train_batch_size": 2, "train_learning_rate": 5e-3,
    "train_seed": 3, "save_precision": "fp32", "effect_strip": False,
}  # fmt: skip
"""Saved as fp32, in which no small difference is rounded away."""
_FOLDER = {"lora_data_directory": "{home}/given/pictures"}
_WORDS = {"original_prompt": "red", "target_prompt": "blue"}
_PAIR = {"original_image": "{home}/given/pair/before.png", "target_image": "{home}/given/pair/after.png"}
_CUT_PAIR = {"original_image": "{home}/given/pair/before-cut.png", "target_image": "{home}/given/pair/after-cut.png"}
_PAIRS = {"lora_data_directory": "{home}/given/pairs", "diff_target_name": "_after"}
_SAMPLES = {"sample_prompt": "a red circle", "sample_negative": "black", "sample_every_steps": 3, "sample_seed": 7}


def _lora_of(job: str, ending: str = "") -> str:
    return f"{{home}}/jobs/{job}/loras/{job}{ending}.safetensors"


def _job(name: str, mode: str, *parts: Mapping[str, Any], after: tuple[str, ...] = (), **changes: Any) -> Job:
    settings: dict[str, Any] = {**_COMMON, "mode": mode, "save_lora_name": name}
    for part in (*parts, changes):
        settings |= part
    return Job(name, settings, after=after)


def _preset(name: str, *parts: Mapping[str, Any], **changes: Any) -> Job:
    settings: dict[str, Any] = {"model": _MODEL, "train_iterations": 6, "train_seed": 3, "save_lora_name": "x"}
    for part in (*parts, changes):
        settings |= part
    return Job(f"preset {name}", settings, source=name)


def _step(optimizer: str, scheduler: str, **changes: Any) -> Job:
    """An optimizer with a scheduler, on the mode that is the quickest."""
    chosen = {"train_optimizer": optimizer, "train_lr_scheduler": scheduler, "network_blocks": _UNET}
    return _job(f"{optimizer}, {scheduler}", "iLECO", _WORDS, chosen, **changes)


JOBS = (
    # ---- LoRA
    _job(
        "lora", "LoRA", _FOLDER, _SAMPLES, image_size="128", image_mirroring=True, sub_image_num=1,
        image_num_multiply=2, sample_every_steps=5, lora_trigger_word="zorp",
        train_textencoder_learning_rate=1e-3, train_iterations=8, sample_strengths=[-1, 0.5, 1],
        effect_strip=True, logging_save_csv=True, logging_verbose=True, save_as_json=True, save_precision="fp16",
    ),
    _job(
        "lora, U-Net only", "LoRA", _FOLDER, _SAMPLES, network_type="lierla", network_blocks=_UNET,
        network_strength=2.0,
    ),
    _job("lora, some words", "LoRA", _FOLDER, network_blocks=["BASE"], model="toy-sd1", train_batch_size=3),
    _job(
        "lora, file names", "LoRA", _FOLDER, image_use_filename_as_tag=True, image_disable_upscale=True,
        image_size="128", image_max_ratio=1.5, network_element="SelfAttention",
    ),
    _job("lora, c3lier", "LoRA", _FOLDER, network_type="c3lier", network_conv_rank=2, network_conv_alpha=1.0),
    _job("lora, loha", "LoRA", _FOLDER, network_type="loha"),
    _job(
        "lora, kept", "LoRA", _FOLDER, keep_prompts="a red circle; a blue square\na green triangle", keep_weight=0.5,
        lora_trigger_word="zorp",
    ),
    _job("lora, resumed", "LoRA", _FOLDER, after=("lora",), network_resume=_lora_of("lora"), train_seed=4),
    _job(
        "lora, c3lier resumed", "LoRA", _FOLDER, after=("lora, c3lier",), network_type="c3lier", network_rank=8,
        network_resume=_lora_of("lora, c3lier"), network_blocks=[*_UNET, "IN02"], network_strength=0.5,
    ),
    _job(
        "lora, on others", "LoRA", _FOLDER, after=("lora", "ileco, loha"), effect_strip=True,
        base_loras=f"{_lora_of('lora')}:0.8; {_lora_of('ileco, loha')}",
    ),
    _job(
        "lora, on the way", "LoRA", _FOLDER, save_per_steps=2, train_optimizer="AdamWScheduleFree",
        train_lr_scheduler="constant", save_as_json=True,
    ),
    Job("lora, again", source=_lora_of("lora"), after=("lora",)),
    _job("lora, no Min-SNR", "LoRA", _FOLDER, train_snr_gamma=0.0),
    _job("lora, L1", "LoRA", _FOLDER, train_loss_function="L1", train_fixed_timsteps_in_batch=True),
    _job("lora, Smooth-L1", "LoRA", _FOLDER, train_loss_function="Smooth-L1", train_min_timesteps=200,
         train_max_timesteps=600),
    _job("lora, checkpointed", "LoRA", _FOLDER, use_gradient_checkpointing=True),
    _job("lora, velocity", "LoRA", _FOLDER, _SAMPLES, prediction="velocity"),
    _job("lora, a VAE file", "LoRA", _FOLDER, vae="{home}/models/vae.safetensors", train_VAE_precision="bf16"),
    _job("lora, int8", "LoRA", _FOLDER, _SAMPLES, train_model_precision="int8", save_precision="model"),
    _job("lora, bf16", "LoRA", _FOLDER, train_model_precision="bf16", train_lora_precision="bf16",
         save_precision="bf16"),
    _job("lora, fp16", "LoRA", _FOLDER, train_model_precision="fp16", train_lora_precision="fp16",
         train_VAE_precision="fp16", save_precision="fp16"),
    _job("lora, fp32", "LoRA", _FOLDER, train_model_precision="fp32", train_lora_precision="fp32",
         train_batch_size=1),
    _job("lora, model's precision", "LoRA", _FOLDER, train_model_precision="model", save_precision="model"),
    # ---- iLECO
    _job("ileco", "iLECO", _WORDS, _SAMPLES, network_element="CrossAttention", effect_strip=True,
         logging_save_csv=True),
    _job("ileco, slider", "iLECO", original_prompt="circle\nsquare", slider_positive="blue circle\nblue square",
         slider_negative="red", slider_scale=2.0),
    _job("ileco, erased and kept", "iLECO", original_prompt="red", keep_prompts="green; purple; orange",
         keep_weight=2.0),
    _job("ileco, two concepts", "iLECO", original_prompt="red\nblue", target_prompt="green\nyellow",
         train_batch_size=3),
    _job("ileco, text encoder", "iLECO", _WORDS, network_train_text_encoder=True, keep_prompts="green"),
    _job("ileco, denoised", "iLECO", _WORDS, ileco_denoise_steps=2, train_loss_function="L1"),
    _job("ileco, loha", "iLECO", _WORDS, network_type="loha", network_element="CrossAttention",
         train_model_precision="int8"),
    # ---- Difference
    _job(
        "difference", "Difference", _PAIR, _SAMPLES, diff_save_1st_pass=True, original_prompt="a red circle",
        target_prompt="a blue circle", effect_strip=True, logging_save_csv=True,
    ),
    _job(
        "difference, 2nd pass", "Difference", _PAIR, use_2nd_pass_settings=True, save_per_steps=3,
        second_pass={
            "network_type": "c3lier", "network_rank": 2, "network_alpha": 1.0, "train_iterations": 4,
            "train_learning_rate": 5e-4, "train_loss_function": "L1", "train_seed": 5, "train_optimizer": "Lion",
            "train_lr_scheduler": "linear", "keep_prompts": "a green square",
        },
    ),
    _job(
        "difference, 1st pass loaded", "Difference", _PAIR, after=("difference",), original_image="",
        original_prompt="a red circle", target_prompt="a blue circle",
        diff_load_1st_pass=_lora_of("difference", "_copy"),
    ),
    _job("difference, 1st pass only", "Difference", _CUT_PAIR, diff_1st_pass_only=True, network_type="loha",
         effect_strip=True),
    _job("difference, cut out", "Difference", _CUT_PAIR, after=("difference",),
         network_resume=_lora_of("difference")),
    # ---- ADDifT
    _job("addift", "ADDifT", _PAIR, _SAMPLES, lora_trigger_word="zorp", effect_strip=True, logging_save_csv=True),
    _job(
        "addift, both turns", "ADDifT", _PAIR, diff_both_turns=True, diff_use_diff_mask=True, diff_keep_outside=0.5,
        diff_noise_count=2, diff_alt_ratio=0.5, train_min_timesteps=500,
    ),
    _job("addift, cut out", "ADDifT", _CUT_PAIR, diff_revert_original_target=True, diff_alt_ratio=-1.0,
         original_prompt="a circle", target_prompt="a circle", keep_prompts="a square"),
    _job("addift, forward only", "ADDifT", _PAIR, diff_alt_ratio=0.0, diff_use_diff_mask=True),
    _job(
        "multi", "Multi-ADDifT", _PAIRS, diff_use_diff_mask=True, image_mirroring=True, sub_image_num=1,
        image_size="128", effect_strip=True,
    ),
    _job(
        "multi, both turns", "Multi-ADDifT", _PAIRS, after=("lora, c3lier",), diff_both_turns=True,
        lora_trigger_word="zorp", network_type="c3lier", network_resume=_lora_of("lora, c3lier"), diff_noise_count=2,
    ),
    # ---- optimizers and schedulers
    _step("Lion", "linear", train_lr_warmup_steps=2),
    _step("SGDNesterov", "polynomial", train_lr_scheduler_power=2.0, train_learning_rate=1.0),
    _step("Adam", "cosine_with_restarts", train_lr_scheduler_num_cycles=2),
    _step("AdaFactor", "constant_with_warmup", train_lr_warmup_steps=3),
    _step("Prodigy", "cosine_annealing_with_restarts", train_lr_scheduler_num_cycles=2, train_learning_rate=1.0),
    _step("CAME", "exponential", train_loss_function="Smooth-L1"),
    _step("Tiger", "step"),
    _step("AdamMini", "multi_step"),
    _step("DAdaptAdam", "cyclic", train_learning_rate=1.0),
    _step("RAdamScheduleFree", "constant", save_per_steps=4),
    _step("AdamW", "one_cycle", train_optimizer_settings="betas=0.9,0.99; weight_decay=0.1"),
    _step("AdamW", "piecewise_constant", train_lr_step_rules="1:2,0.1:4,0.01"),
    _step("AdamW", "cosine_annealing", train_lr_scheduler_settings="eta_min=0.0001"),
    _step("AdamW", "reduce_on_plateau", train_iterations=55, train_batch_size=1,
          train_lr_scheduler_settings="patience=0; threshold=10; threshold_mode=abs"),
    # ---- presets as they are shipped
    _preset("iLECO", _WORDS, image_size="64"),
    _preset("LoRA", _FOLDER, image_size="64", image_min_length=64),
    _preset("ADDifT_Action_SD1.5", _PAIR),
    _preset("ADDifT_Style_SD1.5", _PAIR),
    _preset("ADDifT_Action_XL", _PAIR),
    _preset("ADDifT_Style_XL", _PAIR),
    _preset("Difference", _PAIR),
    _preset("Difference_Use2ndPass", _PAIR, {"2nd_pass.train_iterations": 4}),
)  # fmt: skip


def chosen_jobs(names: Sequence[str]) -> list[Job]:
    """The jobs of these names in their order, all if there are none, each with those whose LoRAs it takes."""
    by_name = {job.name: job for job in JOBS}
    wanted, left = set(names or by_name), list(names)
    while left:
        name = left.pop()
        if name not in by_name:
            raise SystemExit(_mistake(f'there is no job "{name}"; there are: {"; ".join(by_name)}'))
        wanted.add(name)
        left += by_name[name].after
    found: dict[str, Job] = {}
    for job in JOBS:
        for name in (*job.after, job.name) if job.name in wanted else ():
            found[name] = by_name[name]
    return list(found.values())


def _arguments(job: Job, home: Path) -> list[str]:
    """The command line of a job, and its settings file written."""
    settings = {key: _filled(value, home) for key, value in job.settings.items()}
    if job.source:
        arguments = ["train", _filled(job.source, home)]
        for key, value in settings.items():
            arguments += [f"--{key.replace('_', '-')}", value] if key == "model" else ["--set", f"{key}={value}"]
    else:
        path = home / "settings" / f"{job.name}.json"
        path.parent.mkdir(exist_ok=True)
        text = json.dumps({_LONG_KEYS.get(key, key): value for key, value in settings.items()}, indent=4)
        path.write_text(text, encoding="utf-8")
        arguments = ["train", str(path)]
    out = home / "jobs" / job.name
    arguments += ["--data-dir", str(out / "data"), "--output-dir", str(out / "loras")]
    return [*arguments, "--models-dir", str(home / "models"), "--device", "cpu"]


def _filled(value: Any, home: Path) -> Any:
    return value.replace("{home}", str(home)) if isinstance(value, str) else value


# ---- what they are given --------------------------------------------------------------------------------------------

_COLOURS = {
    "red": (225, 35, 35), "green": (35, 170, 60), "blue": (35, 60, 215), "yellow": (240, 220, 40),
    "white": (244, 244, 244), "gray": (128, 128, 128), "black": (14, 14, 14), "cyan": (90, 215, 225),
}  # fmt: skip


def make_pictures(folder: Path) -> None:
    """What the jobs train on: a folder with captions, a pair, a pair that is cut out, a folder of pairs."""
    pictures = folder / "pictures"
    (pictures / "more").mkdir(parents=True)
    for name, colour, shape, ground, size in (
        ("red_circle_id_1", "red", "circle", "white", (64, 64)),
        ("blue_square_id_2", "blue", "square", "gray", (64, 64)),
        ("more/green_triangle", "green", "triangle", "black", (96, 160)),
        ("more/yellow_circle", "yellow", "circle", "cyan", (160, 96)),
        ("more/wide", "red", "square", "cyan", (200, 80)),
    ):
        picture(size, colour, shape, ground).save(pictures / f"{name}.png")
        (pictures / f"{name}.txt").write_text(f"a large {colour} {shape}, {ground} background", encoding="utf-8")
    picture((64, 64), "blue", "circle", "").save(pictures / "cut_out.png")
    (pictures / "cut_out.caption").write_text("a blue circle, nothing around it", encoding="utf-8")
    picture((96, 96), "green", "square", "").save(pictures / "no caption.png")

    (folder / "pair").mkdir()
    for name, colour in (("before", "red"), ("after", "blue")):
        picture((64, 64), colour, "circle", "white").save(folder / "pair" / f"{name}.png")
        picture((128, 64), colour, "square", "").save(folder / "pair" / f"{name}-cut.png")

    (folder / "pairs").mkdir()
    for name, shape, ground, size in (
        ("a", "circle", "gray", (64, 64)),
        ("b", "square", "", (64, 64)),
        ("c", "triangle", "cyan", (80, 160)),
    ):
        picture(size, "red", shape, ground).save(folder / "pairs" / f"{name}.png")
        picture(size, "yellow", shape, ground).save(folder / "pairs" / f"{name}_after.png")
        (folder / "pairs" / f"{name}.txt").write_text(f"a {shape}", encoding="utf-8")


def picture(size: tuple[int, int], colour: str, shape: str, ground: str) -> Image.Image:
    """A shape a little left of the middle; without a ground it stands on nothing."""
    width, height = size
    drawn = Image.new("RGB", size, _COLOURS[ground]) if ground else Image.new("RGBA", size, (0, 0, 0, 0))
    draw, x, y, radius = ImageDraw.Draw(drawn), width * 2 // 5, height // 2, min(size) // 3
    box = (x - radius, y - radius, x + radius, y + radius)
    if shape == "circle":
        draw.ellipse(box, fill=_COLOURS[colour])
    elif shape == "square":
        draw.rectangle(box, fill=_COLOURS[colour])
    else:
        draw.polygon([(x, y - radius), (x + radius, y + radius), (x - radius, y + radius)], fill=_COLOURS[colour])
    return drawn


def vae_of(checkpoint: bytes) -> bytes:
    """The VAE of a checkpoint as a separate file."""
    header, body = _split(checkpoint)
    told = header.pop("__metadata__", {})
    layout: dict[str, Any] = {"__metadata__": told}
    blobs: list[bytes] = []
    for name, entry in header.items():
        if name.startswith("first_stage_model."):
            start = sum(map(len, blobs))
            blobs.append(body[slice(*entry["data_offsets"])])
            layout[name.removeprefix("first_stage_model.")] = {
                **entry, "data_offsets": [start, start + len(blobs[-1])]
            }  # fmt: skip
    text = json.dumps(layout).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *blobs])


# ---- running them ---------------------------------------------------------------------------------------------------

_DRIVER = """
import contextlib, importlib.util, json, os, runpy, sys, time, traceback
found = importlib.util.find_spec("trainer")
places = [os.path.realpath(place) for place in found.submodule_search_locations or [found.origin]]
if {os.path.dirname(place) for place in places} != {os.path.realpath(os.getcwd())}:
    sys.exit(f"another trainer would be run: {places}")
with open(sys.argv[1], encoding="utf-8") as file:
    jobs = json.load(file)
for job in jobs:
    start, sys.argv, code = time.perf_counter(), ["trainer", *job["arguments"]], 0
    with open(job["said"], "w", encoding="utf-8") as said:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                runpy.run_module("trainer", run_name="__main__", alter_sys=True)
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            except BaseException:
                traceback.print_exc()
                code = 1
    told = {"job": job["name"], "code": code, "seconds": round(time.perf_counter() - start, 1)}
    print(json.dumps(told), file=sys.__stdout__, flush=True)
"""


@dataclass(frozen=True)
class Run:
    """What a checkout made of the jobs.

    Attributes:
        jobs: name -> ``code``, ``seconds``, and ``asked``: what the command line and the settings file said.
        made_with: the processor, Python and the packages.
    """

    home: Path
    jobs: Mapping[str, Mapping[str, Any]]
    made_with: Mapping[str, str]

    @staticmethod
    def of_record(folder: Path) -> Run:
        content = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
        return Run(folder, content["jobs"], content["made_with"])


def run(checkout: Path, home: Path, jobs: Sequence[Job]) -> Run:
    """Run the jobs of a checkout; all that is made lies in ``home``."""
    if home.exists():
        if not (home / _NOTE).is_file() and any(home.iterdir()):
            raise SystemExit(_mistake(f"{home} holds something else; give another folder"))
        shutil.rmtree(home)
    checkpoint = _checkpoint_in(checkout)
    for name in ("models", "said", "tmp"):
        (home / name).mkdir(parents=True)
    (home / _NOTE).write_text("{}", encoding="utf-8")
    shutil.copy(checkpoint, home / "models")
    (home / "models" / "vae.safetensors").write_bytes(vae_of(checkpoint.read_bytes()))
    make_pictures(home / "given")
    table = [
        {"name": job.name, "arguments": _arguments(job, home), "said": str(home / "said" / f"{job.name}.txt")}
        for job in jobs
    ]
    (home / "jobs.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    ended = {name: {"code": code, "seconds": seconds} for name, code, seconds in _ended(checkout, home, len(jobs))}
    asked = {job.name: _asked(home, entry) for job, entry in zip(jobs, table, strict=True)}
    made = {name: {"code": None, **ended.get(name, {}), "asked": what} for name, what in asked.items()}
    done = Run(home, made, _made_with())
    content = {"made_with": done.made_with, "jobs": done.jobs}
    (home / _NOTE).write_text(json.dumps(content, indent=1), encoding="utf-8")
    return done


def _checkpoint_in(checkout: Path) -> Path:
    folders = sorted(path for path in checkout.glob("*") if path.is_dir() and not path.name.startswith("."))
    found = next((path for folder in folders for path in folder.rglob(CHECKPOINT)), None)
    if found is None:
        raise SystemExit(_mistake(f"{checkout} is neither a checkout nor a record"))
    return found


def _ended(checkout: Path, home: Path, count: int) -> Iterator[tuple[str, int, float]]:
    """Each job as it ends: its name, exit code and seconds."""
    process = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(home / "jobs.json")],
        cwd=checkout, env=_environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    number = 0
    for line in process.stdout:
        if line.startswith('{"job"'):
            number, told = number + 1, json.loads(line)
            print(f"{checkout}: {number} of {count}, {told['job']}, {told['seconds']} s", file=sys.stderr, flush=True)
            yield told["job"], told["code"], told["seconds"]
    if process.wait() != 0:
        print(f"{checkout}: the process ended with {process.returncode}", file=sys.stderr)


def _environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    homes = {"HOME": home, "USERPROFILE": home, "TMPDIR": home / "tmp", "TEMP": home / "tmp", "TMP": home / "tmp"}
    return {
        **kept,
        **{name: str(path) for name, path in homes.items()},
        "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": _CLOCK, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip


def _asked(home: Path, entry: Mapping[str, Any]) -> list[str]:
    """What a job was asked for, wherever its folder is."""
    file = home / "settings" / f"{entry['name']}.json"
    texts = [*entry["arguments"], *([file.read_text(encoding="utf-8")] if file.is_file() else [])]
    return [text.replace(str(home), "{home}") for text in texts]


def _made_with() -> dict[str, str]:
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"processor": _processor(), "python": platform.python_version(), **versions}


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


# ---- comparing ------------------------------------------------------------------------------------------------------


def compare_jobs(old: Run, new: Run, name: str, ignored: Sequence[str]) -> tuple[list[str], Counter[str]]:
    """What differs between the two runs of a job, in sentences, and how many files of which kind were compared."""
    before, after = old.jobs.get(name), new.jobs.get(name)
    if before is None or after is None or before["asked"] != after["asked"]:
        return ["it was recorded with other settings, or not at all: record anew"], Counter()
    found = []
    for which, run, job in (("old", old, before), ("new", new, after)):
        if job["code"] != 0:
            how = "never ended" if job["code"] is None else f"failed with {job['code']}"
            found.append(f"the {which} one {how}: {run.home / 'said' / f'{name}.txt'}")
    files = [_files(run.home / "jobs" / name) for run in (old, new)]
    found += _only_in_one(files[0], files[1], "")
    kinds: Counter[str] = Counter()
    for path in sorted(files[0].keys() & files[1].keys()):
        kinds[Path(path).suffix.removeprefix(".")] += 1
        one, other = ((run.home, of_run[path]) for run, of_run in zip((old, new), files, strict=True))
        found += [f"{path}: {what}" for what in _compare_files(one, other, ignored)]
    if not files[0]:
        found.append("it left no files")
    return found, kinds


def _files(folder: Path) -> dict[str, Path]:
    """But for the cache, which no run is made from: its entries come in the order of threads."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "cache")
    return {path.relative_to(folder).as_posix(): path for path in files}


def _only_in_one(old: Iterable[str], new: Iterable[str], what: str) -> list[str]:
    one, other = set(old), set(new)
    return [
        f"only {which}: {what}{', '.join(sorted(names))}"
        for which, names in (("old", one - other), ("new", other - one))
        if names
    ]


def _compare_files(old: tuple[Path, Path], new: tuple[Path, Path], ignored: Sequence[str]) -> list[str]:
    """Each side: the home folder of its run, and the file."""
    contents = [path.read_bytes() for _, path in (old, new)]
    if contents[0] == contents[1]:
        return []
    suffix = old[1].suffix
    if suffix == ".safetensors":
        return _compare_loras(contents[0], contents[1], ignored)
    if suffix == ".png":
        return _compare_pictures(old[1], new[1])
    texts = [
        content.decode("utf-8", "replace").replace(str(home), "~")
        for content, (home, _) in zip(contents, (old, new), strict=True)
    ]
    if suffix in (".json", ".csv") and texts[0] == texts[1]:
        return []
    if suffix == ".json":
        return _compare_values("", *map(json.loads, texts)) or ["the same values, written otherwise"]
    if suffix == ".csv":
        return _compare_rows(texts[0].splitlines(), texts[1].splitlines())
    return ["its bytes differ"]


def _compare_rows(old: Sequence[str], new: Sequence[str]) -> list[str]:
    found = [f"{len(old)} rows became {len(new)}"] if len(old) != len(new) else []
    others = [number for number, (one, other) in enumerate(zip(old, new, strict=False)) if one != other]
    if others:
        first = others[0]
        found.append(f"{len(others)} of {len(old)} rows differ, first {old[first]!r}, which became {new[first]!r}")
    return found or ["the same rows, ended otherwise"]


def _compare_pictures(old: Path, new: Path) -> list[str]:
    with Image.open(old) as one, Image.open(new) as other:
        found = []
        if (one.mode, one.size) != (other.mode, other.size):
            found.append(f"{one.mode} of {one.size} became {other.mode} of {other.size}")
        elif one.tobytes() != other.tobytes():
            levels = np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16))
            found.append(f"{np.count_nonzero(levels)} numbers differ, by {levels.max()} of 255 at most")
        return [*found, *_compare_values("what it says of itself", dict(one.info), dict(other.info))]


def _compare_values(where: str, old: Any, new: Any) -> list[str]:
    """What differs of two values, objects key by key."""
    if old == new:
        return []
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [f"{where or 'the whole'}: {_short(old)} became {_short(new)}"]
    found = _only_in_one(old, new, f"{where} " if where else "")
    for key in old:
        if key in new:
            found += _compare_values(f"{where}.{key}" if where else key, old[key], new[key])
    return found


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"


# ---- LoRA files -----------------------------------------------------------------------------------------------------


def _compare_loras(old: bytes, new: bytes, ignored: Sequence[str]) -> list[str]:
    """Of two files whose bytes differ."""
    headers, bodies = zip(*map(_split, (old, new)), strict=True)
    passed_over = [key for key in ignored if any(key in header.get("__metadata__", {}) for header in headers)]
    for header in headers:
        for key in (*passed_over, *(["sshs_legacy_hash"] if passed_over else [])):
            header.get("__metadata__", {}).pop(key, None)
    metadata = [{key: _opened(text) for key, text in header.get("__metadata__", {}).items()} for header in headers]
    tensors = [
        {name: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])])
         for name, entry in header.items() if name != "__metadata__"}
        for header, body in zip(headers, bodies, strict=True)
    ]  # fmt: skip
    found = _compare_tensors(*tensors) + _compare_values("metadata", *metadata)
    one, other = (json.dumps(header) for header in headers)
    if not found and (one != other or bodies[0] != bodies[1] or not passed_over):
        return ["the same tensors and metadata, written otherwise or in another order"]
    return found


def _split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and what is behind it."""
    length = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:length])
    assert isinstance(header, dict)
    return header, content[length:]


def _opened(text: str) -> Any:
    """Objects in the metadata are JSON; all else is text."""
    try:
        return json.loads(text) if text.startswith("{") else text
    except ValueError:
        return text


_Tensors = Mapping[str, tuple[str, list[int], bytes]]


def _compare_tensors(old: _Tensors, new: _Tensors) -> list[str]:
    found = _only_in_one(old, new, "tensors ")
    both = [name for name in old if name in new]
    recast = [name for name in both if old[name][:2] != new[name][:2]]
    if recast:
        name = recast[0]
        found.append(f"{len(recast)} tensors of another kind: {name} {old[name][:2]} became {new[name][:2]}")
    changed = [name for name in both if name not in recast and old[name][2] != new[name][2]]
    if changed:
        most = max(float(np.abs(_numbers(old[name]) - _numbers(new[name])).max()) for name in changed)
        largest = max(float(np.abs(_numbers(old[name])).max()) for name in changed)
        found.append(
            f"{len(changed)} of {len(both)} tensors differ, by {most:.3g} at most (their numbers reach {largest:.3g}): "
            f"{', '.join(changed[:3])}{' …' if len(changed) > 3 else ''}"
        )
    return found


def _numbers(tensor: tuple[str, list[int], bytes]) -> np.ndarray[Any, np.dtype[np.float64]]:
    kind, _, content = tensor
    if kind == "BF16":  # the upper half of a float32
        return (np.frombuffer(content, np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    types = {"F16": np.float16, "F32": np.float32, "F64": np.float64}
    return np.frombuffer(content, types.get(kind, np.uint8)).astype(np.float64)


# ---- the command line -----------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m studies.same_files",
        usage="%(prog)s [options] OLD NEW, or %(prog)s --record DIR CHECKOUT",
        description="Compare the files of two revisions, job by job.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="checkouts, or folders of --record")
    parser.add_argument("--record", type=Path, metavar="DIR", help="run the one checkout given and keep its files here")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where runs go and stay (default: a temporary folder)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this job only; repeatable")
    parser.add_argument(
        "--ignore-metadata",
        action="append",
        default=[],
        metavar="KEY",
        help="a key of the LoRAs' metadata that tells a version, and may differ; repeatable",
    )
    chosen = parser.parse_args(arguments)
    for key in chosen.ignore_metadata:
        if "version" not in key or key in _NO_VERSION:
            parser.error(f"{key} tells no version, so it must be the same")
    jobs = chosen_jobs(chosen.only)
    if chosen.record:
        if len(chosen.folders) != 1:
            parser.error("--record takes one checkout")
        return _failed(run(chosen.folders[0].resolve(), chosen.record.resolve(), jobs))
    if len(chosen.folders) != 2:
        parser.error("OLD and NEW are needed")
    work = (chosen.work or Path(tempfile.mkdtemp(prefix="same-files-"))).resolve()
    old, new = (
        Run.of_record(folder.resolve()) if (folder / _NOTE).is_file() else run(folder.resolve(), work / side, jobs)
        for folder, side in zip(chosen.folders, ("old", "new"), strict=True)
    )
    differing = tell(old, new, [job.name for job in jobs], chosen.ignore_metadata)
    if chosen.work is None and not differing:
        shutil.rmtree(work)
    elif work.exists():
        print(f"The files are in {work}.")
    return 1 if differing else 0


def tell(old: Run, new: Run, names: Sequence[str], ignored: Sequence[str]) -> int:
    """Print what differs; how many jobs do."""
    for what, value in old.made_with.items():
        if new.made_with.get(what) != value:
            print(f"Made with other means, {what}: {value} and {new.made_with.get(what)}. Numbers may differ by that.")
    differing, total = 0, Counter[str]()
    for name in names:
        found, kinds = compare_jobs(old, new, name, ignored)
        total += kinds
        differing += bool(found)
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        print(f"{name}: {'DIFFERS' if found else 'same'} ({counts})")
        for line in found:
            print(f"    {line}")
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(total.items()))
    print(f"{len(names)} jobs, {differing} of them differ; compared {total.total()} files: {counts}.")
    return differing


def _failed(recorded: Run) -> int:
    failed = [name for name, job in recorded.jobs.items() if job["code"] != 0]
    for name in failed:
        print(f"{name} failed: {recorded.home / 'said' / f'{name}.txt'}")
    print(f"{len(recorded.jobs)} jobs, {len(failed)} of them failed; their files are in {recorded.home}.")
    return 1 if failed else 0


def _mistake(what: str) -> int:
    print(f"same_files: {what}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
