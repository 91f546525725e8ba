"""What notebooks show: tables and cards, with everything escaped that comes from a file."""

from __future__ import annotations

from html import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Sequence, Tuple

#: By what a state means: done well, at work, over without a result, waiting.
_STATES = {
    "complete": "#14783c",
    "succeeded": "#14783c",
    "running": "#0b5cad",
    "open": "#0b5cad",
    "failed": "#b3261e",
    "lost": "#b3261e",
    "cancelled": "#6b6b6b",
    "pruned": "#8a5a00",
    "paused": "#8a5a00",
}
_FONT = "font:13px system-ui,sans-serif;color:#222"


def text(value: Any, most: int = 60) -> str:
    """Return a value as it is shown in tables, on one line.

    >>> mle._html.text({"lr": 0.1, "deep": [1, 2]}), mle._html.text(None), mle._html.text(0.123456789)
    ('lr=0.1 deep=[1, 2]', '', '0.123457')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        shown = f"{value:.6g}"
    elif isinstance(value, dict):
        shown = " ".join(f"{name}={text(of)}" for name, of in value.items())
    elif isinstance(value, list) and value and all(type(one) is float for one in value):
        shown = "[" + ", ".join(text(one) for one in value) + "]"
    else:
        shown = str(value)
    shown = "".join(letter if letter.isprintable() else " " for letter in shown)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def state(word: Any) -> str:
    """Return a state with its colour."""
    color = _STATES.get(str(word), "#555")
    return f'<span style="color:{color};font-weight:600">{escape(text(word))}</span>'


def cell(name: str, value: Any) -> str:
    """Return a cell's inside."""
    return state(value) if name == "state" and value is not None else escape(text(value))


def table(names: Sequence[str], columns: Sequence[Sequence[Any]], n: int) -> str:
    """Return a table of the first rows of `n`; cells of the class :class:`Html` are taken as they are."""
    numeric = [any(type(v) in (int, float) for v in of) and all(type(v) in (int, float, type(None)) for v in of) for of in columns]
    style = [f"text-align:{'right' if right else 'left'};padding:2px 10px;white-space:nowrap" for right in numeric]
    head = "".join(
        f'<th style="{how};border-bottom:1px solid #bbb;font-weight:600">{escape(text(name))}</th>' for name, how in zip(names, style)
    )
    rows = []
    for place, row in enumerate(zip(*columns)):
        cells = "".join(
            f'<td style="{how}">{value if isinstance(value, Html) else cell(name, value)}</td>'
            for name, value, how in zip(names, row, style)
        )
        rows.append(f'<tr style="background:{"#f7f7f7" if place % 2 else "#fff"}">{cells}</tr>')
    shown = len(rows)
    more = f'<div style="color:#666;padding:2px 10px">{shown} of {n} rows</div>' if n > shown else ""
    return (
        f'<div style="overflow-x:auto;{_FONT}"><table style="border-collapse:collapse;{_FONT};font-variant-numeric:tabular-nums">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}</div>"
    )


class Html(str):
    """Text that is HTML already."""


def card(kind: str, name: Any, facts: Iterable[Tuple[str, Any]], *inside: str) -> str:
    """Return a heading with facts beside it, and what is below."""
    told = "".join(
        f'<span style="margin-left:14px"><span style="color:#666">{escape(what)}</span> '
        f"{value if isinstance(value, Html) else state(value) if what == 'state' else escape(text(value))}</span>"
        for what, value in facts
        if value is not None and value != ""
    )
    return (
        f'<div style="{_FONT};background:#fff;border:1px solid #ddd;border-radius:6px;padding:8px 10px;margin:4px 0">'
        f'<div style="margin-bottom:6px"><span style="color:#666">{escape(kind)}</span> '
        f"<b>{escape(text(name, 160))}</b>{told}</div>{''.join(inside)}</div>"
    )
