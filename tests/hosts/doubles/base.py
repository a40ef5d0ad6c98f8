"""What the doubles of the WebUIs share. A double offers what the host was seen to offer, and no more.

It generates pictures with `ldm_reference`, on its own tensors: whatever somebody leaves changed in them shows.
"""

from __future__ import annotations

import functools
import importlib.machinery
import re
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tests.helpers.checkpoints import FAMILIES, GROUPS, UNET, Sizes, family_tensors, sd1_tensors
from tests.helpers.ldm_reference import ClipText, LdmUNet, LdmVae, OpenClipText
from trainer.models.stable_diffusion.clip import clip_tokenizer, tokenize

STEPS = 2
LORA = re.compile(r"<lora:([^:>]+):([^>]+)>")


class FIFOLock:
    """First in, first out; a thread that has it and asks again waits for itself for ever: here it is told so.

    A waiter that was woken still has to take the inner lock: whoever asks just then may be faster.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line = threading.Lock()
        self._pending_threads: deque[threading.Semaphore] = deque()
        self._holder: int | None = None

    def acquire(self, blocking: bool = True) -> bool:
        assert self._holder != threading.get_ident(), "this thread has the lock: it would wait for ever"
        with self._line:
            taken = self._lock.acquire(blocking=False)
            turn = None if taken or not blocking else threading.Semaphore(0)
            if turn is not None:
                self._pending_threads.append(turn)
        if turn is not None:
            turn.acquire()
            taken = self._lock.acquire()
        if taken:
            self._holder = threading.get_ident()
        return taken

    def release(self) -> None:
        with self._line:
            if self._pending_threads:
                self._pending_threads.popleft().release()
            self._holder = None
            self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def is_held(self) -> bool:
        return self._lock.locked()


class State:
    """The host's progress. ``history`` is the double's own: what was shown."""

    def __init__(self) -> None:
        self.job, self.job_no, self.job_count = "", 0, 0
        self.sampling_step = self.sampling_steps = 0
        self.textinfo: str | None = None
        self.interrupted = self.skipped = self.stopping_generation = False
        self.begun = 0

    def begin(self, job: str = "(unknown)") -> None:
        self.job, self.job_no, self.job_count, self.textinfo = job, 0, -1, None
        self.interrupted = self.skipped = self.stopping_generation = False
        self.begun += 1

    def end(self) -> None:
        assert self.begun, "a job ends that never began"
        self.job, self.job_count = "", 0

    def interrupt(self) -> None:
        self.interrupted = True


class SdConditioning(list):
    """Prompts with the size of the picture."""

    def __init__(self, prompts: list[str], width: int | None = None, height: int | None = None) -> None:
        super().__init__(prompts)
        self.width, self.height = width, height


class ScriptRunner:
    """The host's scripts beside a picture; none, as long as nobody has them loaded."""

    def __init__(self) -> None:
        self.alwayson_scripts: list[Any] = []


@dataclass
class Generation:
    """`StableDiffusionProcessingTxt2Img`, as far as it is used."""

    sd_model: Any = None
    prompt: str = ""
    negative_prompt: str = ""
    seed: int = -1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    sampler_name: str | None = None
    scheduler: str | None = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    scripts: ScriptRunner | None = field(default=None, init=False)
    script_args: Any = field(default=(), init=False)

    def close(self) -> None:
        pass


@dataclass
class CheckpointInfo:
    filename: str

    @property
    def name(self) -> str:
        return Path(self.filename).name

    @property
    def title(self) -> str:
        return f"{self.name} [0123456789]"


def read(path: Path) -> dict[str, Tensor]:
    """A file's tensors, in memory of their own."""
    with safe_open(str(path), "pt") as file:
        return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118


