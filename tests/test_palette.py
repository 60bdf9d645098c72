"""The colours of lines: ten that can be told apart by every eye, in light and dark."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from reports.palette import DARK, DASHES, LIGHT, LINES, SWATCHES, look

# What remains of linear red, green and blue without one kind of cones (Machado, Oliveira and Fernandes 2009).
SEEN = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# The least distance in OKLab; twice what is just seen side by side is 0.04.
LEAST = {"all cones": 0.12, "no red": 0.075, "no green": 0.075, "no blue": 0.05}
TO_CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
TO_LAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


def linear(colour: str) -> np.ndarray:
    """Linear red, green and blue of a colour in hexadecimal digits."""
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255.0
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def distance(one: str, other: str, eye: str) -> float:
    """How far two colours stand apart in OKLab for an eye."""
    seen = [np.clip(np.array(SEEN[eye]) @ linear(colour), 0.0, 1.0) for colour in (one, other)]
    lab = [np.array(TO_LAB) @ np.cbrt(np.array(TO_CONES) @ colour) for colour in seen]
    return float(np.linalg.norm(lab[0] - lab[1]))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG 2 has it."""
    lights = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour)) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("eye", list(SEEN))
def test_ten_lines_are_told_apart(colours: dict[str, str], eye: str) -> None:
    """No two of ten colours meet, whichever kind of cones an eye lacks."""
    for one, other in combinations(LINES, 2):
        assert distance(colours[one], colours[other], eye) >= LEAST[eye], (one, other)


def test_the_measure_sees_what_people_confuse() -> None:
    """A red and a green of one lightness meet for an eye without green cones, and for no other of all cones."""
    assert distance("#c0504d", "#768a1f", "no green") < 0.06 < 0.12 < distance("#c0504d", "#768a1f", "all cones")


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_stand_out_from_their_ground(colours: dict[str, str]) -> None:
    """Each has a contrast of three to one on paper and panel."""
    for name in LINES:
        for ground in ("paper", "panel"):
            assert contrast(colours[name], colours[ground]) >= 3.0, (name, ground)


def test_fifty_lines_look_different() -> None:
    """Colours come again after ten lines, and with them other dashes."""
    assert len({look(number) for number in range(50)}) == 50
    assert len(DASHES) == len(SWATCHES) == 5
