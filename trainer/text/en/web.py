"""Texts of the page's services and routes; those the page itself shows are in page.py."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- who may ask
        "web.this_machine_only": "Trainyard answers this machine only. Start it with --listen for others.",
        "web.wrong_token": "The header {header} is not the page's. Reload the page.",
        "web.log_in_first": "Log in on the WebUI's page first.",
        "web.api_auth_needed": "Name and password of --api-auth are needed.",
        "web.foreign_name": 'Trainyard is not called "{name}". If this is a name of this machine, start it with '
        "{option} and the name.",
        "web.foreign_page": "Trainyard answers its own page only, not {page}.",
        "web.another_site": "another site's page",
        "web.password_needed": "Trainyard needs the name and password it was started with.",
        "web.not_an_account": "It must be a name and a password with a colon between them.",
        "web.body_too_large": "The request is too large: at most {most} megabytes are accepted.",
        # ---- what is asked for
        "web.no_settings": "It is not an object of settings. Send them as in a settings file.",
        "web.wrong_request": "The request does not have the expected form ({reason}).",
        "web.unknown_keys": "It is not known here. Known are {known}.",
        "web.wrong_statuses": "It must be a list of {statuses}.",
        "web.no_such_preset": "There is no such preset. Choose one from the list.",
        "web.no_such_setting": "There is no such setting. The list of settings has them all.",
        "web.no_such_card": "It is no GPU that settings can be fitted to. Choose one of {cards}.",
        "web.preset_is_shipped": "This preset comes with Trainyard and stays as it is. Write another name.",
        "web.preset_saved_over": "There is a preset of that name. Press Save once more to replace it; the old one is "
        "kept in the folder replaced.",
        "web.no_preset_chosen": "It is empty. Choose a preset, or write the path of a file.",
        "web.dataset_kept": "{name} is the dataset file now, and kept as {path}.",
        "web.paths_relative": "The paths in {name} are relative. A browser does not tell which folder the file is "
        "from, so they are looked for in {here}, where the program runs, and in {beside}. Write full paths if they are "
        "elsewhere.",
        "web.no_page_of_guide": "The guide has no such page.",
        "web.no_image_of_run": "The last run has no such image.",
        "web.no_image_of_data": "The data that was looked at has no such image.",
        "web.no_folder_in_mode": "It has no folder of images to look at. Modes that have one: {modes}.",
        "web.no_preview": "No data has been looked at yet. Press “{button}” first.",
        "web.file_too_large": "More than {most} megabytes are too many for an image.",
        "web.variations_running": "Other variations are being written. Wait until they are done, or stop them.",
        # ---- images made for the page
        "web.images_running": "Other images are being made. Wait for them, or stop them.",
        "web.image_gone": "There is no such image any more.",
        "web.step_gone": "The LoRA of this step is no longer there: those of single steps are kept for a week, and as "
        "long as there is room.",
        "web.no_lora_chosen": "It is empty. Choose one.",
        "web.no_such_lora": "There is no such LoRA in the folder.",
        "web.no_such_order": "There is no such order. Known are {orders}.",
        "web.not_two_loras": "It must be a list of the names of two LoRAs.",
        "web.not_whole": "It must be a whole number, not {value}.",
        "web.not_in_range": "It must be a number from {least} to {most}, not {value}.",
        "web.too_many_images": "{count} images are too many at a time. Ask for at most {most}.",
        # ---- the plot
        "web.no_runs": "There is no run yet. Train a LoRA first.",
        "web.no_such_run": "There is no such run. Refresh the list.",
        "web.too_many_runs": "{count} runs are too many for one plot. Choose at most {most}.",
        # ---- the server
        "web.served_here": "Trainyard is at {address} (for this machine only). Ctrl-C ends it.",
        "web.served_to_all": "Trainyard is at {address} and at every address of this machine. Ctrl-C ends it.",
        "web.what_is_open": "Whoever has the password can use all of it from other machines, over a connection that is "
        "not encrypted: train, change the queue, see images, captions, prompts and settings (JSON), look at any folder "
        "of images that this machine can read, and write variations into any folder.",
        "web.password_drawn": "Name: {user}  Password: {password}  (new at every start; --auth sets your own)",
        "web.ending": "Trainyard is closing. The running job is saved first, within ten seconds.",
        "web.server_ends": "The server is ending.",
        "web.port_taken": "Port {port} cannot be used ({reason}). Choose another, or end the program that uses it.",
        # ---- within a WebUI
        "web.no_routes": "Trainyard has no routes: {error}",
        "web.packages_missing": "Trainyard lacks packages",
        "web.packages_missing_help": "They are installed when this WebUI starts; that did not work, and its console "
        "says why. Install them with this command, then start the WebUI again:",
        "web.not_loaded": "Trainyard could not be loaded",
        "web.not_loaded_help": "The console shows the whole error. Reload UI tries again.",
        "option.language": "Language of the tab",
        "option_help.language": "empty: this WebUI's; applies after Reload UI",
        "option.lora_folder": "Folder for finished LoRAs",
        "option_help.lora_folder": "empty: where this WebUI looks for LoRAs; it does not find them elsewhere",
        "option.data_folder": "Folder for logs, the queue and presets",
        "option_help.data_folder": "empty: trainyard in this WebUI's data folder; applies after a restart",
        "option.training_first": "Training before images",
        "option_help.training_first": "an image that is asked for waits until the training ends; else only until its "
        "next step",
        "option.continue_runs": "Continue broken runs after a restart",
        "option_help.continue_runs": "a run that ended together with this WebUI goes on by itself when it starts again",
        "option.preset": "Preset the form begins with",
        "option_help.preset": "applies after Reload UI",
    }
)
