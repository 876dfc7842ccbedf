"""A document as sections: pieces of text, each under the path of the headings above it."""

from __future__ import annotations

from dataclasses import dataclass

from indexes.readers.parts import Parts


@dataclass(frozen=True, slots=True)
class Section:
    """Text below one heading.

    Attributes:
        title: the path of headings, "Guide > Install > Linux".
        parts: the text; where `paged`, its parts are pages and have their numbers.
        paged: whether passages name the pages they come from.
    """

    title: str
    parts: Parts
    paged: bool = False


class Outline:
    """Collects headings and paragraphs in the order of a document.

    Args:
        name: stands first in a path whose first heading is not of the first level, and is the
            title of text above all headings.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._path: list[tuple[int, str]] = []
        self._parts = Parts()
        self._sections: list[Section] = []

    def heading(self, level: int, text: str) -> None:
        """A heading; level 1 is the highest. One without text is no heading."""
        text = " ".join(text.split())
        if not text:
            return
        self._close(level)
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        self._path.append((level, text))

    def paragraph(self, text: str) -> None:
        """A paragraph, list item, table row or the like."""
        self._parts.add(0, text.strip())

    def sections(self) -> list[Section]:
        """All sections that have text; a heading with nothing below it is its section's text."""
        self._close(0)
        self._path.clear()
        return self._sections

    def _close(self, next_level: int) -> None:
        if not self._parts and self._path and next_level <= self._path[-1][0]:
            self._parts.add(0, self._path[-1][1])
        if self._parts:
            names = [text for _, text in self._path]
            if not self._path or self._path[0][0] > 1:
                names.insert(0, self.name)
            self._sections.append(Section(" > ".join(names), self._parts))
            self._parts = Parts()
