"""Texts of LoRA files and what is trained, optimizers and schedules."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- LoRA files
        "networks.no_file": "There is no such file.",
        "networks.no_such_lora": "There is no such LoRA file. Give its full path, or put it into {folder}.",
        "networks.unreadable": "It cannot be read ({reason}). Choose another copy of it.",
        "networks.unused": "Not used of {file}: {parts}.",
        "networks.carried": "Kept in the new file as it is in {file}: {parts}.",
        "networks.dropped": "Not used of {file}, and not in the new file: {parts}.",
        "networks.part_embedding": "{count:bundled embedding|bundled embeddings}",
        "networks.part_norm": "changes of {count:norm|norms} (LyCORIS)",
        "networks.part_bias": "biases of {count:module|modules}",
        "networks.part_dora": "the DoRA scale of {count:module|modules}",
        "networks.part_lora": "{count:module|modules} of which a part is missing ({example} …)",
        "networks.part_loha": "{count:module|modules} of which a part is missing ({example} …)",
        "networks.part_lokr": "LoKr of {count:module|modules}",
        "networks.part_oft": "OFT of {count:module|modules}",
        "networks.part_ia3": "IA³ of {count:module|modules}",
        "networks.part_glora": "GLoRA of {count:module|modules}",
        "networks.part_full": "full differences of {count:module|modules}",
        "networks.part_unknown": "{count:tensor|tensors} of an unknown kind ({example} …)",
        "networks.part_placeless": "{count:module|modules} that the model does not have ({example} …)",
        "networks.nan": (
            "It has NaN or infinite numbers in {tensor}: the run that made it broke down, or the file is damaged. "
            "Choose another LoRA."
        ),
        "networks.misshapen": "The tensors of {module} do not fit together. Choose another LoRA, or fetch it again.",
        "networks.broken_alpha": "What it says of its alpha cannot be read ({reason}). Fetch it again.",
        "networks.no_lora": (
            "It is no LoRA of a kind that Trainyard knows. Choose a file of one of these kinds: {kinds}."
        ),
        "networks.other_kind": (
            "It is no LoRA of a kind that Trainyard knows ({example} …). Choose a file of one of these kinds: {kinds}."
        ),
        "networks.other_type": (
            "It is {kind}, which Trainyard cannot use. Choose a file of one of these kinds: {kinds}."
        ),
        "networks.other_family": (
            "It was trained for {trained_for}, but the model is {family}. Choose a LoRA for {family}, or another model."
        ),
        "networks.other_model": (
            "{count} of its {total} modules have no place in this model ({example} …). Choose a LoRA for {family}."
        ),
        "networks.other_shapes": (
            "{module} has shapes {shapes}, the model's {wanted}. This LoRA was trained on another kind of model."
        ),
        "networks.no_settings": (
            "It has no settings in it; it was not trained with Trainyard. Choose a preset or a .json file."
        ),
        # ---- changing what one says of itself
        "networks.text_too_long": "{count} letters are too many. At most {most} fit.",
        "networks.only_safetensors": "Only .safetensors files say anything of themselves that can be changed.",
        "networks.being_written": "It is just being written. Try again in a moment.",
        "networks.nothing_to_undo": "It has not been changed here, so there is nothing to undo.",
        "networks.other_tensors_now": "It has other tensors than before its last change, which is not undone.",
        # ---- training
        "networks.nothing_to_train": (
            "Nothing is left to train. Choose at least one block that has modules of the chosen network type and "
            "element."
        ),
        "networks.none_reads_prompts": (
            "None of these blocks reads the prompt, so there is nothing to start from a closed form. Choose more "
            "blocks, or turn off {setting}."
        ),
        # ---- continuing from a LoRA
        "networks.resume_no_lora": "{file} is {kind}, not a LoRA. Choose a LoRA file, or leave it empty.",
        "networks.resume_alpha_zero": (
            "{file} has alpha 0 in all of its modules, so it changes nothing and would learn nothing. Choose another "
            "LoRA, or leave it empty."
        ),
        "networks.resume_other_type": (
            "{file} is a {kinds}, but the network type is {type}. Choose as network type: {fitting}."
        ),
        "networks.resume_mixed_types": (
            "{file} holds several kinds of networks ({kinds}), but the network type is {type}. Choose another file."
        ),
        "networks.resume_other_family": (
            "{file} was trained for {trained_for}, but the model is {family}. Choose a LoRA for {family}, "
            "or another model."
        ),
        "networks.continues": "Continuing {file}: {count:module|modules} at rank {rank} and alpha {alpha}.",
        "networks.continues_new": (
            "Continuing {file}: {count:module|modules} at rank {rank} and alpha {alpha}; {new} new."
        ),
        "networks.continues_frozen": (
            "Continuing {file}: {count:module|modules} at rank {rank} and alpha {alpha}; {frozen} kept frozen."
        ),
        "networks.continues_new_frozen": (
            "Continuing {file}: {count:module|modules} at rank {rank} and alpha {alpha}; {new} new; "
            "{frozen} kept frozen."
        ),
        # ---- optimizers and schedules
        "optim.no_package": (
            "{optimizer} needs the package {package}, which cannot be used here ({reason}). "
            "Install it with: pip install {package}."
        ),
        "optim.cannot_step": (
            "{optimizer} cannot train on {device} with the {package} that is installed ({reason}). "
            "Choose AdamW, or install a {package} that is made for it."
        ),
        "optim.unknown_settings": "{name} does not take {unknown}. It takes: {known}.",
        "optim.takes_no_settings": "{name} takes no settings. Leave them empty.",
        "optim.rate_has_a_field": "{name} does not take lr. The learning rate has a field of its own.",
        "optim.refused": "{name} refuses them ({reason}).",
        "optim.fails_at_step": "{name} fails at step {step} of {steps} ({reason}). Change or empty its settings.",
        "optim.rate_negative": (
            "{name} makes the learning rate negative at step {step} of {steps}: {rate}. Change or empty its settings."
        ),
        "optim.rate_too_high": (
            "{name} raises the learning rate to {rate} at step {step} of {steps}, and nothing can be learned there. "
            "Change or empty its settings."
        ),
        "optim.overflows": (
            "{name} makes what it trains infinite or NaN at step {step} of {steps}. Lower the learning rate, or change "
            "or empty its settings."
        ),
        "optim.moves_late": (
            "{optimizer} changes nothing in its first {steps:step|steps}; it only gathers what it needs. The loss does "
            "not fall until then."
        ),
        "optim.never_moves": (
            "{optimizer} changes nothing in {steps:step|steps}, which is all there are. Raise train iterations, or "
            "choose another optimizer."
        ),
        "optim.rate_is_low": (
            "{setting} is {rate}, far below what {optimizer} usually trains with (from {least}): next to nothing will "
            "be learned. Raise it."
        ),
        "optim.rate_is_high": (
            "{setting} is {rate}, far above what {optimizer} usually trains with ({least} to {most}): it may destroy "
            "what the model knows. Lower it."
        ),
        "optim.rate_is_a_factor": (
            "{optimizer} finds the step size itself and multiplies it by the learning rate: {rate} makes it very slow. "
            "Set the learning rate to about 1."
        ),
    }
)