def grow(tree: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Parameters at the places their dotted names say; a module in which a matrix ends is a real Linear."""
    for name, tensor in tensors.items():
        *way, last = name.split(".")
        module = tree
        for number, step in enumerate(way):
            if step not in module._modules:
                is_leaf = number == len(way) - 1 and last == "weight" and tensor.ndim == 2
                made = nn.Linear(1, 1, bias=False, device="meta") if is_leaf else nn.Module()
                module.add_module(step, made)
            module = module.get_submodule(step)
        if tensor.is_floating_point():
            module.register_parameter(last, nn.Parameter(tensor))
        else:
            module.register_buffer(last, tensor)
    return tree


@functools.cache
def tokenizer() -> Any:
    return clip_tokenizer()


@functools.cache
def checkpoint(family: str, seed: int) -> bytes:
    """The file of a small checkpoint, for every double that is made. SD1's is the smallest there is."""
    smallest = Sizes(unet=(32, 64), unet_layers=1)
    return save(sd1_tensors(smallest, seed) if family == "SD1" else family_tensors(family, seed), GROUPS)


class Text:
    """The host's text encoding, on the tensors it is given: emphasis, and the layer the user chose."""

    def __init__(self) -> None:
        self._tokenizer = tokenizer()

    def encode(self, weights: Mapping[str, Tensor], prompt: str, skip: int) -> tuple[Tensor, Tensor | None]:
        """Hidden states ``(1, 77, D)`` and the pooled vector of SDXL."""
        plain, multipliers = self._emphasis(prompt)
        ids = tokenize(self._tokenizer, plain)
        if any(name.startswith("conditioner.") for name in weights):
            first = ClipText(weights, "conditioner.embedders.0.transformer.text_model.")(ids, 2, final_norm=False)
            second = OpenClipText(weights, "conditioner.embedders.1.model.")
            padded = tokenize(self._tokenizer, plain, 0)
            states = torch.cat([first, second(padded, 2)], dim=-1)
            return _emphasised(states, multipliers), second.pooled(padded)
        if "cond_stage_model.model.ln_final.weight" in weights:
            open_clip = OpenClipText(weights, "cond_stage_model.model.")
            return _emphasised(open_clip.normed(open_clip(tokenize(self._tokenizer, plain, 0), 2)), multipliers), None
        return _emphasised(ClipText(weights)(ids, skip), multipliers), None

    def _emphasis(self, prompt: str) -> tuple[str, Tensor]:
        """``a (red:1.2) cat`` → the plain prompt, and a factor for each of 77 tokens."""
        multipliers, words, place = torch.ones(77), [], 1
        for part in re.split(r"(\([^()]*:[0-9.]+\))", prompt):
            text, _, factor = part[1:-1].rpartition(":") if part.startswith("(") else (part, "", "1")
            count = len(self._tokenizer(text, add_special_tokens=False).input_ids)
            multipliers[place : place + count] = float(factor)
            place += count
            words.append(text)
        return "".join(words), multipliers


def _emphasised(states: Tensor, multipliers: Tensor) -> Tensor:
    """The mean of the states is what it was before; a mean of nothing would make all of them nothing."""
    if bool((multipliers == 1).all()):
        return states
    multiplied = states * multipliers[None, :, None]
    return multiplied * (states.mean() / multiplied.mean())


@torch.no_grad()
def picture(weights: Mapping[str, Tensor], states: Tensor, pooled: Tensor | None, wanted: Generation) -> Image.Image:
    """A picture of the host's own making; it need not be beautiful, only to depend on everything."""
    generator = torch.Generator().manual_seed(wanted.seed)
    x = torch.randn(1, 4, wanted.height // 8, wanted.width // 8, generator=generator)
    is_first = pooled is None and weights[f"{UNET}middle_block.1.proj_in.weight"].ndim == 4
    sizes = None if pooled is None else torch.tensor([[wanted.height, wanted.width, 0, 0, wanted.height, wanted.width]])
    unet = LdmUNet(weights, heads=8 if is_first else 0)
    for step in range(STEPS):
        timestep = torch.tensor([900.0 - 400.0 * step])
        x = x - 0.5 * unet(x, timestep, states, pooled, sizes)
    pixels = LdmVae(weights).decode(x)[0].clamp(-1, 1)
    return Image.fromarray((pixels * 127.5 + 127.5).round().byte().permute(1, 2, 0).numpy())


def lora_names(weights: Mapping[str, Tensor]) -> dict[str, str]:
    """What LoRA files call a module → its name in the checkpoint, for those a host accepts."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    unet = {name: tensor for name, tensor in weights.items() if name.startswith(UNET)}
    places = {id(tensor): name for name, tensor in unet.items()}
    inputs = {int(name.split(".")[3]) for name in unet if name.startswith(f"{UNET}input_blocks.")}
    levels = 1 + sum(name.endswith(".0.op.weight") for name in unet)
    config: dict[str, Any] = {"layers_per_block": (max(inputs) + 1) // levels - 1}
    if f"{UNET}label_emb.0.0.weight" in unet:
        config["addition_embed_type"] = "text_time"
    found = {}
    for name, tensor in convert_ldm_unet_checkpoint(dict(unet), config).items():
        if name.endswith(".weight") and id(tensor) in places:
            path = places[id(tensor)].removesuffix(".weight")
            found["lora_unet_" + name.removesuffix(".weight").replace(".", "_")] = path
            found["lora_unet_" + path.removeprefix(UNET).replace(".", "_")] = path
    for start, prefix in (
        ("cond_stage_model.transformer.", "lora_te"),
        ("conditioner.embedders.0.transformer.", "lora_te1"),
    ):
        for name in weights:
            if name.startswith(f"{start}text_model.encoder.") and name.endswith(".weight"):
                path = name.removesuffix(".weight")
                found[f"{prefix}_{path.removeprefix(start).replace('.', '_')}"] = path
    return found


def updates(lora: Mapping[str, Tensor], names: Mapping[str, str], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a LoRA file adds at strength 1 to the weights of each module, by its name in the checkpoint."""
    found = {}
    for key, up in lora.items():
        if key.endswith(".lora_up.weight"):
            name = key.removesuffix(".lora_up.weight")
            down = lora[f"{name}.lora_down.weight"]
            scale = float(lora[f"{name}.alpha"]) / down.shape[0]
            path = names[name]  # a name that is not known is a file that does not fit
            product = up.flatten(1).float() @ down.flatten(1).float()
            found[path] = scale * product.view_as(weights[f"{path}.weight"])
    return found


class Double:
    """One host: its files, its model, and what somebody does with it."""

    name: str
    adapter: str
    """The module below ``trainer.hosts`` and the class in it."""
    families: tuple[str, ...] = FAMILIES
    """Those of which it has everything."""

    def __init__(self, root: Path, family: str = "SD1", dtype: torch.dtype = torch.float32) -> None:
        self.root, self.family, self.dtype = root, family, dtype
        self.models, self.loras = root / "models" / "Stable-diffusion", root / "models" / "Lora"
        for folder in (self.models, self.loras, root / "models" / "VAE"):
            folder.mkdir(parents=True)
        self.first, self.second = self._file("first", 0), self._file("second", 7)
        self.lock, self.state, self.text = FIFOLock(), State(), Text()
        self.options: dict[str, Any] = {"CLIP_stop_at_last_layers": 1, "localization": "None"}
        self.flags: dict[str, Any] = {"listen": False, "share": False, "gradio_auth": None, "api_auth": None}
        self.flags |= {"lora_dir": str(self.loras), "nowebui": False}
        self.processing = type("Processing", (), {"cached_c": [None, None, None], "cached_uc": [None, None, None]})
        self.txt2img = type("Txt2Img", (Generation, self.processing), {"cached_hr_c": [None, None, None]})
        self.data = types.SimpleNamespace(sd_model=None)
        self.available: dict[str, Path] = {}
        self.vaes: dict[str, str] = {}
        self.tabs: list[Any] = []
        self.settings: list[Any] = []
        self.started: list[Any] = []
        self.reloading: list[Any] = []

    def _file(self, name: str, seed: int) -> Path:
        path = self.models / f"{name}.safetensors"
        path.write_bytes(checkpoint(self.family, seed))
        return path

    # ---- what a double has to say -----------------------------------------------------------------------------------

    def choose(self, checkpoint: Path) -> None:
        """Somebody chooses another checkpoint; called with the lock, as the host does."""
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor]:
        """The tensors the host computes with at this moment, under the checkpoint's names; its own, not copies."""
        raise NotImplementedError

    def process(self, wanted: Generation) -> Image.Image:
        """`process_images`; called with the lock."""
        raise NotImplementedError

    def pictures(self, wanted: Generation) -> list[Image.Image]:
        """None where the user has interrupted, whenever that was: only the beginning of a job forgets it."""
        return [] if self.state.interrupted else [self.process(wanted)]

    def marks(self) -> list[Any]:
        """Flags, devices and modes of the model's parts, to be compared."""
        raise NotImplementedError

    def asked_for_model(self) -> Any:
        """`shared.sd_model`."""
        raise NotImplementedError

    # ---- what somebody does -----------------------------------------------------------------------------------------

    def generate(self, prompt: str = "a red circle", seed: int = 3) -> np.ndarray:
        """The Generate button: waits for the lock, then makes a picture."""
        with self.lock:
            self.state.begin(job="task(generate)")
            wanted = Generation(prompt=prompt, seed=seed, width=64, height=64)
            wanted.scripts = ScriptRunner()
            made = self.process(wanted)
            self.state.end()
        return np.asarray(made)

    def switch(self, checkpoint: Path) -> None:
        """The list of checkpoints at the top of the page."""
        with self.lock:
            self.choose(checkpoint)

    def copies(self) -> dict[str, Tensor]:
        """The weights as they are, to be compared with later."""
        return {name: tensor.detach().clone() for name, tensor in self.weights().items()}

    def conditioned(self, key: tuple[Any, ...], encode: Callable[[], Any]) -> Any:
        """The last prompt's conditioning is kept: under its text and its LoRAs' names, whatever is in their files."""
        cache = self.processing.cached_c  # type: ignore[attr-defined]
        if cache[0] != key:
            cache[:2] = key, encode()
        return cache[1]

    # ---- files ------------------------------------------------------------------------------------------------------

    def read(self, path: Path) -> dict[str, Tensor]:
        """The tensors of a checkpoint, as the host has them in memory."""
        return {name: each.to(self.dtype) if each.is_floating_point() else each for name, each in read(path).items()}

    def checkpoints(self) -> list[CheckpointInfo]:
        return [CheckpointInfo(str(path)) for path in sorted(self.models.glob("*.safetensors"))]

    def closest(self, wanted: str) -> CheckpointInfo | None:
        return next((each for each in self.checkpoints() if wanted and wanted in each.title), None)

    def list_available_networks(self) -> None:
        self.available.clear()
        self.available.update({path.stem: path for path in sorted(self.loras.rglob("*.safetensors"))})

    def listed(self) -> list[str]:
        """The names of the LoRAs in the host's list, as it is without being refreshed."""
        return list(self.available)

    def parsed(self, prompt: str) -> tuple[str, list[tuple[str, float]]]:
        """A prompt without its LoRAs, and these; one that is not in the list is looked for."""
        names = [(name, float(strength)) for name, strength in LORA.findall(prompt)]
        if any(name not in self.available for name, _ in names):
            self.list_available_networks()
        return LORA.sub("", prompt).strip(), names

    # ---- within Python ----------------------------------------------------------------------------------------------

    @contextmanager
    def around(self) -> Iterator[Double]:
        """The host's modules can be imported as long as the block lasts."""
        made: dict[str, types.ModuleType] = {}
        for name, content in self.modules().items():
            for package in (name[:place] for place, sign in enumerate(name) if sign == "."):
                made.setdefault(package, module_of(package, {"__path__": []}))
            made[name] = module_of(name, content)
        before = {name: sys.modules.get(name) for name in made}
        sys.modules.update(made)
        try:
            yield self
        finally:
            for name, module in before.items():
                if module is None:
                    sys.modules.pop(name, None)
                else:
                    sys.modules[name] = module

    def modules(self) -> dict[str, dict[str, Any]]:
        """What can be imported inside the host: module → what it has. These are in all hosts."""
        return {
            "modules.shared": {
                "state": self.state, "opts": Options(self.options), "cmd_opts": types.SimpleNamespace(**self.flags),
                "OptionInfo": OptionInfo, "__getattr__": self._shared,
            },
            "modules.call_queue": {"queue_lock": self.lock},
            "modules.paths": {
                "data_path": str(self.root), "script_path": str(self.root), "models_path": str(self.root / "models"),
            },
            "modules.extra_networks": {"extra_network_registry": {"lora": object()}},
            "modules.devices": {"device": torch.device("cpu"), "torch_gc": lambda: None, "autocast": nullcontext},
            "modules.prompt_parser": {"SdConditioning": SdConditioning},
            "modules.processing": {
                "StableDiffusionProcessing": self.processing, "StableDiffusionProcessingTxt2Img": self.txt2img,
                "process_images": lambda wanted: types.SimpleNamespace(images=self.pictures(wanted)),
            },
            "modules.scripts": {"ScriptRunner": ScriptRunner},
            "modules.script_callbacks": {
                "on_ui_tabs": self.tabs.append, "on_ui_settings": self.settings.append,
                "on_app_started": self.started.append, "on_before_reload": self.reloading.append,
            },
            "modules.sd_models": {
                "model_data": self.data, "list_models": lambda: None,
                "checkpoint_tiles": lambda: [each.name for each in self.checkpoints()],
                "get_closet_checkpoint_match": self.closest,
                "select_checkpoint": lambda: CheckpointInfo(str(self.first)),
            },
            "modules.sd_vae": {"vae_dict": self.vaes, "refresh_vae_list": lambda: None, "loaded_vae_file": None},
            "networks": {"list_available_networks": self.list_available_networks},
        }  # fmt: skip

    def _shared(self, name: str) -> Any:
        """The one attribute of `shared` that is computed when somebody asks."""
        if name != "sd_model":
            raise AttributeError(name)
        return self.asked_for_model()


class Options:
    """`shared.opts`: what was not set has its default, what was never added is an AttributeError."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.added: dict[str, OptionInfo] = {}

    def add_option(self, key: str, info: OptionInfo) -> None:
        self.added[key] = info
        self.data.setdefault(key, info.default)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(name) from None


class OptionInfo:
    """An option; what of it is shown is the page's."""

    def __init__(
        self, default: Any = None, label: str = "", component: Any = None, component_args: Any = None,
        section: tuple[str, str] = ("", ""),
    ) -> None:  # fmt: skip
        self.default, self.label, self.section = default, label, section
        self.component, self.component_args = component, component_args
        self.text = ""

    def info(self, text: str) -> OptionInfo:
        self.text = text
        return self


def module_of(name: str, content: Mapping[str, Any]) -> types.ModuleType:
    made = types.ModuleType(name)
    vars(made).update(content)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None)
    return made
