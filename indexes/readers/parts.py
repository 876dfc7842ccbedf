"""A text put together from numbered parts, which knows from which of them a stretch of it comes."""

from __future__ import annotations

from bisect import bisect_right


class Parts:
    """Paragraphs of a page or pages of a document, joined.

    Args:
        separator: what stands between parts: a blank line where a part ends its last sentence, a
            line end where sentences run on.
    """

    def __init__(self, separator: str = "\n\n") -> None:
        self._separator = separator
        self._pieces: list[str] = []
        self._starts: list[int] = []
        self._numbers: list[int] = []
        self._length = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, number: int, text: str) -> None:
        """Append a part; parts that are empty are left out."""
        if text:
            self._starts.append(self._length)
            self._numbers.append(number)
            self._pieces.append(text)
            self._length += len(text) + len(self._separator)

    @property
    def text(self) -> str:
        """All parts, with the separator between them."""
        return self._separator.join(self._pieces)

    def numbers(self, start: int, end: int) -> tuple[int, int]:
        """The numbers of the first and last part that `text[start:end]` touches."""
        first = self._numbers[bisect_right(self._starts, start) - 1]
        return first, self._numbers[bisect_right(self._starts, end - 1) - 1]
