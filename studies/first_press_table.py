"""The tables of :mod:`.first_press`, from its lines alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from studies.pairs import Share

Line = Mapping[str, Any]
Counts = dict[str, Share]
OURS, TRAINTRAINS = "ours", "traintrain"
LEAST = {"asked": 90, "others": 95, "kept": 95}
LEAST_OF_LORA = {"asked": 85, "kept": 95}
MOST_BY_ANOTHER_WORD = 5
"""Percent."""
STRENGTHS = ("-2", "-1", "+0", "+1", "+2")
NOT_HELD_TO_OTHERS = ("ADDifT", "Multi-ADDifT", "Difference")
"""Modes of which other values are shown and not asked for."""
MISSED, BEATEN = " †", " ‡"
LEGEND = "\n".join(
    (
        f"{MISSED.strip()} Less than 90 % of what is asked (LoRA: 85 %), less than 95 % kept, more than 5 % by another",
        "word; a slider that falls from one strength to the next, or ends where it began.",
        f"{BEATEN.strip()} TrainTrain's formulas do more of what is asked.",
    )
)


def tables(lines: Iterable[Line], half: str) -> str:
    """All of them, of the pairs of one half."""
    current = newest([line for line in lines if line["key"]["half"] == half])
    parts = [
        "## By attribute", _compared(current, lambda line: line["attribute"]),
        "## By pair", _compared(current, lambda line: line["key"]["subject"]),
        "## Sliders", _sliders(current), "## LoRA", _things(current), "## Seconds", _seconds(current), LEGEND,
    ]  # fmt: skip
    by_code = Counter(line["formulas"] for line in current)
    if len(by_code) > 1:
        made = ", ".join(f"{count} by {name}" for name, count in by_code.items())
        parts.append(f"The code of the modes was not the same for all lines: {made}.")
    return "\n\n".join(parts)


def newest(lines: Sequence[Line]) -> list[Line]:
    """The lines of the settings that a mode was measured with last, and of each run the last."""
    settings = {_of_mode(line): line["key"]["settings"] for line in lines}
    bytes_of = {line["key"]["checkpoint"]: line["key"]["bytes"] for line in lines}
    found: dict[tuple[object, ...], Line] = {}
    for line in lines:
        key = line["key"]
        if key["settings"] == settings[_of_mode(line)] and key["bytes"] == bytes_of[key["checkpoint"]]:
            found[tuple(key.values())] = line
    return list(found.values())


def _of_mode(line: Line) -> tuple[str, str]:
    return line["key"]["mode"], line["key"]["formula"]


# ---- pooling --------------------------------------------------------------------------------------------------------


def pooled(lines: Iterable[Line]) -> Counts:
    """The sums of the counts of several runs."""
    found: Counts = {}
    for line in lines:
        for name, numbers in line["counts"].items():
            found[name] = found.get(name, Share()) + Share(*numbers)
    return found


def _rows(
    lines: Sequence[Line], modes: Callable[[str], bool], name: Callable[[Line], str]
) -> dict[tuple[str, str, str], list[Line]]:
    """By mode, what ``name`` gives, and checkpoint; in the order in which they were first seen, modes together."""
    found: dict[tuple[str, str, str], list[Line]] = {}
    for line in lines:
        key = line["key"]
        if modes(key["mode"]):
            found.setdefault((key["mode"], name(line), key["checkpoint"]), []).append(line)
    order = list(dict.fromkeys(mode for mode, _, _ in found))
    return dict(sorted(found.items(), key=lambda row: order.index(row[0][0])))


def _by_formula(lines: Iterable[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {OURS: [], TRAINTRAINS: []}
    for line in lines:
        found[line["key"]["formula"]].append(line)
    return found


def _seeds(lines: Iterable[Line]) -> str:
    return ", ".join(map(str, sorted({line["key"]["seed"] for line in lines})))


# ---- cells ----------------------------------------------------------------------------------------------------------


def share(one: Share | None, *, least: float = 0, most: float = math.inf, base: bool = False) -> str:
    """A count with its share, and the base's, and whether it misses what it has to be, in percent."""
    if one is None or not one.of:
        return "–"
    percent = 100 * one.count / one.of
    own = f"; base {one.base}/{one.images}" if base else ""
    return f"{one.count}/{one.of} ({percent:.0f} %{own})" + MISSED * (not least <= percent <= most)


def others_kept(counts: Counts, least: float) -> str:
    """All attributes that were not to change, together, and the one that is kept least."""
    each = {name.removeprefix("kept "): one for name, one in counts.items() if name.startswith("kept ") and one.of}
    if not each:
        return "–"
    worst = min(each, key=lambda name: each[name].count / each[name].of)
    percent = 100 * each[worst].count / each[worst].of
    return f"{share(sum(each.values(), Share()), least=least)}, {worst} {percent:.0f} %"


def _is_beaten(ours: Share | None, theirs: Share | None) -> bool:
    return ours is not None and theirs is not None and ours.of * theirs.count > theirs.of * ours.count


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}", *lines]) if lines else "Nothing yet."


