"""The label and the help of every setting, in English: what it does and when to change it."""

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
        "network_blocks": "network blocks",
        "network_conv_rank": "network conv rank",
        "network_conv_alpha": "network conv alpha",
        "network_resume": "network resume",
        "base_loras": "base loras",
        "network_strength": "network strength",
        "network_train_text_encoder": "network train text encoder",
        "network_block_rates": "network block rates",
        "network_dropout": "network dropout",
        "network_rank_dropout": "network rank dropout",
        "network_module_dropout": "network module dropout",
        "lora_data_directory": "lora data directory",
        "lora_trigger_word": "lora trigger word",
        "diff_target_name": "diff target name",
        "image_size": "image size (height, width)",
        "dataset_config": "dataset config",
        "reg_data_directory": "reg data directory",
        "image_buckets_step": "image buckets step",
        "image_min_length": "image min length",
        "image_max_ratio": "image max ratio",
        "sub_image_num": "sub image num",
        "image_num_multiply": "image num multiply",
        "image_mirroring": "image mirroring",
        "image_use_filename_as_tag": "image use filename as tag",
        "image_disable_upscale": "image disable upscale",
        "data_cache": "data cache",
        "image_bucketing": "image bucketing",
        "image_bucket_reso_steps": "image bucket reso steps",
        "image_min_bucket_reso": "image min bucket reso",
        "image_max_bucket_reso": "image max bucket reso",
        "image_random_flip": "image random flip",
        "image_random_crop": "image random crop",
        "image_color_augmentation": "image color augmentation",
        "image_use_masks": "image use masks",
        "image_mask_directory": "image mask directory",
        "caption_extension": "caption extension",
        "caption_lines": "caption lines",
        "caption_shuffle": "caption shuffle",
        "caption_keep_tokens": "caption keep tokens",
        "caption_keep_tokens_separator": "caption keep tokens separator",
        "caption_separator": "caption separator",
        "caption_secondary_separator": "caption secondary separator",
        "caption_prefix": "caption prefix",
        "caption_suffix": "caption suffix",
        "caption_dropout_rate": "caption dropout rate",
        "caption_dropout_every_n_epochs": "caption dropout every n epochs",
        "caption_tag_dropout_rate": "caption tag dropout rate",
        "caption_wildcards": "caption wildcards",
        "caption_weights": "caption weights",
        "caption_max_tokens": "caption max tokens",
        "train_iterations": "train iterations",
        "train_epochs": "train epochs",
        "train_batch_size": "train batch size",
        "train_gradient_accumulation": "train gradient accumulation",
        "train_learning_rate": "train learning rate",
        "train_textencoder_learning_rate": "train textencoder learning rate",
        "train_loraplus_ratio": "train loraplus ratio",
        "train_rate_by_size": "train rate by size",
        "train_max_grad_norm": "train max grad norm",
        "train_ema_decay": "train ema decay",
        "train_optimizer": "train optimizer",
        "train_optimizer_settings": "train optimizer settings",
        "train_lr_scheduler": "train lr scheduler",
        "train_lr_scheduler_settings": "train lr scheduler settings",
        "train_lr_step_rules": "train lr step rules",
        "train_lr_warmup_steps": "train lr warmup steps",
        "train_lr_warmup_ratio": "train lr warmup ratio",
        "train_lr_scheduler_num_cycles": "train lr scheduler num cycles",
        "train_lr_scheduler_power": "train lr scheduler power",
        "train_seed": "train seed",
        "train_min_timesteps": "train min timesteps",
        "train_max_timesteps": "train max timesteps",
        "train_timestep_density": "train timestep density",
        "train_timestep_mean": "train timestep mean",
        "train_timestep_std": "train timestep std",
        "train_timestep_shift": "train timestep shift",
        "train_fixed_timsteps_in_batch": "train fixed timesteps in batch",
        "train_loss_function": "train loss function",
        "train_snr_gamma": "train snr gamma",
        "train_debiased_estimation": "train debiased estimation",
        "train_scale_v_pred_loss": "train scale v pred loss",
        "train_noise_offset": "train noise offset",
        "train_noise_offset_random": "train noise offset random",
        "train_adaptive_noise_scale": "train adaptive noise scale",
        "train_multires_noise_iterations": "train multires noise iterations",
        "train_multires_noise_discount": "train multires noise discount",
        "train_model_precision": "train model precision",
        "train_memory_saving": "train memory saving",
        "train_lora_precision": "train lora precision",
        "train_VAE_precision": "train VAE precision",
        "slider_positive": "slider positive",
        "slider_negative": "slider negative",
        "slider_scale": "slider scale",
        "ileco_scale": "ileco scale",
        "ileco_denoise_steps": "ileco denoise steps",
        "ileco_closed_form": "ileco closed form",
        "ileco_descriptions": "ileco descriptions",
        "keep_prompts": "keep prompts",
        "keep_weight": "keep weight",
        "hold_unconditional": "hold unconditional",
        "hold_negative": "hold negative",
        "validation_split": "validation split",
        "validation_every_steps": "validation every steps",
        "early_stop_patience": "early stop patience",
        "prior_loss_weight": "prior loss weight",
        "train_self_reg": "train self reg",
        "train_self_reg_filler": "train self reg filler",
        "train_self_reg_images": "train self reg images",
        "use_gradient_checkpointing": "use gradient checkpointing",
        "save_lora_name": "save lora name",
        "save_per_steps": "save per steps",
        "save_every_epochs": "save every epochs",
        "save_file_name": "save file name",
        "save_comment": "save comment",
        "save_precision": "save precision",
        "save_overwrite": "save overwrite",
        "save_as_json": "save as json",
        "state_every_minutes": "state every minutes",
        "diff_load_1st_pass": "diff load 1st pass",
        "diff_save_1st_pass": "diff save 1st pass",
        "diff_1st_pass_only": "diff 1st pass only",
        "diff_revert_original_target": "diff revert original target",
        "diff_use_diff_mask": "diff use diff mask",
        "diff_alt_ratio": "diff alt ratio",
        "diff_reach_target": "diff reach target",
        "diff_both_turns": "diff both turns",
        "diff_noise_count": "diff noise count",
        "diff_keep_outside": "diff keep outside",
        "diff_descriptions": "diff descriptions",
        "logging_save_csv": "logging save csv",
        "logging_verbose": "logging verbose",
        "logging_tensorboard": "logging tensorboard",
        "logging_wandb": "logging wandb",
        "sample_prompt": "sample prompt",
        "sample_prompts_file": "sample prompts file",
        "sample_negative": "sample negative",
        "sample_every_steps": "sample every steps",
        "sample_every_epochs": "sample every epochs",
        "sample_at_start": "sample at start",
        "sample_seed": "sample seed",
        "sample_strengths": "sample strengths",
        "effect_strip": "effect strip",
        "prediction": "prediction",
        "clip_skip": "clip skip",
    }
)

