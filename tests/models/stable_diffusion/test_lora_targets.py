"""Which modules a network has and what files call them, on the real sizes of SD1.5, SD2.1 and SDXL without weights."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from tests.helpers.checkpoints import FULL, FULL_SDXL, UNET, Sizes, unet_shapes
from trainer.config.choices import BLOCKS
from trainer.models.lora_target import Target
from trainer.models.registry import FAMILIES
from trainer.models.stable_diffusion.blocks import block_of
from trainer.models.stable_diffusion.lora_targets import sgm_path, text_targets, unet_targets
from trainer.networks.base import Ranks, build, builder_of, is_wide, weight_of
from trainer.networks.files import file
from trainer.networks.lora import LoRA


def unet_of(family: str) -> UNet2DConditionModel:
    with torch.device("meta"):
        if family == "SD1":
            return UNet2DConditionModel(block_out_channels=FULL.unet, cross_attention_dim=768, attention_head_dim=8)
        if family == "SD2":
            return UNet2DConditionModel(
                block_out_channels=FULL.unet,
                cross_attention_dim=1024,
                attention_head_dim=[5, 10, 20, 20],
                use_linear_projection=True,
            )
        return UNet2DConditionModel(
            block_out_channels=(320, 640, 1280),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2, 10),
            attention_head_dim=(5, 10, 20),
            cross_attention_dim=2048,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        )


@pytest.fixture(scope="module")
def unets() -> dict[str, UNet2DConditionModel]:
    return {family: unet_of(family) for family in ("SD1", "SD2", "SDXL")}


def text_of(width: int, layers: int) -> nn.Module:
    with torch.device("meta"):
        return CLIPTextModel(
            CLIPTextConfig(
                hidden_size=width,
                num_hidden_layers=layers,
                num_attention_heads=width // 64,
                intermediate_size=4 * width,
            )
        )


def lora_parameters(targets: list[Target], ranks: Ranks) -> int:
    """Those of two thin factors at each module."""
    weights = [(weight_of(target.module), ranks.of(target.module)[0]) for target in targets]
    return sum(rank * (weight.shape[0] + weight[0].numel()) for weight, rank in weights)


# ---- which modules --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "around", "modules", "parameters"),
    [
        ("SD1", False, 192, 6_782_976),
        ("SD1", True, 278, 16_813_056),
        ("SD2", False, 192, 6_914_048),
        ("SD2", True, 278, 16_944_128),
        ("SDXL", False, 722, 42_557_440),
        ("SDXL", True, 788, 49_187_840),
    ],
)  # fmt: skip
def test_full_size_modules_and_parameters(unets, family: str, around: bool, modules: int, parameters: int) -> None:
    """As sd-scripts trains them, at rank 16 everywhere."""
    targets = unet_targets(unets[family], BLOCKS, "Full", include_resnets=around)
    assert len(targets) == len({target.name for target in targets}) == modules
    assert lora_parameters(targets, Ranks(16, 8.0)) == parameters


def test_what_c3lier_has_beside_lierla(unets) -> None:
    def kinds(family: str) -> Counter[str]:
        targets = unet_targets(unets[family], BLOCKS, "Full", include_resnets=True)
        rest = [target for target in targets if "_attentions_" not in target.name]
        return Counter(
            "3x3" if is_wide(target.module) else "time" if target.name.endswith("time_emb_proj") else target.name[-8:]
            for target in rest
        )

    assert kinds("SD1") == {"3x3": 50, "time": 22, "shortcut": 14}
    assert kinds("SDXL") == {"3x3": 38, "time": 17, "shortcut": 11}


def test_conv_rank_is_for_3x3_only(unets) -> None:
    """As in sd-scripts' and LyCORIS' files: shortcuts are 1×1, so they have the rank of the linears."""
    targets = unet_targets(unets["SD1"], BLOCKS, "Full", include_resnets=True)
    ranks = Ranks(16, 8.0, 4, 2.0)
    assert Counter(ranks.of(target.module) for target in targets) == {(16, 8.0): 228, (4, 2.0): 50}
    assert Ranks(16, 8.0).of(nn.Conv2d(2, 2, 3)) == (16, 8.0)
    assert {
        target.name[-8:] for target in targets if ranks.of(target.module)[0] == 16 and "resnets" in target.name
    } == {
        "shortcut",
        "emb_proj",
    }


@pytest.mark.parametrize("element", ["CrossAttention", "SelfAttention"])
@pytest.mark.parametrize(("family", "count"), [("SD1", 64), ("SDXL", 280)])
def test_an_element_is_attention_alone(unets, family: str, count: int, element: str) -> None:
    """c3lier and loha, too: with an element nothing around the transformers is trained."""
    narrow, wide = (unet_targets(unets[family], BLOCKS, element, include_resnets=around) for around in (False, True))
    assert [target.name for target in wide] == [target.name for target in narrow]
    assert len(narrow) == count
    part = "_attn2_" if element == "CrossAttention" else "_attn1_"
    assert all(part in target.name for target in narrow)


def test_text_encoders() -> None:
    """SD1's and SDXL's first: 12 layers of six linears; SDXL's second: 32."""
    assert len(text_targets(text_of(768, 12))) == 72
    assert len(text_targets(text_of(1280, 32), "lora_te2")) == 192
    name = text_targets(text_of(1280, 1), "lora_te2")[0].name
    assert name.startswith("lora_te2_text_model_encoder_layers_0_")


