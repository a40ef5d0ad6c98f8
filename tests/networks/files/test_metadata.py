"""What LoRA files say of themselves, read as the hosts read them.

The readers here are written from what the hosts are documented to do and share no code with Trainyard; the files are
those of whole runs.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers.checkpoints import Sizes, sd1_tensors, unet_shapes, write_safetensors
from tests.helpers.home import host_in
from trainer.config.redact import at_home, publishable
from trainer.config.settings import Settings
from trainer.config.size import DEFAULT_SIZE, Size
from trainer.data.samples import Sample as ScannedSample
from trainer.engine.run import run
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Event, Job, Warned
from trainer.networks.files.metadata import tag_frequency
from trainer.networks.files.settings import load_settings
from trainer.networks.files.texts import plain
from trainer.paths import write_unless_there
from trainer.text.messages import literal

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
HOSTILE = '{"a"} <script>alert("x")</script>\n\'quoted\' 🙂\t' + "ab " * 300

# ---- the hosts' readers ---------------------------------------------------------------------------------------------


def read_header(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    header: dict[str, Any] = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return header


def read_metadata(path: Path) -> dict[str, Any]:
    """As the WebUIs: what begins with a brace is JSON; a broken one would be an error in the console."""
    raw = read_header(path)["__metadata__"]
    assert all(isinstance(value, str) for value in raw.values())
    return {key: json.loads(value) if value[0:1] == "{" else value for key, value in raw.items()}


def version_a1111(metadata: dict[str, Any]) -> str:
    if str(metadata.get("ss_base_model_version", "")).startswith("sdxl_"):
        return "SDXL"
    if str(metadata.get("ss_v2", "")) == "True":
        return "SD2"
    return "SD1" if metadata else "Unknown"


def version_reforge(metadata: dict[str, Any]) -> str:
    base = str(metadata.get("ss_base_model_version", ""))
    if base.startswith("sdxl_"):
        return "SDXL"
    if base.startswith("sd_v2") or str(metadata.get("ss_v2", "")) == "True":
        return "SD2"
    return "SD1" if metadata else "Unknown"


def version_forge(metadata: dict[str, Any]) -> str:
    architecture = str(metadata.get("modelspec.architecture", ""))
    for start, name in (
        ("stable-diffusion-v1", "SD1"),
        ("stable-diffusion-v2", "SD2"),
        ("stable-diffusion-xl", "SDXL"),
    ):
        if architecture.startswith(start):
            return name
    return "Unknown"


def tag_cloud(metadata: dict[str, Any]) -> list[tuple[str, int]]:
    tags: dict[str, int] = {}
    for counts in metadata.get("ss_tag_frequency", {}).values():
        for tag, count in counts.items():
            tags[tag.strip()] = tags.get(tag.strip(), 0) + int(count)
    return sorted(tags.items(), key=lambda item: item[1], reverse=True)


def resolutions(metadata: dict[str, Any]) -> list[tuple[int, str]]:
    buckets = metadata.get("ss_bucket_info", {}).get("buckets", {})
    rows = [(bucket["count"], f"{bucket['resolution'][0]}x{bucket['resolution'][1]}") for bucket in buckets.values()]
    return sorted(rows, reverse=True)


def dataset_size(metadata: dict[str, Any]) -> int:
    return sum(int(folder.get("img_count", 0)) for _, folder in metadata.get("ss_dataset_dirs", {}).items())


def alias(path: Path, metadata: dict[str, Any]) -> str:
    return metadata.get("ss_output_name", path.stem)


def table(metadata: dict[str, Any]) -> str:
    """The metadata table of the card: text is escaped."""
    return "".join(f"<tr><th>{key}</th><td>{html.escape(str(value))}</td></tr>" for key, value in metadata.items())


def compvis_name(key: str) -> str:
    """An adapter's name turned into the name of the module in the original code, as the WebUIs do."""
    if found := re.fullmatch(r"lora_te_text_model_encoder_layers_(\d+)_(.+)", key):
        return f"transformer_text_model_encoder_layers_{found[1]}_{found[2]}"
    if found := re.fullmatch(r"lora_unet_mid_block_(attentions|resnets)_(\d+)_(.+)", key):
        place = 1 if found[1] == "attentions" else 2 * int(found[2])
        return f"diffusion_model_middle_block_{place}_{found[3]}"
    found = re.fullmatch(r"lora_unet_(down|up)_blocks_(\d+)_(attentions|resnets)_(\d+)_(.+)", key)
    assert found, key
    number = 3 * int(found[2]) + int(found[4])
    place = int(found[3] == "attentions")
    if found[1] == "down":
        return f"diffusion_model_input_blocks_{1 + number}_{place}_{found[5]}"
    return f"diffusion_model_output_blocks_{number}_{place}_{found[5]}"


