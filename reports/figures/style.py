"""What all figures share: colours, type, how they are saved.

Colours are those of Okabe and Ito, which colour-blind readers tell apart; whatever a colour says is also said in words
beside it. What was measured is filled, what was published is empty and dashed, what is ideal or predicted is dotted.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from reports.text import clean

COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f"]
INK = "#222222"
FAINT = "#8a8a8a"

STYLE: dict[RcKeyType, Any] = {
    "font.size": 9,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "ytick.left": False,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "mcnbench",
    "pdf.fonttype": 42,
    "savefig.dpi": 160,
}

Format = Literal["png", "svg", "pdf"]
FORMATS: dict[Format, dict[str, None]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def save(figure: Figure, format: Format, transparent: bool = False) -> bytes:
    """The figure as a file's content; the same figure gives the same bytes."""
    out = BytesIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a box stands for what the font lacks, as it should
        figure.savefig(out, format=format, metadata=FORMATS[format], transparent=transparent)
    return out.getvalue()


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour per backend, the same in every figure of the same backends."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(dict.fromkeys(names))}


def name(text: str, longest: int = 28) -> str:
    """A name as matplotlib may print it: on one line, short, and without its mathematics."""
    text = clean(text)
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    return text.replace("$", r"\$")
