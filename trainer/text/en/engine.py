"""Texts of a run, its phases and its report."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- phases
        "phase.of_pass": "{pass_name}: {phase}",
        "phase.of_job": "{job}, {phase}",
        "phase.first_pass": "1st pass",
        "phase.second_pass": "2nd pass",
        "phase.waiting_for_webui": "waiting for the WebUI",
        "phase.looking_at_images": "looking at the images",
        "phase.loading_model": "loading the model",
        "phase.loading_lora": "loading the LoRA",
        "phase.encoding_images": "encoding the images",
        "phase.encoding_captions": "encoding the captions",
        "phase.listing_captions": "listing the captions of all steps",
        "phase.encoding_prompts": "encoding the prompts",
        "phase.encoding_keep_prompts": "encoding the prompts to keep",
        "phase.making_images_to_hold": "making images with other words, which are to stay as they are",
        "phase.computing_change": "computing the change of the prompts",
        "phase.training": "training",
        "phase.saving": "saving",
        "phase.measuring_effect": "measuring the effect",
        # ---- where
        "engine.step": "step {step}",
        "engine.step_of": "step {step} of {steps}",
        # ---- what is kept of the data
        "engine.cache_detail": (
            "Used from earlier runs: {hits}. Made now: {misses}. On the disk: {count:entry|entries}, {size} GB."
        ),
        "engine.cache_unusable": (
            "What is kept of images in {path} cannot be used ({reason}). The run goes on without it."
        ),
        "engine.cache_told": (
            "So that the next run with these images starts at once, what was made of them is kept in {folder}: {size} "
            "GB so far, and never more than {most} GB. {setting} sets the limit; 0 keeps nothing."
        ),
        # ---- before the first step
        "engine.not_erased": (
            '"{original}" is not erased but becomes "{target}", since that is its target prompt. To erase it, leave '
            "{target_setting} empty. To change it, set {scale_setting} to 1, or it goes beyond the target."
        ),
        "engine.erased": (
            '"{original}" is erased, since there is no target prompt. To change it into something else, write '
            "{target_setting}. For a slider, write {positive} and {negative}."
        ),
        "engine.prompts_differ": (
            "The prompts of the two images differ. What they name the model knows already, so less of it is learned. "
            "Write the same for both, without what changes."
        ),
        # ---- errors
        "engine.name_taken": "{name} is already there. Choose another name, or turn on {setting}.",
        "engine.folder_not_writable": "It cannot be written to. Choose another folder for the LoRA.",
        "engine.no_room": (
            "The disk has {free} MB left, and the LoRA takes {size} MB. Make room, or choose another folder."
        ),
        "engine.little_room": (
            "{folder}: this run may write up to {size} MB, and its disk has {free} MB left. Make room, save less "
            "often, or lower the rank."
        ),
        "engine.not_enough_memory": (
            "There is not enough memory. Turn on gradient checkpointing, or lower the batch size, the image size or "
            "the rank."
        ),
        "engine.memory_needed": "With these settings a run takes about {needed} of memory beyond the program's own.",
        "engine.memory_too_much": (
            "With these settings a run takes about {needed} of memory, and there are {room}. "
            "About {less} would do: {changes}."
        ),
        "engine.memory_never_enough": (
            "With these settings a run takes about {needed} of memory, and there are {room}, too little for this model "
            "whatever the settings. Close other programs, or choose a smaller model."
        ),
        "engine.memory_unknown": "The memory that a run takes cannot be estimated here ({reason}).",
        "engine.memory_turn_on": "turn on {setting}",
        "engine.memory_set": "set {setting} to {value}",
        "engine.memory_turn_off": "turn off {setting}",
        "engine.card": "a GPU with {size} GB",
        "engine.this_card": "this GPU ({room} free)",
        "engine.card_none": (
            "There is no GPU here whose memory the settings could be fitted to; a run computes on {device}. "
            "Nothing was changed."
        ),
        "engine.card_fits": "The run fits {card} as it is: it takes about {needed}. Nothing was changed.",
        "engine.card_changed": "Changed to fit {card}: {changes}. A run now takes about {needed}.",
        "engine.card_never": (
            "Nothing makes this run fit {card}, and nothing was changed. Choose a smaller model or another GPU."
        ),
        "engine.card_on": "{setting} on",
        "engine.card_off": "{setting} off",
        "engine.card_value": "{setting} {value}",
        "engine.unexpected": "Something went wrong that should not have ({kind}: {reason}).",
        "engine.loss_diverged": (
            "The loss of sample {sample} of {count} at timestep {timestep} is NaN or infinite. Lower the learning "
            "rate, or use bf16 or fp32 as model precision. Nothing broken was saved."
        ),
        "engine.named_loss_diverged": (
            "The loss of sample {sample} of {count}, {name}, at timestep {timestep} is NaN or infinite. Lower the "
            "learning rate, or use bf16 or fp32 as model precision. Nothing broken was saved."
        ),
        "engine.broken_tensors": (
            "{broken} of {count} trained tensors hold NaN or infinite values in the file's precision. Lower the "
            "learning rate, or save as fp32. Nothing broken was saved."
        ),
        # ---- warnings
        "engine.film_thinned": "The images made during training are fewer than planned, since they may take "
        "{percent} % of the run at most.",
        "engine.film_not_kept": "The LoRAs of single steps are not kept beside their images any more ({reason}). "
        "The run goes on.",
        "engine.no_preview": "No preview at step {step}: {reason}",
        "engine.log_ends": "{path}: the log ends here, it cannot be written any more ({reason}).",
        "engine.stopped_in_pass": "Stopped in the {pass_name}: only the network of that pass was saved.",
        "engine.pause_keeps_memory": "The pause frees no memory: {reason}",
        "engine.not_back_after_pause": "The model did not come back to {device} after the pause: {reason}",
        "engine.still_paused": "Still paused: there is not enough memory on {device}. Free some, then continue.",
        "engine.no_card": "The LoRA has no card for the WebUI beside it. {error}",
        "engine.no_picture": "The LoRA has no picture for the WebUI beside it. {error}",
        "engine.rescued": "{error} The LoRA is not lost: it is in {path}",
        # ---- the state of a run
        "engine.no_state": "There is no state to continue from: {path} does not exist. Start the run anew.",
        "engine.state_refused": "The run cannot be continued: {reason}. Start it anew.",
        "engine.state_broken": "{path} is damaged or was not written to its end",
        "engine.state_foreign": "{path} is not the state of a run",
        "engine.state_of_other_version": "{path} was written by another version of Trainyard",
        "engine.state_of_other_job": "the state is that of another job, {name}",
        "engine.state_of_other_settings": "these settings have been changed since: {settings}",
        "engine.state_other_file": "{file} has been changed since",
        "engine.state_file_gone": "{file} was used before and is no longer there",
        "engine.state_file_new": "{file} was not used before",
        "engine.state_other_caption": "the caption of {file} has been changed since",
        "engine.state_other_subsets": "a folder has other settings than before",
        "engine.state_other_layout": "the images are cropped or ordered in another way than before",
        "engine.state_made_elsewhere": (
            "The run began with {others}. It continues, but may differ slightly from one that was not broken off."
        ),
        "engine.state_not_exact": (
            "Parts of the optimizer could not be kept: {parts}. The run continues, but differs from one that was not "
            "broken off."
        ),
        "engine.state_files_gone": "Files that the run had written are gone, and are not made again: {files}.",
        "engine.state_not_written": "The state of the run was not written, so it could not be continued: {reason}",
        "engine.state_not_removed": "{path}: the state is no longer needed, but could not be deleted ({reason}).",
        "engine.not_discarded": "{path} was saved of an unfinished pass, and cannot be deleted ({reason}).",
        "engine.model_changed": (
            "{file} was changed during the run. The LoRA may no longer fit it; train it again with the file you want."
        ),
        "engine.saved_after_error": "What had been trained by step {step} of {steps} was saved despite the error.",
        "engine.nothing_kept": "What had been trained could not be saved after the error: {reason}.",
        # ---- the effect of a LoRA
        "engine.effect_unknown": "What the LoRA changes could not be measured: {reason}",
        "engine.no_strip": "There are no images of what the LoRA does: {reason}",
        "engine.effect_nan": (
            "The LoRA or the model contains NaN or infinite values. Do not use it; lower the learning rate."
        ),
        "engine.effect_zero": (
            "The LoRA changes nothing: its update is zero. Raise the learning rate, or train longer."
        ),
        "engine.effect_tiny": (
            "The LoRA changes next to nothing, {share} of the weights, which half precision rounds away. Raise the "
            "learning rate, or train longer."
        ),
        "engine.effect_huge": (
            "The LoRA changes the model by {percent} % of its weights, so images will be ruined. Lower the learning "
            "rate, or train shorter."
        ),
        "engine.effect_black": (
            "The images with and without the LoRA are black: see {strip}. Choose another VAE, or fp32 as VAE precision."
        ),
        "engine.effect_black_at": (
            "The image at LoRA strength {strengths} is black: see {strip}. The LoRA may have destroyed what the model "
            "knows; lower the learning rate, or train for fewer steps."
        ),
        "engine.black_preview": "The image after step {step} is black.",
        "engine.loss_grew": (
            "The loss grew from {first} to {last}: the model gets worse with training. Lower the learning rate."
        ),
        "engine.no_velocity_to_scale": (
            "{setting} is on, but {file} does not predict the velocity, so it changes nothing."
        ),
        "engine.off_for_flow": (
            "{file} is trained as a rectified flow, for which these settings have no meaning; they are off: {settings}."
        ),
        "engine.stopped_early_at_best": (
            "Stopped after step {step}, since the validation loss has had no new low for {patience:step|steps}. The "
            "LoRA of step {best_step} is saved, whose validation loss was the lowest ({loss})."
        ),
        "engine.stopped_early": (
            "Stopped after step {step}, since the loss has had no new low for {patience:step|steps}. The lowest was "
            "{loss}, at step {best_step}; the LoRA as it is now is saved."
        ),
        "engine.tracker_missing": (
            "The package {package} cannot be used here ({reason}). Install it with: pip install {package}. Or turn "
            "this off."
        ),
        "engine.tracker_ends": ("{tracker} has failed and records nothing more ({reason})."),
        "engine.rank_above_layers": (
            "The network rank {rank} is more than {count} of {total} layers can use, the smallest {least}. A lower "
            "rank learns as much there."
        ),
        "engine.captions_cut": ("{count:caption is|captions are} longer than {most} tokens and cut there ({setting})."),
        "engine.effect_unseen": (
            'With and without the LoRA, the image of "{prompt}" is the same. Look at {strip}, and try other prompts '
            "before you use it."
        ),
        "engine.effect_little": (
            'At strength +1 the image of "{prompt}" differs by {difference} of 255 on average. If that is too little, '
            "raise train iterations or train learning rate."
        ),
        "engine.effect_little_in_pairs": (
            'At strength +1 the image of "{prompt}" differs by {difference} of 255 on average. If that is too little, '
            "raise train iterations, train learning rate or network strength."
        ),
        "engine.asked_failed": "Whether the LoRA does what was asked could not be measured: {reason}",
        "engine.asked_turned": 'The LoRA turns "{original}" into "{target}" in {changed} of {images:image|images}.',
        "engine.asked_erased": 'The LoRA erases "{original}" from {changed} of {images:image|images}.',
        "engine.asked_several": "The LoRA changes what was asked in {changed} of {images:image|images}.",
        "engine.asked_unknown_turned": (
            'Whether the LoRA turns "{original}" into "{target}" cannot be told from its images. Look at the strip.'
        ),
        "engine.asked_unknown_erased": (
            'Whether the LoRA erases "{original}" cannot be told from its images. Look at the strip.'
        ),
        "engine.asked_unknown_several": (
            "Whether the LoRA changes what was asked cannot be told from its images. Look at the strip."
        ),
        "engine.asked_shown": "Below it, without the LoRA (off) and with it (+1): {prompts}.",
        "engine.asked_not_shown": "The images it was measured on could not be added to the strip: {reason}",
        "engine.asked_untold": "In {untold:image|images} it cannot be told.",
        "engine.asked_alike_turned": (
            'Without the LoRA, the model makes nearly the same image of "{original}" and of "{target}" in {alike} of '
            "{images}: it does not seem to tell the two apart. Choose other words."
        ),
        "engine.asked_alike_erased": (
            'Without the LoRA, the image stays nearly the same when "{original}" is left out, in {alike} of {images}: '
            "the model does not seem to know it. Choose other words for it."
        ),
        "engine.asked_alike_several": (
            "Without the LoRA, the model makes nearly the same image of the original and of the target prompt in "
            "{alike} of {images}: it does not seem to tell them apart. Choose other words."
        ),
        "engine.same_words": (
            'To the model, "{prompt}" is nearly the same as {words}. If it does not know the word, choose another one.'
        ),
        "engine.asked_kept": "Other words: {kept} of {images:image|images} stay nearly as they were.",
        "engine.asked_kept_lost": (
            "Other words: {kept} of {images:image|images} stay nearly as they were; {lost:image changes|images change} "
            "clearly."
        ),
        "engine.asked_keep": (
            "To keep more, name what should stay in {prompts}, raise {weight} (now {keeps}) or lower {rate} (now "
            "{value})."
        ),
        "engine.asked_describe": "To keep more, set {setting} to 48 (now 0).",
        "engine.asked_slider": (
            "The slider leads towards its positive end at +1 in {up} of {images}, and towards its negative end at -1 "
            "in {down} of {images:image|images}."
        ),
        "engine.asked_unknown_slider": (
            "Whether the slider leads towards its ends cannot be told from its images. Look at the strip."
        ),
        "engine.asked_scale": "Or raise {scale} (now {by}).",
        "engine.asked_shown_slider": "Below it, at -1, without the LoRA (off) and at +1: {prompts}.",
        "engine.asked_pair": (
            "The LoRA turns the original image into what the target image shows in {changed} of {images:try|tries}, "
            "each with other noise."
        ),
        "engine.asked_pairs": (
            "The LoRA turns original images into what their target images show in {changed} of {images:try|tries}, "
            "each with other noise."
        ),
        "engine.asked_leave_out": (
            "Leave what it changes out of your prompts: a prompt that names it may keep it as it was."
        ),
        "engine.asked_partly": "In {partly} it goes part of the way.",
        "engine.asked_unknown_pair": (
            "Whether the LoRA turns the original image into what the target image shows cannot be told: in {untold} of "
            "{images:try|tries}, the model does not come back to the original without it. Look at the strip."
        ),
        "engine.asked_unknown_pairs": (
            "Whether the LoRA turns original images into what their target images show cannot be told: in {untold} of "
            "{images:try|tries}, the model does not come back to the original without it. Look at the strip."
        ),
        "engine.asked_shown_pairs": (
            "Below it, what the model makes of the original in noise, without the LoRA (off) and with it (+1)."
        ),
        "engine.asked_train_or_strength": (
            "Raise {iterations} (now {steps}), {rate} (now {value}) or {strength} (now {factor})."
        ),
        "engine.asked_trigger": (
            'With "{trigger}" in the prompt, the LoRA clearly changes {changed} of {images:image|images}. Whether they '
            "show what yours do, only your eyes can tell."
        ),
        "engine.asked_captions": "The LoRA clearly changes {changed} of {images:image|images} of its captions.",
        "engine.asked_other_word": (
            'Another unknown word in place of "{trigger}" makes much the same in {made} of {images:image|images}.'
        ),
        "engine.asked_other_word_unknown": (
            'Whether another unknown word in place of "{trigger}" makes much the same cannot be told.'
        ),
        "engine.asked_hold_words": (
            "To keep it to the trigger word, set {weight} to 1 (now {now}) and {count} to 32 (now {images_now})."
        ),
        "engine.asked_hold_more_words": (
            "To keep it to the trigger word, raise {weight} (now {now}) or {count} (now {images_now}), or choose a "
            "trigger word that has less in common with other words."
        ),
        "engine.asked_train_text": "Train the text encoder as well: {block} in {blocks}.",
        "engine.asked_train_more": "Raise {iterations} (now {steps}) or {rate} (now {value}).",
        "engine.asked_train_longer": "Raise {iterations} (now {steps}).",
        "engine.asked_empty": (
            "It also changes {moved} of {images:image|images} of the empty prompt. Guidance takes that off the effect."
        ),
        "engine.asked_hold": "Set {setting} to yes (now no).",
        # ---- details
        "engine.model_detail": "{model}: {family}, {predicts}, computed in {precision}",
        "engine.network_detail": ("{modules:module|modules}, {parameters} parameters, on {device}, seed {seed}"),
        "engine.step_detail": "step {step}: loss {loss}, learning rate {rates}",
        "engine.process_lost": (
            "Another process of this run has ended, so process {number} of {count} ends as well. If the run has a "
            "state, start all of them again with --resume."
        ),
        "engine.processes_not_joined": (
            "The {count} processes of this run could not connect ({reason}). Start them with torchrun or accelerate "
            "launch, and the same address and port on every machine."
        ),
    }
)
