"""What every setting does and when to change it, in English. Label and help of every setting."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "mode": "mode",
        "model": "model",
        "vae": "vae",
        "original_prompt": "original prompt",
        "target_prompt": "target prompt",
        "original_image": "original image",
        "target_image": "target image",
        "use_2nd_pass_settings": "use 2nd pass settings",
        "network_type": "network type",
        "network_rank": "network rank",
        "network_alpha": "network alpha",
        "network_element": "network element",
        "network_blocks": "network blocks(BASE = TextEncoder)",
        "network_conv_rank": "network conv rank",
        "network_conv_alpha": "network conv alpha",
        "network_resume": "network resume",
        "base_loras": "base loras",
        "network_strength": "network strength",
        "network_train_text_encoder": "network train text encoder",
        "lora_data_directory": "lora data directory",
        "lora_trigger_word": "lora trigger word",
        "diff_target_name": "diff target name",
        "image_size": "image size(height, width)",
        "image_buckets_step": "image buckets step",
        "image_min_length": "image min length",
        "image_max_ratio": "image max ratio",
        "sub_image_num": "sub image num",
        "image_num_multiply": "image num multiply",
        "image_mirroring": "image mirroring",
        "image_use_filename_as_tag": "image use filename as tag",
        "image_disable_upscale": "image disable upscale",
        "train_iterations": "train iterations",
        "train_batch_size": "train batch size",
        "train_learning_rate": "train learning rate",
        "train_textencoder_learning_rate": "train textencoder learning rate",
        "train_optimizer": "train optimizer",
        "train_optimizer_settings": "train optimizer settings",
        "train_lr_scheduler": "train lr scheduler",
        "train_lr_scheduler_settings": "train lr scheduler settings",
        "train_lr_step_rules": "train lr step rules",
        "train_lr_warmup_steps": "train lr warmup steps",
        "train_lr_scheduler_num_cycles": "train lr scheduler num cycles",
        "train_lr_scheduler_power": "train lr scheduler power",
        "train_seed": "train seed",
        "train_min_timesteps": "train min timesteps",
        "train_max_timesteps": "train max timesteps",
        "train_fixed_timsteps_in_batch": "train fixed timsteps in batch",
        "train_loss_function": "train loss function",
        "train_snr_gamma": "train snr gamma",
        "train_model_precision": "train model precision",
        "train_lora_precision": "train lora precision",
        "train_VAE_precision": "train VAE precision",
        "slider_positive": "slider positive",
        "slider_negative": "slider negative",
        "slider_scale": "slider scale",
        "ileco_denoise_steps": "ileco denoise steps",
        "keep_prompts": "keep prompts",
        "keep_weight": "keep weight",
        "use_gradient_checkpointing": "use gradient checkpointing",
        "save_lora_name": "save lora name",
        "save_per_steps": "save per steps",
        "save_precision": "save precision",
        "save_overwrite": "save overwrite",
        "save_as_json": "save as json",
        "diff_load_1st_pass": "diff load 1st pass",
        "diff_save_1st_pass": "diff save 1st pass",
        "diff_1st_pass_only": "diff 1st pass only",
        "diff_revert_original_target": "diff revert original target",
        "diff_use_diff_mask": "diff use diff mask",
        "diff_alt_ratio": "diff alt ratio",
        "diff_both_turns": "diff both turns",
        "diff_noise_count": "diff noise count",
        "diff_keep_outside": "diff keep outside",
        "logging_save_csv": "logging save csv",
        "logging_verbose": "logging verbose",
        "sample_prompt": "sample prompt",
        "sample_negative": "sample negative",
        "sample_every_steps": "sample every steps",
        "sample_seed": "sample seed",
        "sample_strengths": "sample strengths",
        "effect_strip": "effect strip",
        "model_v_pred": "model v pred",
    }
)

HELP: Mapping[str, str] = MappingProxyType(
    {
        "mode": (
            "What to learn from: captioned images (LoRA), two prompts (iLECO), one pair of images (Difference, "
            "ADDifT) or a folder of pairs (Multi-ADDifT)."
        ),
        "model": "The checkpoint to train on. Leave it empty for the one that is loaded.",
        "vae": "The VAE to use. None takes the checkpoint's own, or the one that is loaded.",
        "original_prompt": (
            "What there is before the change. For iLECO the concept to be changed, or several, one per line; for image "
            "pairs a description of the original image, mostly left empty."
        ),
        "target_prompt": (
            "What it is to become. Left empty, iLECO erases the original concept. With several, line by line."
        ),
        "original_image": "The picture before the change. It must have the same proportions as the target image.",
        "target_image": "The picture after the change. The LoRA learns what differs from the original image.",
        "use_2nd_pass_settings": (
            "Gives the second pass of Difference settings of its own. A smaller rank there keeps style and "
            "composition out of the LoRA."
        ),
        "network_type": (
            "lierla is the usual LoRA. c3lier (LoCon) and loha (LyCORIS) also train the convolutions, which "
            "holds more detail and makes a larger file."
        ),
        "network_rank": (
            "How much the LoRA can hold; the file grows with it. Start with 16, and raise it if details are missing."
        ),
        "network_alpha": (
            "The update is scaled by alpha divided by rank. Mostly half the rank or the rank itself; iLECO may "
            "do well with more."
        ),
        "network_element": (
            "Which attention to train: all layers (Full), only those that read the prompt (CrossAttention), or "
            "only those that look at the picture itself (SelfAttention)."
        ),
        "network_blocks": (
            "The parts of the model that are trained. BASE is the text encoder; where a mode does not train "
            "it, BASE has no effect."
        ),
        "network_conv_rank": "The rank of the convolutions in c3lier and loha. 0 takes the network rank.",
        "network_conv_alpha": "The alpha of the convolutions in c3lier and loha. 0 takes the network alpha.",
        "network_resume": "A LoRA file to continue from, of the same network type. It keeps its rank and alpha.",
        "base_loras": (
            "LoRAs that are active while training, as part of the model: name or name:strength, one per line or set "
            "off by ;. Use the new LoRA together with them."
        ),
        "network_strength": (
            "Multiplies what is saved. With 2, the LoRA does at strength 1 what it would otherwise do at 2."
        ),
        "network_train_text_encoder": (
            "Also trains the text encoder if BASE is among the blocks. Changes what words mean, so use it with care."
        ),
        "lora_data_directory": "The folder with the training images and their captions. Subfolders are included.",
        "lora_trigger_word": (
            "Goes in front of every caption, also of images that have none. Write it in a prompt to call what "
            "was learned."
        ),
        "diff_target_name": (
            "How a target's file name ends: with _closed, a.png is paired with a_closed.png from the same folder."
        ),
        "image_size": (
            "The size to train at: 512 for a square, or height,width such as 768,512. Take what the model was "
            "made for: mostly 512, 1024 for SDXL."
        ),
        "image_buckets_step": (
            "Images are grouped by shape, in sides that are multiples of this. Smaller crops less, but makes "
            "more groups."
        ),
        "image_min_length": "The shortest side an image may be given when it is grouped by shape.",
        "image_max_ratio": (
            "The longest shape allowed, long side divided by short side. Longer images are cropped to it."
        ),
        "sub_image_num": (
            "How many smaller copies of each image are trained as well. Helps against overfitting when there "
            "are few images."
        ),
        "image_num_multiply": "How often each image counts within one round through the folder.",
        "image_mirroring": (
            "Also trains every image mirrored left to right. Leave it off where sides matter, such as for writing."
        ),
        "image_use_filename_as_tag": (
            "Takes the caption from the file name: the part before _id_, with each _ read as a comma."
        ),
        "image_disable_upscale": "Leaves images that are smaller than the training size as they are.",
        "train_iterations": (
            "The number of training steps. 1000 for LoRA, 300 to 1000 for iLECO and Difference, 30 to 100 for ADDifT."
        ),
        "train_batch_size": "How many samples make one step. More is steadier, but takes more memory.",
        "train_learning_rate": (
            "How far each step goes. Lower it if pictures break, raise it if nothing is learned. Prodigy and "
            "DAdapt optimizers want 1."
        ),
        "train_textencoder_learning_rate": (
            "A learning rate for the text encoder alone. Empty or 0 takes the train learning rate."
        ),
        "train_optimizer": (
            "How the steps are made. AdamW is a safe choice; the 8bit ones save memory, the presets for ADDifT "
            "use CAME."
        ),
        "train_optimizer_settings": (
            "Further settings of the optimizer: key=value, one per line or set off by ;. For instance "
            "betas=0.9,0.99; weight_decay=0.01."
        ),
        "train_lr_scheduler": (
            "How the learning rate changes during the training. cosine lets it fall smoothly to zero. "
            "reduce_on_plateau looks at the mean loss of every 25 steps; its patience counts those."
        ),
        "train_lr_scheduler_settings": (
            "Further settings of the scheduler: key=value, one per line or set off by ;. For instance eta_min=0.00001."
        ),
        "train_lr_step_rules": (
            "For piecewise_constant: factors of the learning rate and the steps they hold until, and a last "
            "factor. For instance 1:200,0.1:500,0.01."
        ),
        "train_lr_warmup_steps": (
            "The learning rate rises from zero over this many steps, where the scheduler has a warm-up. Helps "
            "when training breaks at the start."
        ),
        "train_lr_scheduler_num_cycles": (
            "How many times the schedulers with restarts, and cyclic, go through their course in a run."
        ),
        "train_lr_scheduler_power": "The power of the polynomial scheduler: 1 falls in a straight line.",
        "train_seed": (
            "The start of all random numbers: the same seed gives the same LoRA. -1 draws one and records it."
        ),
        "train_min_timesteps": (
            "The lowest timestep trained. Low timesteps shape details and style; 200 to 400 suits ADDifT for styles."
        ),
        "train_max_timesteps": (
            "Timesteps below this one are trained. High timesteps shape the composition; 500 to 1000 suits "
            "ADDifT for actions and shapes."
        ),
        "train_fixed_timsteps_in_batch": "Uses one timestep for the whole batch instead of one for each sample.",
        "train_loss_function": (
            "How the error is measured. MSE is the usual one; L1 and Smooth-L1 care less about single large errors."
        ),
        "train_snr_gamma": (
            "Min-SNR: keeps the easy timesteps from ruling the training. 5 is a good value, 0 switches it off."
        ),
        "slider_positive": (
            "Makes a slider: at strength 1 the original prompt goes from what the negative prompt shows towards what "
            "this one shows, at -1 the other way. One line for all original prompts, or one for each."
        ),
        "slider_negative": "The other end of the slider, see slider positive. The target prompt stays empty.",
        "slider_scale": "How far the slider goes at strength 1, in differences between its two prompts.",
        "ileco_denoise_steps": (
            "Steps of denoising before each training step, so that what is learned from looks like a picture on its "
            "way. Slower by as much. 0 takes pure noise."
        ),
        "keep_prompts": (
            "Prompts whose pictures shall stay as they are, one per line or set off by ;. For instance the class of "
            "what is trained, without its word."
        ),
        "keep_weight": "How much keeping those prompts counts beside the training itself. 0 switches it off.",
        "train_model_precision": (
            "The precision of the model's own weights. int8 saves memory; model leaves them as they are stored."
        ),
        "train_lora_precision": "The precision of the LoRA while it is trained. fp32 is safe.",
        "train_VAE_precision": "The precision of the VAE. The VAE of SDXL may fail in fp16, so fp32 is safe.",
        "use_gradient_checkpointing": (
            "Saves much memory and makes each step a little slower. Try it first if memory runs out."
        ),
        "save_lora_name": (
            "The file name of the LoRA, without ending. folder/name puts it in a sub-folder; left empty, it is "
            "untitled."
        ),
        "save_per_steps": (
            "Also saves the LoRA every so many steps, to choose the best one later. 0 saves only the last."
        ),
        "save_precision": "The precision in the file. fp16 is half the size of fp32 and hardly differs.",
        "save_overwrite": "Replaces a LoRA of the same name. Off, training refuses to start when the name is taken.",
        "save_as_json": "Keeps the settings of every run in a JSON file, by date.",
        "diff_load_1st_pass": "A LoRA file to use in place of the first pass, saved earlier with diff save 1st pass.",
        "diff_save_1st_pass": "Also saves the LoRA of the first pass, the copier, for use in later runs.",
        "diff_1st_pass_only": "Ends after the first pass: the copier of the original image is all that is made.",
        "diff_revert_original_target": (
            "Swaps the original and the target, so that the LoRA learns the opposite change."
        ),
        "diff_use_diff_mask": (
            "Learns only where the two images differ. Keeps the rest of the picture out of the LoRA."
        ),
        "diff_alt_ratio": (
            "The strength of the reverse turn, which teaches the LoRA to work in both directions. 0 leaves it "
            "out; below 0 it uses noise alone."
        ),
        "diff_both_turns": (
            "Takes the forward and the reverse turn in one step instead of one after the other: half as many steps see "
            "as much. They may need a higher learning rate."
        ),
        "diff_noise_count": (
            "How many noises each pair of images is seen under in one step. More is steadier, but takes more memory."
        ),
        "diff_keep_outside": (
            "With diff use diff mask: how strongly what both images show alike is held to what the model makes of "
            "it without the LoRA. 0 switches it off, 1 is a good start."
        ),
        "logging_save_csv": "Writes loss and learning rate of every step to a CSV file.",
        "logging_verbose": "Prints more of what happens to the console.",
        "sample_prompt": "The prompt of the pictures made while training.",
        "sample_negative": "The negative prompt of the pictures made while training.",
        "sample_every_steps": "Makes pictures with the LoRA as it is, every so many steps. 0 makes none.",
        "sample_seed": "The seed of the pictures made while training, so that they can be compared.",
        "sample_strengths": (
            "The LoRA strengths to show side by side, set off by commas. 0 shows the model without it."
        ),
        "effect_strip": (
            "After training, makes one picture at LoRA strength -1, 0 and 1, to show what it does. Slow without a "
            "graphics card."
        ),
        "model_v_pred": (
            "The model predicts velocity (v-prediction). Mostly found without it; set it if every picture "
            "comes out as noise."
        ),
    }
)

TEXTS: Mapping[str, str] = MappingProxyType(
    {f"label.{name}": text for name, text in LABELS.items()} | {f"help.{name}": text for name, text in HELP.items()}
)
