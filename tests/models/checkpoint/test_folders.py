"""Folders in diffusers' layout, as tools and the Hub leave them on a disk."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.helpers.checkpoints import write_diffusers
from trainer.errors import ModelError
from trainer.models.checkpoint.folders import weights_in
from trainer.models.checkpoint.identify import Kind, identify
from trainer.models.checkpoint.weights import Source
from trainer.models.registry import check_files, load_bundle, refuse_unless_vae


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_diffusers(tmp_path_factory.mktemp("written") / "model", "SDXL")


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "model"))


def tensors(path: Path) -> dict[str, Tensor]:
    return dict(Source.of_file(identify(path)).tensors)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(each, other[name]) for name, each in one.items())


def sharded(
    part: Path, *, index: str = "diffusion_pytorch_model.safetensors.index.json", variant: str = ""
) -> list[Path]:
    """A part's weights in three files with an index, in place of the one file it has."""
    (single,) = part.glob("*.safetensors")
    weights = load_file(single)
    single.unlink()
    names, files = sorted(weights), []
    for number in range(3):
        files.append(part / f"{single.stem}{variant}-{number + 1:05}-of-00003.safetensors")
        save_file({name: weights[name] for name in names[number::3]}, files[-1])
    if index:
        where = {name: files[place % 3].name for place, name in enumerate(names)}
        (part / index).write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return files


@pytest.mark.parametrize(
    ("index", "variant"),
    [
        ("diffusion_pytorch_model.safetensors.index.json", ""),
        ("diffusion_pytorch_model.safetensors.index.fp16.json", ".fp16"),
        ("", ""),
    ],
)
def test_weights_in_several_files(written: Path, folder: Path, index: str, variant: str) -> None:
    sharded(folder / "unet", index=index, variant=variant)
    assert same(tensors(folder), tensors(written))
    assert load_bundle(folder).family.name == "SDXL"


@pytest.mark.parametrize("variant", ["fp16", "bf16", "non_ema", "ema", "mine"])
def test_any_variant(written: Path, folder: Path, variant: str) -> None:
    for file in [*folder.rglob("*.safetensors")]:
        file.rename(file.with_suffix(f".{variant}.safetensors"))
    assert same(tensors(folder), tensors(written))


def names_of_preferred(folder: Path, *names: str) -> tuple[str, ...]:
    for name in names:
        (folder / name).touch()
    found = weights_in(folder)
    assert found is not None
    return tuple(file.name for file in found.files)


def test_which_copy_is_taken(tmp_path: Path) -> None:
    """Averaged before not averaged, safetensors before pickles, all of a copy before a part of one."""
    assert names_of_preferred(tmp_path, "pytorch_model.bin", "optimizer.bin", "model.onnx") == ("pytorch_model.bin",)
    assert names_of_preferred(tmp_path, "model.non_ema.safetensors") == ("model.non_ema.safetensors",)
    assert names_of_preferred(tmp_path, "model.mine.safetensors") == ("model.mine.safetensors",)
    shard = "model.fp16-00001-of-00002.safetensors"
    assert names_of_preferred(tmp_path, shard) == ("model.mine.safetensors",)
    both = (shard, shard.replace("00001", "00002"))
    assert names_of_preferred(tmp_path, both[1]) == both
    assert names_of_preferred(tmp_path, "model.safetensors") == ("model.safetensors",)


def test_pickles_in_several_files(folder: Path, written: Path) -> None:
    part = folder / "text_encoder_2"
    weights = load_file(part / "model.safetensors")
    (part / "model.safetensors").unlink()
    where = {}
    for number, names in enumerate((sorted(weights)[::2], sorted(weights)[1::2])):
        file = f"pytorch_model-{number + 1:05}-of-00002.bin"
        torch.save({name: weights[name] for name in names}, part / file)
        where.update(dict.fromkeys(names, file))
    (part / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": where}))
    assert same(tensors(folder), tensors(written))


def cached(folder: Path, root: Path) -> Path:
    """As the Hub's cache keeps it; ``refs/main`` names one of two snapshots."""
    root = root / "models--someone--a-model"
    for snapshot in ("0123abcd", "ffff0000"):
        shutil.copytree(folder, root / "snapshots" / snapshot)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("0123abcd")
    shutil.rmtree(root / "snapshots" / "ffff0000" / "vae")
    return root


def test_the_root_of_the_hubs_cache(written: Path, tmp_path: Path) -> None:
    root = cached(written, tmp_path)
    found = identify(root)
    assert (found.kind, found.name) == (Kind.SDXL, "a-model")
    assert found.files["vae."][0].is_relative_to(root / "snapshots" / "0123abcd")
    assert identify(root / "snapshots" / "0123abcd").name == "a-model"
    (root / "refs" / "main").write_text("../../elsewhere")
    assert identify(root).files["unet."][0].is_relative_to(root / "snapshots")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "text_encoder_2"])
def test_a_part_that_is_missing_is_named(folder: Path, part: str) -> None:
    for file in (folder / part).glob("*.safetensors"):
        file.unlink()
    with pytest.raises(ModelError) as caught:
        check_files(folder)
    lacks = f"model is a diffusers folder without weights in {part}. Download what is missing, or choose another model."
    no_vae = "model has no VAE. Choose a VAE file as well, or a full checkpoint."
    assert str(caught.value) == (no_vae if part == "vae" else lacks)


@pytest.mark.parametrize("index", ["diffusion_pytorch_model.safetensors.index.json", ""])
def test_a_file_that_is_missing_is_named(folder: Path, index: str) -> None:
    lost = sharded(folder / "unet", index=index)[1]
    lost.unlink()
    with pytest.raises(ModelError) as caught:
        identify(folder)
    assert str(caught.value) == (
        f"model is incomplete: {lost.name} is missing in unet. Download it, or the whole folder again."
    )


@pytest.mark.parametrize("named", ["../vae/diffusion_pytorch_model.safetensors", "/etc/passwd", 5, ["x"]])
def test_an_index_names_no_file_elsewhere(folder: Path, named: object) -> None:
    sharded(folder / "unet")
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"conv_in.weight": named}}))
    with pytest.raises(ModelError, match=f"unet/{index.name} cannot be read"):
        identify(folder)


def test_a_vae_in_a_folder_of_its_own(written: Path, folder: Path) -> None:
    shutil.copytree(written / "vae", folder.parent / "sdxl-vae")
    shutil.rmtree(folder / "vae")
    kind = refuse_unless_vae(folder.parent / "sdxl-vae")
    assert kind.name == "sdxl-vae"
    bundle = load_bundle(folder, vae=folder.parent / "sdxl-vae")  # 16 groups of normalisation, as its config says
    own = load_bundle(written)
    assert same(bundle.vae.state_dict(), own.vae.state_dict())
    assert bundle.vae_name == "sdxl-vae"


def test_a_folder_is_read_within_limits(folder: Path) -> None:
    """An index of megabytes, a model of a thousand files and a pipe in place of weights are refused or passed over."""
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    for content in (
        b'{"weight_map": {"x": "' + b"a" * (5 * 2**20) + b'"}}',
        json.dumps({"weight_map": {str(number): f"{number}.safetensors" for number in range(1000)}}).encode(),
        b"[" * 10_000,
    ):
        index.write_bytes(content)
        with pytest.raises(ModelError, match="cannot be read"):
            identify(folder)
    index.unlink()
    (folder / "unet" / "diffusion_pytorch_model-00001-of-99999.safetensors").touch()
    assert identify(folder).kind is Kind.SDXL  # the whole copy beside it
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "unet" / "model.safetensors")
        assert identify(folder).kind is Kind.SDXL
