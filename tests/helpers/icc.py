"""Colour profiles made by hand, with what their colours are in sRGB worked out apart from any colour management."""

from __future__ import annotations

import itertools
import struct

import numpy as np

# Adobe RGB (1998) and sRGB in XYZ, both adapted to D50 as profiles are.
WIDE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
WIDE_TO_SRGB = np.linalg.inv(SRGB) @ WIDE
WHITE = np.array([0.9642, 1.0, 0.8249])

Lab = tuple[int, int, int]
Inks = tuple[int, ...]


def lab_to_srgb(lab: Lab) -> np.ndarray:
    lightness, a, b = lab
    middle = (lightness + 16) / 116
    shares = np.array([middle + a / 500, middle, middle - b / 200])
    xyz = WHITE * np.where(shares > 6 / 29, shares**3, 3 * (6 / 29) ** 2 * (shares - 4 / 29))
    linear = np.clip(np.linalg.inv(SRGB) @ xyz, 0, 1)
    return np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear) * 255


def wide_gamut_profile() -> bytes:
    """Adobe's primaries with a gamma of 2.2."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    columns = {f"{letter}XYZ".encode(): _xyz(WIDE[:, number]) for number, letter in enumerate("rgb")}
    return _profile(
        b"mntr", b"RGB ", b"XYZ ", {b"wtpt": _xyz(WHITE), **columns, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    )


def cmyk_profile() -> tuple[bytes, dict[Inks, Lab]]:
    """A press whose cyan is dull and whose yellow is orange; and what some of its inks look like."""
    looks: dict[Inks, Lab] = {(0, 0, 0, 0): (100, 0, 0), (1, 0, 0, 0): (60, -20, -30)}
    looks |= {(0, 1, 0, 0): (50, 60, 0), (0, 0, 1, 0): (75, 20, 60), (1, 1, 0, 0): (30, 20, -30)}
    table = b""
    for inks in itertools.product((0, 1), repeat=4):
        lightness, a, b = looks.get(inks, (0, 0, 0) if inks[3] else (40, 0, 0))
        table += bytes([round(lightness * 2.55), a + 128, b + 128])
    identity = struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + table + ramp * 3
    corners = {tuple(255 * ink for ink in inks): lab for inks, lab in looks.items()}
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": _xyz(WHITE), b"A2B0": lut, b"A2B1": lut}), corners


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    name = b"made for a test"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name + bytes(1 + 4 + 4 + 2 + 1 + 67),
        b"cprt": b"text" + bytes(4) + b"none\0",
        **tags,
    }
    position = 128 + 4 + 12 * len(tags)
    directory, data = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        directory += tag + struct.pack(">II", position + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = struct.pack(">I", position + len(data)) + bytes(4) + struct.pack(">I", 0x02400000) + kind + space
    header += connection + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(WHITE)[8:]
    return header.ljust(128, b"\0") + directory + data
