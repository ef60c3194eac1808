"""One self-contained page: no outside resource, no script, all text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Literal, TypeAlias

Mood: TypeAlias = Literal["good", "warn", "bad"]
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Tile:
    """One figure, large."""

    value: str
    name: str
    bad: bool = False


@dataclass(frozen=True)
class Section:
    """A picture with what it says; `svg` is trusted, everything else is not."""

    title: str
    sentences: Sequence[str]
    svg: str = ""
    svg_narrow: str = ""
    missing: str = ""
    """Why there is no picture."""
    table: str = ""


def page(
    title: str,
    verdict: str,
    *,
    mood: Mood,
    sentences: Sequence[str],
    tiles: Sequence[Tile],
    sections: Sequence[Section],
    foot: str,
    raw: str,
) -> str:
    """Return the page; `raw` is the name of the file that it is drawn from."""
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title><style>{style}</style></head><body>",
            f"<header><p class=what>{escape(title)}</p>",
            f'<h1 class="{mood}">{escape(verdict)}</h1>',
            *(f"<p>{escape(sentence)}</p>" for sentence in sentences),
            f"<dl>{''.join(map(_tile, tiles))}</dl></header><main>",
            *map(_section, sections),
            f"</main><footer><p><code>{escape(foot)}</code></p>",
            f"<p>Drawn from {escape(raw)}; <code>bazaar report FOLDER</code> draws it anew.</p>",
            "</footer></body></html>",
        ]
    )


def _tile(tile: Tile) -> str:
    bad = ' class="bad"' if tile.bad else ""
    return f"<div{bad}><dt>{escape(tile.name)}</dt><dd>{escape(tile.value)}</dd></div>"


def _section(section: Section) -> str:
    parts = [f"<section><h2>{escape(section.title)}</h2>"]
    if section.svg:
        said = escape(" ".join(section.sentences))
        for kind, svg in (("wide", section.svg), ("narrow", section.svg_narrow)):
            head = f'<svg role="img" aria-label="{said}"'
            parts.append(f'<figure class="{kind}">{svg.replace("<svg", head, 1)}</figure>')
    if section.missing:
        parts.append(f"<p class=missing>{escape(section.missing)}</p>")
    parts += [f"<p>{escape(sentence)}</p>" for sentence in section.sentences]
    return "\n".join([*parts, section.table, "</section>"])


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: Set[str]) -> str:
    """Return a table; its cells are escaped, and columns named in `left` are of words."""
    kinds = [" class=words" if column in left else "" for column in columns]
    head = _cells("th scope=col", columns, kinds)
    body = "".join(f"<tr>{_cells('td', row, kinds)}</tr>" for row in rows)
    return (
        f"<div class=table><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(tag: str, cells: Sequence[str], kinds: Sequence[str]) -> str:
    end = tag.split(maxsplit=1)[0]
    return "".join(
        f"<{tag}{kind}>{escape(cell)}</{end}>" for cell, kind in zip(cells, kinds, strict=True)
    )
