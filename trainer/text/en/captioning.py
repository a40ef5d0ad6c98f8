"""Texts about describing images: taggers, captioners, servers and a WebUI's interrogators."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- the fields
        "captioning.field_too_long": "It may have {most} characters at most",
        "captioning.field_no_text": "It has characters that are no text",
        # ---- what can be chosen
        "captioning.tagger": "{name} (tags)",
        "captioning.captioner": "{name} (sentences)",
        "captioning.of_webui": "{name}, of this WebUI",
        "captioning.nothing_found": (
            "No tagger or captioner was found. Put the folder of one into {folder}: for a tagger model.onnx and "
            "selected_tags.csv, for a captioner all files of its page. Or give the address of a server."
        ),
        "captioning.choose_one": "Several were found. Choose one of: {known}.",
        "captioning.no_model": (
            "There is no tagger or captioner of this name. Put its folder into {folder}, or choose one of those that "
            "are there: {known}."
        ),
        "captioning.no_model_at_all": "There is no tagger or captioner of this name. Put its folder into {folder}.",
        "captioning.no_model_in": (
            "The folder holds no tagger (model.onnx and selected_tags.csv) and none of the captioners that are known "
            "({known})."
        ),
        "captioning.no_interrogator": "This WebUI has no such interrogator, only {known}.",
        "captioning.no_interrogator_here": "Interrogators belong to a WebUI, and Trainyard runs without one here.",
        # ---- ONNX taggers
        "captioning.needs_package": (
            "{what} needs the package {package}, which cannot be used here ({reason}). Install it with: "
            "pip install {package}."
        ),
        "captioning.no_onnx": (
            "The folder has no ONNX file. Taggers are read in that form alone: fetch model.onnx from the page that its "
            "other files are from."
        ),
        "captioning.several_onnx": "The folder has several ONNX files ({names}). Call the right one model.onnx.",
        "captioning.bad_table": "It is no table of tags: it lacks rows, or the columns name and category.",
        "captioning.onnx_broken": "The ONNX file cannot be loaded: {reason}",
        "captioning.other_input": (
            "It takes images of another form ({shape}) than WD14 taggers do, which take squares with the three colours "
            "last. It cannot be used."
        ),
        "captioning.other_count": (
            "The model knows {count} tags and {file} has {rows}. One of the two files belongs to another tagger."
        ),
        "captioning.onnx_failed": "The tagger fails: {reason}",
        "captioning.not_a_number": "The tagger answers with something that is no number. Its file may be broken.",
        # ---- captioners
        "captioning.unknown_kind": "It is none of the captioners that are known here: {known}.",
        "captioning.own_code": (
            "This captioner brings program code of its own, which Trainyard does not run. Use the same model in the "
            "form that transformers reads by itself: for Florence-2 that of florence-community."
        ),
        "captioning.no_safetensors": (
            "It has no weights as safetensors, the only form that is read, as others can hold programs. Fetch "
            "model.safetensors from the page that its other files are from."
        ),
        "captioning.too_old": "It needs {kind}, which the installed transformers {version} does not have. Update it.",
        "captioning.not_loaded": "It cannot be loaded: {reason}",
        "captioning.weights_missing": (
            "Its files lack {count:weight|weights}, first {name}. They are not all there, or of another model."
        ),
        "captioning.no_prompt": "This captioner takes no prompt. Leave it empty.",
        "captioning.failed": "The captioner fails: {reason}",
        "captioning.memory": (
            "There is not enough memory to describe images. Close other programs, or choose a smaller model."
        ),
        # ---- a server
        "captioning.no_address": "It is no address of a server. Write it like http://127.0.0.1:1234/v1.",
        "captioning.no_such_host": "There is no computer called {name}. Check the address.",
        "captioning.address_is_public": (
            "{name} is outside your network, and your images would be sent there. Use a server on this computer or in "
            "your network; the command line takes others with --anywhere."
        ),
        "captioning.not_reached": "The server cannot be reached ({reason}). Start it, or check the address.",
        "captioning.no_answer": "The server has not answered within {seconds} seconds.",
        "captioning.refused": "The server refuses, with status {status}: {answer}",
        "captioning.strange_answer": "The server answers, but not as chat completions are answered: {answer}",
        "captioning.no_model_there": "The server names no model. Load one there, or write its name.",
        # ---- interrogators
        "captioning.interrogator_failed": "The WebUI's interrogator fails: {reason}",
        "captioning.interrogator_error": (
            "The WebUI's interrogator fails; its console says why. When first used it downloads its models."
        ),
        "captioning.training_has_device": (
            "A LoRA is being trained, and the WebUI's interrogators need the same device. Wait for its end, or use a "
            "tagger from a folder, which then works on the CPU."
        ),
        # ---- the work
        "captioning.did": "captions by {name}",
        "captioning.left_out": "left as it is",
        "captioning.changed_meanwhile": "was changed or moved meanwhile",
        "captioning.on_cpu": "On the CPU, as a LoRA is being trained or memory is short.",
        "captioning.already": "Images are being described already. Wait for the end, or press Stop.",
        "captioning.merged_without": "merged without it",
        # ---- fetching
        "captioning.fetch_no_address": "It is no address of a file or a gallery. Write it like https://example.com/a.zip.",
        "captioning.fetch_no_name": "The address names no file.",
        "captioning.fetch_refused": "The server refuses, with status {status}.",
        "captioning.fetch_broke_off": "Fetching broke off ({reason}). Nothing was kept. Try again.",
        "captioning.fetch_other_size": "{size} bytes came and {expected} were announced. Nothing was kept. Try again.",
        "captioning.no_gallery_dl": (
            "This is a page and no file. Galleries are fetched by gallery-dl, which is not installed: "
            "pip install gallery-dl."
        ),
    }
)  # fmt: skip