def modules_of_the_model() -> set[str]:
    unet = {name.removesuffix(".weight") for name in unet_shapes(Sizes())}
    names = {f"diffusion_model_{name.replace('.', '_')}" for name in unet}
    parts = [*(f"self_attn_{part}_proj" for part in ("q", "k", "v", "out")), "mlp_fc1", "mlp_fc2"]
    return names | {f"transformer_text_model_encoder_layers_{layer}_{part}" for layer in range(2) for part in parts}


# ---- the files ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """A place to train in."""

    model: Path
    host: Standalone
    root: Path

    def train(self, name: str, **changes: object) -> Path:
        path = run(self.job(name, **changes), self.host, Control(), lambda event: None).path
        assert path is not None
        return path

    def job(self, name: str, **changes: object) -> Job:
        settings = replace(
            Settings(), mode="LoRA", model=str(self.model), image_size=Size(64, 64), image_buckets_step=64,
            image_min_length=64, network_rank=2, network_alpha=2.0, network_blocks=("BASE", "IN01", "M00"),
            train_iterations=3, train_batch_size=2, train_learning_rate=1e-2, train_seed=3, effect_strip=False,
            save_lora_name=name,
        )  # fmt: skip
        return Job.create(replace(settings, **changes), CREATED)

    def pictures(self, name: str, captions: dict[str, str | None], size: tuple[int, int] = (64, 64)) -> str:
        """A folder of pictures with captions, by their path in it."""
        folder = self.root / "private" / name
        for number, (path, caption) in enumerate(captions.items()):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            pixels = np.full((size[1], size[0], 3), 40 * number % 256, np.uint8)
            Image.fromarray(pixels).save(folder / f"{path}.png")
            if caption is not None:
                (folder / f"{path}.txt").write_text(caption, "utf-8")
        return str(folder)


