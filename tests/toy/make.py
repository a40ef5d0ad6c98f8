"""Makes the toy checkpoints: `python tests/toy/make.py --model sd1`, or `xl-flow`; `--measure` only measures.

`--seed 11 --unet-groups 4 --untold place --out FILE` makes another one, of the same world but with other weights, other
group norms and no word for a place, to see whether what was found on the first holds on a second.

The step counts and the seed are fixed: a rebuild with the same versions on the
same kind of processor makes the same file. The second toy takes over the first one's VAE.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.toy import autoencoder, checkpoint_file
from tests.toy.diffusion import Trainer
from tests.toy.layouts import LAYOUTS, SD1, Layout
from tests.toy.ldm_names import single_file_state
from tests.toy.measure import table
from tests.toy.unets import NORM_GROUPS
from tests.toy.world import ATTRIBUTES

SEED = 7
REPORT_EVERY = 500


def main() -> None:
    """Makes the file, then loads it again and measures it."""
    parser = argparse.ArgumentParser(description="Train the toy checkpoint from scratch.")
    parser.add_argument("--model", choices=tuple(LAYOUTS), default="sd1")
    parser.add_argument("--out", type=Path, help="the file; the embedded one unless given")
    parser.add_argument(
        "--vae", type=Path, help="of sd1: weights of a trained VAE (made if absent), to try things out faster"
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--unet-groups", type=int, choices=(4, 8), default=NORM_GROUPS, help="norm groups of the U-Net")
    parser.add_argument("--untold", action="append", default=[], choices=tuple(ATTRIBUTES), help="no caption names it")
    parser.add_argument(
        "--state", type=Path, help="a file to go on from, and to keep the training's state in meanwhile"
    )
    parser.add_argument("--measure", action="store_true", help="only measure the file that is there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    told = tuple(name for name in ATTRIBUTES if name not in options.untold)
    layout = LAYOUTS[options.model]
    out = options.out or layout.path
    if not options.measure:
        vae = stored_vae(options.vae, options.seed) if layout is SD1 else first_vae(layout)
        make(layout, out, vae, options.state, seed=options.seed, unet_groups=options.unet_groups, told=told)
    print(table(checkpoint_file.load(out), told))


def make(
    layout: Layout,
    out: Path,
    vae: AutoencoderKL,
    state: Path | None,
    *,
    seed: int,
    unet_groups: int,
    told: Sequence[str],
) -> None:
    """Trains from scratch and writes the file."""
    trainer = Trainer(vae, seed, layout, norm_groups=unet_groups, told=told)
    trainer.train(layout.steps, REPORT_EVERY, state)
    steps = {"unet_and_text_model": layout.steps}
    if layout is SD1:
        steps["vae"] = autoencoder.CROP_STEPS + autoencoder.FULL_STEPS
    weights = single_file_state(trainer.unet, vae, trainer.texts)
    notes = checkpoint_file.metadata(layout, seed, steps, unet_groups=unet_groups, told=told)
    checkpoint_file.write(out, weights, notes)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, {time.process_time():.0f} CPU-s in all")


def first_vae(layout: Layout) -> AutoencoderKL:
    """The embedded first toy's VAE, at this one's scale."""
    return autoencoder.rescaled(checkpoint_file.load(SD1.path).vae, layout.scale)


def stored_vae(path: Path | None, seed: int) -> AutoencoderKL:
    """The VAE, trained now unless the file has it."""
    if path is None or not path.exists():
        vae = autoencoder.train_vae(seed)
        if path is not None:
            torch.save(vae.state_dict(), path)
        return vae
    vae = autoencoder.empty_vae()
    vae.load_state_dict(torch.load(path, weights_only=True))
    return vae.requires_grad_(False).eval()


if __name__ == "__main__":
    main()
