"""How long a run will take, as one would say it."""

from __future__ import annotations

import pytest

from trainer.web.services.before import duration

HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "english", "japanese"),
    [
        (61, "about 60 seconds, as runs before", "約60秒(これまでの学習から)"),
        (6_000, "about 1.7 hours, as runs before", "約1.7時間(これまでの学習から)"),
        (47 * HOUR, "about 47 hours, as runs before", "約47時間(これまでの学習から)"),
        (2.5 * DAY, "about 2.5 days, as runs before", "約2.5日(これまでの学習から)"),
        (1_200_000, "about 14 days, as runs before", "約14日(これまでの学習から)"),
    ],
)
def test_a_time_is_told_in_seconds_to_days(seconds: float, english: str, japanese: str) -> None:
    told = duration(seconds)
    assert (told.text("en"), told.text("ja")) == (english, japanese)
