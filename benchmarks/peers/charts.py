"""Bars as SVG: small, standing alone, light and dark as the reader has it; the same figures make the same bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 760
LEFT = 210
"""The x coordinate at which the bars begin."""
RIGHT = 152
"""Room for the figures behind them."""
ROW = 20
BAR = 13
GROUP_TITLE = 24
GROUP_END = 10
TOP = 46
STYLE = """\
  text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
  .sheet { fill: #ffffff }
  .title { font-size: 15px; font-weight: 600 }
  .group { font-weight: 600 }
  .figure { font-variant-numeric: tabular-nums }
  .ours { fill: #1a7f37 }
  .peer { fill: #8c959f }
  .axis { stroke: #d0d7de }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .sheet { fill: #0d1117 }
    .ours { fill: #3fb950 }
    .peer { fill: #6e7681 }
    .axis { stroke: #30363d }
  }"""


@dataclass(frozen=True)
class Bar:
    """One bar: its label, its length in the chart's unit, its text, and whether the configuration is nlbgen's."""

    label: str
    value: float
    shown: str
    ours: bool = False


@dataclass(frozen=True)
class Group:
    """Bars that belong together, with a title of their own."""

    title: str
    bars: Sequence[Bar]


def chart(title: str, summary: str, groups: Sequence[Group]) -> str:
    """Return the chart as an SVG document; `summary` describes it in words. All groups have the same scale."""
    most = max((bar.value for group in groups for bar in group.bars), default=0.0) or 1.0
    lines: list[str] = []
    y = TOP
    for group in groups:
        if group.title:
            lines.append(_text(16, y + 15, group.title, "group"))
            y += GROUP_TITLE
        lines.append(f'<path class="axis" d="M{LEFT} {y}v{ROW * len(group.bars)}"/>')
        for bar in group.bars:
            lines += _bar(bar, y, most)
            y += ROW
        y += GROUP_END
    frame = f'viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {frame} role="img" aria-labelledby="title summary">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="summary">{escape(summary)}</desc>',
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="sheet" width="{WIDTH}" height="{y}" rx="6"/>',
        _text(16, 28, title, "title"),
    ]
    return "\n".join([*head, *lines, "</svg>", ""])


def _bar(bar: Bar, y: int, most: float) -> list[str]:
    length = round((WIDTH - LEFT - RIGHT) * bar.value / most, 1)
    style = "ours" if bar.ours else "peer"
    return [
        _text(LEFT - 8, y + 14, bar.label, "label", end=True),
        # What is nothing still has a place on the sheet, so that it is seen to have been measured.
        f'<rect class="{style}" x="{LEFT}" y="{y + 3}" width="{max(length, 1.5):g}" height="{BAR}" rx="2"/>',
        _text(LEFT + max(length, 1.5) + 6, y + 14, bar.shown, "figure"),
    ]


def _text(x: float, y: float, text: str, style: str, *, end: bool = False) -> str:
    anchor = ' text-anchor="end"' if end else ""
    return f'<text class="{style}" x="{x:g}" y="{y:g}"{anchor}>{escape(text)}</text>'
