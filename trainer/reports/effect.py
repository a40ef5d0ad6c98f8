"""What a saved LoRA does, as lines of text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..job import Effect
from ..text.messages import message


def lines_of(effect: Effect, language: str = "en") -> list[str]:
    """Whether it does what was asked, and how much it changes, as a terminal shows them; ``info`` has the blocks."""
    whole, asked = effect.whole, effect.asked
    lines = [] if asked is None else [*asked.words]
    lines.append(message("commands.effect", share=_percent(whole.relative), norm=f"{whole.norm:.4g}"))
    if effect.strip is not None:
        levels = [
            message("commands.effect_at", strength=f"{strength:+g}", levels=f"{levels:.1f}")
            for strength, levels in effect.differences
        ]
        lines.append(message("commands.effect_images", levels=levels, path=effect.strip))
    if asked is not None and asked.shown is not None:
        lines.append(asked.shown)
    return [line.text(language) for line in lines]


def text_of(effect: Effect) -> str:
    """The same in English, as a file beside the strip, which it calls by its name."""
    beside = effect if effect.strip is None else replace(effect, strip=Path(effect.strip.name))
    return "".join(f"{line}\n" for line in lines_of(beside))


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
