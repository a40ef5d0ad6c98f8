"""Every place that gives the version gives the same one."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

from trainer.web.app import VERSION

ROOT = Path(__file__).resolve().parent.parent
RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", re.M)


def _read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_the_version_is_the_same_everywhere() -> None:
    project = _read("pyproject.toml").partition("[project]")[2].partition("\n[")[0]
    (packaged,) = re.findall(r'^version = "(.*)"$', project, re.M)
    newest, _day = RELEASE.findall(_read("CHANGELOG.md"))[0]
    assert packaged == newest == VERSION


def test_the_webui_reads_no_version_of_its_own() -> None:
    # WebUIs show an extension's git tag; a Version here would be one more place to keep right.
    metadata = configparser.ConfigParser()
    metadata.read_string(_read("metadata.ini"))
    assert metadata["Extension"]["Name"] == "Trainyard"
    assert "Version" not in metadata["Extension"]


def test_releases_stand_newest_first_below_what_is_unreleased() -> None:
    text = _read("CHANGELOG.md")
    headings = re.findall(r"^## (.*)$", text, re.M)
    releases = RELEASE.findall(text)
    assert headings[0] == "[Unreleased]"
    assert len(headings) == len(releases) + 1, "a release is written: ## [1.2.3] - 2026-11-28"
    numbers = [tuple(map(int, version.split("."))) for version, _ in releases]
    assert numbers == sorted(numbers, reverse=True)
    assert [day for _, day in releases] == sorted((day for _, day in releases), reverse=True)
