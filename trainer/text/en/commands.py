"""Texts of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- what all commands share
        "commands.trainyard": "Trainyard trains LoRAs.",
        "commands.was_interrupted": "interrupted",
        "commands.no_option": "there is no option {name}",
        "commands.no_option_near": "there is no option {name}; perhaps you mean {near}",
        "commands.argument_too_many": "{name} is one argument too many",
        "commands.folders": "folders",
        "commands.data_dir": "logs, settings, your presets (default: data/)",
        "commands.models_dir": "models given by name (default: data/models)",
        "commands.output_dir": "finished LoRAs (default: data/loras)",
        "commands.device": "cuda, cuda:1, mps or cpu (default: the best)",
        "commands.json": "as JSON, for programs",
        "commands.black_image": "The image is black. The VAE or a LoRA may not fit the model.",
        "commands.saved": "Saved {path}",
        "commands.sentence_of": "{parts}.",
        "commands.image": "image",
        "commands.step": "step",
        # ---- edit
        "commands.edit": "what a LoRA says of itself, changed",
        "commands.edit_description": "Change the title, trigger word or description of a LoRA, in its file and on "
        "its card. "
        "Its tensors stay as they are, byte for byte.",
        "commands.edit_file": "its name in the folder, or its path",
        "commands.edit_title": "what it is called",
        "commands.edit_trigger": "the word that calls it up",
        "commands.edit_description_of": "what it is",
        "commands.edit_undo": "take the last change back",
        "commands.edit_nothing": "Say what to change with --title, --trigger or --description, or take the "
        "last change back with --undo.",
        "commands.edit_undone": "{path} is what it was before its last change.",
        # ---- train
        "commands.train": "train a LoRA",
        "commands.train_description": "Train a LoRA. Later settings win: the file, then --set, then flags.",
        "commands.resume": "continue a run of this command that was broken off, by the name of its LoRA",
        "commands.resume_alone": "It takes all settings from the run that was broken off. Leave the others out.",
        "commands.no_run_named": "No run of that name was broken off, or nothing of it was kept.",
        "commands.resume_in_queue": "It is job {number} of the queue. Continue it with: queue resume {number}",
        "commands.can_resume": "Continue it with: python -m trainer train --resume {name}{folders}",
        "commands.continues_after": "Continuing {name} after step {step} of {steps}.",
        "commands.was_broken_off": (
            "A run of this name was broken off after step {step} of {steps}; this one starts from the beginning.\n"
            "To continue that one: python -m trainer train --resume {name}{folders}"
        ),
        "commands.dry_run": "check everything, say what would be done, and stop",
        "commands.card": (
            "change what must be changed for a run to fit a GPU with so many GB of memory, or the one that is here "
            "(auto); settings given as flags stay"
        ),
        "commands.settings": "a settings file (also another program's), a preset's name, or a LoRA to train again",
        "commands.set": "change one setting; repeatable",
        "commands.settings_of": "settings: {section}",
        "commands.would_train": "Would train {mode} on {model} with {device}: {steps:step|steps}, "
        "batch size {batch}, image size {size},\nand save {path}",
        "commands.own_size": "that of the images",
        "commands.not_the_default": "Settings other than the default:",
        "commands.all_settings": "For all settings, as a settings file: --dry-run --json",
        "commands.dry_run_json": "with --dry-run: all settings as JSON on the standard output, the rest beside it",
        "commands.json_of_dry_run": "It says what --dry-run prints. Add --dry-run, or leave --json out.",
        "commands.stopped": "Stopped. Nothing was saved.",
        "commands.ending": "The program has been asked to close. What has been trained so far is saved first, within "
        "ten seconds.",
        "commands.interrupted": "Stopping and saving. Press Ctrl-C again to stop without saving.",
        "commands.interrupted_queue": "Stopping and saving. The other jobs keep waiting. Press Ctrl-C again to stop "
        "without saving.",
        "commands.training": "Training",
        "commands.at_step": "Step {step} of {steps}, loss {loss}",
        "commands.preview_at": "Preview at step {step}: {path}",
        "commands.saved_at": "Saved at step {step}: {path}",
        "commands.draw_with_it": "Draw with it: {command}",
        "commands.your_prompt": "what you want to see",
        "commands.effect": "The LoRA changes the weights by {share} (norm {norm}).",
        "commands.effect_at": "at {strength} by {levels}",
        "commands.effect_images": "Its images differ from those without it {levels} of 255 levels: {path}",
        # ---- queue
        "commands.queue": "keep jobs on disk and run them one after the other",
        "commands.queue_description": "Jobs wait in a queue on disk. A failed one does not stop the next.",
        "commands.queue_add": "put a job at the end",
        "commands.queue_add_description": "Put a job at the end of the queue. Its settings are given as for train.",
        "commands.queue_list": "list all jobs in their order",
        "commands.queue_run": "run the waiting jobs",
        "commands.queue_watch": "when none waits, wait for more",
        "commands.queue_show": "show a job and its settings",
        "commands.queue_move": "put a waiting job at another position",
        "commands.queue_position": "among the waiting jobs; 1 is next",
        "commands.queue_again": "let a failed, stopped or interrupted job wait again",
        "commands.queue_resume": "put a job whose run was broken off first in the queue, to be continued",
        "commands.queue_id_or_name": "the job's number or name; see: queue list",
        "commands.no_job_named": "No job of the queue has that name. Look at: queue list",
        "commands.continues": "first continue the runs that were broken off when their program ended",
        "commands.queue_duplicate": "put a copy of a job at the end, under a free name",
        "commands.queue_delete": "delete a job; its LoRA stays",
        "commands.queue_clear": "delete the jobs that are done; their LoRAs stay",
        "commands.queue_ended": "also those that failed, were stopped or interrupted",
        "commands.queue_id": "the job's number; see: queue list",
        "commands.job_waits": "Job {number}, {name}, waits at position {position}.",
        "commands.job_deleted": "Job {number} is deleted.",
        "commands.jobs_deleted": "{count:job|jobs} deleted.",
        "commands.column_id": "ID",
        "commands.column_status": "STATUS",
        "commands.column_mode": "MODE",
        "commands.column_name": "NAME",
        "commands.column_model": "MODEL",
        "commands.column_added": "ADDED",
        "commands.job_job": "Job:",
        "commands.job_status": "Status:",
        "commands.job_name": "Name:",
        "commands.job_mode": "Mode:",
        "commands.job_added": "Added:",
        "commands.job_started": "Started:",
        "commands.job_ended": "Ended:",
        "commands.job_steps": "Steps:",
        "commands.job_message": "Message:",
        "commands.job_goes_on": "Resume:",
        "commands.job_lora": "LoRA:",
        "commands.no_job_waits": "No job is waiting.",
        "commands.job_begins": "Job {number}: {mode}, {name}",
        "commands.job_ends": "Job {number}: {end}",
        "commands.end_failed": "failed. {error}",
        "commands.end_saved": "saved {path}",
        "commands.end_stopped": "stopped. Nothing was saved.",
        "commands.end_stopped_and_saved": "stopped, saved {path}",
        "commands.jobs_run": "{count:job|jobs} run",
        "commands.jobs_failed": "{count} failed",
        "commands.jobs_waiting": "{count} still waiting",
        # ---- ui
        "commands.ui": "open the page",
        "commands.ui_description": "Serve the page: form, queue and plot.",
        "commands.ui_port": "default: {port}",
        "commands.ui_auth": "ask for this name and password; without it, --listen draws a password and prints it",
        "commands.ui_host_name": "another name that this machine is reached under, such as a proxy's; may be repeated",
        "commands.ui_listen": "let other machines open the page with a password; whoever has it can train, and read "
        "and vary your images",
        "commands.ui_language": "of the page (default: the environment's, or en)",
        "commands.ui_data_dir": "logs, queue, your presets (default: data/)",
        "commands.ui_models_dir": "models to choose from (default: data/models)",
        # ---- check
        "commands.check": "say what a folder of images would train",
        "commands.check_description": "Read every image and caption of a folder, and say what would be trained and "
        "what is wrong with it. With --set mode=Multi-ADDifT and --set diff_target_name=SUFFIX, pairs of images.",
        "commands.check_set": "a setting, as in image_size=768; repeatable",
        "commands.reading": "Reading",
        "commands.check_folder": "the folder; its sub-folders are included",
        "commands.check_problems": "{count:thing|things} to know:",
        "commands.check_each": "For each file by itself, add --json.",
        # ---- images
        "commands.images": "vary images: rotate and scale them down",
        "commands.images_description": "Write variations of an image, or of every image in a folder: rotated and "
        "scaled down at random, over transparency. No file is ever overwritten.",
        "commands.images_source": "an image, or a folder; its sub-folders are included",
        "commands.images_number": "variations of each image (default: 5)",
        "commands.images_angle": "degrees to either side (default: 180)",
        "commands.images_scale": "of its own size (default: 0.4)",
        "commands.images_side": "none, right, left, top or bottom: where it stays (default: none, which is anywhere)",
        "commands.images_seed": "the same seed makes the same variations (default: one is drawn)",
        "commands.images_out": "default: beside the image; beside the folder, D_rot",
        "commands.images_name": "what the files are called (default: as their images)",
        "commands.images_no_captions": "do not copy the images' caption files",
        "commands.writing": "Writing",
        "commands.images_written": "Wrote {variations:variation|variations} of {images:image|images} to {folder}, with "
        "seed {seed}",
        # ---- sample and report
        "commands.sample": "make an image",
        "commands.sample_description": "Make an image, with LoRAs or without.",
        "commands.sample_model": "a checkpoint file or a diffusers folder",
        "commands.sample_vae": "a VAE file, instead of the checkpoint's own",
        "commands.sample_lora": "repeatable; strength 1 if left out. One may have several, F:-1,0,1: their images "
        "stand side by side",
        "commands.sample_prompt": "what is to be seen",
        "commands.sample_negative": "what is not to be seen",
        "commands.sample_seed": "the same seed gives the same image (default: 0)",
        "commands.sample_steps": "denoising steps (default: 20)",
        "commands.sample_cfg": "guidance scale (default: 7)",
        "commands.sample_clip_skip": "the layer of the text encoder to use, 1 = the last (default: the model's own)",
        "commands.sample_size": "default: what the model is made for",
        "commands.drawing": "Drawing",
        "commands.drawn": "Drawing: {percent} %",
        "commands.no_such_lora": (
            "There is no such LoRA file. Write FILE or FILE:STRENGTH; names are looked for in {folder}."
        ),
        "commands.several_vary": "Only one LoRA may have several strengths. Give the others one strength each.",
        "commands.at_least_one": "must be at least 1",
        "commands.not_a_size": "{value} is not WIDTHxHEIGHT, such as 512x768",
        "commands.size_not_possible": "both sides must be multiples of 8, and at least 64",
        "commands.no_image_name": "It is no name for an image. Choose a name that ends in .png.",
        "commands.image_not_written": "It cannot be written ({reason}). Choose a name that ends in .png.",
        "commands.report": "plot loss logs",
        "commands.report_description": "Plot one or several loss logs.",
        "commands.report_log_scale": "logarithmic loss axis",
        # ---- info and list
        "commands.info": "say what a file is",
        "commands.info_description": "Say what a model or LoRA file is, and what it says about itself.",
        "commands.info_all": "everything the file says about itself, not only what matters most",
        "commands.info_more": "… and {count} entries more: --all",
        "commands.info_cut": "{text} … ({count} characters; whole with --json)",
        "commands.info_file": "file",
        "commands.info_is": "is",
        "commands.info_tensors": "tensors",
        "commands.info_found_out": "found out",
        "commands.info_unused": "not used",
        "commands.info_problem": "problem",
        "commands.info_norm": "norm",
        "commands.info_norms": "norms by block",
        "commands.info_title": "title",
        "commands.info_about": "what it is",
        "commands.info_trigger": "trigger words",
        "commands.info_use": "use",
        "commands.info_trained_on": "trained on",
        "commands.info_made_for": "made for",
        "commands.info_network": "network",
        "commands.info_rank": "rank",
        "commands.info_alpha": "alpha",
        "commands.info_steps": "steps",
        "commands.info_learning_rate": "learning rate",
        "commands.info_optimizer": "optimizer",
        "commands.info_schedule": "schedule",
        "commands.info_seed": "seed",
        "commands.info_resolution": "resolution",
        "commands.info_images": "images",
        "commands.info_date": "date",
        "commands.list": "list what there is",
        "commands.list_description": "List what there is to choose from.",
        "commands.presets_trainyard": "Trainyard's own:",
        "commands.presets_traintrain": "TrainTrain's, for those who know them:",
        "commands.presets_you": "Yours:",
        "commands.setting": "{name} = {default}  ({type})",
        "commands.setting_with_choices": "{name} = {default}  ({type}, one of: {choices})",
        # ---- cache
        "commands.cache": "what runs keep of images, and how to remove it",
        "commands.cache_description": "Show how much is kept of the images and captions of earlier runs, or remove it. "
        "Nothing is lost by that: the next run makes it again.",
        "commands.cache_empty": "remove all of it",
        "commands.cache_size": "{path}: {count:entry|entries}, {size} MB",
        "commands.cache_unusable": "It cannot be used ({reason}). End the programs that use it, or delete the file.",
        "commands.cache_none": "{path}: nothing",
        # ---- presets
        "commands.presets": "rewrite the shipped presets and the pages about them and about other trainers",
        "commands.presets_description": "Rewrite the presets in presets/, so that each holds its mode and what differs "
        "from the defaults, and the tables in docs/presets.md and docs/from-other-trainers.md.",
        "commands.preset_rewritten": "Rewritten: {name}",
        # ---- demo
        "commands.demo": "train on the embedded checkpoint and show what changed",
        "commands.demo_description": "Train an iLECO LoRA on the embedded checkpoint, and show it in one image.",
        "commands.demo_out": "the image (default: data/demo.png)",
        "commands.demo_training": "Training: what the model knows as {original} is to become {target}.",
        "commands.demo_stopped": "Stopped before the image was made.",
        "commands.demo_drawing": "Making the image …",
        "commands.demo_title": 'iLECO: "{original}" → "{target}", at LoRA strengths −1 … +1',
        "commands.demo_lora": "The LoRA: {path}",
        "commands.demo_image": "The image: {path}",
        "commands.trains_together": (
            "{count} processes train together: {batches:batch|batches} a step in all (train gradient accumulation)."
        ),
        # ---- data
        "commands.data": "what is done to images and captions before training",
        "commands.data_description": "Work on the images and captions of a folder, before training.",
        "commands.data_folder": "the folder with the images",
        "commands.data_tag": "write tags, found by a tagger",
        "commands.data_tag_description": (
            "Write tags as captions. Undo on the Data tab takes back what one call has written."
        ),
        "commands.data_caption": "write sentences, found by a captioner or a model at an address",
        "commands.data_caption_description": (
            "Write sentences as captions. Undo on the Data tab takes back what one call has written."
        ),
        "commands.data_tagger": (
            "a tagger by name or folder: model.onnx with selected_tags.csv (default: the one in data/taggers)"
        ),
        "commands.data_captioner": (
            "a captioner by name or folder (BLIP, BLIP-2, GIT, Florence-2, ViT with GPT-2), or the address of a server "
            "such as http://127.0.0.1:1234/v1 (default: the one in data/taggers)"
        ),
        "commands.data_mode": (
            "what becomes of captions that are there: missing leaves them (default), append adds behind, prepend in "
            "front, replace puts the new ones in their place"
        ),
        "commands.data_trigger": "put in front of each caption that is written",
        "commands.data_unwanted": "tags that are left out, between commas",
        "commands.data_threshold": "how sure of a tag, 0 to 1 (default: 0.35)",
        "commands.data_character_threshold": "how sure of a character's name, 0 to 1 (default: 0.85)",
        "commands.data_rating": "the likeliest rating as the last tag",
        "commands.data_underscores": "keep underscores between words",
        "commands.data_escape": "put a backslash before brackets",
        "commands.data_prompt": "what a server is asked, or what a BLIP caption begins with",
        "commands.data_detail": "how much Florence-2 says (default: long)",
        "commands.data_tokens": "the longest caption, in tokens",
        "commands.data_server_model": "the model's name at the address (default: its first)",
        "commands.data_anywhere": "let images be sent to an address outside this computer and its network",
        "commands.describing": "Describing",
        "commands.data_described": "{written:caption|captions} written, {kept:image|images} unchanged.",
        "commands.data_nothing": "Nothing was found in {count:image|images}.",
        "commands.data_merge": "captions and tags of a folder as one JSON file",
        "commands.data_merge_description": (
            "Write the captions and tags of a folder into one JSON file, as sd-scripts' fine-tuning method reads it, "
            "and metadata_file of a dataset file, too. Tags come out with spaces for underscores, and each once."
        ),
        "commands.data_out": "the file; entries of other images that it has stay",
        "commands.data_captions": "what the names of files with sentences end with (default: .caption)",
        "commands.data_tags_ending": "what the names of files with tags end with (default: .txt)",
        "commands.data_whole_paths": "name images by their whole paths",
        "commands.data_as_they_are": "leave tags and captions as they are",
        "commands.data_fetch": "a file, or the images of a gallery, from the internet",
        "commands.data_fetch_description": (
            "Fetch a file, or by gallery-dl the images of a gallery with their tags. It says first what comes from "
            "where, and waits for a yes."
        ),
        "commands.data_url": "the address of the file or the gallery",
        "commands.data_to": "the folder it goes to",
        "commands.data_yes": "without asking",
        "commands.fetch_file": "{name} ({size}) from {host} into {folder}",
        "commands.fetch_gallery": "By gallery-dl, the images of {url} into {folder}",
        "commands.fetch_size_unknown": "size unknown",
        "commands.fetch_ask": "Fetch it? Type yes: ",
        "commands.fetch_not": "Nothing was fetched.",
        "commands.fetching": "Fetching",
        "commands.fetch_failed": "The program gallery-dl ended with code {code}. Above it says why.",
        "commands.data_no_ending": "An ending begins with a full stop, like .txt",
        "commands.data_merged": "Saved {path}: {captions:caption|captions}, tags of {tags:image|images}.",
        "commands.data_neither": "{count:image has|images have} neither: {names}",
        "commands.data_before": "The file that was there is now {path}; {count:entry|entries} of other images stay.",
        # ---- data: sets
        "commands.data_set": "the folder with the images, or the name of a set in data/images",
        "commands.data_tag_metavar": "TAG",
        "commands.data_tags": "count, add, remove, replace and sort tags",
        "commands.data_tags_description": (
            "Count the tags of a folder's captions, or change them. Every change can be undone."
        ),
        "commands.data_tags_with": "only captions that have it; repeatable",
        "commands.data_tags_without": "only captions that do not have it; repeatable",
        "commands.data_tags_add": "append tags to captions that lack them",
        "commands.data_tags_front": "put tags in front, adding those that are missing",
        "commands.data_tags_remove": "remove tags",
        "commands.data_tags_replace": "replace a tag by others; repeatable",
        "commands.data_tags_replace_text": "replace any part of the text; repeatable",
        "commands.data_tags_sort": "sort tags by name",
        "commands.data_tags_keep": "how many tags at the beginning --sort leaves where they are",
        "commands.data_tags_tidy": "remove tags that are there twice, and stray commas",
        "commands.data_tags_undo": "undo the last change of this folder",
        "commands.data_tags_redo": "do again what was undone last",
        "commands.data_tags_found": "{tags:tag|tags} in {images:image|images}, {empty} of them without a caption.",
        "commands.data_no_pair": "Write OLD=NEW, the old tag and what takes its place",
        "commands.data_changed": "{count:caption|captions} changed: {what}",
        "commands.data_undone": "Undone: {what}",
        "commands.data_redone": "Done again: {what}",
        "commands.data_left": "Left as they are, since they were changed elsewhere: {names}",
        "commands.data_unzip": "bring a zip or a folder in as a set",
        "commands.data_unzip_description": (
            "Unpack a zip archive, or copy a folder or an image, into a set in data/images. Captions and "
            "masks go with their images, nothing is written over, and no path leads out of the set."
        ),
        "commands.data_source": "what is brought in",
        "commands.data_name": "what the new set is called (default: as the source)",
        "commands.data_into": "a set or a folder that is there already",
        "commands.data_renamed": "{name} is {other}, as its name was taken",
        "commands.data_came_in": (
            "{images:image|images} and {captions:caption|captions} came in, {there:image was|images were} "
            "there already: {folder}"
        ),
        "commands.data_clean": "set aside what cannot be trained",
        "commands.data_clean_description": (
            "Look at every image, and move those that cannot be read, with their captions and masks, into "
            "the folder .aside, which training does not look into. Nothing is deleted."
        ),
        "commands.data_duplicates": "set aside duplicates as well, all but the best of each",
        "commands.data_dry_run": "only say what would be done",
        "commands.data_same_bytes": "{name} is the same file as {names}",
        "commands.data_same_pixels": "{name} has the same pixels as {names}",
        "commands.data_same_alike": "{name} looks like {names}",
        "commands.data_would_set_aside": "{count:image|images} would be set aside.",
        "commands.data_set_aside": "{count:image|images} set aside.",
        "commands.data_prepare": "bring a set in, and clean it",
        "commands.data_prepare_description": "The same as data unzip and data clean, one after the other.",
        "commands.data_prepared": "{images:image|images} to train, {empty} of them without a caption: {folder}",
    }
)
