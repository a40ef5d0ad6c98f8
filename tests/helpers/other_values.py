"""For every setting a value that is right and not the default."""

from __future__ import annotations

from typing import Any

from trainer.config.settings import ROWS
from trainer.config.size import Size

OTHER: dict[str, Any] = {
    **{row.name: not row.default for row in ROWS if row.kind == "bool"},
    **{row.name: "x y" for row in ROWS if row.kind in ("text", "path", "file name")},
    **{row.name: "a=1; b=2,3" for row in ROWS if row.kind == "literals"},
    **{
        row.name: next(name for name in row.choices if name != row.default)
        for row in ROWS
        if row.kind in ("choice", "three states")
    },
    **{row.name: (row.default or 0) + 8 for row in ROWS if row.kind == "int" and (row.most or 4096) >= 4096},
    **{row.name: 2.5 for row in ROWS if row.kind in ("float", "float or none")},
    "network_block_rates": "IN04=0.5, OUT=2",
    "network_dropout": 0.1,
    "network_rank_dropout": 0.2,
    "network_module_dropout": 0.3,
    "ileco_descriptions": 8,
    "diff_descriptions": 8,
    "train_self_reg_images": 8,
    "train_gradient_accumulation": 3,
    "train_ema_decay": 0.9,
    "train_noise_offset": 0.1,
    "train_multires_noise_iterations": 8,
    "train_multires_noise_discount": 0.8,
    "validation_split": 0.25,
    "save_file_name": "{name}-{step:06}",
    "train_seed": 2**32 - 1,
    "sample_seed": 5,
    "train_lr_warmup_ratio": 0.25,
    "train_min_timesteps": 10,
    "train_max_timesteps": 20,
    "caption_dropout_rate": 0.25,
    "caption_tag_dropout_rate": 0.5,
    "clip_skip": 2,
    "network_blocks": ("OUT11", "M00"),
    "image_size": Size(8192, 64),
    "sample_strengths": (-1.5, 0.1),
}  # fmt: skip
