"""The study of the shipped presets writes down what it measures, does nothing twice, and marks what falls short."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studies import first_press
from studies import pairs as pairs_module
from studies.first_press import MODES, THINGS, Mode, Recipe, Run, read, recipe, runs, study
from studies.first_press_table import OURS, TRAINTRAINS, newest, tables
from studies.lora import Thing, shows, write_pictures
from studies.pairs import Pair, Share, spread_scenes
from studies.studio import CHECKPOINT
from tests.toy.judge import judge
from tests.toy.world import ATTRIBUTES, picture
from trainer.claims import locked
from trainer.config import presets
from trainer.paths import SHIPPED_PRESETS

RUN = Run(MODES["ADDifT"], Pair("colour", "red", "green"), "test", CHECKPOINT, 0)


def line(formula: str, asked: tuple[int, int, int, int], mode: str = "iLECO", **changes: Any) -> dict[str, Any]:
    """As the study writes it."""
    key = {
        "mode": mode, "subject": "red → green", "half": "test", "checkpoint": "toy", "bytes": "b", "seed": 0,
        "formula": formula, "settings": f"{formula} settings",
    }  # fmt: skip
    counts = {"asked": asked, "others": (23, 24, 24, 24), "kept shape": (22, 24, 24, 24), "kept size": (24, 24, 24, 24)}
    whole = {
        "attribute": "colour", "formulas": "f", "steps": 300, "batch": 2, "rank": 4, "seconds": 30.0, "process": "1",
        "counts": {**counts, **changes.pop("counts", {})},
    }  # fmt: skip
    return {"key": {**key, **{name: changes.pop(name) for name in key if name in changes}}, **whole, **changes}


def row_with(text: str, *parts: str) -> list[str]:
    found = [each for each in text.splitlines() if all(part in each for part in parts)]
    assert len(found) == 1, text
    return [cell.strip() for cell in found[0].strip("|").split("|")]


# ---- tables ---------------------------------------------------------------------------------------------------------


def test_seeds_and_pairs_are_pooled_and_what_falls_short_is_marked() -> None:
    lines = [
        line(OURS, (24, 24, 1, 24)),
        line(OURS, (18, 24, 0, 24), seed=1),
        line(OURS, (24, 24, 2, 24), subject="blue → red"),
        line(TRAINTRAINS, (23, 24, 1, 24)),
    ]
    by_attribute, by_pair = tables(lines, "test").split("## By pair")
    assert row_with(by_attribute, "| colour |") == [
        "iLECO", "colour", "toy", "0, 1", "66/72 (92 %; base 3/72) ‡", "23/24 (96 %; base 1/24)", "–",
        "69/72 (96 %)", "23/24 (96 %)", "138/144 (96 %), shape 92 %", "46/48 (96 %), shape 92 %",
    ]  # fmt: skip
    assert row_with(by_pair, "| red → green |")[4] == "42/48 (88 %; base 1/48) † ‡"
    assert row_with(by_pair, "| blue → red |")[4] == "24/24 (100 %; base 2/24)"


def test_pairs_of_images_are_not_held_to_values_they_say_nothing_about() -> None:
    lost = {"others": (3, 24, 24, 24)}
    held, shown = (
        row_with(tables([line(OURS, (24, 24, 0, 24), mode, counts=lost)], "test").split("## By pair")[0], mode)[7]
        for mode in ("iLECO", "ADDifT")
    )
    assert (held, shown) == ("3/24 (12 %) †", "3/24 (12 %)")


def test_more_may_be_erased_than_the_base_lacks_without_the_word() -> None:
    rows = tables([line(OURS, (30, 20, 0, 24), "erase")], "test").split("## By pair")[0]
    assert row_with(rows, "erase")[4] == "30/20 (150 %; base 0/24)"


@pytest.mark.parametrize(
    ("positive", "monotone"),
    [((0, 2, 2, 9, 20), "yes"), ((0, 2, 1, 9, 20), "no †"), ((4, 4, 4, 4, 4), "no †")],
)
def test_a_slider_may_not_fall_nor_stay(positive: tuple[int, ...], monotone: str) -> None:
    strengths = ("-2", "-1", "+0", "+1", "+2")
    counts = {f"at {at}": (count, 24, 2, 24) for at, count in zip(strengths, positive, strict=True)}
    counts |= {f"negative at {at}": (24 - count, 24, 2, 24) for at, count in zip(strengths, positive, strict=True)}
    row = row_with(tables([line(OURS, (0, 0, 0, 0), "slider", counts=counts)], "test"), "colour: red → green")
    assert row[5:10] == [str(count) for count in positive]
    assert row[10:13] == [str(24 - positive[0]), str(24 - positive[-1]), monotone]


def test_another_word_that_makes_the_thing_is_marked() -> None:
    counts = {"at guidance 2": (23, 24, 0, 24), "another word": (2, 24, 0, 24)}
    row = row_with(tables([line(OURS, (21, 24, 0, 24), "LoRA", subject="star (tek)", counts=counts)], "test"), "star")
    assert row[3] == "21/24 (88 %; base 0/24)"
    assert row[5] == "23/24 (96 %)"
    assert row[7] == "2/24 (8 %) †"


def test_seconds_are_those_of_runs_beside_one_another() -> None:
    lines = [
        line(OURS, (24, 24, 0, 24)),
        line(TRAINTRAINS, (12, 24, 0, 24), seconds=20.0),
        line(OURS, (24, 24, 0, 24), seed=1, seconds=300.0),
        line(TRAINTRAINS, (12, 24, 0, 24), seed=1, process="another"),
    ]
    row = row_with(tables(lines, "test").split("## Seconds")[1], "iLECO")
    assert row == ["iLECO", "1", "300 × 2", "4", "30", "20", "1.50", "24/24 (100 %)", "12/24 (50 %)"]


def test_tables_are_of_one_half_and_of_the_settings_measured_last() -> None:
    train = line(OURS, (24, 24, 0, 24), half="train")
    old = line(OURS, (1, 24, 0, 24), settings="old")
    now = line(OURS, (24, 24, 0, 24), seed=1)
    theirs = line(TRAINTRAINS, (2, 24, 0, 24))
    assert newest([old, now, theirs]) == [now, theirs]
    assert "1/24" not in tables([old, now, theirs], "test")
    assert row_with(tables([old, now, train], "test").split("## By pair")[0], "colour")[4] == "24/24 (100 %; base 0/24)"


def test_it_says_where_lines_were_made_by_different_code() -> None:
    lines = [line(OURS, (24, 24, 0, 24)), line(OURS, (24, 24, 0, 24), seed=1, formulas="g")]
    assert "1 by f, 1 by g" in tables(lines, "test")
    assert "by f" not in tables(lines[:1], "test")


# ---- the study ------------------------------------------------------------------------------------------------------


def test_rows_come_whole_before_the_next_seed() -> None:
    todo = list(runs(["iLECO", "erase"], [CHECKPOINT, CHECKPOINT], [0, 1], "test"))
    assert [run.seed for run in todo] == [0] * 30 + [1] * 30
    assert [run.mode.name for run in todo[:30]] == ["iLECO"] * 20 + ["erase"] * 10
    assert todo[0].subject == todo[1].subject != todo[2].subject
    some = runs(["ADDifT", "slider", "LoRA"], [CHECKPOINT], [0], "test", ["size"])
    assert [run.name for run in some] == ["small → large", "small → large", "pillar (wug)", "star (tek)"]


@pytest.mark.parametrize("name", MODES)
def test_traintrains_settings_are_its_own_but_for_steps_batch_and_rank(name: str) -> None:
    ours, theirs = recipe(MODES[name], OURS), recipe(MODES[name], TRAINTRAINS)
    assert ours.changes == {}
    assert theirs.preset.parent == SHIPPED_PRESETS
    read_back = presets.load_file(theirs.preset).settings
    shipped = presets.load_file(ours.preset).settings
    assert theirs.changes["train_iterations"] == str(shipped.train_iterations)
    assert theirs.changes["network_rank"] == str(shipped.network_rank)
    scale = float(theirs.changes["network_alpha"]) / shipped.network_rank
    assert scale == pytest.approx(read_back.network_alpha / read_back.network_rank)
    assert "train_learning_rate" not in theirs.changes


@pytest.mark.more
def test_a_run_is_written_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One step, and two prompts of each kind."""

    def short(mode: Mode, formula: str, tried: Mapping[str, str]) -> Recipe:
        whole = recipe(mode, formula, tried)
        return replace(whole, changes={**whole.changes, "train_iterations": "1"})

    scenes = spread_scenes()[:2]
    monkeypatch.setattr(first_press, "recipe", short)
    monkeypatch.setattr(pairs_module, "spread_scenes", lambda: scenes)
    results, scratch = tmp_path / "results" / "lines.jsonl", tmp_path / "scratch"
    scratch.mkdir()
    study([RUN], [OURS, TRAINTRAINS], results, scratch)
    lines = read(results)
    assert [one["key"]["formula"] for one in lines] == [OURS, TRAINTRAINS]
    for one in lines:
        assert set(one["counts"]) == {
            "asked", "in words", "others", "kept shape", "kept size", "kept background", "kept place",
        }  # fmt: skip
        assert all(Share(*numbers).images == 2 for numbers in one["counts"].values())
        assert one["seconds"] > 0
    assert not list(scratch.glob("tmp*")), "LoRAs are left"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Run, str]]:
    """The runs that were done, of which none is."""
    found: list[tuple[Run, str]] = []

    def finish(run: Run, formula: str, *_: object) -> dict[str, Any]:
        found.append((run, formula))
        return {**line(formula, (1, 2, 0, 2)), "key": first_press.key_of(run, formula)}

    monkeypatch.setattr(first_press, "_done", finish)
    monkeypatch.setattr(first_press, "Remembering", lambda *_: None)
    return found


