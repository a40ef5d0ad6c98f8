"""The list of models of a folder: files, and folders in diffusers' layout as one model each."""

from __future__ import annotations

from pathlib import Path

from trainer.hosts.catalogue import FolderCatalogue


def touched(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_in_diffusers_layout_is_one_model(tmp_path: Path) -> None:
    touched(
        tmp_path, "anime.safetensors", "more/old.ckpt", "notes.txt", ".hidden/x.safetensors",
        "sd/model_index.json", "sd/unet/diffusion_pytorch_model.safetensors", "sd/vae/diffusion_pytorch_model.bin",
        "hub/models--a--b/snapshots/0123/unet/config.json",
        "hub/models--a--b/snapshots/0123/unet/diffusion_pytorch_model.fp16.safetensors",
        "anything-vae.safetensors",
    )  # fmt: skip
    catalogue = FolderCatalogue(tmp_path)
    assert catalogue.models() == ["anime.safetensors", "hub/models--a--b", "more/old.ckpt", "sd"]
    assert catalogue.vaes() == ["anything-vae.safetensors"]
