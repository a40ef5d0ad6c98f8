"""Other programs' data as a dataset file of sd-scripts has it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.foreign.test_others import YAML
from tests.config.foreign.test_sd_scripts import EASY
from trainer.config.documents import toml_table, yaml_mapping
from trainer.config.foreign.datasets import as_dataset_file

CONCEPT: dict[str, Any] = {
    "__version": 1,
    "image": {"enable_crop_jitter": True, "enable_random_flip": True, "enable_resolution_override": False,
              "resolution_override": "512"},
    "text": {"prompt_source": "sample", "enable_tag_shuffling": True, "tag_delimiter": ",", "keep_tags_count": 2},
    "name": "zorp", "path": "/data/zorp", "seed": 1, "enabled": True, "type": "STANDARD",
    "balancing": 5.0, "balancing_strategy": "REPEATS", "loss_weight": 1.0,
}  # fmt: skip
ZORP = {"image_dir": "/data/zorp", "caption_extension": ".txt", "num_repeats": 5, "flip_aug": True,
        "shuffle_caption": True, "keep_tokens": 2, "caption_separator": ","}  # fmt: skip


def test_subsets_of_lora_easy_with_what_holds_for_all() -> None:
    assert as_dataset_file(toml_table(EASY, "x")) == {
        "datasets": [
            {
                "resolution": 768, "batch_size": 3, "enable_bucket": True, "min_bucket_reso": 256,
                "max_bucket_reso": 1024, "bucket_reso_steps": 64,
                "subsets": [{"image_dir": "/data/5_zorp", "num_repeats": 5, "keep_tokens": 1,
                             "caption_extension": ".txt", "shuffle_caption": True}],
            }
        ]
    }  # fmt: skip


def test_concepts_of_one_trainer() -> None:
    plain = {"path": "/data/plain", "image": {}, "text": {}, "type": "PRIOR_PREDICTION", "balancing": 0.4}
    off, validation = {**CONCEPT, "enabled": False}, {**CONCEPT, "type": "VALIDATION"}
    reg = {"image_dir": "/data/plain", "caption_extension": ".txt", "num_repeats": 1, "is_reg": True}
    wanted = {"datasets": [{"subsets": [ZORP, reg]}]}
    assert as_dataset_file([CONCEPT, plain, off, validation]) == wanted
    within = as_dataset_file({"training_method": "LORA", "batch_size": 4, "concepts": [CONCEPT]})
    assert within == {"datasets": [{"batch_size": 4, "subsets": [ZORP]}]}


def test_concepts_of_another_size_are_another_dataset() -> None:
    large = {**CONCEPT, "path": "/b", "image": {"enable_resolution_override": True, "resolution_override": "1024"}}
    found = as_dataset_file([CONCEPT, large])
    assert found is not None
    assert [each.get("resolution") for each in found["datasets"]] == [None, "1024"]
    assert [each["subsets"][0]["image_dir"] for each in found["datasets"]] == ["/data/zorp", "/b"]


def test_a_folder_of_ai_toolkit_is_a_dataset_at_each_of_its_sizes() -> None:
    subset = {"image_dir": "/data/p3r5on", "caption_extension": ".txt", "caption_dropout_rate": 0.05}
    buckets = {"enable_bucket": True, "bucket_reso_steps": 64, "batch_size": 2, "subsets": [subset]}
    assert as_dataset_file(yaml_mapping(YAML, "x")) == {
        "datasets": [
            {"resolution": 512, "min_bucket_reso": 256, "max_bucket_reso": 1024, **buckets},
            {"resolution": 1024, "min_bucket_reso": 512, "max_bucket_reso": 2048, **buckets},
        ]
    }


@pytest.mark.parametrize(
    "values", [{}, [], [1], {"general": {}, "datasets": []}, {"subsets": []}, {"concepts": 3}, {"config": {}}, "text"]
)
def test_anything_else_is_none_of_them(values: object) -> None:
    assert as_dataset_file(values) is None