def test_a_run_is_not_repeated_unless_its_preset_is_another(
    done: list[tuple[Run, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    results = tmp_path / "lines.jsonl"
    study([RUN], [OURS, TRAINTRAINS], results, tmp_path)
    study([RUN], [OURS, TRAINTRAINS], results, tmp_path)
    assert done == [(RUN, OURS), (RUN, TRAINTRAINS)]
    faster = replace(recipe(RUN.mode, OURS), changes={"train_learning_rate": "0.5"})
    monkeypatch.setattr(first_press, "recipe", lambda *_: faster)
    study([RUN], [OURS], results, tmp_path)
    assert done[2:] == [(RUN, OURS)]
    assert len(read(results)) == 3


def test_settings_are_tried_over_our_preset_and_make_another_run() -> None:
    tried = {"train_iterations": "7", "diff_descriptions": "8"}
    used = recipe(RUN.mode, OURS, tried)
    assert (used.steps, used.ours.diff_descriptions) == (7, 8)
    assert used.given["changes"] == tried
    keys = [first_press.key_of(each, OURS) for each in (RUN, replace(RUN, changes=tried))]
    assert keys[0]["settings"] != keys[1]["settings"]


def test_a_line_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    results = tmp_path / "lines.jsonl"
    results.write_text(json.dumps({"key": 1}) + "\n" + '{"key": ', encoding="utf-8")
    assert read(results) == [{"key": 1}]
    assert read(tmp_path / "none.jsonl") == []


def test_what_another_process_is_doing_is_left_to_it(done: list[tuple[Run, str]], tmp_path: Path) -> None:
    other = replace(RUN, seed=1)
    with locked(first_press.claim_of(RUN, tmp_path)) as is_free:
        assert is_free
        study([RUN, other], [OURS], tmp_path / "lines.jsonl", tmp_path)
    assert done == [(other, OURS)]
    study([RUN, other], [OURS], tmp_path / "lines.jsonl", tmp_path)
    assert done == [(other, OURS), (RUN, OURS)]


def test_images_of_pairs_differ_in_the_attribute_alone(tmp_path: Path) -> None:
    given = first_press.asked_for(replace(RUN, mode=MODES["Multi-ADDifT"]), tmp_path)
    folder = Path(given["lora_data_directory"])
    assert len(list(folder.iterdir())) == 12
    scenes = first_press.scenes_of(RUN, 6)
    for number, scene in enumerate(scenes):
        found = [judge(Image.open(folder / f"{number}{side}.png")) for side in ("", "_changed")]
        values = [[getattr(verdict, name) for name in ATTRIBUTES] for verdict in found]
        assert values == [[*vars(replace(scene, colour=colour)).values()] for colour in ("red", "green")]


def test_what_a_pair_shows_beside_it_is_another_for_each_seed_and_the_same_for_each_mode() -> None:
    of_seeds = [first_press.scenes_of(replace(RUN, seed=seed), 1) for seed in range(3)]
    assert len({scene for scenes in of_seeds for scene in scenes}) == 3
    assert first_press.scenes_of(replace(RUN, mode=MODES["Difference"]), 1) == of_seeds[0]


@pytest.mark.parametrize("thing", [thing for half in THINGS.values() for thing in half])
def test_things_are_told_from_one_another_and_from_shapes(thing: Thing, tmp_path: Path) -> None:
    others = [other for half in THINGS.values() for other in half if other is not thing]
    for path in write_pictures(tmp_path, thing).glob("*.png"):
        assert shows(Image.open(path), thing)
        assert not any(shows(Image.open(path), other) for other in others)
    assert not shows(picture(spread_scenes()[0]), thing)


def test_things_to_be_learned_are_not_those_of_the_other_half() -> None:
    train, test = (THINGS[half] for half in ("train", "test"))
    assert not {thing.outline for thing in train} & {thing.outline for thing in test}
    assert all(isinstance(thing, Thing) and thing.word not in first_press.UNKNOWN for thing in train + test)
