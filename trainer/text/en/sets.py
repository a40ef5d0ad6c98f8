"""Texts about sets of images: what was done to one, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "sets.folder": "Folder of images",
        "sets.no_such_set": "There is no such set any more. Choose one from the list.",
        "sets.no_such_image": "The set has no such image any more.",
        "sets.no_set_name": "A set needs a name. Write one with letters or digits in it.",
        "sets.unreadable": "It cannot be read ({reason}).",
        "sets.not_below": "Folders are listed below your home folder and beside the sets you opened. Write the path of "
        "any other folder.",
        "sets.is_busy": "The set is being changed by another window or program. Try again when that is done.",
        # ---- captions
        "sets.no_tags_given": "Write which tags it is about.",
        "sets.no_such_change": "It is no change of captions. Known are {known}.",
        "sets.caption_unreadable": "Its caption is not written over: {problem}.",
        "sets.caption_no_text": "The caption has characters that are no text. Remove them.",
        "sets.did_caption": "the caption of {name}",
        "sets.did_captions": "{count:caption|captions}",
        "sets.did_add": "{tags} added",
        "sets.did_front": "{tags} moved to the front",
        "sets.did_remove": "{tags} removed",
        "sets.did_replace": "{tags} replaced by “{by}”",
        "sets.did_sort": "tags sorted",
        "sets.did_tidy": "tags tidied",
        "sets.did_import": "captions brought in",
        "sets.did_come_in": "{names} brought in",
        "sets.did_aside": "{names} set aside",
        "sets.did_back": "{names} brought back",
        "sets.did_mask": "the mask of {name}",
        "sets.nothing_to_undo": "There is nothing to undo.",
        "sets.nothing_to_redo": "There is nothing to do again.",
        # ---- files
        "sets.name_taken": "There is another file of that name. Nothing was moved over it.",
        "sets.not_moved": "It cannot be moved ({reason}).",
        "sets.mask_no_image": "It is no mask that can be read ({problem}).",
        "sets.mask_other_size": "A mask must have the shape of its image, {size}.",
        "sets.no_mask": "The image has no mask.",
        # ---- what comes in
        "sets.no_zip": "It is no zip archive that can be read ({reason}).",
        "sets.zip_too_many": "The archive holds more than {most} files. Unpack a part of it yourself.",
        "sets.zip_too_large": "The archive would take {size} GB unpacked; at most {most} GB are accepted.",
        "sets.zip_no_room": "The archive would take {size} MB unpacked, and {free} MB are free on the disk.",
        "sets.zip_bomb": "The archive is refused: a file in it is hundreds of times larger than its packed part, as in "
        "archives made to fill a disk.",
        "sets.zip_encrypted": "The archive is protected by a password. Unpack it yourself, and drop the folder.",
        "sets.is_link": "is a link",
        "sets.file_too_large": "has more than {most} GB",
        "sets.broken_in_zip": "cannot be unpacked ({reason})",
        "sets.leads_out": "has a path that leads out of the archive or folder",
        "sets.archive_inside": "is an archive itself; unpack it, or drop it alone if it is a zip",
        "sets.no_image": "is no image that can be read",
        "sets.no_image_or_caption": "is neither an image nor a caption",
        "sets.caption_alone": "belongs to no image here",
        "sets.caption_waits": "not used until an image of that name comes in",
        "sets.too_many_files": "More than {most} files are too many at once. Drop a part of them.",
        "sets.no_batch": "These files are no longer expected. Drop them again.",
        "sets.changed_elsewhere": "Another window or program has changed this caption. It is shown as it is now.",
    }
)