@pytest.fixture(scope="module")
def world(model: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("world")
    return World(model, host_in(root), root)


@pytest.fixture(scope="module")
def captioned(world: World) -> Path:
    captions = {"a": "Red, round,  shiny", "b": "red, square", "more/c": "blue", "more/d": "blue, round,"}
    folder = world.pictures("things", captions)
    return world.train("captioned", lora_data_directory=folder, lora_trigger_word="sks", image_num_multiply=3)


@pytest.fixture(scope="module")
def bare(world: World) -> Path:
    folder = world.pictures("plain", dict.fromkeys(("a", "b", "c")))
    return world.train("bare", lora_data_directory=folder, image_mirroring=True)


@pytest.fixture(scope="module")
def ileco(world: World) -> Path:
    return world.train("words", mode="iLECO", original_prompt="blue", target_prompt="yellow", network_blocks=("IN01",))


@pytest.fixture(scope="module")
def hostile(world: World) -> Path:
    folder = world.pictures("</script> & \"co'", {"a": HOSTILE.replace("\n", ",\n"), "b": "tag " * 500})
    return world.train("{}", lora_data_directory=folder, lora_trigger_word=HOSTILE)


@pytest.fixture(scope="module")
def files(captioned: Path, bare: Path, ileco: Path, hostile: Path) -> list[Path]:
    return [captioned, bare, ileco, hostile]


def test_every_host_knows_the_version(files: list[Path]) -> None:
    for path in files:
        metadata = read_metadata(path)
        assert {detect(metadata) for detect in (version_a1111, version_reforge, version_forge)} == {"SD1"}


def test_every_key_finds_its_module(files: list[Path]) -> None:
    there = modules_of_the_model()
    for path in files:
        keys = {key for key in read_header(path) if key != "__metadata__"}
        names = {key.partition(".")[0] for key in keys}
        assert {compvis_name(name) for name in names} <= there
        parts = ("lora_down.weight", "lora_up.weight", "alpha")
        assert keys == {f"{name}.{part}" for name in names for part in parts}


def test_json_is_objects_and_text_is_one_line(files: list[Path]) -> None:
    objects = {"ss_tag_frequency", "ss_bucket_info", "ss_dataset_dirs", "ss_network_args", "trainyard_settings"}
    for path in files:
        for key, value in read_metadata(path).items():
            if isinstance(value, str):
                assert key not in objects
                assert "\n" not in value
            else:
                assert key in objects
                assert isinstance(value, dict)


def test_the_name_is_the_files(files: list[Path]) -> None:
    assert [alias(path, read_metadata(path)) for path in files] == ["captioned", "bare", "words", "{}"]


def test_tag_cloud(captioned: Path) -> None:
    metadata = read_metadata(captioned)
    assert metadata["ss_tag_frequency"] == {
        "things": {"sks": 2, "red": 2, "round": 1, "shiny": 1, "square": 1},
        "more": {"sks": 2, "blue": 2, "round": 1},
    }
    assert tag_cloud(metadata)[0] == ("sks", 4)
    assert dict(tag_cloud(metadata))["round"] == 2


def test_what_becomes_of_captions(world: World, captioned: Path) -> None:
    """sd-scripts' keys; those of settings that are not set are not there, and so for clip skip the file's own."""
    settings = {
        "caption_shuffle": True, "caption_keep_tokens": 2, "caption_dropout_rate": 0.5, "caption_max_tokens": 150,
        "caption_tag_dropout_rate": 0.25, "caption_dropout_every_n_epochs": 3, "clip_skip": 2,
    }  # fmt: skip
    folder = world.pictures("drawn", {"a": "red, round", "b": "blue"})
    metadata = read_metadata(world.train("drawn", lora_data_directory=folder, lora_trigger_word="sks", **settings))
    keys = "shuffle_caption keep_tokens caption_dropout_rate max_token_length caption_tag_dropout_rate"
    keys += " caption_dropout_every_n_epochs clip_skip"
    assert [metadata[f"ss_{key}"] for key in keys.split()] == ["True", "2", "0.5", "150", "0.25", "3", "2"]
    assert metadata["ss_tag_frequency"] == {"drawn": {"sks": 2, "red": 1, "round": 1, "blue": 1}}
    plain = read_metadata(captioned)
    assert plain["ss_clip_skip"] == "1"
    assert "ss_shuffle_caption" not in plain


def test_dataset_and_buckets(captioned: Path, bare: Path) -> None:
    metadata = read_metadata(captioned)
    assert dataset_size(metadata) == 4
    assert metadata["ss_dataset_dirs"]["things"] == {"n_repeats": 3, "img_count": 2}
    assert resolutions(metadata) == [(12, "64x64")]
    numbers = [metadata[f"ss_{key}"] for key in ("num_train_images", "num_batches_per_epoch", "num_epochs", "epoch")]
    assert numbers == ["12", "6", "1", "1"]
    metadata = read_metadata(bare)
    assert dataset_size(metadata) == 3
    assert resolutions(metadata) == [(6, "64x64")]  # each also mirrored
    assert (metadata["ss_num_train_images"], metadata["ss_resolution"]) == ("6", "(64, 64)")


def test_repeats_and_regularisation_images_are_told_as_sd_scripts_does(world: World) -> None:
    names = ("img/4_zorp cat/a", "img/4_zorp cat/b", "img/2_mira/c", "reg/2_cat/d", "reg/2_cat/e", "reg/2_cat/f")
    folder = world.pictures("project", dict.fromkeys(names))
    metadata = read_metadata(world.train("project", lora_data_directory=folder, prior_loss_weight=0.5))
    assert metadata["ss_dataset_dirs"] == {
        "2_mira": {"n_repeats": 2, "img_count": 1},
        "4_zorp cat": {"n_repeats": 4, "img_count": 2},
    }
    assert metadata["ss_reg_dataset_dirs"] == {"2_cat": {"n_repeats": 2, "img_count": 3}}
    assert metadata["ss_tag_frequency"] == {"2_mira": {"mira": 1}, "4_zorp cat": {"zorp cat": 2}, "2_cat": {"cat": 3}}
    # 2 * 4 + 1 * 2 to learn from; three others twice each, and since 6 < 10 four of them come once more
    assert resolutions(metadata) == [(20, "64x64")]
    keys = ("num_train_images", "num_reg_images", "num_batches_per_epoch", "prior_loss_weight")
    assert [metadata[f"ss_{key}"] for key in keys] == ["10", "6", "10", "0.5"]


DATASETS = """
[general]
enable_bucket = false
[[datasets]]
resolution = 64
batch_size = 4
  [[datasets.subsets]]
  image_dir = 'ROOT/zorp'
  class_tokens = 'zorp cat'
  num_repeats = 2
  shuffle_caption = true
  keep_tokens = 1
  [[datasets.subsets]]
  image_dir = 'ROOT/cats'
  class_tokens = 'cat'
  is_reg = true
[[datasets]]
resolution = [64, 128]
batch_size = 1
  [[datasets.subsets]]
  image_dir = 'ROOT/zorp'
  metadata_file = 'ROOT/meta.json'
"""


def test_datasets_are_told_as_sd_scripts_does(world: World) -> None:
    names = ("zorp/a", "zorp/b", "cats/c", "cats/d", "cats/e", "cats/f", "cats/g")
    folder = Path(world.pictures("described", dict.fromkeys(names)))
    (folder / "meta.json").write_text(json.dumps({"a": {"tags": "zorp, red"}}))
    (folder / "data.toml").write_text(DATASETS.replace("ROOT", folder.as_posix()))
    path = world.train("described", dataset_config=str(folder / "data.toml"))
    metadata = read_metadata(path)
    assert metadata["ss_dataset_dirs"] == {
        "zorp": {"n_repeats": 2, "img_count": 2},
        "meta.json": {"n_repeats": 1, "img_count": 1},
    }
    tags = {"zorp": {"zorp cat": 2}, "cats": {"cat": 4}, "meta.json": {"zorp": 1, "red": 1}}
    assert metadata["ss_tag_frequency"] == tags
    # four to learn from, so four of the five others; in batches of four, and one image alone
    keys = ("num_train_images", "num_reg_images", "num_batches_per_epoch")
    assert [metadata[f"ss_{key}"] for key in keys] == ["5", "5", "3"]
    assert {"ss_batch_size_per_device", "ss_resolution"} & set(metadata) == set()  # several, so each has its own
    first, second = json.loads(metadata["ss_datasets"])
    assert first | {"subsets": [], "tag_frequency": {}} == {
        "is_dreambooth": True,
        "batch_size_per_device": 4,
        "num_train_images": 4,
        "num_reg_images": 5,
        "resolution": [64, 64],
        "enable_bucket": False,
        "min_bucket_reso": 256,
        "max_bucket_reso": 1024,
        "tag_frequency": {},
        "bucket_info": {"buckets": {"0": {"resolution": [64, 64], "count": 8}}},
        "subsets": [],
    }
    assert first["tag_frequency"] == {name: tags[name] for name in ("zorp", "cats")}
    own, reg = first["subsets"]
    wanted = {"img_count": 2, "num_repeats": 2, "shuffle_caption": True, "keep_tokens": 1, "image_dir": "zorp"}
    assert wanted.items() <= own.items()
    assert (own["class_tokens"], own["is_reg"]) == ("zorp cat", False)
    assert (reg["img_count"], reg["num_repeats"], reg["class_tokens"], reg["is_reg"]) == (5, 1, "cat", True)
    assert (second["is_dreambooth"], second["resolution"], second["batch_size_per_device"]) == (False, [64, 128], 1)
    assert second["subsets"][0]["metadata_file"] == "meta.json"
    assert str(folder) not in metadata["ss_datasets"], "people publish these files"


def test_without_captions_there_are_no_tags(bare: Path, ileco: Path) -> None:
    for path in (bare, ileco):
        metadata = read_metadata(path)
        assert "ss_tag_frequency" not in metadata
        assert "modelspec.trigger_phrase" not in metadata
    assert "ss_dataset_dirs" not in read_metadata(ileco)
    assert "ss_num_epochs" not in read_metadata(ileco)


def test_what_it_is_for(captioned: Path, ileco: Path) -> None:
    metadata = read_metadata(captioned)
    assert metadata["modelspec.trigger_phrase"] == "sks"
    assert metadata["modelspec.usage_hint"] == 'strength 1: write "sks" in the prompt'
    assert read_metadata(ileco)["modelspec.usage_hint"] == 'strength 1: "blue" becomes "yellow"'


def test_erasing_at_the_strength_it_was_multiplied_by(world: World) -> None:
    words = {"mode": "iLECO", "original_prompt": "blue", "network_blocks": ("IN01",), "network_strength": -2.0}
    metadata = read_metadata(world.train("erased", **words))
    assert metadata["modelspec.usage_hint"] == 'strength -0.5: "blue" is erased'


def test_the_model_is_named_and_hashed(files: list[Path], world: World) -> None:
    import hashlib

    content = world.model.read_bytes()
    for path in files:
        metadata = read_metadata(path)
        assert metadata["ss_sd_model_name"] == "small.safetensors"
        assert metadata["ss_new_sd_model_hash"] == hashlib.sha256(content).hexdigest()
        assert metadata["ss_sd_model_hash"] == hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]
        assert metadata["modelspec.hash_sha256"] == f"0x{metadata['sshs_model_hash']}"


