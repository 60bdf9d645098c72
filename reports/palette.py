"""Colours: one light and one dark set, by what a colour is for."""

from __future__ import annotations

# Text colours stand at 4.5 : 1 or more on `paper` and `panel`, lines at 3 : 1 or more.
LIGHT = {
    "paper": "#fdfdfc",
    "panel": "#f4f5f6",
    "ink": "#1a2129",
    "muted": "#59636e",
    "rule": "#dcdfe3",
    "edge": "#8a939d",
    "run": "#1c4f9c",
    "first": "#6c7480",
    "second": "#a1620c",
    "third": "#879600",
    "fourth": "#c35ac3",
    "fifth": "#5a87ff",
    "sixth": "#961e5a",
    "seventh": "#4b4b00",
    "eighth": "#4b0078",
    "ninth": "#5a0f1e",
    "gain": "#17753c",
    "loss": "#b3261f",
    "warning": "#8a4b00",
    "warned": "#fdf1dd",
    "assured": "#e6f3ea",
    "rise": "#2b9483",
    "fall": "#d0635c",
}
DARK = {
    "paper": "#13171c",
    "panel": "#1b2128",
    "ink": "#e7eaee",
    "muted": "#a0aab5",
    "rule": "#323b45",
    "edge": "#6f7b87",
    "run": "#7fb2f7",
    "first": "#7b838c",
    "second": "#e2a94c",
    "third": "#96f087",
    "fourth": "#a54bb4",
    "fifth": "#4b78f0",
    "sixth": "#ff87b4",
    "seventh": "#008700",
    "eighth": "#f0d2e1",
    "ninth": "#e14b5a",
    "gain": "#5fcb8a",
    "loss": "#f58a80",
    "warning": "#f3c377",
    "warned": "#33281a",
    "assured": "#17301f",
    "rise": "#3fa694",
    "fall": "#d9716a",
}
# The run first, then what it is set beside. No two of the ten meet for an eye that lacks one kind of cones; dashes tell
# them apart too, never colour alone.
LINES = ("run", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
DASHES = ("solid", (0, (5, 2)), (0, (1.2, 1.6)), (0, (7, 2, 1.5, 2)), (0, (3, 1, 1, 1, 1, 1)))
SWATCHES = ("", "6 2.5", "1.6 2", "8 2.5 2 2.5", "4 1.5 1.5 1.5")


def look(number: int) -> tuple[str, int]:
    """The colour of a line and the number of its dashes; no two of the first fifty lines look the same."""
    return LINES[number % len(LINES)], (number + number // len(LINES)) % len(DASHES)


def declarations(colours: dict[str, str]) -> str:
    """The colours as CSS custom properties."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())