HELP: Mapping[str, str] = MappingProxyType(
    {
        "mode": (
            "What to learn from: captioned images (LoRA), two prompts (iLECO), one pair of images (Difference, ADDifT) "
            "or a folder of pairs (Multi-ADDifT)."
        ),
        "model": "The checkpoint to train on. Leave it empty to use the one that is loaded.",
        "vae": "The VAE to use. None uses the one in the checkpoint, or the one that is loaded.",
        "original_prompt": (
            "What to change. In iLECO, the concept to change, or several, one per line. For image pairs, a description "
            "of the original image; usually left empty."
        ),
        "target_prompt": (
            "What it should become, one line for each original prompt. In iLECO, an empty target erases the original "
            "concept."
        ),
        "original_image": "The image before the change. It must have the same aspect ratio as the target image.",
        "target_image": "The image after the change. The LoRA learns how it differs from the original image.",
        "use_2nd_pass_settings": (
            "Uses separate settings for the second pass of Difference. A lower rank there keeps style and composition "
            "out of the LoRA."
        ),
        "network_type": (
            "lierla is the standard LoRA. c3lier (LoCon) and loha (LyCORIS) also train the convolutions: more detail, "
            "larger files. For images on SDXL take c3lier: lierla leaves its finest detail alone."
        ),
        "network_rank": (
            "How much the LoRA can learn. The file grows with it. Our presets have 8 for a concept, 16 for images and "
            "4 for a style from one pair. Raise it if details are missing."
        ),
        "network_alpha": (
            "The update is multiplied by alpha / rank, so twice the alpha acts much like twice the learning rate. Our "
            "presets have a quarter of the rank to twice it, to go with their learning rate."
        ),
        "network_element": (
            "Which layers to train: all of them (Full), only attention to the prompt (CrossAttention), or only the "
            "image's attention to itself (SelfAttention)."
        ),
        "network_blocks": (
            "Which parts of the model to train. BASE is the text encoder; it has no effect in modes that do not train "
            "it."
        ),
        "network_conv_rank": "The rank of the convolutions in c3lier and loha. 0 uses the network rank.",
        "network_conv_alpha": "The alpha of the convolutions in c3lier and loha. 0 uses the network alpha.",
        "network_resume": (
            "A LoRA file to continue from. Its own rank and alpha are used, and its network type if you set none."
        ),
        "base_loras": (
            "LoRAs that are active during training, as if part of the model: name or name:strength, one per line or "
            "separated by ;. Use the new LoRA together with them."
        ),
        "network_strength": (
            "Multiplies the saved weights. With 2, the LoRA has the effect at strength 1 that it would otherwise have "
            "at 2."
        ),
        "network_train_text_encoder": (
            "Also trains the text encoder, if BASE is among the blocks. This changes what words mean, so use it with "
            "care."
        ),
        "network_block_rates": (
            "Multiplies the learning rate of some blocks: block=factor, separated by commas, as in IN04=0.5, M00=2, "
            "OUT=0. IN, OUT and M stand for all blocks of that kind; 0 leaves a block untrained."
        ),
        "network_dropout": (
            "The share of the numbers inside the LoRA that are left out at random in each step, against learning "
            "images by heart. 0.1 to 0.3 is usual; 0 turns it off. Not for loha."
        ),
        "network_rank_dropout": (
            "The share of the ranks that are left out at random in each step. 0.1 to 0.3 is usual; 0 turns it off. "
            "With loha, whole rows of the update are left out."
        ),
        "network_module_dropout": (
            "The share of the layers whose LoRA is left out at random in each step. 0.1 to 0.3 is usual; 0 turns it "
            "off."
        ),
        "lora_data_directory": (
            "The folder with the training images and their captions. Subfolders are included. In one called 10_zorp "
            "cat, each image is used 10 times, and zorp cat is the caption of images without one."
        ),
        "lora_trigger_word": (
            "Added to the front of every caption that does not have it, and used alone for images without one. Use it "
            "in a prompt to call up what was learned."
        ),
        "diff_target_name": (
            "The suffix of target file names: with _closed, a.png is paired with a_closed.png in the same folder."
        ),
        "image_size": (
            "The size to train at: 512, width x height as 512x768, or height,width as 768,512. Best what the model was "
            "made for: SDXL 1024, others mostly 512. For a pair, empty keeps its own size."
        ),
        "dataset_config": (
            "A dataset file of sd-scripts (TOML or JSON) that describes the training data, used in place of the lora "
            "data directory. What it does not say is taken from the settings here."
        ),
        "reg_data_directory": (
            "A folder with regularisation images: other things of the same class, such as any cats. They keep the "
            "class as it is. A folder called reg beside the images is used without being set here."
        ),
        "image_buckets_step": (
            "Images are grouped by shape into buckets whose sides are multiples of this. A smaller step crops less but "
            "makes more buckets."
        ),
        "image_min_length": "The shortest side a bucket may have.",
        "image_max_ratio": (
            "The highest aspect ratio allowed (long side divided by short side). Longer images are cropped to it."
        ),
        "sub_image_num": (
            "How many smaller copies of each image to train on as well. Reduces overfitting when there are few images."
        ),
        "image_num_multiply": "How many times each image is used per epoch.",
        "image_mirroring": (
            "Also trains on every image flipped left to right. Leave it off where left and right matter, as in writing."
        ),
        "image_use_filename_as_tag": (
            "Uses the file name as the caption: the part before _id_, with each _ read as a comma."
        ),
        "image_disable_upscale": "Does not enlarge images that are smaller than the training size.",
        "data_cache": (
            "Gigabytes on the disk for what runs make of images and captions, so that the next run with the same "
            "images starts at once. What has been unused for longest goes first. 0 keeps nothing."
        ),
        "image_bucketing": (
            "TrainTrain makes a few sizes from the settings above, sd-scripts kohya's from those below. no crop keeps "
            "each image's own, up to image size, in steps; one size crops all to image size."
        ),
        "image_bucket_reso_steps": (
            "With sd-scripts and no crop: sides are multiples of this. 64 suits every model. A smaller step crops less."
        ),
        "image_min_bucket_reso": "With sd-scripts: the shortest side a bucket may have.",
        "image_max_bucket_reso": (
            "With sd-scripts: the longest side a bucket may have. It must be at least the longer side of image size."
        ),
        "image_random_flip": (
            "Flips each image left to right in about every other step. Unlike image mirroring, this makes an epoch no "
            "longer. Leave it off where left and right matter, as in writing."
        ),
        "image_random_crop": (
            "Crops images to their bucket at a random place, a new one each time, not in the middle. Images are "
            "encoded in every step, which takes longer and keeps the VAE in memory."
        ),
        "image_color_augmentation": (
            "Shifts the hue or the brightness of a third of all images a little, as sd-scripts does. Images are "
            "encoded in every step, which takes longer and keeps the VAE in memory."
        ),
        "image_use_masks": (
            "Trains only what a mask shows: white in full, black not at all. A mask of a.png is a-masklabel.png or "
            "a_mask.png beside it, or mask/a.png. If this is off, masks are left out."
        ),
        "image_mask_directory": (
            "A folder elsewhere with the masks, each called like its image. Empty: only masks among the images are "
            "used."
        ),
        "caption_extension": (
            "The ending of the caption files, such as .txt. Left empty, every usual one is found: .txt, .caption, "
            ".cap, .captions, .tags, .json, and the list metadata.jsonl."
        ),
        "caption_lines": (
            "What a caption file of several lines means. first: its first line is the caption. random: each line is a "
            "caption, and a step takes one of them. joined: the lines are one caption."
        ),
        "caption_shuffle": (
            "Puts the tags of each caption in a new random order every time. The trigger word stays in front."
        ),
        "caption_keep_tokens": "How many tags at the beginning of a caption are neither shuffled nor left out.",
        "caption_keep_tokens_separator": (
            "A mark in captions, such as |||. Tags before it, and after a second one, are neither shuffled nor left "
            "out."
        ),
        "caption_separator": "What is between the tags of a caption.",
        "caption_secondary_separator": (
            "A mark within a tag, such as ;;;. Tags that it joins are shuffled and left out together, then it becomes "
            "the separator."
        ),
        "caption_prefix": "Written in front of every caption, after the trigger word.",
        "caption_suffix": "Written behind every caption.",
        "caption_dropout_rate": (
            "How often a step trains an image without its caption, from 0 to 1. Around 0.05 the LoRA also learns what "
            "shows without its words."
        ),
        "caption_dropout_every_n_epochs": "In every n-th epoch, all images are trained without captions. 0 = never.",
        "caption_tag_dropout_rate": (
            "How often each tag is left out, from 0 to 1. Around 0.1 keeps the LoRA from needing all tags at once. The "
            "trigger word and the tags to keep are always there."
        ),
        "caption_wildcards": (
            "Draws one of several texts every time anew: those in curly braces with | between them. 2$$ at their "
            "beginning draws two of them."
        ),
        "caption_weights": (
            "Reads (tag:1.2), (tag) and [tag] in captions as the WebUI does in prompts, and \\( as a plain bracket. "
            "Off, they are read letter by letter."
        ),
        "caption_max_tokens": (
            "Captions are cut after this many tokens, about as many words. 0 = they are not. CLIP reads 75 at a time."
        ),
        "train_iterations": (
            "The number of training steps. Try 1000 for LoRA, 50 for iLECO with its closed form, 300 to 1000 for iLECO "
            "without it and for Difference, 30 to 100 for ADDifT."
        ),
        "train_epochs": (
            "How often every image is used. If it is not 0, it decides the number of steps in place of train "
            "iterations."
        ),
        "train_batch_size": (
            "The number of samples per step. A larger batch makes training steadier but uses more memory."
        ),
        "train_gradient_accumulation": (
            "The number of batches per step. With 4, a step learns from four times as many images, and takes four "
            "times as long, without more memory."
        ),
        "train_learning_rate": (
            "How far each step goes. Lower it if images break down, raise it if nothing is learned. Prodigy and the "
            "DAdapt optimizers need 1."
        ),
        "train_textencoder_learning_rate": (
            "A separate learning rate for the text encoder. If empty or 0, the train learning rate is used."
        ),
        "train_loraplus_ratio": (
            "LoRA+: the factor that starts at zero is trained at this many times the learning rate, so the LoRA "
            "learns faster. 4 to 16 is usual; 0 turns it off."
        ),
        "train_rate_by_size": (
            "Lowers the learning rate where a model is wide or deep, so that one rate fits small and large models. Our "
            "presets need it: their rates were chosen on small models."
        ),
        "train_max_grad_norm": (
            "Clips the gradients to this norm, so that no single step changes too much. 1 is usual; 0 turns it off."
        ),
        "train_ema_decay": (
            "Saves an average over the last steps (EMA) instead of the weights of the last one, which evens out "
            "chance. 0.99 averages about 100 steps, 0.999 about 1000; 0 turns it off."
        ),
        "train_optimizer": (
            "The algorithm that updates the weights. AdamW is a safe choice; the 8bit optimizers save memory. The "
            "ADDifT presets use CAME."
        ),
        "train_optimizer_settings": (
            "Extra settings for the optimizer: key=value, one per line or separated by ;. Example: betas=0.9,0.99; "
            "weight_decay=0.01."
        ),
        "train_lr_scheduler": (
            "How the learning rate changes during training. cosine lowers it smoothly to zero. reduce_on_plateau "
            "checks the mean loss every 25 steps; its patience counts these checks."
        ),
        "train_lr_scheduler_settings": (
            "Extra settings for the scheduler: key=value, one per line or separated by ;. Example: eta_min=0.00001."
        ),
        "train_lr_step_rules": (
            "For piecewise_constant: pairs of factor:last step for the learning rate, then a final factor. Example: "
            "1:200,0.1:500,0.01."
        ),
        "train_lr_warmup_steps": (
            "The learning rate rises from zero over this many steps, if the scheduler has a warm-up. Try it if "
            "training breaks down at the start."
        ),
        "train_lr_warmup_ratio": (
            "The same as a share of all steps: 0.1 is a tenth of the run. It holds where train lr warmup steps is 0."
        ),
        "train_lr_scheduler_num_cycles": (
            "How many cycles the cyclic scheduler and those with restarts go through in a run."
        ),
        "train_lr_scheduler_power": "The power of the polynomial scheduler. 1 is a straight line.",
        "train_seed": (
            "The seed for all random numbers. The same seed gives the same LoRA. -1 picks a seed and records it."
        ),
        "train_min_timesteps": (
            "The lowest timestep to train. Low timesteps shape detail and style; 200 to 400 suits ADDifT for styles."
        ),
        "train_max_timesteps": (
            "Only timesteps below this are trained. High timesteps shape the composition; 500 to 1000 suits ADDifT for "
            "actions and shapes."
        ),
        "train_fixed_timsteps_in_batch": "Uses one timestep for the whole batch instead of one for each sample.",
        "train_loss_function": (
            "How the error is measured. MSE is the usual choice; L1 and Smooth-L1 are less sensitive to single large "
            "errors."
        ),
        "train_timestep_density": (
            "How often each timestep is trained. automatic: as suits the model, uniform for noise and velocity, "
            "logit-normal for flow. logit-normal: mostly where there is as much noise as image."
        ),
        "train_timestep_mean": (
            "Of logit-normal: above 0 more noise than image, below 0 less. SDXL rectified flow is trained with -0.2."
        ),
        "train_timestep_std": "Of logit-normal: how widely timesteps spread around the mean. 1 is usual.",
        "train_timestep_shift": (
            "Shifts the timesteps towards more noise, whatever their density: the ratio of noise to image is "
            "multiplied by this. 1 = no shift, 3 = much. 0 = by image size, as Flux does it."
        ),
        "train_snr_gamma": (
            "Min-SNR weighting, which keeps easy timesteps from dominating the training. 5 is a good value; 0 turns it "
            "off. Flow models need none."
        ),
        "train_debiased_estimation": (
            "Weights timesteps so that noisy ones, which decide composition and colour, count for more. Set train "
            "snr gamma to 0 with it, or both apply."
        ),
        "train_scale_v_pred_loss": (
            "With a v-prediction model, weights the loss as if the model predicted the noise, so that less noisy "
            "timesteps count for more. It changes nothing with other models."
        ),
        "train_noise_offset": (
            "Shifts the noise of each channel a little, so that very dark and very bright images can be learned. "
            "0.03 to 0.1 is usual; 0 turns it off."
        ),
        "train_noise_offset_random": (
            "Draws the strength of the noise offset anew for each batch, between 0 and train noise offset."
        ),
        "train_adaptive_noise_scale": (
            "Adds to the noise offset this many times how far the image's mean is from grey. Usually 0, or about as "
            "much as the noise offset."
        ),
        "train_multires_noise_iterations": (
            "Adds up to this many layers of coarser noise to the noise, which helps with light, shade and large "
            "shapes. 6 to 10 is usual; 0 turns it off. Use it or the noise offset."
        ),
        "train_multires_noise_discount": (
            "How much weaker each coarser layer of noise is than the one before. 0.1 to 0.4 is usual; higher values "
            "change more."
        ),
        "slider_positive": (
            "Makes a slider: strength 1 moves the original prompt towards this prompt, -1 towards the negative one. "
            "One line for all original prompts, or one line each."
        ),
        "slider_negative": "The other end of the slider; see slider positive. Leave the target prompt empty.",
        "slider_scale": (
            "How far the slider moves at strength 1, in multiples of the difference between its two prompts."
        ),
        "ileco_scale": (
            "How far to go from the original prompt to the target prompt. 1 ends at the target. More goes beyond it, "
            "away from the original, so that an erased concept really disappears."
        ),
        "ileco_denoise_steps": (
            "Denoising steps before each training step, so that the LoRA learns from partly denoised images. Each one "
            "makes training slower. 0 uses pure noise; on flow models, 4 steps."
        ),
        "ileco_closed_form": (
            "Starts from the change of the prompts, which is computed in seconds. Training only refines it and takes "
            "far fewer steps. Needs a LoRA that acts on cross-attention."
        ),
        "ileco_descriptions": (
            "Trains the concept within this many random descriptions, and holds as many with other words in its place, "
            "so that only what was asked changes. 48 is a good number; 0 trains the bare prompts."
        ),
        "keep_prompts": (
            "Prompts whose images should stay the same, one per line or separated by ;. For example the class of your "
            "subject, without the trigger word."
        ),
        "prior_loss_weight": "How much regularisation images count compared with the others. 0 turns them off.",
        "keep_weight": "How much the keep prompts count compared with the training itself. 0 turns them off.",
        "hold_unconditional": (
            "Keeps what the model makes of the empty prompt. Guidance (CFG) moves images away from that, so a LoRA "
            "that changes it as well loses most of its effect. automatic: yes in iLECO, no in the other modes."
        ),
        "hold_negative": (
            "The negative prompts that you make images with, one per line or separated by ;. They are held in turn "
            "with the empty prompt. Without effect where the empty prompt is not held."
        ),
        "validation_split": (
            "The share of the images that is not trained. Their loss shows whether the LoRA still learns or only "
            "learns the other images by heart. 0.1 suits 50 images or more; 0 turns it off."
        ),
        "validation_every_steps": (
            "After how many steps the loss of the validation images is measured. 0 measures it after each epoch."
        ),
        "early_stop_patience": (
            "Ends the run when the loss has had no new low for this many steps. With validation images their loss "
            "counts, and the best LoRA is saved; else the last one. 0 turns it off."
        ),
        "train_model_precision": (
            "The precision of the model's weights. int8 halves their memory; nf4 saves more and is less exact. model "
            "keeps them as stored."
        ),
        "train_memory_saving": (
            "The same LoRA in less GPU memory. light computes norms and gates twice, a little slower. streaming also "
            "keeps the weights in RAM, which must hold them, and copies them block by block."
        ),
        "train_lora_precision": "The precision of the LoRA during training. fp32 is the safe choice.",
        "train_VAE_precision": "The precision of the VAE. SDXL's VAE may fail in fp16; fp32 is the safe choice.",
        "train_self_reg": (
            "How strongly captions without their trigger word keep giving what the model gives, so that the LoRA needs "
            "the word. 1 = as much as the images count; 0 = off. Steps take longer."
        ),
        "train_self_reg_filler": (
            "What replaces the trigger word where train self reg takes it out, such as 1girl. It may be empty. With "
            "train self reg images: words for what it is, separated by ;. If empty, common things."
        ),
        "train_self_reg_images": (
            "How many images the model makes of captions with other words in place of the trigger word. Held to them, "
            "other words make the thing less often. Needs train self reg. 0 = off."
        ),
        "use_gradient_checkpointing": (
            "Saves a lot of memory and makes each step slightly slower. Try this first if you run out of memory."
        ),
        "save_lora_name": (
            "The file name of the LoRA, without extension. folder/name saves it in a subfolder. If empty, the name is "
            "untitled."
        ),
        "save_per_steps": (
            "Also saves the LoRA every N steps, so that you can pick the best one later. 0 saves only the final one."
        ),
        "save_every_epochs": "Also saves the LoRA every this many epochs. 0 saves it only at the end.",
        "save_file_name": (
            "A pattern for the names of files saved during training, with name, step or epoch in braces; step:06 "
            "makes six digits. If empty, they are called name_100steps."
        ),
        "save_comment": "A comment that is stored in the LoRA file, where WebUIs show it.",
        "save_precision": "The precision of the saved file. fp16 is half the size of fp32, with hardly any difference.",
        "save_overwrite": (
            "Replaces an existing LoRA of the same name. If off, training does not start when the name is taken."
        ),
        "save_as_json": "Saves the settings of every run as a JSON file, in a folder for each day.",
        "state_every_minutes": (
            "Every so many minutes, and when a run ends before it is done, keeps what it needs to be continued later "
            "exactly where it was. Deleted when the run is done or stopped without saving. 0 turns it off."
        ),
        "diff_load_1st_pass": "A LoRA file to use instead of the first pass, saved earlier with diff save 1st pass.",
        "diff_save_1st_pass": "Also saves the LoRA of the first pass (the copier), for use in later runs.",
        "diff_1st_pass_only": "Ends after the first pass and saves only the copier of the original image.",
        "diff_revert_original_target": (
            "Swaps the original and the target, so that the LoRA learns the opposite change."
        ),
        "diff_use_diff_mask": (
            "Learns only where the two images differ, which keeps the rest of the image out of the LoRA."
        ),
        "diff_reach_target": (
            "Trains the LoRA to end at the target wherever it starts. Colours between others need it. Describe in both "
            "prompts what the images share. Negative strengths need diff alt ratio above 0."
        ),
        "diff_alt_ratio": (
            "How strongly the reverse direction is trained, so that the LoRA works both ways. 0 skips it; a negative "
            "value trains it on pure noise."
        ),
        "diff_both_turns": (
            "Trains the forward and the reverse direction in the same step instead of alternating. Half as many steps "
            "are enough, but may need a higher learning rate."
        ),
        "diff_noise_count": (
            "How many noises to draw for each pair of images in a step. More makes training steadier but uses more "
            "memory."
        ),
        "diff_keep_outside": (
            "With diff use diff mask: how strongly the areas that do not differ are held to what the model predicts "
            "without the LoRA. 0 turns it off; 1 is a good start."
        ),
        "diff_descriptions": (
            "For one pair without captions on a rectified-flow model, where it is 96 by default: every second time the "
            "pair is trained at one of this many random descriptions, not at the empty prompt."
        ),
        "logging_save_csv": "Writes the loss and learning rate of every step to a CSV file.",
        "logging_verbose": "Prints more detail to the console.",
        "logging_tensorboard": (
            "Also writes loss and learning rates for TensorBoard, into the folder tensorboard of the data folder. It "
            "needs the package tensorboard."
        ),
        "logging_wandb": (
            "Also writes loss and learning rates for Weights & Biases. Nothing is sent unless the environment "
            "variable WANDB_MODE is set to online. It needs the package wandb."
        ),
        "sample_prompt": "The prompts for the previews during training, one per line; options as in a prompts file.",
        "sample_prompts_file": (
            "A file with a prompt a line, as sd-scripts has it: --n negative, --w and --h size, --d seed, --l "
            "guidance, --s steps, # for comments. TOML and JSON work, too."
        ),
        "sample_negative": "The negative prompt for the previews.",
        "sample_every_steps": "Makes previews with the current LoRA every N steps. 0 makes none.",
        "sample_every_epochs": "Makes previews every this many epochs. 0 makes none.",
        "sample_at_start": "Also makes previews before the first step, to compare with.",
        "sample_seed": "The seed for the previews. It stays the same throughout the run, so that you can compare them.",
        "sample_strengths": (
            "The LoRA strengths to show side by side, separated by commas. 0 shows the model without the LoRA."
        ),
        "effect_strip": (
            "Images of the LoRA: at 10, 20 … % of the run, fewer if they take more than a tenth of it; then at "
            "strength -1, 0 and 1, with a report on what it does. Slow without a GPU."
        ),
        "prediction": (
            "What the model predicts. found: as its file, its name or the WebUI says. Try velocity (v-prediction) or "
            "flow (rectified flow) if images come out as noise; noise is for all others."
        ),
        "clip_skip": (
            "The layer of the text encoder that prompts and captions come from: 1 = the last, 2 = the one before. 0 = "
            "the family's own (SD1: 1, SD2 and SDXL: 2). Many anime models of SD1 want 2."
        ),
    }
)