def test_all_of_modelspecs_musts(files: list[Path]) -> None:
    for path in files:
        metadata = read_metadata(path)
        for key in ("architecture", "implementation", "title", "resolution", "date", "description"):
            assert metadata[f"modelspec.{key}"].strip()
        assert metadata["modelspec.sai_model_spec"] == "1.0.1"


def test_all_keys_other_tools_look_for(captioned: Path) -> None:
    wanted = (
        "session_id learning_rate text_encoder_lr unet_lr max_train_steps num_epochs lr_scheduler lr_warmup_steps "
        "network_dim network_alpha network_args mixed_precision optimizer seed min_snr_gamma gradient_checkpointing "
        "sd_model_hash new_sd_model_hash batch_size_per_device loss_type clip_skip network_module output_name "
        "training_started_at resolution num_train_images base_model_version v2"
    )
    assert {f"ss_{key}" for key in wanted.split()} <= read_metadata(captioned).keys()
    assert float(read_metadata(captioned)["ss_training_started_at"]) == CREATED.timestamp()


def test_a_separate_vae_is_named(world: World) -> None:
    vae = {name: tensor for name, tensor in sd1_tensors().items() if name.startswith("first_stage_model.")}
    path = write_safetensors(world.root / "my vae.safetensors", vae, {"trainyard_config": '{"vae_norm_groups": 8}'})
    words = {"mode": "iLECO", "original_prompt": "blue", "network_blocks": ("IN01",), "vae": str(path)}
    assert read_metadata(world.train("with vae", **words))["ss_vae_name"] == "my vae.safetensors"


