"""Texts of settings and their checks.

What is wrong with a value is one sentence or two, without the last full stop: it stands behind the setting's label.
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
        "config.not_text": "It must be text, not {value}",
        "config.broken_character": "It has a broken character in it. Type it again",
        "config.no_choice": "{value} is not a choice. Choose one of {choices}",
        "config.no_choice_near": "{value} is not a choice. Perhaps you mean {near}. Choose one of {choices}",
        "config.not_bool": "It must be true or false, not {value}",
        "config.not_whole": "It must be a whole number, not {value}. Write for instance {example}",
        "config.not_number": "It must be a number, not {value}. Write for instance {example}",
        "config.not_finite": "It must be a finite number, not {value}. Write for instance {example}",
        "config.no_multiple": "It must be a multiple of {multiple}, not {value}. Write {near}",
        "config.no_multiple_between": "It must be a multiple of {multiple}, not {value}. Write {lower} or {upper}",
        "config.no_multiple_for": (
            "It must be a multiple of {multiple} for {family}, not {value}. Write {lower} or {upper}"
        ),
        "config.not_above": "It must be more than {bound}, not {value}",
        "config.not_between": "It must be from {least} to {most}, not {value}",
        "config.too_small": "It must be at least {least}, not {value}",
        "config.too_large": "It must be at most {most}, not {value}",
        "config.no_size": (
            "{value} is not a size. Write one number for a square (512), width x height (512x768), or height,width "
            "(768,512)"
        ),
        "config.no_list": "It must be a list, not {value}. Put commas between its parts",
        "config.unknown_blocks": "There is no block {names}. The blocks are {blocks}",
        "config.no_blocks": "None is chosen, so the LoRA would learn nothing. Choose at least one block",
        "config.no_numbers": "It is empty. Write at least one number, for instance 0, 1",
        # ---- key=value
        "config.no_equals": '"{part}" has no = in it. Write one key=value per line, for instance betas=0.9,0.99',
        "config.no_key": (
            '"{key}" in front of = is not a name. Write one key=value per line, for instance betas=0.9,0.99'
        ),
        "config.key_twice": "{key} is given twice. Keep one of them",
        "config.no_value": "{key} has no value. Write one key=value per line, for instance betas=0.9,0.99",
        "config.unreadable_value": (
            'The value of {key}, "{text}", cannot be read. Write one key=value per line, for instance betas=0.9,0.99'
        ),
        "config.two_in_one_value": (
            'The value of {key}, "{text}", cannot be read. Put each key=value on a line of its own, or ; between them'
        ),
        "config.infinite_value": "The value of {key} must be a finite number. Write a smaller one",
        "config.no_block_rate": '"{part}" has no = in it. Write a block and a factor, for instance IN04=0.5, OUT=0',
        "config.no_block_of_rate": (
            '"{name}" is not a block. Write one such as IN04, or for all of a kind one of {kinds}'
        ),
        "config.wrong_block_rate": 'The factor of {name} must be a number from 0 to {most}, not "{value}"',
        # ---- file names
        "config.name_starts_with_slash": "It must not start with /. Write a name, or sub-folder/name",
        "config.name_starts_with_drive": (
            "It must not start with a drive such as {drive}. Write a name, or sub-folder/name"
        ),
        "config.name_empty_part": "It has an empty part beside a /. Write it as sub-folder/name",
        "config.name_leaves_folder": (
            "It must not contain .. as that would leave the folder. Write a name, or sub-folder/name"
        ),
        "config.name_backslash": "It must not contain \\. Use / between sub-folder and name",
        "config.name_forbidden": "It must not contain {characters}. Use letters, digits, spaces, - and _",
        "config.name_invisible": "It must not contain line breaks or other invisible control characters. Type it again",
        "config.name_ends_with_dot": 'It must not end with a dot, in "{part}"; Windows would drop it',
        "config.name_ends_with_space": 'It must not end with a space, in "{part}"; Windows would drop it',
        "config.name_of_device": (
            "It must not be {name}: Windows keeps that name for a device. Choose another, such as {name}_1"
        ),
        "config.name_too_long": "It is too long. Keep it within {latin} Latin or {japanese} Japanese letters",
        "config.pattern_unreadable": "It may have only {fields} in braces. Write for instance {example}",
        "config.pattern_tells_nothing_apart": (
            "It gives all files the same name. Write {field} into it, as in {example}"
        ),
        "config.pattern_needs_step": "It gives several files the same name. Write {field} into it, as in {example}",
        "config.name_empty": "It is empty. Write a name",
        "config.name_with_slash": "It must not contain /. Presets have no sub-folders",
        # ---- prompts of previews
        "config.sample_line": "line {line}",
        "config.sample_entry": "prompt {number}",
        "config.sample_problem": "{place}: {problem}",
        "config.sample_value": "--{option} {problem}",
        "config.sample_no_number": 'must be a number, not "{value}"',
        "config.sample_no_whole_number": 'must be a whole number, not "{value}"',
        "config.sample_outside": "must be from {least} to {most}, not {value}",
        "config.sample_no_text": "must be text, not {value}",
        "config.sample_no_prompt": 'It has no "prompt", or one that is not text',
        "config.sample_list": "It must hold a list of prompts. See docs/page.md for an example",
        "config.sample_toml": "It holds no [[prompt.subset]]. See docs/page.md for an example",
        "config.sample_file_empty": "It holds no prompt. Write one per line",
        "config.sample_too_many": "It holds {count} prompts; at most {most} can be shown, so leave some out",
        "config.sample_note": "{file}, {note}",
        "config.sample_option": "{place}: {option} {value} means nothing here and is left out.",
        "config.sample_sampler": "{place}: the sampler cannot be chosen, so {option} {value} is left out.",
        # ---- settings together
        "config.given_twice": 'It is given twice, as "{key}" and as "{name}". Keep one of them',
        "config.unknown_value": "It is not known, and cannot be kept in a file. Take it out",
        "config.second_pass_within": "It cannot hold a 2nd pass of its own. Take it out",
        "config.second_pass_no_object": (
            'It must be an object of settings, not {value}. Write for instance {{"network_rank": 4}}'
        ),
        # ---- --set
        "config.sets_nothing": '"{text}" does not set anything. Write key=value, as in network_rank=16.',
        "config.sets_second_pass": "It sets the whole 2nd pass. Set one of it, as in 2nd_pass.network_rank=4.",
        "config.unknown_key": "{key}: there is no such setting. It has no effect.",
        "config.unknown_key_near": "{key}: there is no such setting; perhaps you mean {near}. It has no effect.",
        "config.text_encoder_unused": (
            "The text encoder {file} is not used: the models that can be trained here have their own."
        ),
        "config.self_reg_images_need_weight": "It has no effect while {setting} is 0. Set that to 1, or this to 0",
        "config.self_reg_needs_trigger": "It takes the trigger word out of the captions, and {setting} is empty",
        "config.no_setting": "There is no such setting. See: list settings.",
        "config.no_setting_near": "There is no such setting. Perhaps you mean {near}.",
        # ---- before a run
        "config.no_strength": "0 would save a LoRA that does nothing. Write for instance 1",
        "config.endless_warmup": (
            "The warm-up takes {warmup} steps and the run only {steps}, so it never ends. Write a number below {steps}"
        ),
        "config.no_hidden_dropout": (
            "It has no effect on {type}, which has no numbers in between to leave out. Write 0, or use {setting}"
        ),
        "config.one_rate_for_all": (
            "It has no effect with {optimizer}, which finds one learning rate for everything. Write 0 or 1 as "
            "factors, or use another optimizer"
        ),
        "config.no_step_rules": (
            "{scheduler} needs rules. Write factor:step and a last factor, for instance 1:200,0.1:500,0.01"
        ),
        "config.no_timesteps": "{low} must be less than {highest}, {high}. Write for instance 0 and 1000",
        "config.bucket_above_size": "It is more than {side}, the shorter side of image size. Write {side} or less",
        "config.bucket_below_size": "It is less than {side}, the longer side of image size. Write {side} or more",
        "config.no_folder": "It is empty. Write the folder that holds the images",
        "config.no_folder_or_file": (
            "It is empty. Write the folder that holds the images (on the page, you can drop them into the box above), "
            "or a dataset file in {file}"
        ),
        "config.no_concept": "It is empty. Write the concept to be changed (an empty target prompt erases it)",
        "config.same_prompt": "It is the same as the original prompt, so there is nothing to learn. Change one of them",
        "config.other_lines": (
            "It has {count:line|lines} and the original prompt {wanted}. Write as many lines as the original prompt has"
        ),
        "config.kept_is_original": "They name the original prompt, which is to change. Take it out",
        "config.base_needs_text_encoder": ("BASE alone trains only with {setting}. Set that, or choose more blocks"),
        "config.no_closed_form": (
            "It does not work with {setting} {value}. Turn it off (section Training) and train more steps, or choose "
            "one of {choices} there"
        ),
        "config.target_beside_slider": "It has no place beside slider prompts, which say where to go. Empty it",
        "config.other_slider_lines": (
            "It has {count:line|lines} and the original prompt {wanted}. Write one line, or as many as the original "
            "prompt"
        ),
        "config.same_slider": "It is the same as {setting}, so there is nothing to learn. Change one of them",
        "config.no_original_image": "It is empty. Choose the image as it is before the change",
        "config.no_target_image": "It is empty. Choose the image as it is after the change",
        "config.same_image": "It is the same as the original image, so there is nothing to learn. Choose another",
        "config.nothing_after_copier": "It leaves nothing to train when the 1st pass is loaded. Unset one of the two",
        "config.no_second_pass": "It is set, but there are no 2nd pass settings. Write them, or unset it",
        "config.base_not_in_difference": (
            "BASE alone is the text encoder, which Difference does not train. Choose more blocks"
        ),
        "config.base_has_nothing_to_read": (
            "BASE alone is the text encoder, which has nothing to read. Write a trigger word or a prompt, "
            "or choose more blocks"
        ),
        "config.outside_needs_mask": "It needs the mask that it keeps clear of. Set {setting}, or write 0",
        "config.no_suffix": (
            "It is empty, so each image would be paired with itself. Write what the targets' file names end in, such "
            "as _closed for a.png and a_closed.png"
        ),
        # ---- presets
        "config.no_preset": "There is no such preset or file. The presets are: {names}.",
        "config.no_preset_near": "There is no such preset or file. Perhaps you mean {near}. The presets are: {names}.",
        "config.no_presets": "There is no such preset or file. There are no presets here. Write a file's path.",
        "config.file_too_large": "It is too large to be settings. Choose a settings file (.json).",
        "config.file_not_utf8": "It is not UTF-8 text. Save it as UTF-8.",
        "config.file_unreadable": "It cannot be read ({reason}). Choose another file.",
        "config.file_not_json": "It is not JSON: {reason} at line {line}, column {column}. Correct it there.",
        "config.file_strange_json": "It is JSON that no settings need. Choose another file.",
        "config.file_no_object": 'It is JSON, but not an object of settings. It should look like {{"mode": "LoRA"}}.',
        "config.file_not_toml": "It is not TOML: {reason}. Correct it there.",
        "config.no_toml_reader": (
            "It is TOML, which this Python reads only with the package tomli. Install it: pip install tomli."
        ),
        "config.file_not_yaml": "It is not YAML: {reason} at line {line}, column {column}. Correct it there.",
        "config.file_strange_yaml": "It is YAML that no settings need. Choose another file.",
        "config.file_no_mapping": "It is YAML, but not a mapping of settings. Choose another file.",
        "config.preset_taken": "There is a preset of that name. Choose another name, or delete it first.",
        "config.preset_shipped": "It is not one of your own presets, so it stays.",
        "config.no_own_preset": "There is no preset of that name.",
        "config.preset_undeletable": "It cannot be deleted ({reason}).",
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
            "A way of drawing, painting or photographing, called by the trigger word. Needs a folder of images in it, "
            "with captions that say what they show, and the trigger word."
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
