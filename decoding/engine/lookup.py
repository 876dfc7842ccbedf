"""What may come next in a text, by what followed its last ids earlier in it.

Prompt lookup decoding (Saxena 2023): an answer that quotes its passage goes on as the passage does.
Ids in, ids out; what a guess is worth and what is done with it is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 3
"""Most ids at the end of the text that are looked for; then fewer, down to one."""


class PromptLookup:
    """An index over a text that grows: every run of up to `LONGEST` ids and what follows it.

    Appending an id and looking for a guess take constant time.

    Args:
        ids: the text so far.
    """

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids: list[int] = []
        self._behind: dict[tuple[int, ...], int] = {}
        self.extend(ids)

    def __len__(self) -> int:
        return len(self._ids)

    def extend(self, ids: Sequence[int]) -> None:
        """Append ids."""
        for token in ids:
            for run in self._last_runs():
                self._behind[run] = len(self._ids)
            self._ids.append(token)

    def guess(self, most: int) -> tuple[int, ...]:
        """At most `most` ids that followed the longest known run at the end of the text.

        Of several places where the run stands, the latest counts. () where its last id is new.
        """
        for run in self._last_runs():
            start = self._behind.get(run)
            if start is not None:
                return tuple(self._ids[start : start + most])
        return ()

    def _last_runs(self) -> list[tuple[int, ...]]:
        """The runs at the end of the text, the longest first."""
        most = min(LONGEST, len(self._ids))
        return [tuple(self._ids[-length:]) for length in range(most, 0, -1)]
