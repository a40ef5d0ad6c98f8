"""What the two toys are: Stable Diffusion 1's layout, which predicts noise, and SDXL's, which predicts a flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diffusers import UNet2DConditionModel
from transformers import CLIPTokenizer

from tests.toy.autoencoder import LATENT_SCALE
from tests.toy.conditioning import OneText, Texts, TwoTexts
from tests.toy.processes import NoisePrediction, Process, RectifiedFlow
from tests.toy.unets import empty_unet, empty_xl_unet

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Layout:
    """A toy before any training, and how long it is trained on what.

    Attributes:
        path: of its checkpoint.
        architecture: what the file's metadata call it.
        title: its name there.
        scale: latents are what the VAE gives times this.
        unet: makes its U-Net, from a number of norm groups.
        texts: makes its text models.
        steps: of the U-Net and the text models.
        place_steps: the first of these, in which the picture can only be known from the caption.
        place_start: the first timestep of those that these see.
        high_noise_start: the first of those that half of the others come from.
    """

    path: Path
    architecture: str
    title: str
    scale: float
    process: Process
    unet: Callable[[int], UNet2DConditionModel]
    texts: Callable[[CLIPTokenizer], Texts]
    steps: int
    place_steps: int
    place_start: int
    high_noise_start: int


SD1 = Layout(
    path=FOLDER / "toy-sd1.safetensors",
    architecture="stable-diffusion-v1",
    title="Trainyard toy",
    scale=LATENT_SCALE,
    process=NoisePrediction(),
    unet=empty_unet,
    texts=OneText,
    steps=5200,
    place_steps=800,
    place_start=800,
    high_noise_start=650,
)
XL_FLOW = Layout(
    path=FOLDER / "toy-xl-flow.safetensors",
    architecture="stable-diffusion-xl-v1-base",
    title="Trainyard toy, SDXL's layout, rectified flow",
    scale=0.13025,
    process=RectifiedFlow(),
    unet=empty_xl_unet,
    texts=TwoTexts,
    steps=8800,
    place_steps=1600,
    place_start=850,  # as much noise as at the others' of Stable Diffusion 1
    high_noise_start=650,
)
LAYOUTS = {"sd1": SD1, "xl-flow": XL_FLOW}
