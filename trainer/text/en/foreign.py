"""Texts about the settings of other programs: what became of them, and what their keys mean here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- the account
        "foreign.account": (
            "These are settings of {program}. They are now Trainyard's own; whatever the file leaves out is set as "
            "{program} does it."
        ),
        "foreign.place": "{path} ({program})",
        "foreign.taken": "Taken:",
        "foreign.entry": "  {key} → {settings}",
        "foreign.set": "{setting} {value}",
        "foreign.misspelt": (
            "{program} has no setting {key} that Trainyard knows of; perhaps you mean {near}. It has no effect."
        ),
        "foreign.changed": "Changed: {key} ({value}). {note}",
        "foreign.without": "Without a counterpart in Trainyard, so without effect: {entries}.",
        "foreign.idle": "Not needed here: {entries}.",
        "foreign.all_blocks": "all",
        "foreign.all_but": "all but {block}",
        "foreign.same_rate": "the same",
        # ---- what differs
        "foreign.overruled": "{by} holds instead.",
        "foreign.zero_snr": "Trainyard does this for models whose file asks for it (a ztsnr tensor), for no others.",
        "foreign.rounded": "{size} is trained: sides are multiples of 8.",
        "foreign.other_buckets": "The buckets have the same area, in steps of 64, but not all the same sides.",
        "foreign.one_resolution": "Several sizes are trained by a dataset file. Without one it is {size} alone.",
        "foreign.loha_tucker": "loha uses the Tucker form for convolutions, which is off in this file.",
        "foreign.loha_convolutions": "loha trains the convolutions as well.",
        "foreign.lycoris_convolutions": (
            "c3lier trains the same layers, without the first and last convolution and the timestep's layers."
        ),
        "foreign.one_trainer_layers": (
            "c3lier trains the layers of all blocks, without the first and last convolution and the timestep's layers."
        ),
        "foreign.ai_toolkit_layers": "lierla trains the transformer blocks alone, without the residual blocks' layers.",
        "foreign.attention_only": "lierla trains the feed-forward layers beside the attention as well.",
        "foreign.layers": "lierla trains the layers of all transformer blocks; there is no filter like {name}.",
        "foreign.one_encoder_rate": "There is one learning rate for all text encoders: {rate}.",
        "foreign.both_encoders": "Both text encoders are trained; one alone is not possible.",
        "foreign.no_optimizer": "There is no {name}; {near} is used instead. Choose another if you like.",
        "foreign.kindred_optimizer": "There is no {name}; {near} is of the same family.",
        "foreign.no_schedule": "There is no {name}; {near} is the nearest.",
        "foreign.schedule_without": "{name} does not take {options}.",
        "foreign.huber": "{name} becomes Smooth-L1, which has one threshold for all timesteps.",
        "foreign.no_weighting": "There is no weighting of this kind ({name}); all timesteps count the same.",
        "foreign.one_loss": "There is one kind of loss at a time: {name}.",
        "foreign.fixed_snr": "There is Min-SNR weighting alone (min_snr_gamma).",
        "foreign.block_rates": (
            "The middle block is one block here. A curve that is given by its name is written for SD1's twelve blocks "
            "where the file does not say that the model is SDXL."
        ),
        "foreign.fp8": "Weights are not kept in 8-bit floats. int8 as the model precision saves as much memory.",
        "foreign.output_folder": (
            "LoRAs are written to the WebUI's folder of LoRAs or to --output-dir, under the name alone."
        ),
        "foreign.safetensors": "LoRAs are always written as safetensors.",
        "foreign.resume": "Trainyard keeps the state of every run by itself; continue one with Continue or --resume.",
        "foreign.samples": "Write the prompt of previews into sample_prompt.",
        "foreign.trigger": (
            "It is put before every caption that does not have it. Write it into captions in place of [trigger]."
        ),
        "foreign.own_layer": "SDXL takes its prompts from its own layer, there as here.",
        "foreign.by_time": "Trainyard counts steps and epochs, not time ({unit}).",
        # ---- errors
        "foreign.no_network": (
            "Its network is of the kind {name}, which Trainyard does not train. Choose LoRA, LoCon or LoHa in the file."
        ),
        "foreign.no_family": (
            "It is for a model of the kind {name}. Trainyard trains Stable Diffusion 1 and 2 and SDXL."
        ),
        "foreign.no_training": "It is for {name}. Trainyard trains LoRAs.",
        "foreign.no_script": "{name} does not train what Trainyard trains. Commands of {scripts} can be read.",
        "foreign.no_process": "There is no process under config. Choose a file with a whole training job.",
        "foreign.is_dataset": (
            "This is the content of a dataset file: it says which images to train on, and not how. Give the path of "
            "the file as dataset_config."
        ),
        "foreign.data_alone": (
            "This is a dataset file: it says which images to train on. How they are trained is left to Trainyard's "
            "defaults and to what you set besides."
        ),
        "foreign.dataset_beside": (
            "The file names no images, but there is a dataset file beside it. To train on it, set dataset_config to "
            "{path}."
        ),
        "foreign.no_config_file": (
            "The command takes its settings from {path}, which is not there. Give that file itself."
        ),
        "foreign.no_command": "It has no command with options such as --network_dim in it. Choose a settings file.",
        "foreign.nobodys": (
            "It has no settings that Trainyard, kohya_ss, sd-scripts, LoRA_Easy_Training_Scripts, OneTrainer or "
            "ai-toolkit would know. Choose another file."
        ),
        # ---- docs/from-other-trainers.md
        "foreign.about_size": "Width before height there, height before width here.",
        "foreign.about_buckets": "Off: every image is cropped to the resolution.",
        "foreign.about_prediction": "Off means noise, whatever the model says of itself.",
        "foreign.about_wildcards": "On: a line of the caption is drawn each time; off: the first is taken.",
        "foreign.about_layer": "In SDXL it has no effect there.",
        "foreign.about_network": "networks.lora is lierla, and c3lier with conv_dim; lycoris.kohya is c3lier or loha.",
        "foreign.about_convolutions": "networks.lora takes an alpha of 1 where no conv_alpha is given.",
        "foreign.about_rate": "It holds for the parts that have no rate of their own.",
        "foreign.about_encoder_rate": "0 leaves the text encoders out.",
        "foreign.about_unet_only": "All blocks but BASE.",
        "foreign.about_encoder_only": "BASE alone.",
        "foreign.about_epochs": "Epochs go before steps.",
        "foreign.about_warmup": "Below 1 it is a share of the run.",
        "foreign.about_precision": "no is fp32.",
        "foreign.about_vae": "Off: the VAE has the precision of the model.",
        "foreign.about_save_precision": "float is fp32.",
        "foreign.about_masks": "Masks are used with this or alpha_mask alone.",
        "foreign.about_options": "Options that are called otherwise here are renamed.",
        "foreign.about_base": "One file a line, with its base_weights_multiplier.",
        "foreign.about_prompts": "A file, or the prompts themselves in kohya_ss.",
        "foreign.about_rates": "Numbers, or a curve by its name, one a block.",
    }
)