def test_hostile_words_stay_words(hostile: Path) -> None:
    metadata = read_metadata(hostile)
    assert metadata["modelspec.trigger_phrase"] == " " + " ".join(HOSTILE.split())
    assert "<script>" not in table(metadata)
    tags = [tag for tag, _ in tag_cloud(metadata)]
    assert max(map(len, tags)) == 200
    assert any("🙂" in tag for tag in tags)
    assert list(metadata["ss_dataset_dirs"]) == ["script> & \"co'"]  # the last part of the path alone


# ---- nobody's folders -----------------------------------------------------------------------------------------------


def test_no_path_outside_the_settings(files: list[Path], world: World) -> None:
    for path in files:
        for key, value in read_metadata(path).items():
            if key != "trainyard_settings":
                assert str(world.root) not in str(value), key
                assert "private" not in str(value), key


def test_the_settings_hold_the_paths_a_repetition_needs_and_no_others(world: World) -> None:
    words = {"original_prompt": "blue", "network_blocks": ("IN01",), "unknown": (("last_folder", str(world.root)),)}
    path = world.train("few paths", mode="iLECO", lora_data_directory="/home/me/secret", **words)
    settings = read_metadata(path)["trainyard_settings"]
    assert settings["model"] == str(world.model)
    assert settings["lora_data_directory"] == ""
    assert "last_folder" not in settings


def test_the_home_folder_is_a_tilde(world: World, monkeypatch: pytest.MonkeyPatch, captioned: Path) -> None:
    monkeypatch.setenv("HOME", str(world.root))
    monkeypatch.setenv("USERPROFILE", str(world.root))
    given = world.job("at home", lora_data_directory=str(world.root / "private" / "plain"))
    path = run(given, world.host, Control(), lambda event: None).path
    assert path is not None
    assert str(world.root) not in path.read_bytes()[:100_000].decode("utf-8", "replace")
    settings = read_metadata(path)["trainyard_settings"]
    assert settings["lora_data_directory"] == "~/private/plain"
    assert load_settings(str(path), []).settings == given.settings
    again = at_home(publishable(given.settings))
    assert publishable(again) == publishable(given.settings)
    near = replace(given.settings, lora_data_directory=f"{world.root}-elsewhere/x")
    assert publishable(near).lora_data_directory == near.lora_data_directory