def test_file_sizes(unets, tmp_path: Path) -> None:
    """SD1.5, U-Net and text encoder, half precision: 9, 36 and 144 MiB at rank 8, 32 and 128; the first one written."""
    targets = unet_targets(unets["SD1"], BLOCKS, "Full") + text_targets(text_of(768, 12))
    sizes = {rank: 2 * lora_parameters(targets, Ranks(rank, 1.0)) / 2**20 for rank in (8, 32, 128)}
    assert sizes == {8: 9.0, 32: 36.0, 128: 144.0}
    make = builder_of(LoRA, Ranks(8, 4.0), torch.float16, torch.device("cpu"))
    tensors = build(targets, make, torch.Generator()).tensors()
    size = file.save(tmp_path / "x.safetensors", tensors, {}).stat().st_size / 2**20
    assert 9.0 < size < 9.2


# ---- blocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "around", "without"),
    [
        ("SD1", False, {"IN00", "IN03", "IN06", "IN09", "IN10", "IN11", "OUT00", "OUT01", "OUT02"}),
        ("SD1", True, {"IN00"}),
        ("SDXL", False, {"IN00", "IN01", "IN02", "IN03", "IN06", "OUT06", "OUT07", "OUT08"}),
        ("SDXL", True, {"IN00"}),
    ],
)
def test_which_blocks_have_modules(unets, family: str, around: bool, without: set[str]) -> None:
    """lierla stands where transformers are. IN00 is the first convolution, which belongs to no residual block."""
    own = FAMILIES[family].blocks
    present = {block for block in BLOCKS if unet_targets(unets[family], [block], "Full", include_resnets=around)}
    assert present == set(own) - {"BASE"} - without


@pytest.mark.parametrize("family", ["SD1", "SDXL"])
def test_a_block_is_the_number_in_the_original_names(unets, family: str) -> None:
    """Whichever way a module is named, it stands in the block whose number its original name has."""
    plain, sgm = (unet_targets(unets[family], BLOCKS, "Full", include_resnets=True, sgm=sgm) for sgm in (False, True))
    for one, other in zip(plain, sgm, strict=True):
        assert one.module is other.module
        kind, number = other.name.removeprefix("lora_unet_").split("_block")[0], other.name.split("_")[4]
        wanted = "M00" if kind == "middle" else f"{'IN' if kind == 'input' else 'OUT'}{int(number):02d}"
        assert block_of(one.name) == block_of(other.name) == wanted
    assert block_of("lora_te2_text_model_encoder_layers_0_mlp_fc1") == "BASE"


def test_blocks_a_family_lacks_are_passed_over(unets) -> None:
    assert not unet_targets(unets["SDXL"], ["IN09", "IN11", "OUT09", "OUT11", "XX"], "Full", include_resnets=True)


# ---- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "sizes"), [("SD1", FULL), ("SDXL", FULL_SDXL)])
def test_original_paths_against_diffusers_conversion(unets, family: str, sizes: Sizes) -> None:
    """Every module that has a weight: diffusers' own conversion of an original state dict says which is which."""
    original = {UNET + name: torch.empty(shape, device="meta") for name, shape in unet_shapes(sizes).items()}
    names = {id(tensor): name.removeprefix(UNET) for name, tensor in original.items()}
    converted = convert_ldm_unet_checkpoint(dict(original), config=dict(unets[family].config))
    checked = 0
    for path, module in unets[family].named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            assert sgm_path(path, unets[family]) + ".weight" == names[id(converted[f"{path}.weight"])], path
            checked += 1
    assert checked == {"SD1": 282, "SDXL": 794}[family]


def test_an_sdxl_name_as_other_programs_have_it(unets) -> None:
    names = {target.name for target in unet_targets(unets["SDXL"], BLOCKS, "Full", include_resnets=True, sgm=True)}
    assert {
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
        "lora_unet_input_blocks_3_0_op",
        "lora_unet_input_blocks_4_0_skip_connection",
        "lora_unet_middle_block_0_in_layers_2",
        "lora_unet_middle_block_1_transformer_blocks_9_ff_net_0_proj",
        "lora_unet_output_blocks_2_2_conv",
        "lora_unet_output_blocks_8_0_emb_layers_1",
    } <= names
