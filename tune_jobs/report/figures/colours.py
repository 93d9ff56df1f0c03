"""The colours of figures and pages, in the light and in the dark.

The categories are those of Okabe and Ito (2008), which people with any colour vision distinguish, without
their yellow, which white paper hides. All but the blue serve on white and on black.
"""

from __future__ import annotations

TEXT, AXIS, GRID = "#1f2328", "#8c959f", "#e3e7eb"
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#cc79a7",
    "#56b4e9",
    "#7f8a96",
)
DARK = {TEXT: "#e6edf3", AXIS: "#6e7681", GRID: "#30363d", BLUE: "#2f97dc"}
"""The colours that replace those above in the dark, where faint dots of the blue are not seen."""

CATEGORIES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY)
"""The colours of groups, in order."""

STATE_COLOURS = {
    "completed": BLUE,
    "stopped": ORANGE,
    "failed": RED,
    "infeasible": PURPLE,
    "unfinished": GREY,
}
"""The colour of each end of a trial."""

ON_DARK, ON_LIGHT = "#fefefe", "#111111"
"""Text on a coloured cell, which is the same in both themes."""
