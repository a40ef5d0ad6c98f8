"""Images that are there more than once, by their bytes, their pixels or what one sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from trainer.data.cache import open_cache
from trainer.paths import Folders
from trainer.sets.duplicates import Group, look_for_duplicates
from trainer.sets.image_set import ImageSet


def picture(seed: int, side: int = 96) -> Image.Image:
    """Blobs of its own."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def test_copies_are_found_with_the_best_of_them_first(tmp_path: Path, folders: Folders) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    picture(1).save(folder / "a.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())
    picture(2).save(folder / "c.png")
    picture(2).save(folder / "d.bmp")
    picture(3).save(folder / "e.png")
    picture(3, 192).save(folder / "f.jpg", quality=95)
    picture(4).save(folder / "alone.png")
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:100])
    items = ImageSet(folder, tmp_path / "journals").items()
    expected = {
        Group("bytes", ("a.png", "b.png")),
        Group("pixels", ("d.bmp", "c.png")),
        Group("alike", ("f.jpg", "e.png")),
    }
    seen: list[tuple[int, int]] = []
    with open_cache(folders, 0.1) as cache:
        for _ in range(2):
            found = look_for_duplicates(items, cache=cache, progress=lambda *done: seen.append(done))
            assert set(found.groups) == expected
            assert [name for name, _ in found.broken] == ["broken.png"]
    assert seen[-1] == (7, 8)