# ---- tables ---------------------------------------------------------------------------------------------------------


def _compared(lines: Sequence[Line], name: Callable[[Line], str]) -> str:
    columns = (
        "mode", "asked for", "checkpoint", "seeds", "asked, ours", "TrainTrain's", "in words", "other values, ours",
        "TrainTrain's", "other attributes, ours", "TrainTrain's",
    )  # fmt: skip
    rows = []
    for (mode, of, checkpoint), group in _rows(lines, lambda mode: mode not in ("slider", "LoRA"), name).items():
        formulas = _by_formula(group)
        ours, theirs = pooled(formulas[OURS]), pooled(formulas[TRAINTRAINS])
        least = 0 if mode in NOT_HELD_TO_OTHERS else LEAST["others"]
        rows.append((
            mode, of, checkpoint, _seeds(group),
            *_asked(ours, theirs, LEAST["asked"]), share(ours.get("in words") or theirs.get("in words")),
            *(share(counts.get("others"), least=least) for counts in (ours, theirs)),
            *(others_kept(counts, LEAST["kept"]) for counts in (ours, theirs)),
        ))  # fmt: skip
    return _table(columns, rows)


def _asked(ours: Counts, theirs: Counts, least: float) -> tuple[str, str]:
    one, other = (share(counts.get("asked"), least=least, base=True) for counts in (ours, theirs))
    return one + BEATEN * _is_beaten(ours.get("asked"), theirs.get("asked")), other


def _sliders(lines: Sequence[Line]) -> str:
    columns = (
        "asked for", "checkpoint", "seeds", "formula", "images", *STRENGTHS, "negative end at -2", "at +2", "monotone",
        "other attributes at ±1",
    )  # fmt: skip
    rows = []
    for (_, of, checkpoint), group in _rows(
        lines, lambda mode: mode == "slider", lambda line: f"{line['attribute']}: {line['key']['subject']}"
    ).items():
        for formula, made in _by_formula(group).items():
            if not made:
                continue
            counts = pooled(made)
            positive = [counts[f"at {strength}"] for strength in STRENGTHS]
            numbers = [one.count for one in positive]
            monotone = numbers == sorted(numbers) and numbers[0] < numbers[-1]
            rows.append((
                of, checkpoint, _seeds(made), formula, str(positive[0].of), *(str(number) for number in numbers),
                *(str(counts[f"negative at {end}"].count) for end in (STRENGTHS[0], STRENGTHS[-1])),
                "yes" if monotone else f"no{MISSED}", others_kept(counts, LEAST["kept"]),
            ))  # fmt: skip
    return _table(columns, rows)


def _things(lines: Sequence[Line]) -> str:
    columns = (
        "thing", "checkpoint", "seeds", "its word, ours", "TrainTrain's", "at guidance 2, ours", "TrainTrain's",
        "another word, ours", "TrainTrain's", "classes, ours", "TrainTrain's",
    )  # fmt: skip
    rows = []
    for (_, of, checkpoint), group in _rows(
        lines, lambda mode: mode == "LoRA", lambda line: str(line["key"]["subject"])
    ).items():
        ours, theirs = both = tuple(pooled(made) for made in _by_formula(group).values())
        rows.append((
            of, checkpoint, _seeds(group), *_asked(ours, theirs, LEAST_OF_LORA["asked"]),
            *(share(counts.get("at guidance 2")) for counts in both),
            *(share(counts.get("another word"), most=MOST_BY_ANOTHER_WORD) for counts in both),
            *(others_kept(counts, LEAST_OF_LORA["kept"]) for counts in both),
        ))  # fmt: skip
    return _table(columns, rows)


def _seconds(lines: Sequence[Line]) -> str:
    """Of runs that one process did with both formulas, one after the other."""
    runs: dict[tuple[object, ...], dict[str, Line]] = {}
    for line in lines:
        key = line["key"]
        run = *(key[name] for name in ("mode", "subject", "checkpoint", "seed")), line["process"]
        runs.setdefault(run, {})[key["formula"]] = line
    by_mode: dict[str, list[dict[str, Line]]] = {}
    for run, both in runs.items():
        if len(both) == 2:
            by_mode.setdefault(str(run[0]), []).append(both)
    rows = []
    for mode, pairs in by_mode.items():
        first = pairs[0][OURS]
        ours, theirs = (sum(both[name]["seconds"] for both in pairs) / len(pairs) for name in (OURS, TRAINTRAINS))
        asked = [pooled(both[name] for both in pairs).get("asked") for name in (OURS, TRAINTRAINS)]
        rows.append((
            mode, str(len(pairs)), f"{first['steps']} × {first['batch']}", str(first["rank"]), f"{ours:.0f}",
            f"{theirs:.0f}", f"{ours / theirs:.2f}", *map(share, asked),
        ))  # fmt: skip
    columns = (
        "mode", "runs of each", "steps × batch", "rank", "seconds, ours", "TrainTrain's", "ratio", "asked, ours",
        "TrainTrain's",
    )  # fmt: skip
    return _table(columns, rows)
