"""Presets: TrainTrain's eight files, ours of the same names, and what may be wrong with a file."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from trainer.config import preset_page, presets
from trainer.config.labels import help_of
from trainer.config.schema import dump, parse, to_json
from trainer.config.settings import ROWS, Settings
from trainer.errors import OutputError, SettingsError, UserError

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "presets"
OURS = SHIPPED / "trainyard"
TRAINTRAIN = ROOT / "tests" / "config" / "traintrain_presets"
NAMES = [
    "ADDifT_Action_SD1.5",
    "ADDifT_Action_XL",
    "ADDifT_Style_SD1.5",
    "ADDifT_Style_XL",
    "Difference",
    "Difference_Use2ndPass",
    "iLECO",
    "LoRA",
]


def plain(value: Any) -> Any:
    """A value of either program's file without the ways of writing it: 16, "16" and "16.0" are one."""
    if isinstance(value, dict):
        return {key: plain_of(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def plain_of(key: str, value: Any) -> Any:
    if key == "train_optimizer":
        return value.lower()
    if key == "logging_save_csv" and value == "":
        return False
    return plain(value)


def test_the_eight_are_there() -> None:
    assert presets.list_presets([SHIPPED]) == NAMES
    assert presets.list_presets([TRAINTRAIN]) == NAMES


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_help_of_rank_and_alpha_says_what_our_presets_have(language: str) -> None:
    ours = [presets.load_file(path).settings for path in OURS.glob("*.json")]
    named = {int(number) for number in re.findall(r"\d+", help_of("network_rank", language).replace("1組", ""))}
    assert named == {each.network_rank for each in ours} == {4, 8, 16}
    shares = {each.network_alpha / each.network_rank for each in ours}
    assert (min(shares), max(shares)) == (1 / 4, 2)
    told = {"en": "a quarter of the rank to twice it", "ja": "ランクの1/4〜2倍"}[language]
    assert told in help_of("network_alpha", language)


@pytest.mark.parametrize("name", NAMES)
def test_traintrains_file_reads_and_writes_back_equal(name: str) -> None:
    theirs = json.loads((TRAINTRAIN / f"{name}.json").read_text("utf-8"))
    parsed = presets.load(name, [TRAINTRAIN])
    assert parsed.unknown == ()
    ours = to_json(parsed.settings)
    for key, value in theirs.items():
        if key == "2nd pass":
            for inner_key, inner in value.items():
                assert plain_of(inner_key, ours[key][inner_key]) == plain_of(inner_key, inner), inner_key
        else:
            assert plain_of(key, ours[key]) == plain_of(key, value), key
    default = to_json(Settings())
    assert {key: ours[key] for key in ours if key not in theirs} == {
        key: default[key] for key in ours if key not in theirs
    }


@pytest.mark.parametrize("name", NAMES)
def test_shipped_preset_equals_traintrains(name: str) -> None:
    assert presets.load(name, [SHIPPED]).settings == presets.load(name, [TRAINTRAIN]).settings


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_preset_holds_what_differs_and_counts_as_whole(name: str, tmp_path: Path) -> None:
    path = SHIPPED / f"{name}.json"
    written = json.loads(path.read_text("utf-8"))
    default = to_json(Settings())
    assert "mode" in written
    assert all(value != default[key] for key, value in written.items() if key not in ("mode", "2nd pass"))
    by_name, by_path = presets.load(name, [SHIPPED]), presets.load(path, [])
    assert by_name == by_path
    assert by_name.given >= {row.name for row in ROWS}
    assert by_name.with_defaults({"image_size": (1024, 1024), "train_learning_rate": 2e-4}) == by_name.settings
    copied = tmp_path / path.name
    shutil.copy(path, copied)
    assert presets.load(copied, []).given < by_name.given


@pytest.mark.parametrize("path", sorted(OURS.glob("*.json")), ids=lambda path: path.stem)
def test_one_of_ours_holds_what_differs_and_leaves_the_rest_to_the_model(path: Path) -> None:
    written = json.loads(path.read_text("utf-8"))
    default = to_json(Settings())
    parsed = presets.load(path.stem, [OURS])
    assert parsed.unknown == ()
    assert all(value != default[key] for key, value in written.items() if key != "mode")
    assert parsed.given == {row.name for row in ROWS if row.key in written or row.name in written}
    shown = {row.name for row in ROWS if parsed.settings.mode in row.modes} | {"mode"}
    assert parsed.given <= shown, "its mode reads all of it"
    assert parsed.with_defaults({"image_size": (1024, 1024)}).image_size == (1024, 1024)
    subject = {"model", "original_prompt", "target_prompt", "lora_data_directory", "save_lora_name", "train_seed"}
    assert not subject & parsed.given


def test_ours_come_first_then_traintrains_then_the_users_own(tmp_path: Path) -> None:
    for name in ("zebra", "LoRA", "Ape"):
        presets.save(Settings(), name, tmp_path)
    listed = presets.list_presets([tmp_path, tmp_path / "none", OURS, SHIPPED])
    assert listed == [*sorted(path.stem for path in OURS.glob("*.json")), *NAMES, "Ape", "zebra"]


def test_ours_are_told_from_the_users_own_of_the_same_name(tmp_path: Path) -> None:
    assert presets.is_ours("change-concept", [tmp_path, OURS, SHIPPED])
    presets.save(Settings(network_rank=77), "change-concept", tmp_path)
    assert not presets.is_ours("change-concept", [tmp_path, OURS, SHIPPED])
    assert not presets.is_ours("LoRA", [tmp_path, OURS, SHIPPED])
    found = presets.of_ours("change-concept")
    assert found is not None
    assert found.settings.mode == "iLECO"
    assert presets.of_ours("LoRA") is None
    assert presets.of_ours("../LoRA") is None


def test_traintrains_are_told_from_ours_and_from_the_users_own(tmp_path: Path) -> None:
    folders = [tmp_path, OURS, SHIPPED]
    listed = presets.list_presets(folders)
    assert [name for name in listed if presets.is_traintrains(name, folders)] == NAMES
    presets.save(Settings(), "iLECO", tmp_path)
    assert not presets.is_traintrains("iLECO", folders)


@pytest.mark.parametrize("name", [*NAMES, *(path.stem for path in OURS.glob("*.json"))])
def test_a_shipped_preset_says_what_it_is_for_and_a_users_own_says_nothing(name: str, tmp_path: Path) -> None:
    told = presets.told_of(name, [tmp_path, OURS, SHIPPED])
    assert told is not None
    english, japanese = told.text("en"), told.text("ja")
    assert english.endswith(".")
    assert japanese.endswith("。")
    presets.save(Settings(), name, tmp_path)
    assert presets.told_of(name, [tmp_path, OURS, SHIPPED]) is None
    assert presets.told_of("no such one", [OURS]) is None


def test_the_command_that_rewrites_the_shipped_presets_has_been_run(tmp_path: Path) -> None:
    folder = tmp_path / "presets"
    shutil.copytree(SHIPPED, folder)
    assert presets.rewrite_shipped(folder) == []
    before = presets.load_file(folder / "Difference_Use2ndPass.json").settings
    whole = folder / "Difference_Use2ndPass.json"
    whole.write_text(dump(before), encoding="utf-8")
    assert presets.rewrite_shipped(folder) == [whole]
    assert whole.read_bytes() == (SHIPPED / whole.name).read_bytes()


def test_the_page_about_presets_says_what_their_files_hold(tmp_path: Path) -> None:
    page = tmp_path / "presets.md"
    shutil.copy(ROOT / "docs" / "presets.md", page)
    assert not preset_page.rewrite(page), "python -m trainer presets writes it anew"
    text = page.read_text("utf-8")
    for path in (*SHIPPED.glob("*.json"), *OURS.glob("*.json")):
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{path.stem}` |")]
        written = json.loads(path.read_text("utf-8"))
        assert f"| {written['mode']} |" in row
        assert all(f"`{key}` {written[key]}" in row for key in ("network_rank", "train_optimizer") if key in written)
    second = json.loads((SHIPPED / "Difference_Use2ndPass.json").read_text("utf-8"))["2nd pass"]
    assert f"in the second pass `network_rank` {second['network_rank']}" in text
    page.write_text(text.replace("| `network_rank`", "| `network_rnak`"), encoding="utf-8")
    assert preset_page.rewrite(page)
    assert page.read_text("utf-8") == text


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(mode="iLECO", network_rank=3, unknown=(("odd", None), ("network", [1]))),
        Settings(mode="Difference", second_pass=Settings()),
        Settings(mode="Difference", second_pass=Settings(model="x", network_rank=3, unknown=(("odd", 0),))),
    ],
)
def test_the_brief_text_of_settings_reads_back_equal(settings: Settings) -> None:
    assert parse(json.loads(presets.brief(settings))).settings == settings
    assert len(presets.brief(settings)) < 200


def test_second_pass_of_the_preset() -> None:
    settings = presets.load("Difference_Use2ndPass", [SHIPPED]).settings
    assert settings.use_2nd_pass_settings
    assert settings.second_pass is not None
    assert (settings.network_rank, settings.second_pass.network_rank) == (16, 4)
    assert (settings.train_learning_rate, settings.second_pass.train_learning_rate) == (5e-4, 1e-4)


def test_saved_preset_comes_back(tmp_path: Path) -> None:
    settings = parse({"target prompt": "向日葵", "later_key": {"a": [1, None]}}).settings
    path = presets.save(settings, "ひまわり 1.5", tmp_path / "user")
    assert path == tmp_path / "user" / "ひまわり 1.5.json"
    parsed = presets.load("ひまわり 1.5", [tmp_path / "absent", tmp_path / "user"])
    assert parsed.settings == settings
    assert parsed.unknown == ("later_key",)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_first_folder_wins_and_a_file_may_be_named_by_its_path(tmp_path: Path) -> None:
    own = presets.save(Settings(network_rank=7), "LoRA", tmp_path)
    assert presets.list_presets([tmp_path, SHIPPED]) == NAMES
    for name in ("LoRA", "LoRA.json", str(own), own):
        assert presets.load(name, [tmp_path, SHIPPED]).settings.network_rank == 7
    assert presets.load("LoRA", [SHIPPED, tmp_path]).settings.network_rank == 16


def test_taken_name_is_replaced_only_when_asked(tmp_path: Path) -> None:
    presets.save(Settings(network_rank=7), "mine", tmp_path)
    with pytest.raises(OutputError, match="There is a preset of that name"):
        presets.save(Settings(network_rank=8), "mine.json", tmp_path)
    assert presets.load("mine", [tmp_path]).settings.network_rank == 7
    presets.save(Settings(network_rank=8), "mine", tmp_path, overwrite=True)
    assert presets.load("mine", [tmp_path]).settings.network_rank == 8


def test_what_is_saved_over_is_set_aside(tmp_path: Path) -> None:
    for rank in (7, 8, 9):
        presets.save_over(Settings(network_rank=rank), "mine", tmp_path)
    assert presets.load("mine", [tmp_path]).settings.network_rank == 9
    kept = [presets.load(path, []).settings.network_rank for path in sorted((tmp_path / "replaced").iterdir())]
    assert kept == [7, 8]
    assert presets.list_presets([tmp_path]) == ["mine"]


@pytest.mark.parametrize("name", ["LoRA", "lora", "LoRA.json", " LoRA "])
def test_the_name_of_a_shipped_preset_is_known_though_one_of_the_users_hides_it(name: str, tmp_path: Path) -> None:
    presets.save(Settings(), "LoRA", tmp_path)
    assert presets.is_shipped(name, [tmp_path, SHIPPED])
    assert not presets.is_shipped("mine", [tmp_path, SHIPPED])


@pytest.mark.parametrize("name", ["", " ", "../out", "a/b", "a\\b", "/etc/x", "C:x", "NUL", "..", "x\n", "what?"])
def test_name_may_not_leave_its_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "user"
    with pytest.raises(UserError, match="preset name"):
        presets.save(Settings(), name, folder)
    assert list(tmp_path.iterdir()) == []


def test_missing_preset_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such preset or file") as caught:
        presets.load("Lora2", [SHIPPED, tmp_path])
    assert "Lora2" in str(caught.value)
    assert "Perhaps you mean LoRA" in str(caught.value)
    assert all(name in str(caught.value) for name in NAMES)
    with pytest.raises(UserError, match="There are no presets here"):
        presets.load("x" * 100, [tmp_path])
    with pytest.raises(UserError, match="preset: It is too long for a path"):
        presets.load("x" * 5000, [tmp_path])
    with pytest.raises(UserError, match="preset: It has a line break or another control character"):
        presets.load("null\0byte", [tmp_path])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{\n  "mode": "LoRA",,\n}', "line 2, column 18"),
        (b"", "line 1, column 1"),
        (b"[1, 2]", "not an object"),
        (b'"LoRA"', "not an object"),
        (b'{"original prompt": "\x92"}', "not UTF-8"),
        (b"[" * 100_000, "no settings need"),
        (b'{"network_rank": ' + b"9" * 10_000 + b"}", "no settings need"),
        (b" " * (5 * 2**20), "too large"),
    ],
    ids=["comma", "empty", "list", "text", "cp1252", "nested", "digits", "large"],
)
def test_broken_file_is_told_in_one_sentence(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        presets.load("broken", [tmp_path])
    assert words in str(caught.value)
    assert "broken.json" in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_no_matter(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "marked.json"
    path.write_bytes('{"original prompt": "Loïc 青"}'.encode(encoding))
    assert presets.load(path, []).settings.original_prompt == "Loïc 青"


def test_wrong_settings_in_a_file_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text('{"network_rank": 0, "train_iterations": "many"}', encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        presets.load(path, [])
    assert [problem.key for problem in caught.value.problems] == ["network_rank", "train_iterations"]


def test_folder_is_no_settings_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such preset or file"):
        presets.load(tmp_path, [])
    with pytest.raises(UserError, match="cannot be read"):
        presets.load_file(tmp_path)
