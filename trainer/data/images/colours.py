"""Palettes, sixteen bits, inks, other colour spaces: whatever a file holds, as eight bits of sRGB and alpha."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_RELATIVE_COLORIMETRIC = 1
_BLACK_POINT_COMPENSATION = 0x2000
_SPACES = {"CMYK": "CMYK", "L": "GRAY", "RGB": "RGB", "LAB": "Lab"}
"""The colour space a profile must have to fit an image's mode."""
_WITH_ALPHA = frozenset(("LA", "La", "PA", "RGBA", "RGBa"))


def as_rgb(image: Image.Image, *, only_alpha: bool = False) -> tuple[Image.Image, Image.Image | None]:
    """A loaded image's colours as RGB in sRGB, and its alpha as L; None where nothing is transparent.

    With ``only_alpha`` the colours are not computed, and the image itself stands for them.
    """
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        alpha = _key_alpha(values, image.info.get("transparency"))
        return (image if only_alpha else _deep_grey(values, image.format).convert("RGB")), alpha
    if _may_be_transparent(image):
        return _split(image, only_alpha=only_alpha)
    return (image if only_alpha else _colours(image)), None


def has_broken_profile(image: Image.Image) -> bool:
    """Whether there is a colour profile that says nothing."""
    profile = image.info.get("icc_profile")
    return bool(profile) and _read_profile(profile) is None and _cms() is not None


@dataclass(frozen=True)
class Tint:
    """A small change of an image's colours.

    Attributes:
        hue: by how much the hue is turned, of a whole turn.
        gamma: the power that is taken of levels from 0 to 1: above 1 darkens.
    """

    hue: float = 0.0
    gamma: float = 1.0

    def applied(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pixels ``(h, w, 3)`` of sRGB with their colours changed."""
        if self == Tint():
            return pixels
        image = Image.fromarray(pixels)
        if self.hue:
            turn = round(256 * self.hue)
            hue, saturation, value = image.convert("HSV").split()
            hue = hue.point([(level + turn) % 256 for level in range(256)])
            image = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
        if self.gamma != 1:
            image = image.point([round(255 * (level / 255) ** self.gamma) for level in range(256)] * 3)
        return np.array(image)


# ---- transparency ---------------------------------------------------------------------------------------------------


def _may_be_transparent(image: Image.Image) -> bool:
    palette = image.palette if image.mode == "P" else None
    return (
        image.mode in _WITH_ALPHA
        or image.info.get("transparency") is not None
        or (palette is not None and palette.mode == "RGBA")
    )


def _split(image: Image.Image, *, only_alpha: bool) -> tuple[Image.Image, Image.Image | None]:
    if image.mode == "La":
        image = image.convert("LA")
    whole = image.convert("RGBA")
    whole.info["icc_profile"] = image.info.get("icc_profile")
    found = whole.getchannel("A")
    alpha = None if found.getextrema() == (255, 255) else found
    return (image if only_alpha else _colours(whole)), alpha


def _key_alpha(values: NDArray[Any], key: Any) -> Image.Image | None:
    """PNG may name one grey as transparent."""
    if not isinstance(key, int) or not (values == key).any():
        return None
    return Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))


# ---- colours --------------------------------------------------------------------------------------------------------


def _deep_grey(values: NDArray[Any], image_format: str | None) -> Image.Image:
    """Grey of 16 or 32 bits or in floating point: white is the type's own, not the brightest pixel's."""
    levels = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    brightest = float(levels.max())
    if values.dtype.kind == "f":
        white = next((white for white in (1.0, 255.0, 65535.0) if brightest <= white), brightest)
    elif values.dtype.itemsize == 2 or image_format == "PNG":  # older Pillows open 16-bit PNGs as 32-bit
        white = 65535.0
    else:
        white = next((white for white in (255.0, 65535.0) if brightest <= white), 2.0**31 - 1)
    return Image.fromarray(np.clip(np.rint(levels * (255 / white)), 0, 255).astype(np.uint8))


def _colours(image: Image.Image) -> Image.Image:
    if image.mode not in _SPACES:
        profile = image.info.get("icc_profile")
        image = image.convert("RGB")
        image.info["icc_profile"] = profile
    converted = _through_profile(image)
    return image.convert("RGB") if converted is None else converted


def _through_profile(image: Image.Image) -> Image.Image | None:
    """The image in sRGB by its own profile; None if it has none that fits, or is sRGB already."""
    cms = _cms()
    if cms is None:
        return None
    profile = cms.createProfile("LAB") if image.mode == "LAB" else _read_profile(image.info.get("icc_profile"))
    if profile is None:
        return None
    try:
        if image.mode != "LAB":
            if profile.profile.xcolor_space.strip() != _SPACES[image.mode]:
                return None
            if "srgb" in cms.getProfileDescription(profile).lower():
                return None
        return cms.profileToProfile(
            image,
            profile,
            cms.createProfile("sRGB"),
            renderingIntent=_RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=_BLACK_POINT_COMPENSATION,
        )
    except cms.PyCMSError:
        return None


def _read_profile(profile: bytes | None) -> Any:
    cms = _cms()
    if not profile or cms is None:
        return None
    try:
        return cms.ImageCmsProfile(BytesIO(profile))
    except (OSError, TypeError, ValueError, cms.PyCMSError):
        return None


def _cms() -> Any:
    """Pillow's colour management; None where it was built without."""
    from PIL import features

    if not features.check("littlecms2"):
        return None
    from PIL import ImageCms

    return ImageCms
