"""Texts of settings and their checks.

What is wrong with a value begins in lower case and has no full stop: it stands behind the setting's label.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- errors
        # ---- where
        "config.second_pass": "2nd pass",
        "config.of_pass": "{name}, {label}",
        "config.preset": "preset",
        "config.preset_name": "preset name",
        # ---- values
        "config.not_text": "must be text, not {value}",
        "config.broken_character": "has a broken character in it; type it again",
        "config.no_choice": "{value} is not a choice; choose one of {choices}",
        "config.no_choice_near": "{value} is not a choice; perhaps you mean {near}; choose one of {choices}",
        "config.not_bool": "must be true or false, not {value}",
        "config.not_whole": "must be a whole number, not {value}; write for instance {example}",
        "config.not_number": "must be a number, not {value}; write for instance {example}",
        "config.not_finite": "must be a finite number, not {value}; write for instance {example}",
        "config.no_multiple": "must be a multiple of {multiple}, not {value}; write {near}",
        "config.no_multiple_between": "must be a multiple of {multiple}, not {value}; write {lower} or {upper}",
        "config.no_multiple_for": (
            "must be a multiple of {multiple} for {family}, not {value}; write {lower} or {upper}"
        ),
        "config.not_above": "must be more than {bound}, not {value}",
        "config.not_between": "must be from {least} to {most}, not {value}",
        "config.too_small": "must be at least {least}, not {value}",
        "config.too_large": "must be at most {most}, not {value}",
        "config.no_size": (
            "{value} is not a size; write one number for a square (512), or height,width (512,512 or 768,512)"
        ),
        "config.no_list": "must be a list, not {value}; put commas between its parts",
        "config.unknown_blocks": "{names} not known as a block; the blocks are {blocks}",
        "config.no_blocks": "none is chosen, so the LoRA would learn nothing; choose at least one block",
        "config.no_numbers": "is empty; write at least one number, for instance 0, 1",
        # ---- key=value
        "config.no_equals": '"{part}" has no = in it; write one key=value per line, for instance betas=0.9,0.99',
        "config.no_key": (
            '"{key}" in front of = is not a name; write one key=value per line, for instance betas=0.9,0.99'
        ),
        "config.key_twice": "{key} is given twice; keep one of them",
        "config.no_value": "{key} has no value; write one key=value per line, for instance betas=0.9,0.99",
        "config.unreadable_value": (
            'the value of {key}, "{text}", cannot be read; write one key=value per line, for instance betas=0.9,0.99'
        ),
        "config.two_in_one_value": (
            'the value of {key}, "{text}", cannot be read; put each key=value on a line of its own, or ; between them'
        ),
        "config.infinite_value": "the value of {key} must be a finite number; write a smaller one",
        "config.no_block_rate": ('"{part}" has no = in it; write a block and a factor, for instance IN04=0.5, OUT=0'),
        "config.no_block_of_rate": (
            '"{name}" is not a block; write one such as IN04, or for all of a kind one of {kinds}'
        ),
        "config.wrong_block_rate": ('the factor of {name} must be a number from 0 to {most}, not "{value}"'),
        # ---- file names
        "config.name_starts_with_slash": "must not start with /; write a name, or sub-folder/name",
        "config.name_starts_with_drive": (
            "must not start with a drive such as {drive}; write a name, or sub-folder/name"
        ),
        "config.name_empty_part": "has an empty part beside a /; write it as sub-folder/name",
        "config.name_leaves_folder": (
            "must not contain .. as that would leave the folder; write a name, or sub-folder/name"
        ),
        "config.name_backslash": "must not contain \\; use / between sub-folder and name",
        "config.name_forbidden": "must not contain {characters}; use letters, digits, spaces, - and _",
        "config.name_invisible": ("must not contain line breaks or other invisible control characters; type it again"),
        "config.name_ends_with_dot": 'must not end with a dot, in "{part}"; Windows would drop it',
        "config.name_ends_with_space": 'must not end with a space, in "{part}"; Windows would drop it',
        "config.name_of_device": (
            "must not be {name}: Windows keeps that name for a device; choose another, such as {name}_1"
        ),
        "config.name_too_long": "is too long; keep it within {latin} Latin or {japanese} Japanese letters",
        "config.pattern_unreadable": "may have only {fields} in braces; write for instance {example}",
        "config.pattern_tells_nothing_apart": "gives all files the same name; write {field} into it, as in {example}",
        "config.pattern_needs_step": "gives several files the same name; write {field} into it, as in {example}",
        "config.name_empty": "is empty; write a name",
        "config.name_with_slash": "must not contain /; presets have no sub-folders",
        # ---- prompts of previews
        "config.sample_line": "line {line}",
        "config.sample_entry": "prompt {number}",
        "config.sample_problem": "{place}: {problem}",
        "config.sample_value": "--{option} {problem}",
        "config.sample_no_number": 'must be a number, not "{value}"',
        "config.sample_no_whole_number": 'must be a whole number, not "{value}"',
        "config.sample_outside": "must be from {least} to {most}, not {value}",
        "config.sample_no_text": "must be text, not {value}",
        "config.sample_no_prompt": 'has no "prompt", or one that is not text',
        "config.sample_list": "must hold a list of prompts; see docs/page.md for an example",
        "config.sample_toml": "holds no [[prompt.subset]]; see docs/page.md for an example",
        "config.sample_file_empty": "holds no prompt; write one per line",
        "config.sample_too_many": "holds {count} prompts; at most {most} can be shown, so leave some out",
        "config.sample_note": "{file}, {note}",
        "config.sample_option": "{place}: {option} {value} means nothing here and is left out.",
        "config.sample_sampler": "{place}: the sampler cannot be chosen, so {option} {value} is left out.",
        # ---- settings together
        "config.given_twice": 'is given twice, as "{key}" and as "{name}"; keep one of them',
        "config.unknown_value": "is not known, and cannot be kept in a file; take it out",
        "config.second_pass_within": "cannot hold a 2nd pass of its own; take it out",
        "config.second_pass_no_object": (
            'must be an object of settings, not {value}; write for instance {{"network_rank": 4}}'
        ),
        # ---- --set
        "config.sets_nothing": '"{text}" does not set anything. Write key=value, as in network_rank=16.',
        "config.sets_second_pass": "sets the whole 2nd pass. Set one of it, as in 2nd_pass.network_rank=4.",
        "config.unknown_key": "{key}: there is no such setting. It has no effect.",
        "config.unknown_key_near": "{key}: there is no such setting; perhaps you mean {near}. It has no effect.",
        "config.text_encoder_unused": (
            "The text encoder {file} is not used: the models that can be trained here have their own."
        ),
        "config.self_reg_images_need_weight": "has no effect while {setting} is 0; set that to 1, or this to 0",
        "config.self_reg_needs_trigger": "takes the trigger word out of the captions, and {setting} is empty",
        "config.no_setting": "there is no such setting. See: list settings.",
        "config.no_setting_near": "there is no such setting. Perhaps you mean {near}.",
        # ---- before a run
        "config.no_strength": "0 would save a LoRA that does nothing; write for instance 1",
        "config.endless_warmup": (
            "the warm-up takes {warmup} steps and the run only {steps}, so it never ends. Write a number below {steps}"
        ),
        "config.no_hidden_dropout": (
            "has no effect on {type}, which has no numbers in between to leave out; write 0, or use {setting}"
        ),
        "config.one_rate_for_all": (
            "has no effect with {optimizer}, which finds one learning rate for everything; write 0 or 1 as factors, "
            "or use another optimizer"
        ),
        "config.no_step_rules": (
            "{scheduler} needs rules; write factor:step and a last factor, for instance 1:200,0.1:500,0.01"
        ),
        "config.no_timesteps": "{low} must be less than {highest}, {high}; write for instance 0 and 1000",
        "config.bucket_above_size": "is more than {side}, the shorter side of image size; write {side} or less",
        "config.bucket_below_size": "is less than {side}, the longer side of image size; write {side} or more",
        "config.no_folder": "is empty; write the folder that holds the images",
        "config.no_folder_or_file": "is empty; write the folder that holds the images, or a dataset file in {file}",
        "config.no_concept": "is empty; write the concept to be changed (an empty target prompt erases it)",
        "config.same_prompt": ("is the same as the original prompt, so there is nothing to learn; change one of them"),
        "config.other_lines": (
            "has {count:line|lines} and the original prompt {wanted}; write as many lines as the original prompt has"
        ),
        "config.kept_is_original": "name the original prompt, which is to change; take it out",
        "config.base_needs_text_encoder": ("BASE alone trains only with {setting}; set that, or choose more blocks"),
        "config.no_closed_form": (
            "does not work with {setting} {value}; turn it off (section Training) and train more steps, or choose one "
            "of {choices} there"
        ),
        "config.target_beside_slider": ("has no place beside slider prompts, which say where to go; empty it"),
        "config.other_slider_lines": (
            "has {count:line|lines} and the original prompt {wanted}; write one line, or as many as the original prompt"
        ),
        "config.same_slider": "is the same as {setting}, so there is nothing to learn; change one of them",
        "config.no_original_image": "is empty; choose the image as it is before the change",
        "config.no_target_image": "is empty; choose the image as it is after the change",
        "config.same_image": "is the same as the original image, so there is nothing to learn; choose another",
        "config.nothing_after_copier": ("leaves nothing to train when the 1st pass is loaded; unset one of the two"),
        "config.no_second_pass": "is set, but there are no 2nd pass settings; write them, or unset it",
        "config.base_not_in_difference": (
            "BASE alone is the text encoder, which Difference does not train; choose more blocks"
        ),
        "config.base_has_nothing_to_read": (
            "BASE alone is the text encoder, which has nothing to read; write a trigger word or a prompt, "
            "or choose more blocks"
        ),
        "config.outside_needs_mask": "needs the mask that it keeps clear of; set {setting}, or write 0",
        "config.no_suffix": (
            "is empty, so each image would be paired with itself; write what the targets' file names end in, "
            "such as _closed for a.png and a_closed.png"
        ),
        # ---- presets
        "config.no_preset": "there is no such preset or file. The presets are: {names}.",
        "config.no_preset_near": (
            "there is no such preset or file. Perhaps you mean {near}. The presets are: {names}."
        ),
        "config.no_presets": "there is no such preset or file. There are no presets here; write a file's path.",
        "config.file_too_large": "is too large to be settings. Choose a settings file (.json).",
        "config.file_not_utf8": "is not UTF-8 text. Save it as UTF-8.",
        "config.file_unreadable": "cannot be read ({reason}). Choose another file.",
        "config.file_not_json": "is not JSON: {reason} at line {line}, column {column}. Correct it there.",
        "config.file_strange_json": "is JSON that no settings need. Choose another file.",
        "config.file_no_object": ('is JSON, but not an object of settings. It should look like {{"mode": "LoRA"}}.'),
        "config.file_not_toml": "is not TOML: {reason}. Correct it there.",
        "config.no_toml_reader": (
            "is TOML, which this Python reads only with the package tomli. Install it: pip install tomli."
        ),
        "config.file_not_yaml": "is not YAML: {reason} at line {line}, column {column}. Correct it there.",
        "config.file_strange_yaml": "is YAML that no settings need. Choose another file.",
        "config.file_no_mapping": "is YAML, but not a mapping of settings. Choose another file.",
        "config.preset_taken": "there is a preset of that name. Choose another name, or delete it first.",
        "config.preset_shipped": "is not one of your own presets, so it stays.",
        "config.no_own_preset": "there is no preset of that name.",
        "config.preset_undeletable": "cannot be deleted ({reason}).",
        # ---- what a preset is for
        "preset_is.action-from-many-pairs": (
            "A change that many pairs of images have in common: an expression, a pose, something put on or taken off. "
            "Needs a folder with the images and their changed copies. If images break, lower the learning rate."
        ),
        "preset_is.action-from-pair": (
            "A change that one pair of images shows: an expression, a pose, something put on or taken off. "
            "Needs an image and a changed copy of it. If images break, lower the learning rate."
        ),
        "preset_is.change-concept": (
            "Makes one thing into another wherever a prompt names it: a colour, an object, a place. Needs two prompts."
        ),
        "preset_is.character-from-images": (
            "A character or a person, called by the trigger word in any scene. Needs a folder of images and the "
            "trigger word. If images break, lower both learning rates."
        ),
        "preset_is.concept-slider": (
            "More of one thing and less of its opposite at positive strengths, the reverse at negative ones. Needs the "
            "prompt it acts on, slider positive and slider negative."
        ),
        "preset_is.difference-from-pair": (
            "Whatever differs between two images, learned in two longer passes: first the original, then the change. "
            "Needs an image and a changed copy of it."
        ),
        "preset_is.erase-concept": (
            "Makes the model no longer draw something where a prompt names it. Needs the original prompt; the target "
            "prompt stays empty."
        ),
        "preset_is.object-from-images": (
            "One certain thing, such as a toy, a piece of clothing or a building, called by the trigger word. Needs a "
            "folder of images and the trigger word. If images break, lower both learning rates."
        ),
        "preset_is.style-from-images": (
            "A way of drawing, painting or photographing. Needs a folder of images in it, with captions that say what "
            "they show."
        ),
        "preset_is.style-from-pair": (
            "A style that one pair shows: the same image without it and with it. Needs both images."
        ),
        "preset_is.ADDifT_Action_SD1.5": "TrainTrain's settings for a change from one pair on Stable Diffusion 1.5.",
        "preset_is.ADDifT_Action_XL": "TrainTrain's settings for a change from one pair on Stable Diffusion XL.",
        "preset_is.ADDifT_Style_SD1.5": (
            "TrainTrain's settings for a style from one pair on Stable Diffusion 1.5. They swap the two images."
        ),
        "preset_is.ADDifT_Style_XL": (
            "TrainTrain's settings for a style from one pair on Stable Diffusion XL. They swap the two images."
        ),
        "preset_is.Difference": "TrainTrain's settings for Difference, the same in both passes.",
        "preset_is.Difference_Use2ndPass": (
            "TrainTrain's settings for Difference, with a lower rank and learning rate in the second pass."
        ),
        "preset_is.LoRA": "TrainTrain's settings for a LoRA from a folder of images.",
        "preset_is.iLECO": "TrainTrain's settings for iLECO.",
    }
)
