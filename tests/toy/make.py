"""Makes the toy checkpoint: `python tests/toy/make.py --out tests/toy/toy-sd1.safetensors`; `--measure` only measures.

`--seed 11 --unet-groups 4 --untold place --out FILE` makes another one, of the same world but with other weights, other
group norms and no word for a place, to see whether what was found on the first holds on a second.

The step counts and the seed are fixed: a rebuild with the same versions on the
same kind of processor makes the same file.
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
from tests.toy.diffusion import NORM_GROUPS, STEPS, Trainer
from tests.toy.ldm_names import single_file_state
from tests.toy.measure import table
from tests.toy.world import ATTRIBUTES

SEED = 7
REPORT_EVERY = 500


def main() -> None:
    """Makes the file, then loads it again and measures it."""
    parser = argparse.ArgumentParser(description="Train the toy checkpoint from scratch.")
    parser.add_argument("--out", type=Path, default=checkpoint_file.PATH)
    parser.add_argument("--vae", type=Path, help="weights of a trained VAE (made if absent), to try things out faster")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--unet-groups", type=int, choices=(4, 8), default=NORM_GROUPS, help="norm groups of the U-Net")
    parser.add_argument("--untold", action="append", default=[], choices=tuple(ATTRIBUTES), help="no caption names it")
    parser.add_argument("--measure", action="store_true", help="only measure the file that is there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    told = tuple(name for name in ATTRIBUTES if name not in options.untold)
    if not options.measure:
        make(options.out, options.vae, seed=options.seed, unet_groups=options.unet_groups, told=told)
    print(table(checkpoint_file.load(options.out), told))


def make(out: Path, vae_file: Path | None, *, seed: int, unet_groups: int, told: Sequence[str]) -> None:
    """Trains from scratch and writes the file."""
    vae = stored_vae(vae_file, seed)
    trainer = Trainer(vae, seed, norm_groups=unet_groups, told=told)
    trainer.train(STEPS, REPORT_EVERY)
    steps = {"vae": autoencoder.CROP_STEPS + autoencoder.FULL_STEPS, "unet_and_text_model": STEPS}
    state = single_file_state(trainer.unet, vae, trainer.text_model, trainer.words.whole())
    checkpoint_file.write(out, state, checkpoint_file.metadata(seed, steps, unet_groups=unet_groups, told=told))
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, {time.process_time():.0f} CPU-s in all")


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
