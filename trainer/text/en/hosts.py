"""Texts of the hosts: our own and the WebUIs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- the model that is chosen
        "hosts.model": "{name} ({kind})",
        "hosts.model_with_vae": "{name} ({kind}) with the VAE {vae}",
        "hosts.models_in_folder": "The checkpoint to train on: one in the folder {folder}, or the path of any other "
        "file.",
        "hosts.models_of_webui": "Empty: the checkpoint that is loaded, straight from memory. Any other is read from "
        "its file, and the loaded one stays loaded.",
        "hosts.no_model": (
            "No model is chosen. Choose one, or give the path of its file. Models are looked for in {folder}."
        ),
        "hosts.no_model_there": (
            "No model is chosen, and there is none in {folder}. Put a checkpoint (.safetensors) there, or give the "
            "path of its file."
        ),
        "hosts.no_model_but_toy": (
            "No model is chosen, and there is none in {folder}. Put a checkpoint (.safetensors) there, or give the "
            "path of its file. To try Trainyard without one, choose {toy}: it is very small, and draws coloured shapes "
            "of 64 pixels."
        ),
        "hosts.no_file": "There is no file {name}. Give its full path, or put it into {folder}.",
        "hosts.not_in_list": "There is no file {name}. Choose one from the list, or put it into {folder}.",
        "hosts.no_checkpoint": "The WebUI has no checkpoint. Put one into its models folder.",
        "hosts.checkpoint_not_loaded": "The WebUI could not load its checkpoint. Its console says why.",
        # ---- during a run
        "hosts.phase": "Trainyard: {phase}",
        "hosts.progress": "Trainyard: {phase} {done} of {total}",
        "hosts.other_model_loaded": "The WebUI has loaded another model. The run continues with {name} from its file; "
        "both are in memory now.",
        "hosts.read_from_file": "{name} is read from its file: {reason}.",
        "hosts.other_prediction": (
            '{file} cannot be trained: by the way the WebUI uses it, it predicts "{what}". Choose a checkpoint that '
            "predicts the noise, the velocity or the flow."
        ),
        # ---- why the model in memory cannot be trained on: the end of hosts.read_from_file
        "hosts.model_is_split": "the WebUI moves its model piece by piece (--medvram or --lowvram)",
        "hosts.other_unet": "the WebUI computes with another U-Net than the checkpoint's (its option SD Unet)",
        "hosts.model_kept_in": "the WebUI keeps it in {types}",
        "hosts.model_on_several_devices": "the WebUI keeps it on several devices",
        "hosts.model_partly_on_device": "only part of it fits on the WebUI's device",
        "hosts.model_is_quantised": "the WebUI keeps it quantised",
        "hosts.kept_otherwise": "as int8, nf4 or streamed it would take memory beside the WebUI's, which moves away",
        "hosts.modules_unused": "{reason}; not used: {files}",
        # ---- images
        "hosts.images_too_large": "There is not enough memory for these images. Make them smaller.",
        "hosts.training_has_device": (
            "No images can be made while a LoRA is being trained. Pause the training, or wait until it ends."
        ),
        "hosts.lora_not_copied": (
            "The LoRA could not be put into {folder} ({reason}). Make room on the disk, or choose a folder you may "
            "write to."
        ),
        "hosts.image_failed": "The WebUI could not make the image ({reason}). Its console says more.",
        "hosts.image_interrupted": "The image was interrupted. Ask for it again.",
    }
)
