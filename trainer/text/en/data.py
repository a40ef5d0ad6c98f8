"""Texts of images, captions and pairs, and of the image tool.

What is wrong with a file of a folder, and what is done about it, begin in lower case and have no full stop: they stand
behind the file's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "data.file_problem": "{name} {what}: {done}",
        "data.file_error": "{file} {problem}.",
        "data.problem_of_many": "{what}: {done} ({names})",
        "data.likewise": "{problem} (likewise {names})",
        "data.and_more": "{count} more",
        "data.range": "{least} to {most}",
        "data.small_many": "{count:image is|images are} small ({size})",
        "data.extreme_shape_many": "{count:image has|images have} an extreme shape ({size})",
        "data.skipped_size_many": "{count:image is|images are} not larger ({size}) than skip_image_resolution",
        "data.smaller_than_frames_many": (
            "{count:image is|images are} smaller ({size}) than every size to train at, and {setting} is on"
        ),
        "data.caption_empty_many": "{count:image has an empty caption file|images have empty caption files}",
        "data.caption_alone_many": "{count:caption belongs|captions belong} to no image",
        "data.transparent_many": "{count:image is|images are} fully transparent",
        "data.empty_file_many": "{count:file is|files are} empty (0 bytes)",
        "data.named_problem": "{name} {what}",
        # ---- folders
        "data.no_folder_given": "It is empty. Write the folder that holds the images.",
        "data.folder_is_file": '"{path}" is a file. Write the folder that holds the images.',
        "data.no_folder": 'There is no folder "{path}". {advice}',
        "data.folder_unreadable": (
            'The folder "{folder}" cannot be opened ({reason}). Allow reading it, or choose another.'
        ),
        "data.no_image": 'The folder "{folder}" holds no image, only other files ({files}). {advice}',
        "data.empty_folder": 'The folder "{folder}" is empty, and so are its sub-folders. {advice}',
        "data.advice_without_quotes": "Write it without the quotes: {path}.",
        "data.advice_without_spaces": "Write it without the spaces around it: {path}.",
        "data.advice_near": "Perhaps you mean {path}.",
        "data.advice_check": "Check how it is written.",
        "data.advice_check_below": "Check the path: the nearest folder that exists is {folder}.",
        "data.advice_left_out": (
            'There are images in "{name}", a folder that is always left out. Rename it, or move them.'
        ),
        "data.advice_above": "There are images in the folder above it, {folder}. Perhaps you mean that.",
        "data.advice_put_images": "Put images there ({endings}), or choose another folder.",
        # ---- dataset files
        "data.at_file": "{file}",
        "data.at_general": "{file}, general",
        "data.at_dataset": "{file}, dataset {dataset}",
        "data.at_subset": "{file}, dataset {dataset}, subset {subset}",
        "data.at_key": "{place}, {key}",
        "data.of_dataset": "a dataset, as all subsets of one share it",
        "data.of_subset": "a single subset",
        "data.no_dataset_file": 'There is no file "{path}". Write the path of a dataset file (TOML or JSON).',
        "data.no_dataset": "It describes no dataset. Write [[datasets]] with [[datasets.subsets]] in it.",
        "data.no_table": '"{key}" must be a table, not {value}. Write [{key}] with its keys below.',
        "data.no_tables": '"{key}" must be a list of tables, not {value}. Write [[{key}]] with its keys below.',
        "data.no_image_dir": "It has no image_dir. Write the folder that holds its images.",
        "data.no_resolution": "It must be a size such as 512 or [512, 768] (width, height), not {value}",
        "data.wrong_value": "{problem}. Change it in the file.",
        "data.buckets_without_resolution": (
            "The resolution {size} is outside the sizes of the buckets, {least} to {most}. Change min_bucket_reso or "
            "max_bucket_reso."
        ),
        "data.is_no_file": '"{path}" is a folder. Write a file.',
        "data.is_no_folder": '"{path}" is a file. Write a folder.',
        "data.folder_missing": (
            'There is no folder "{path}", neither in {here}, where the program runs, nor beside the file in {beside}. '
            "Write its full path."
        ),
        "data.file_missing": (
            'There is no file "{path}", neither in {here}, where the program runs, nor beside the file in {beside}. '
            "Write its full path."
        ),
        "data.path_from_file": '{place}: {key} "{path}" is taken from the folder of the file.',
        "data.key_misspelt": "Dataset files know no {key}; perhaps {near} is meant. Change it in the file.",
        "data.key_unknown": "{place}: dataset files know no {key}; it is not used.",
        "data.key_unknown_near": "{place}: dataset files know no {key}, perhaps {near} is meant; it is not used.",
        "data.key_unsupported": "{place}: {key} is not supported; it is not used.",
        "data.key_elsewhere": "{place}: {key} belongs to {where}; it is not used here.",
        "data.alpha_is_mask": "{place}: alpha_mask is off, but what is transparent is not learned all the same.",
        "data.no_enable_bucket": (
            "{place}: without enable_bucket, all images are cropped to one size, as in sd-scripts. Set "
            "enable_bucket = true to keep their shapes."
        ),
        "data.dataset_without_subsets": "{place} has no subsets; it is not used.",
        "data.beside_dataset_file": "{setting} is not used, as {file} describes the training data.",
        "data.subset_without_repeats": "{place}: num_repeats is less than 1, so the subset is not used.",
        "data.subset_twice": "{place}: {name} is in the same dataset already, so the subset is not used.",
        "data.subset_empty": "{place}: there is no image in {name}, so the subset is not used.",
        "data.subset_inner": (
            "{place}: {count:image|images} in the sub-folders of {folder} are not used, as in sd-scripts. Give each "
            "sub-folder a subset of its own."
        ),
        "data.subset_inner_only": (
            "{place}: {folder} holds no image itself, and {count} in its sub-folders are not used, as in sd-scripts. "
            "Give each sub-folder a subset of its own."
        ),
        "data.no_image_described": "None of its subsets has an image to learn from. {problems}",
        "data.skipped_size": "is not larger ({size}) than skip_image_resolution",
        "data.metadata_without_image": "is in {file}, but there is no such image",
        "data.metadata_bad_line": "Line {line} of {file} is no object with an image_path. Mend or remove it.",
        "data.metadata_no_object": 'The entry "{key}" must be an object with a caption or tags, not {value}. Mend it.',
        "data.metadata_no_text": 'The {name} of "{key}" must be text, not {value}. Mend it.',
        # ---- folders of sd-scripts
        "data.reg_is_data": "It is the same folder as {setting}. Choose one with other images of the same class.",
        "data.only_reg": (
            'The folder "{folder}" holds no image to learn from, only regularisation images in {name}. Put the images '
            "beside them, or rename {name}."
        ),
        "data.reg_unused": (
            "Only {used} of the {total} regularisation images will be used, as an epoch takes no more of them than "
            "images to learn from, counting repeats."
        ),
        "data.numbers_not_repeats": (
            "The numbers that these folders begin with are not taken for repeats, but for years, dates or an order, as "
            "repeats are written from 1 to {most} without a 0 in front: {names}. Their images are used once."
        ),
        "data.numbers_not_repeats_more": (
            "The numbers that these folders begin with are not taken for repeats, but for years, dates or an order, as "
            "repeats are written from 1 to {most} without a 0 in front: {names}, and {more} more. Their images are "
            "used once."
        ),
        "data.folder_without_repeats": (
            "holds {count:image|images}, but its name says no repeats, as those of the folders beside it do (1_ would)"
        ),
        "data.folder_zero_repeats": "holds {count:image|images}, but its name says 0 repeats",
        "data.folder_beside_images": "holds {count:image|images}, but none of the folders of the images",
        "data.masks_of_several_folders": (
            "holds {count:mask|masks}, but images of several folders have the same names (make a folder in it for each)"
        ),
        "data.other_reg": "holds {count:regularisation image|regularisation images}, but another folder is given",
        "data.files_of": "{count} {ending}",
        "data.files_without_ending": "{count} without an ending",
        "data.too_many_samples": (
            "{count:image|images}, each {repeats} times, are more than {most:,} samples. Choose fewer repeats."
        ),
        "data.nothing_usable": 'No image in "{folder}" can be trained: {problems}. Mend or replace them.',
        "data.nothing_usable_more": (
            'No image in "{folder}" can be trained: {problems}, and {more} more. Mend or replace them.'
        ),
        # ---- what is wrong with an image
        "data.cannot_open": "cannot be opened ({reason})",
        "data.broken": "is broken ({reason})",
        "data.only_zeros": "is broken (it holds nothing but zeros)",
        "data.empty_file": "is empty (0 bytes)",
        "data.no_pixels": "has no pixels ({size})",
        "data.too_large": "is too large ({reason})",
        "data.too_many_pixels": "is too large: {size} pixels, at most {most} megapixels",
        "data.too_many_passes": "is too much to decode: a JPEG that goes over its {size} pixels {count} times",
        "data.too_large_for_memory": "is too large for the memory of this machine",
        "data.web_page": "is no image, but a web page that was saved as one",
        "data.video": "is a video by its content; choose an image instead",
        "data.needs_plugin": (
            "is in the {format} format, which cannot be read here; install {package}, or convert it to PNG or JPEG"
        ),
        "data.other_format": "is in the {format} format; convert it to PNG or JPEG",
        "data.unknown_format": "is no image in a format that can be read",
        "data.transparent": "is fully transparent",
        "data.transparent_middle": "is fully transparent in its middle, which is what would be trained",
        "data.smaller_than_frames": "is smaller ({size}) than every size to train at, and {setting} is on",
        "data.small": "is small ({size})",
        "data.extreme_shape": "has an extreme shape ({size})",
        "data.animated": "is animated",
        "data.large_text": "holds at least {megabytes} MB of text beside its pixels",
        "data.several_pages": "has several pages",
        "data.broken_profile": "has a broken colour profile",
        "data.is_preview": "is a preview that a trainer made",
        "data.is_control_image": "is a control image, not one to learn from",
        "data.is_mask_alone": "is a mask without an image",
        "data.is_mask_of_several": "is a mask of more than one image ({images})",
        "data.is_second_mask": "is a second mask of {other}",
        "data.is_mask_unused": "is a mask, and {setting} is off",
        "data.and_others": "{what}, like {count:other|others} beside it",
        "data.mask_unusable": "has a mask, {file}, that {problem}",
        "data.mask_other_shape": "has a mask, {file}, of another shape ({size}, not {other_size})",
        "data.mask_empty": "has a mask, {file}, that leaves nothing of it",
        "data.mask_empty_middle": "has a mask, {file}, that leaves nothing of what would be trained",
        "data.no_mask": "has no mask, though others have one",
        "data.folder_inside_unreadable": "is a folder that cannot be opened ({reason})",
        "data.changed": "It has changed: it was {before} and is {now} now. Start again.",
        # ---- what is wrong with a caption
        "data.caption_too_long": "is too long for a caption (more than {most} kB)",
        "data.caption_is_image": "is a {format} image by its content",
        "data.caption_is_file": "is a {format} file by its content",
        "data.caption_is_riff": "is a WebP image or a sound by its content",
        "data.caption_is_archive": "is a ZIP or Office file by its content",
        "data.first_lines": (
            "{count:caption file has|caption files have} several lines, of which only the first is used. To use the "
            "others, set {setting} to random or joined."
        ),
        "data.json_without_caption": (
            "{count:JSON file beside an image holds|JSON files beside images hold} no caption: none of caption, text, "
            "prompt, description and tags is in it."
        ),
        "data.syntax_weights": (
            "{count:caption has|captions have} weights, such as (tag:1.2) or [tag], which are learned letter by "
            "letter. To have them read as in prompts, turn on {setting}."
        ),
        "data.syntax_escapes": (
            "{count:caption has|captions have} brackets with a backslash, such as \\(series\\), and the backslash is "
            "learned as well. To have it left out, turn on {setting}."
        ),
        "data.syntax_wildcards": (
            "{count:caption has|captions have} wildcards, such as {{ red | blue }}, which are learned letter by "
            "letter. To have one of the texts drawn, turn on {setting}."
        ),
        "data.syntax_networks": (
            "{count:caption names|captions name} a LoRA as prompts do (<lora:name:1>). Captions load none: it is "
            "learned letter by letter. Remove it."
        ),
        "data.syntax_files": (
            "{count:caption has|captions have} a wildcard file, such as __colors__, which is learned letter by letter. "
            "Write what is meant."
        ),
        "data.syntax_separator": (
            "{count:caption has|captions have} the mark |||, which is learned as text. If it divides the tags to keep "
            "from the others, write it into {setting}."
        ),
        "data.caption_no_json": "is no valid JSON",
        "data.no_text": "holds no text, but binary data",
        "data.caption_unusable": "has a caption file, {file}, that {problem}",
        "data.caption_empty": "has an empty caption file, {file}",
        "data.caption_unclear": "has a caption, {file}, in an unclear encoding",
        "data.caption_shared": "is the caption of several images ({images})",
        "data.caption_alone": "belongs to no image",
        # ---- what is done about it
        "data.is_left_out": "left out",
        "data.left_out_with": "left out with {other}",
        "data.first_frame_used": "only its first frame is used",
        "data.text_unread": "used; its text is not read",
        "data.first_page_used": "only the first is used",
        "data.profile_unused": "used without it",
        "data.used_enlarged": "used, {factor} times enlarged",
        "data.partly_used": "used, but only {percent} % of it fit {frame}",
        "data.used_whole": "used whole",
        "data.used_with_trigger": "used with the trigger word alone",
        "data.used_without_caption": "used without a caption",
        "data.used_with_class_words": 'used with the words of its folder, "{words}"',
        "data.used_with_original_caption": "used with the original's caption",
        "data.used_for_nothing": "used, but nothing is learned from it",
        "data.used_for_each": "used for each of them",
        "data.read_as": "read as {encoding}; check it",
        # ---- pairs
        "data.no_suffix": "It is empty, so each image would be paired with itself. {advice}",
        "data.no_pair": (
            'No two images in "{folder}" are called the same but for "{suffix}" at the end of one of them. {advice}'
        ),
        "data.advice_suffix": (
            "Write what the targets' file names end in, such as _closed for a.png and a_closed.png."
        ),
        "data.advice_suffix_without_ending": "Write it without {ending}: {suffix}.",
        "data.no_target": 'has no target: there is no image "{name}" beside it',
        "data.no_original": 'is a target without an original: there is no image "{name}" beside it',
        "data.extra_target": "is one target too many for {other}",
        "data.same_pixels": "has the same pixels as {other}",
        "data.same_file": "is the same file as {other}",
        "data.other_shape": "has another shape than {other} ({size}, not {other_size})",
        "data.original_transparent": "belongs to {other}, which is fully transparent",
        "data.pair_transparent_middle": "and {other} show nothing in their middle",
        "data.no_difference": "does not differ from {other}",
        "data.both": "{one} and {other}",
        "data.given_folder": '"{path}" is a folder. Choose one image in it.',
        "data.given_missing": '"{path}" is not there. Check how it is written.',
        "data.given_unusable": '"{path}" {problem}. Choose another image.',
        "data.same_as_original": (
            "It is the same file as the original image, so there is nothing to learn. Choose another."
        ),
        "data.shapes_differ": (
            "They differ in shape: the original is {original}, the target {target}. Crop one of them to the shape of "
            "the other."
        ),
        "data.pair_alike": (
            "The two images do not differ where they can be seen, so the mask would be empty. Choose images that "
            "differ, or turn off {setting}."
        ),
        "data.sample_alike": (
            "It does not differ from its target where both can be seen, so the mask would be empty. Take the pair "
            "out, or turn off {setting}."
        ),
        "data.image_resized": "{name} ({size}): trained at {frame}.",
        "data.pair_resized": "{name} ({size}) and {other} ({other_size}): trained at {frame}.",
        # ---- the account of the data
        "data.heading_images": "Images",
        "data.heading_captions": "Captions",
        "data.heading_example": "Example",
        "data.heading_masks": "Masks",
        "data.heading_sizes": "Sizes",
        "data.heading_cropped": "Cropped",
        "data.heading_augmented": "Random",
        "data.heading_epoch": "Epoch",
        "data.heading_ignored": "Ignored",
        "data.heading_note": "Note",
        "data.heading_none": "",
        "data.account_list": "{parts}",
        "data.account_images": "{count:image|images} in {folder}",
        "data.account_images_of_folders": "{count:image|images} from {folders} folders in {folder}",
        "data.account_images_scattered": "{count:image|images} from {folders} folders",
        "data.account_pairs": "{count:pair|pairs} of images in {folder}",
        "data.account_pairs_of_folders": "{count:pair|pairs} of images from {folders} folders in {folder}",
        "data.account_pairs_scattered": "{count:pair|pairs} of images from {folders} folders",
        "data.account_reg_images": "{count:regularisation image|regularisation images} in {folder}",
        "data.account_reg_images_of_folders": (
            "{count:regularisation image|regularisation images} from {folders} folders in {folder}"
        ),
        "data.account_reg_images_scattered": (
            "{count:regularisation image|regularisation images} from {folders} folders"
        ),
        "data.account_and_reg": "{what}, and {reg}",
        "data.account_in_dataset": "{name} (dataset {dataset})",
        "data.account_left_out": "{what}; {count} left out",
        "data.account_subset": "{name}: {count:image|images}, {repeats:time|times} an epoch",
        "data.account_reg": "{name}: {count:regularisation image|regularisation images}, {repeats:time|times} an epoch",
        "data.account_more_subsets": "and {count:folder|folders} more",
        "data.account_unfinished": (
            "{count:image|images} in {folder}. They are more than can be looked at now ({done} so far); the run looks "
            "at all of them before it begins."
        ),
        "data.account_unanswered": "{folder} is slow to answer. The run looks at it before it begins.",
        "data.account_sized": "{name} ({size})",
        "data.account_pair": "from {original} to {target}",
        "data.account_differing": "they differ in {percent} % of the area",
        "data.account_caption_files": "{count} from files ({encodings})",
        "data.account_caption_lists": "{count} from a metadata file",
        "data.account_caption_folders": "{count} from the names of folders",
        "data.account_caption_names": "{count} from file names",
        "data.account_caption_empty": "{count} of them empty",
        "data.account_caption_missing": "{count:image|images} without a caption",
        "data.account_trigger": "with the trigger word {word}",
        "data.account_lines_random": "one of the lines drawn at each step",
        "data.account_lines_joined": "all lines joined",
        "data.account_prefix": '"{text}" put in front',
        "data.account_suffix": '"{text}" put at the end',
        "data.account_wildcards": "one text of each wildcard drawn",
        "data.account_shuffled": "tags shuffled",
        "data.account_tag_dropout": "{percent} % of tags left out",
        "data.account_kept_before": "those before {separator} kept in place",
        "data.account_kept": "the first {count:tag|tags} kept in place",
        "data.account_separator": "{one} written as {other}",
        "data.account_dropout": "no caption {percent} % of the time",
        "data.account_dropout_epochs": "no captions in one of {epochs:epoch|epochs}",
        "data.account_weights": "weights such as (tag:1.2) read as in prompts",
        "data.account_max_tokens": "cut after {count} tokens",
        "data.account_captions_unchanged": "captions as they are",
        "data.account_of_subsets": "{names}: {what}",
        "data.account_image_random_flip": "mirrored half of the time",
        "data.account_image_random_crop": "cropped at a random place",
        "data.account_image_color_augmentation": "colours changed slightly",
        "data.account_unaugmented": "images as they are",
        "data.account_example": '{name} is "{caption}"',
        "data.account_size": "{size} ({count})",
        "data.account_sizes": ("{count} from {first} to {last}, most often {most} ({of_most:sample|samples})"),
        "data.account_masks": "used for {count} of {images:image|images}",
        "data.account_cropped": (
            "{count:image loses|images lose} a tenth or more of the area, most of all {name}: {percent} %, to fit "
            "{frame}"
        ),
        "data.account_finer": "With {settings}: {count:image|images}.",
        "data.account_finer_none": "With {settings}: none.",
        "data.account_setting": "{setting} {value}",
        "data.account_epoch": "{count:sample|samples} in {steps:step|steps}",
        "data.account_epoch_because": "{count:sample|samples} ({reasons}) in {steps:step|steps}",
        "data.account_smaller_sizes": "each image in up to {count} smaller sizes too",
        "data.account_mirrored": "also mirrored",
        "data.account_repeated": "{count} times over",
        "data.account_seen": ("{what}; {steps:step is|steps are} {epochs:epoch|epochs}, so each image is seen {seen}"),
        "data.account_seen_pairs": (
            "{what}; {steps:step is|steps are} {epochs:epoch|epochs}, so each pair is seen {seen}"
        ),
        "data.account_seen_reg": (
            "{what}; {steps:step is|steps are} {epochs:epoch|epochs}, so each image to learn from is seen {seen}, and "
            "each regularisation image {reg_seen}"
        ),
        "data.fact_images": "{count:image|images}",
        "data.fact_pairs": "{count:pair|pairs}",
        "data.fact_captions": "{count} with a caption",
        "data.fact_trigger": "trigger word “{word}”",
        "data.fact_seen": "each image seen {seen}",
        "data.fact_seen_pairs": "each pair seen {seen}",
        "data.account_times": "{times:time|times}",
        "data.account_times_between": "{least} to {most} times",
        # ---- what is odd about the data
        "data.without_any_caption": (
            "No image has a caption, and there is no trigger word: the LoRA learns what an empty prompt shows, and no "
            "word will call it up. Set {setting}, or write captions."
        ),
        "data.without_caption": (
            "{without} of {count:image|images} have no caption, and there is no trigger word: they teach what an empty "
            "prompt shows. Set {setting}, or write their captions."
        ),
        "data.no_word_to_replace": (
            "There is no trigger word, so {setting} cannot keep other words from showing what is learned as well. "
            "Write the word of your captions into {trigger}."
        ),
        "data.copies_same": "{count:image is|images are} there twice, with the same pixels: {copies}.",
        "data.copies_same_more": (
            "{count:image is|images are} there twice, with the same pixels: {copies}, and {more} more."
        ),
        "data.copies_alike": "{count:image looks|images look} nearly like another: {copies}.",
        "data.copies_alike_more": "{count:image looks|images look} nearly like another: {copies}, and {more} more.",
        "data.copy_of": "{name} like {other}",
        "data.equal_pairs": (
            "In {count} of {pairs:pair|pairs} both images have the same pixels: nothing is learned from them."
        ),
        "data.all_pairs_equal": (
            'In every pair of "{folder}" both images have the same pixels, so there is nothing to learn. Choose '
            "targets that differ from their originals."
        ),
        "data.pair_same_pixels": (
            "It has the same pixels as the original image, so there is nothing to learn. Choose another."
        ),
        "data.pair_hardly_differs": (
            "The two images hardly differ: there is next to nothing to learn. Make sure that they are the right ones."
        ),
        "data.batch_above_samples": (
            "{setting} is {batch}, more than there are samples ({count}): each step takes the same ones several times."
        ),
        "data.batch_above_epoch": (
            "{setting} is {batch}, more than there are samples ({count}): no step takes more than there are."
        ),
        "data.more_samples_than_steps": (
            "{setting} is {repeats}, which makes {count} samples; the run takes {taken} of them, so some images may "
            "never be trained. Lower it, or train longer."
        ),
        "data.too_small_for_model": (
            "The model is made for {own}, and {size} is much smaller: it does poorly at that size, and so will the "
            "LoRA. Choose a larger {setting}."
        ),
        "data.too_large_for_model": (
            "The model is made for {own}, and {size} is much larger: it repeats itself at that size and takes far more "
            "memory. Choose a smaller {setting}."
        ),
        # ---- buckets
        "data.min_length_too_long": (
            "image min length {length} is more than the longest side of image size, {side}: every image is trained as "
            "{frame}. Choose a smaller image min length."
        ),
        "data.no_smaller_frames": (
            "sub image num is {count}, but these sizes leave room for no smaller frame: no smaller copies are trained. "
            "Choose a smaller image min length or image buckets step."
        ),
        "data.no_smaller_frames_in": (
            "{setting} is {count}, but {bucketing} makes no smaller copies: none are trained."
        ),
        "data.few_smaller_frames": (
            "sub image num is {count}, but there are only {frames} smaller frames: each image goes to all of them."
        ),
        # ---- the image tool
        "data.field_unknown": "It is not known here. The fields are {known}",
        "data.no_source": "It is empty. Write an image's path, or a folder's",
        "data.field_no_choice": "It must be one of {choices}, not {value}",
        "data.field_not_whole": "It must be a whole number from {least} to {most}, not {value}",
        "data.field_not_between": "It must be a number from {least} to {most}, not {value}",
        "data.field_no_number": "It must be a number, not {value}",
        "data.field_no_truth": "It must be true or false, not {value}",
        "data.source_missing": '"{path}" is not there. Check how it is written.',
        "data.target_is_file": '"{path}" is a file. Write a folder.',
        "data.only_variations": 'The folder "{folder}" holds variations only. Choose the folder they are of.',
        "data.no_folder_beside": '"{path}" has no folder beside it. Write one.',
        # ---- epochs and validation
        "data.too_many_epochs": (
            "{epochs} epochs of {per_epoch:step|steps} are {steps} steps, and a run has at most {most}. Write fewer."
        ),
        "data.too_few_to_validate": (
            "There must be at least two images to leave one out of training, and there is {count}. Write 0, or add "
            "images."
        ),
        "data.account_validation": (
            "{validated} of {total:image|images} set aside: their validation loss shows what the LoRA makes of images "
            "it does not know"
        ),
    }
)
