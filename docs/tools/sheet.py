"""A sheet to draw on: SVG with a background of its own, readable on light and on dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

STYLE = """
svg { --paper: #ffffff; --ink: #1c2430; --quiet: #57606f; --line: #aab2bf; --cross: #0b63c4;
  --isolated: #b34700; --bad: #b3122f; --good: #136f3a; --fill: #eef2f7; --warm: #fdf0e6; --cool: #e6f0fb }
@media (prefers-color-scheme: dark) { svg { --paper: #171c24; --ink: #e8ecf2; --quiet: #aab4c2;
  --line: #566173; --cross: #6cb2ff; --isolated: #ff9d5c; --bad: #ff7d8f; --good: #5fd08f;
  --fill: #232b37; --warm: #33271d; --cool: #1b2a3d } }
text { font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--ink) }
.paper { fill: var(--paper) } .box { fill: var(--fill); stroke: var(--line) }
.warm { fill: var(--warm); stroke: var(--isolated) } .cool { fill: var(--cool); stroke: var(--cross) }
.title { font-weight: 600; font-size: 15px } .quiet { fill: var(--quiet); font-size: 13px }
.bad { fill: var(--bad) } .good { fill: var(--good) } .blue { fill: var(--cross) }
.orange { fill: var(--isolated) }
.line { stroke: var(--line); fill: none } .ink { stroke: var(--ink); fill: none; stroke-width: 2 }
.blueline { stroke: var(--cross); fill: none; stroke-width: 2.5 }
.orangeline { stroke: var(--isolated); fill: none; stroke-width: 2.5; stroke-dasharray: 7 4 }
.badline { stroke: var(--bad); fill: none; stroke-width: 1.5; stroke-dasharray: 5 4 }
.ended { stroke: var(--bad); stroke-width: 3 }
.goodline { stroke: var(--good); fill: none; stroke-width: 1.5; stroke-dasharray: 5 4 }
""".strip()


def plain(number: float) -> str:
    """A coordinate with at most one decimal.

    >>> plain(3.0), plain(2.26)
    ('3', '2.3')
    """
    return f"{number:.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Scale:
    """Where values stand on a sheet: across from the left, up from below.

    >>> at = Scale(left=60, across=34, bottom=300, up=10)
    >>> at(2, 5), at.x(2)
    ((128.0, 250.0), 128.0)
    """

    left: float
    across: float  # points per unit
    bottom: float = 0.0
    up: float = 0.0

    def __call__(self, across: float, up: float) -> tuple[float, float]:
        """The point of two values."""
        return self.x(across), float(self.bottom - up * self.up)

    def x(self, across: float) -> float:
        """The distance from the left of one value."""
        return float(self.left + across * self.across)


class Sheet:
    """Shapes in order, and at the end the text of the file."""

    def __init__(self, width: int, height: int, title: str, description: str) -> None:
        self.size = (width, height)
        self.said = (title, description)
        self.parts: list[str] = []

    def box(
        self, x: float, y: float, width: float, height: float, kind: str = "box", radius: float = 8
    ) -> None:
        """A rectangle."""
        place = f'x="{plain(x)}" y="{plain(y)}" width="{plain(width)}" height="{plain(height)}"'
        self.parts.append(f'<rect class="{kind}" {place} rx="{plain(radius)}"/>')

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        """One line of text."""
        look = f' class="{kind}"' if kind else ""
        place = f'x="{plain(x)}" y="{plain(y)}" text-anchor="{anchor}"'
        self.parts.append(f"<text{look} {place}>{escape(words)}</text>")

    def line(self, points: list[tuple[float, float]], kind: str = "line") -> None:
        """Straight legs through the points."""
        joined = " ".join(f"{plain(x)},{plain(y)}" for x, y in points)
        self.parts.append(f'<polyline class="{kind}" points="{joined}"/>')

    def dot(self, x: float, y: float, kind: str, radius: float = 5) -> None:
        """A filled circle."""
        place = f'cx="{plain(x)}" cy="{plain(y)}" r="{plain(radius)}"'
        self.parts.append(f'<circle class="{kind}" {place}/>')

    def cross(self, x: float, y: float) -> None:
        """A cross: something ended here."""
        for sign in (1, -1):
            self.line([(x - 7, y - 7 * sign), (x + 7, y + 7 * sign)], "ended")

    def svg(self) -> str:
        """The file."""
        width, height = self.size
        title, description = map(escape, self.said)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-labelledby="t d">'
        )
        words = f'<title id="t">{title}</title>\n<desc id="d">{description}</desc>'
        paper = f'<rect class="paper" width="{width}" height="{height}" rx="12"/>'
        return "\n".join([head, words, f"<style>{STYLE}</style>", paper, *self.parts, "</svg>", ""])
