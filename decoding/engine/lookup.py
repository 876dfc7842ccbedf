"""What may come next in a text, by what followed its last ids earlier, in it or in another text.

Prompt lookup decoding (Saxena 2023): an answer that quotes its passage goes on as the passage does.
Ids in, ids out; what a guess is worth and what is done with it is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 3
"""Most ids that are looked for together; then fewer, down to one."""


class Lookup:
    """An index over ids that grow: every run of up to `LONGEST` of them and where it was last seen.

    Appending an id and finding a run take constant time.

    Args:
        ids: those that there are.
    """

    def __init__(self, ids: Sequence[int] = ()) -> None:
        self._ids: list[int] = []
        self._behind: dict[tuple[int, ...], int] = {}
        self.extend(ids)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def last(self) -> tuple[int, ...]:
        """The last ids, as many as `behind` looks for."""
        return tuple(self._ids[-LONGEST:])

    def extend(self, ids: Sequence[int]) -> None:
        """Append ids."""
        for token in ids:
            last = self.last
            for start in range(len(last)):
                self._behind[last[start:]] = len(self._ids)
            self._ids.append(token)

    def behind(self, last: tuple[int, ...], most: int, shortest: int = 1) -> tuple[int, ...]:
        """At most `most` ids that followed the longest known run that `last` ends with.

        Of several places where the run stands, the latest counts. () where none of at least
        `shortest` ids is known.
        """
        for start in range(max(0, len(last) - LONGEST), len(last) - shortest + 1):
            place = self._behind.get(last[start:])
            if place is not None:
                return tuple(self._ids[place : place + most])
        return ()