def test_a_lora_repeats_its_run_to_the_byte(world: World, captioned: Path) -> None:
    settings = load_settings(str(captioned), []).settings
    folder = str(world.root / "private" / "things")
    given = world.job("captioned", lora_data_directory=folder, lora_trigger_word="sks", image_num_multiply=3)
    assert settings == given.settings
    elsewhere = Standalone(world.host.device, replace(world.host.folders, loras=world.root / "elsewhere"))
    again = run(Job.create(settings, CREATED), elsewhere, Control(), lambda event: None).path
    assert again is not None
    assert again.read_bytes() == captioned.read_bytes()


# ---- the card -------------------------------------------------------------------------------------------------------


def card_of(path: Path) -> dict[str, Any]:
    """As the WebUIs find it: the file's path with another ending."""
    card: dict[str, Any] = json.loads(path.with_suffix(".json").read_text("utf-8"))
    return card


def test_cards(captioned: Path, bare: Path, ileco: Path, hostile: Path) -> None:
    keys = {"description", "sd version", "activation text", "preferred weight", "negative text", "notes"}
    for path, word in ((captioned, "sks"), (bare, ""), (ileco, ""), (hostile, " ".join(HOSTILE.split()))):
        card = card_of(path)
        assert card.keys() == keys
        assert (card["sd version"], card["activation text"], card["preferred weight"]) == ("SD1", word, 1.0)
    assert '"blue" becomes "yellow"' in card_of(ileco)["description"]


def test_a_card_is_never_overwritten_nor_made_on_the_way(world: World) -> None:
    words = {"mode": "iLECO", "original_prompt": "blue", "network_blocks": ("IN01",), "save_overwrite": True}
    mine = world.root / "loras" / "mine.json"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text('{"notes": "my own"}')
    world.train("mine", save_per_steps=1, **words)
    assert mine.read_text() == '{"notes": "my own"}'
    assert sorted(path.name for path in mine.parent.glob("mine*.json")) == ["mine.json"]
    assert (mine.parent / "mine_2steps.safetensors").exists()


def test_a_card_that_cannot_be_written_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.errors import OutputError
    from trainer.networks.files import card

    def full(path: Path, _pieces: list[bytes]) -> bool:
        raise OutputError(literal("could not be written (No space left on device)."), where=path.name)

    monkeypatch.setattr(card, "write_unless_there", full)
    events: list[Event] = []
    given = world.job("no card", mode="iLECO", original_prompt="blue", network_blocks=("IN01",))
    done = run(given, world.host, Control(), events.append)
    assert done.path is not None
    assert done.path.exists()
    warnings = [str(event.message) for event in events if isinstance(event, Warned)]
    assert any("no card for the WebUI" in warning and "No space left" in warning for warning in warnings)


@pytest.mark.parametrize("links", [True, False])
def test_writing_unless_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:

        def unsupported(_source: Path, _target: Path) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr("os.link", unsupported)
    path = tmp_path / "sub" / "x.json"
    assert write_unless_there(path, [b"one"])
    assert not write_unless_there(path, [b"two"])
    assert path.read_bytes() == b"one"
    assert [each.name for each in path.parent.iterdir()] == ["x.json"]


def test_a_file_made_while_ours_is_written_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.json"

    def pieces() -> Iterator[bytes]:
        yield b"ours"
        path.write_bytes(b"theirs")

    assert not write_unless_there(path, pieces())
    assert path.read_bytes() == b"theirs"
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]


# ---- pieces ---------------------------------------------------------------------------------------------------------


def scanned(path: str, caption: str) -> ScannedSample:
    return ScannedSample(Path(path), caption, DEFAULT_SIZE, DEFAULT_SIZE, (0, 0), False, False, DEFAULT_SIZE)


def test_ten_thousand_novels_do_not_fill_the_header() -> None:
    novels = [scanned(f"/a/b/{number}.png", f"common, {number} {'word ' * 500}") for number in range(10_000)]
    tags = tag_frequency(novels)["b"]
    assert tags["common"] == 10_000
    assert len(tags) == 5000
    assert len(json.dumps(tags)) < 1_200_000


def test_names_with_half_characters_can_be_written() -> None:
    tags = tag_frequency([scanned("/a/b\udcff/x.png", "one\udcff, two")])
    assert tags == {"b?": {"one?": 1, "two": 1}}
    json.dumps(tags, ensure_ascii=False).encode("utf-8")


@pytest.mark.parametrize(
    ("text", "wanted"), [("a\n b", "a b"), ("{a|b}", " {a|b}"), ("  {}", " {}"), ("", ""), ("[1]", "[1]")]
)
def test_plain_text(text: str, wanted: str) -> None:
    assert plain(text) == wanted
