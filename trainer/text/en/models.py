"""Texts of checkpoints, VAEs and text encoders."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- what a file is
        "models.kind_sd1": "an SD1 checkpoint",
        "models.kind_sd1_inpainting": "an SD1 inpainting checkpoint",
        "models.kind_sd2": "an SD2 checkpoint",
        "models.kind_sd2_inpainting": "an SD2 inpainting checkpoint",
        "models.kind_sd2_depth": "an SD2 depth checkpoint",
        "models.kind_sd2_unclip": "an SD2 unCLIP checkpoint",
        "models.kind_sd2_upscaler": "the SD2 upscaler",
        "models.kind_sdxl": "an SDXL checkpoint",
        "models.kind_sdxl_inpainting": "an SDXL inpainting checkpoint",
        "models.kind_sdxl_refiner": "the SDXL refiner",
        "models.kind_sdxl_edm": "an SDXL checkpoint with EDM's way of noising (Playground 2.5, CosXL)",
        "models.kind_checkpoint": "a checkpoint of {family}",
        "models.kind_lora": "a LoRA ({count:module|modules})",
        "models.kind_loha": "a LoHa ({count:module|modules})",
        "models.kind_lokr": "a LoKr ({count:module|modules})",
        "models.kind_oft": "an OFT network ({count:module|modules})",
        "models.kind_ia3": "an IA³ network ({count:module|modules})",
        "models.kind_glora": "a GLoRA ({count:module|modules})",
        "models.kind_full": "a network of full differences ({count:module|modules})",
        "models.kind_dora": "a DoRA ({count:module|modules})",
        "models.kind_for_family": "{kind} for {family}",
        "models.kind_controlnet": "a ControlNet",
        "models.kind_embedding": "a textual inversion embedding",
        "models.kind_vae": "a VAE",
        "models.kind_vae_of": "the VAE of {family}",
        "models.kind_text_encoder": "the text encoder {name}",
        "models.kind_quantised": "{kind}, quantised to {format}",
        "models.kind_ip_adapter": "an IP-Adapter",
        "models.kind_clip": "a CLIP text encoder",
        "models.kind_clip_vision": "a CLIP image encoder",
        "models.kind_t5": "a T5 text encoder",
        "models.kind_language_model": "a language model",
        "models.kind_upscaler": "an upscaler",
        "models.kind_unknown": "a model of a kind Trainyard does not know",
        "models.kind_unet_of": "the U-Net of {kind}",
        # ---- the parts of a model
        "models.part_denoiser": "denoiser",
        "models.part_unet": "U-Net",
        "models.part_vae": "VAE",
        "models.part_text_encoder": "text encoder",
        "models.part_text_encoder_2": "second text encoder",
        "models.part_of": "the {part} of {file}",
        "models.weight_of": "{weight} of the {part}",
        # ---- files that cannot be read
        "models.no_file": "There is no file {file} in {folder}. Choose one that is there.",
        "models.unreadable": "{file} cannot be read ({reason}). Choose another copy of it.",
        "models.empty": "{file} is empty (0 bytes). Download or copy it again.",
        "models.gguf": "{file} is a GGUF file, whose weights cannot be trained on. Choose a .safetensors file.",
        "models.web_page": "{file} is a web page, not a model. The download did not work; try it again.",
        "models.lfs_pointer": "{file} is a Git LFS pointer, not the model itself. Fetch it with git lfs pull.",
        "models.text_file": "{file} is text, not a model. Choose a .safetensors or .ckpt checkpoint.",
        "models.not_a_model": "{file} is not a model file. Choose a .safetensors or .ckpt checkpoint.",
        "models.zip": "{file} is a zip archive, not a model. Unpack it, and choose the model inside.",
        "models.cut_short": (
            "{file} is cut short: it has {size:,} of at least {wanted:,} bytes. Download or copy it again."
        ),
        "models.damaged": "{file} is cut short or damaged. Download or copy it again.",
        "models.damaged_size": "{file} is damaged: {tensor} has no sensible size. Download or copy it again.",
        "models.damaged_tensor": (
            "{file} is cut short or damaged: it describes a tensor outside of itself. Download or copy it again."
        ),
        "models.byte_order": (
            "{file} was saved on a machine of the other byte order. Choose the model as .safetensors."
        ),
        "models.large_table": (
            "{file} is not a model: its table of contents has no sensible size. "
            "Choose a .safetensors or .ckpt checkpoint."
        ),
        "models.folder_without_model": (
            "{folder} is a folder without a model in it (no model_index.json). "
            "Choose a checkpoint file, or a folder in diffusers' layout."
        ),
        "models.folder_without_weights": (
            "{folder} has no weights in unet, vae or text_encoder. Download its files again."
        ),
        "models.folder_lacks": (
            "{folder} is a diffusers folder without weights in {part}. Download what is missing, or choose another "
            "model."
        ),
        "models.folder_lacks_file": (
            "{folder} is incomplete: {file} is missing in {part}. Download it, or the whole folder again."
        ),
        "models.folder_broken": "{file} cannot be read. Download the model again.",
        # ---- files that are something else
        "models.variant": "{file} is {kind}. Choose the plain checkpoint it was made from.",
        "models.no_base_model": (
            "{file} is {kind}, not a base model. Choose a checkpoint of one of these families: {families}."
        ),
        "models.cannot_train": (
            "{file} is {kind}, which Trainyard cannot train. Choose a checkpoint of one of these families: {families}."
        ),
        "models.not_yet": (
            "{file} is {kind}, and Trainyard does not train {family} yet. "
            "Choose a checkpoint of one of these families: {families}."
        ),
        "models.no_checkpoint": (
            "{file} is {kind}, not a checkpoint. Choose a checkpoint of one of these families: {families}."
        ),
        "models.unknown": "{file} is {kind}. Choose a checkpoint of one of these families: {families}.",
        "models.no_vae": "{file} is {kind}, not a VAE. Choose a VAE file, or none.",
        "models.vae_of_other": "{file} is {kind}, and the model is {family}. Choose a VAE made for {family}, or none.",
        "models.no_vae_for": "{file} is {kind}, not a VAE. Choose a VAE made for {family}.",
        "models.lacks_vae": "{file} has no VAE. Choose a VAE file as well, or a full checkpoint.",
        "models.lacks": "{file} lacks: {parts}. Choose a full checkpoint.",
        "models.vae_channels": (
            "{file} is a VAE with {count:latent channel|latent channels}, {family} has {wanted}. "
            "Choose a VAE made for {family}."
        ),
        # ---- weights that do not fit
        "models.incomplete": "{what} is incomplete. Choose another checkpoint.",
        "models.sizes": "{what} has sizes that do not go together ({reason}). Choose another file.",
        "models.misfit": "{what} does not fit together: {problems}. Choose another checkpoint.",
        "models.missing_one": "{tensors} is missing",
        "models.missing": "{count} tensors are missing ({tensors})",
        "models.unknown_one": "{tensors} is not known",
        "models.unknown_ones": "{count} tensors are not known ({tensors})",
        "models.misshapen_one": "{tensors} has another shape",
        "models.misshapen": "{count} tensors have another shape ({tensors})",
        "models.not_filled": "{what} could not be filled ({tensors}). Report this, with the file's name.",
        "models.whole_numbers": (
            "{what} is stored as whole numbers ({tensors}), which cannot be trained on. "
            "Choose the checkpoint in fp16, bf16 or fp32."
        ),
        "models.type": (
            "{file} is stored as {type}, which this version of torch cannot read. "
            "Choose the model in fp16, bf16 or fp32."
        ),
        "models.quantised": (
            "{file} is quantised to {format}, which cannot be trained on. Choose the model in fp16, bf16 or fp32; "
            "int8 as model precision makes it as small for training."
        ),
        "models.format_bitsandbytes_4": "4 bits by bitsandbytes (nf4, fp4)",
        "models.format_bitsandbytes_8": "int8 by bitsandbytes",
        "models.format_scaled_fp8": "scaled fp8",
        "models.format_comfy": "a format of ComfyUI's",
        "models.format_svdquant": "4 bits by SVDQuant (Nunchaku)",
        "models.format_nvfp4": "nvfp4",
        "models.format_mxfp8": "mxfp8",
        "models.format_int8": "scaled int8",
        "models.format_gguf": "GGUF",
        "models.format_gptq": "4 or 8 bits by GPTQ or AWQ",
        "models.config": (
            "trainyard_config in the metadata of {file} is not as expected. Choose another copy of the model."
        ),
        # ---- computing
        "models.clip_skip": (
            "Clip skip {value} is not possible with a text encoder of {layers:layer|layers}. Choose 1 to {layers}."
        ),
        "models.device": "device",
        "models.no_device": "{device} cannot be used here. Choose cpu, or leave it out.",
        "models.nan_weights": (
            "{file} has NaN or infinite weights ({weight}). Choose another copy of it, or fp32 as model precision if "
            "fp16 was too narrow for it."
        ),
        "models.nan_in_file": (
            "{file} has NaN or infinite numbers in {tensor}: it is damaged, or was saved so. Choose another copy of it."
        ),
        "models.nan_image": (
            "The image made with {file} is not a number (NaN) anywhere. Choose fp32 as precision, or another LoRA."
        ),
        "models.other_prediction": (
            '{file} predicts "{what}" ({reason}), which cannot be trained. Choose another checkpoint, or, if that is '
            "wrong, set {setting} to one of {choices}."
        ),
        "models.other_size": (
            "The sides of images for {family} are multiples of {multiple}, and {size} are not. Choose another size."
        ),
        # ---- what a run tells of its model
        "models.heading": "Model",
        "models.predicts": "It predicts the {what}: {reason}.",
        "models.predicts_epsilon": "noise (eps)",
        "models.predicts_v_prediction": "velocity (v-prediction)",
        "models.predicts_flow": "flow (rectified flow)",
        "models.because_mark": "it is marked as such (v_pred)",
        "models.because_scheduler": "its scheduler_config.json says so",
        "models.because_beside": "the .yaml file beside it says so",
        "models.because_metadata": "its metadata says so",
        "models.because_name": "its name says so",
        "models.because_weights": "its weights show it",
        "models.because_host": "the WebUI treats it that way",
        "models.because_chosen": "the settings say so ({setting}: {value})",
        "models.because_nothing": "nothing in the file says otherwise",
        "models.zero_snr": "Its noise leaves no signal at the last timestep (zero terminal SNR), as the file says.",
        "models.flow_is_plain": (
            "So it is trained with white noise and without weights of timesteps: Min-SNR, debiased estimation, noise "
            "offset and multi-resolution noise are off."
        ),
        "models.prediction_chosen": (
            "{file} does not say that it predicts the {what} ({reason}). It is trained as if it did because {setting} "
            "is {value}. Choose {default} if the previews are noise."
        ),
        "models.prediction_denied": (
            "{file} predicts the {found} by its own account ({reason}). It is trained as if it predicted the {what} "
            "because {setting} is {value}. Choose {default} if the previews are noise."
        ),
        "models.prediction_unknown": (
            "{file} is trained as if it predicted the {what} because {setting} is {value}. Without that it could not "
            "be trained at all: {reason}"
        ),
        "models.taken_by_name": (
            "{file} is taken for a rectified-flow model only because its name or its folder's says so. If it is none, "
            "set {setting} to what it predicts; with the wrong one the LoRA is useless."
        ),
        "models.named_flow": (
            "{file} is called a rectified-flow model, but it is taken for one that predicts the {found} ({reason}). If "
            "its images come out as noise, set {setting} to flow."
        ),
        "models.named_velocity": (
            "{file} is called a v-prediction model, but it is taken for one that predicts the noise ({reason}). If its "
            "images come out as noise, set {setting} to velocity."
        ),
        "models.named_epsilon": (
            "{file} is called a model that predicts the noise, but it is taken for a v-prediction model ({reason}); a "
            "merge may have inherited that. If its images come out as noise, set {setting} to noise."
        ),
        "models.distilled": (
            "{file} is by its name distilled to a few steps ({how}). Training undoes part of that, and previews with "
            "the usual steps and CFG scale look burnt. Better train on the model it was made from; the LoRA fits both."
        ),
        "models.stored_alike": "Its weights are stored as {types}.",
        "models.stored": "Its weights are stored as: {parts}.",
        "models.part_stored": "{part} {types}",
        "models.copied": "{parts}: stored as {stored}, copied to {type}.",
        "models.copied_for_cpu": "{parts}: stored as {stored}, copied to {type} because the CPU computes in it.",
        "models.copied_to_codes": "{parts}: stored as {stored}, copied to {codes} and computed in {type}.",
        "models.mixed_types": "{most} (in part {rest})",
        "models.vae_in_fp32": (
            "The VAE is computed in fp32: in fp16 its images turn black. Choose bf16 as VAE precision, or the VAE "
            "sdxl-vae-fp16-fix, to save memory."
        ),
        "models.vae_of_sdxl": (
            "{file} is by its name a VAE for SDXL, and the model is {family}. If so, its images come out wrong: choose "
            "another VAE, or none."
        ),
        "models.vae_of_sd": (
            "{file} is by its name a VAE for SD1 and SD2, and the model is {family}. If so, its images come out wrong: "
            "choose another VAE, or none."
        ),
        "models.no_hash": "{file} could not be read for its hash ({reason}), so the LoRA names it without one.",
    }
)