ALSO: Mapping[str, str] = MappingProxyType(
    {
        "model": "checkpoint, base model",
        "network_type": "locon, lycoris, algorithm",
        "network_rank": "rank, dim, dimension, network dim, lora size",
        "network_alpha": "alpha",
        "network_conv_rank": "conv rank, conv dim",
        "network_conv_alpha": "conv alpha",
        "network_resume": "continue, resume",
        "lora_data_directory": "dataset, image folder, training images, pictures",
        "lora_trigger_word": "activation word, keyword, instance prompt",
        "image_size": "resolution, width, height",
        "reg_data_directory": "regularization images, class images",
        "image_num_multiply": "repeats, num repeats",
        "image_mirroring": "flip, mirror",
        "image_random_flip": "flip augmentation",
        "train_iterations": "steps, number of steps, how many steps, training steps, max train steps, how long",
        "train_epochs": "epochs, number of epochs, how many epochs, max train epochs",
        "train_batch_size": "batch, batch size, how many images at once",
        "train_gradient_accumulation": "gradient accumulation steps",
        "train_learning_rate": "lr, learning rate, unet lr",
        "train_textencoder_learning_rate": "text encoder lr, text encoder learning rate",
        "train_max_grad_norm": "gradient clipping",
        "train_ema_decay": "moving average",
        "train_optimizer": "optimiser, adam, adamw, prodigy",
        "train_lr_scheduler": "lr schedule, learning rate schedule, cosine",
        "train_lr_warmup_steps": "warmup, warm-up, learning rate warmup",
        "train_seed": "seed, random seed",
        "train_timestep_shift": "flow shift",
        "train_snr_gamma": "min snr, min-snr gamma",
        "train_model_precision": "mixed precision, dtype, fp16, bf16",
        "train_memory_saving": "vram, low vram, out of memory",
        "use_gradient_checkpointing": "vram, out of memory",
        "save_lora_name": "output name, file name",
        "save_per_steps": "save every steps, save every n steps",
        "save_precision": "save dtype",
        "sample_prompt": "preview prompt",
        "sample_every_steps": "previews, preview every",
        "prediction": "v-prediction, v-pred, parameterization",
    }
)
"""What else people call settings, with commas between, so that the search finds them; most need none."""

TEXTS: Mapping[str, str] = MappingProxyType(
    {f"label.{name}": text for name, text in LABELS.items()}
    | {f"help.{name}": text for name, text in HELP.items()}
    | {f"also.{name}": text for name, text in ALSO.items()}
)
