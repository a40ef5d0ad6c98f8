"""Makes the toy checkpoint: `python tests/toy/make.py --out tests/toy/toy-sd1.safetensors`; `--measure` only measures.

The step counts and the seed are fixed: a rebuild with the same versions on the
same kind of processor makes the same file.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.toy import autoencoder, checkpoint_file
from tests.toy.diffusion import STEPS, Trainer
from tests.toy.ldm_names import single_file_state
from tests.toy.measure import table

SEED = 7
REPORT_EVERY = 500


def main() -> None:
    """Makes the file, then loads it again and measures it."""
    parser = argparse.ArgumentParser(description="Train the toy checkpoint from scratch.")
    parser.add_argument("--out", type=Path, default=checkpoint_file.PATH)
    parser.add_argument("--vae", type=Path, help="weights of a trained VAE (made if absent), to try things out faster")
    parser.add_argument("--measure", action="store_true", help="only measure the file that is there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.measure:
        make(options.out, options.vae)
    print(table(checkpoint_file.load(options.out)))


def make(out: Path, vae_file: Path | None) -> None:
    """Trains from scratch and writes the file."""
    vae = stored_vae(vae_file)
    trainer = Trainer(vae, SEED)
    trainer.train(STEPS, REPORT_EVERY)
    steps = {"vae": autoencoder.CROP_STEPS + autoencoder.FULL_STEPS, "unet_and_text_model": STEPS}
    state = single_file_state(trainer.unet, vae, trainer.text_model, trainer.words.whole())
    checkpoint_file.write(out, state, checkpoint_file.metadata(SEED, steps))
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, {time.process_time():.0f} CPU-s in all")


def stored_vae(path: Path | None) -> AutoencoderKL:
    """The VAE, trained now unless the file has it."""
    if path is None or not path.exists():
        vae = autoencoder.train_vae(SEED)
        if path is not None:
            torch.save(vae.state_dict(), path)
        return vae
    vae = autoencoder.empty_vae()
    vae.load_state_dict(torch.load(path, weights_only=True))
    return vae.requires_grad_(False).eval()


if __name__ == "__main__":
    main()
