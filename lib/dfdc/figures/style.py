"""The common style of all figures: sizes, fonts, colour-blind-safe colours; and writing them."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dfdc.system.checksums import COMMENT, with_checksum
from dfdc.system.files import atomic_path

# Okabe and Ito, "Color Universal Design" (2008).
BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
# Real and fake have the same colours in all figures.
LABELS = {"REAL": BLUE, "FAKE": VERMILLION, "": GREEN}
NAMES = {"REAL": "real", "FAKE": "fake", "": "test videos"}
# Colours of the models, in the order of their names; the ensemble is black.
SERIES = (GREEN, ORANGE, SKY_BLUE, PURPLE, VERMILLION, BLUE, YELLOW)

STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    # Text as outlines, so that figures do not depend on installed fonts; a fixed salt, so that files are reproducible.
    "svg.fonttype": "path",
    "svg.hashsalt": "dfdc",
}


@contextmanager
def drawing(path: str | Path, width: float, height: float, rows: int = 1, columns: int = 1) -> Iterator[list[Axes]]:
    """Yield the axes of a figure, row by row; write it as an SVG file when the block ends without an exception.

    Width and height are in inches.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure((width, height), layout="constrained")
        yield list(figure.subplots(rows, columns, squeeze=False).flat)
        written = io.BytesIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Description": COMMENT})
        with atomic_path(path) as temporary:
            temporary.write_bytes(with_checksum(written.getvalue()))


def series(names: Sequence[str]) -> dict[str, str]:
    """A colour for each model."""
    return {name: SERIES[number % len(SERIES)] for number, name in enumerate(names)}


def say_nothing(axes: Axes, why: str) -> None:
    """Show a message in place of a plot for which there are no data."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes)


def percent(share: float) -> str:
    """A share in percent, without decimals."""
    return f"{100 * share:.0f} %"


def thousands(number: float) -> str:
    """A number rounded to an integer, with thousands separators."""
    return f"{number:,.0f}"


def bars(axes: Axes, counts: dict[str, dict[str, int]]) -> None:
    """Horizontal bars of counts by name, one series per label, most frequent first.

    ``counts`` maps label to name to count. The counts stand beside the bars, so that five unreadable videos among a
    hundred thousand are noticed although their bar is too short to be seen.
    """
    total = {name: sum(of_label.get(name, 0) for of_label in counts.values()) for name in _keys(counts)}
    names = sorted(total, key=lambda name: (-total[name], name))
    thickness = 0.8 / len(counts)
    for number, (label, of_label) in enumerate(counts.items()):
        places = np.arange(len(names)) + (number - (len(counts) - 1) / 2) * thickness
        values = [of_label.get(name, 0) for name in names]
        axes.barh(places, values, thickness * 0.92, color=LABELS[label], label=NAMES[label])
        for place, value in zip(places, values, strict=True):
            axes.annotate(thousands(value), (value, place), (4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(names)), [textwrap.fill(name, 44) for name in names])
    longest = max((value for of_label in counts.values() for value in of_label.values()), default=0)
    axes.set_xlim(0, max(longest, 1) * 1.12)  # room for the number beside the longest bar
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: thousands(value))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    if len(counts) > 1:
        axes.legend(loc="lower right")


def _keys(counts: dict[str, dict[str, int]]) -> set[str]:
    return {name for of_label in counts.values() for name in of_label}


def outlines(axes: Axes, values: dict[str, np.ndarray], edges: np.ndarray) -> None:
    """Step histograms, one per label: the percentage of its values in each bin.

    Values beyond the edges are counted in the outer bins.
    """
    for label, of_label in values.items():
        counts, _ = np.histogram(np.clip(of_label, edges[0], edges[-1]), edges)
        share = 100 * counts / max(len(of_label), 1)
        name = f"{NAMES[label]} ({thousands(len(of_label))})"
        # The real line is wide and pale, so that both are visible where they coincide.
        look = {"linewidth": 4, "alpha": 0.45} if label == "REAL" else {"linewidth": 1.4}
        axes.stairs(share, edges, color=LABELS[label], label=name, **look)
    axes.set_ylim(bottom=0)
    axes.legend()
