"""What a reader left out of a corpus: how many rows, why, and the first ten of them."""

from __future__ import annotations

from typing import Any

LISTED = 10


class SkippedRows:
    """Counts rows that were left out.

    Attributes:
        bad: rows that could not be read; only where reading goes on behind them.
        empty: rows without text.
        other_files: files of a folder that are no documents.
        first_bad: messages of the first ten bad rows; each names file and line.
        first_empty: where the first row without text stands.
    """

    def __init__(self) -> None:
        self.bad = 0
        self.empty = 0
        self.other_files = 0
        self.first_bad: list[str] = []
        self.first_empty = ""

    def __len__(self) -> int:
        return self.bad + self.empty

    def add_bad(self, message: str) -> None:
        """Count a row that cannot be read."""
        self.bad += 1
        if len(self.first_bad) < LISTED:
            self.first_bad.append(message)

    def add_empty(self, where: str) -> None:
        """Count a row without text."""
        self.empty += 1
        self.first_empty = self.first_empty or where

    def to_dict(self) -> dict[str, Any]:
        """The counts and the first bad rows, as JSON values."""
        return {
            "bad": self.bad,
            "empty": self.empty,
            "other_files": self.other_files,
            "first_bad": list(self.first_bad),
        }

    def describe(self) -> str:
        """For people: what was left out, or nothing where nothing was."""
        lines = []
        if self.empty:
            lines.append(
                f"{self.empty} passages with empty text were skipped, the first in "
                f"{self.first_empty}."
            )
        if self.bad:
            lines.append(f"{self.bad} bad rows were skipped:")
            lines += [f"  {message}" for message in self.first_bad]
            if self.bad > len(self.first_bad):
                lines.append(f"  and {self.bad - len(self.first_bad)} more.")
        return "\n".join(lines)
