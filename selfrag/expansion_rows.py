"""A row of the store of expansions: its key, its payload, and a checksum over both.

Payloads are JSON; floats survive it exactly. A row whose checksum does not fit, or whose payload
cannot be read, is damaged, and never becomes a draft. This module knows nothing of files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from decoding.generation import Draft, Generation
from retrievers.hit import Hit

Kind = Literal["expansion", "retrieval"]

_Value = TypeVar("_Value")


class DamagedRow(ValueError):
    """A row that is not as it was written."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row.

    Attributes:
        key: hash of all that determines the payload.
        kind: what the payload is.
        length: tokens of a draft; 0 for a retrieval.
        whole: nothing can be added at this length; False for a draft that was cut.
        payload: JSON, as bytes.
        checksum: over all of the above.
    """

    key: bytes
    kind: Kind
    length: int
    whole: bool
    payload: bytes
    checksum: bytes

    @classmethod
    def made(cls, key: bytes, kind: Kind, length: int, whole: bool, data: Any) -> StoredRow:
        """A row with its checksum.

        Raises:
            TypeError: `data` is not JSON.
        """
        payload = json.dumps(data).encode()
        return cls(key, kind, length, whole, payload, _checksum(key, kind, length, whole, payload))

    @classmethod
    def of_draft(cls, key: bytes, draft: Draft) -> StoredRow:
        """The row of a draft."""
        length, whole = len(draft.token_ids), draft.finish != "cut"
        return cls.made(key, "expansion", length, whole, draft_to_dict(draft))

    @classmethod
    def of_hits(cls, key: bytes, hits: tuple[Hit, ...]) -> StoredRow:
        """The row of a retrieval."""
        return cls.made(key, "retrieval", 0, True, [hit.to_dict() for hit in hits])

    def draft(self) -> Draft:
        """The draft that was kept.

        Raises:
            DamagedRow: it is not as it was written.
        """
        return self._read("expansion", draft_from_dict)

    def hits(self) -> tuple[Hit, ...]:
        """The hits that were kept.

        Raises:
            DamagedRow: they are not as they were written.
        """
        return self._read("retrieval", lambda data: tuple(Hit.from_dict(item) for item in data))

    def replaces(self, other: StoredRow) -> bool:
        """Whether it says more than another row of the same key."""
        return self.length > other.length or (self.length == other.length and not other.whole)

    def _read(self, kind: Kind, read: Callable[[Any], _Value]) -> _Value:
        expected = _checksum(self.key, self.kind, self.length, self.whole, self.payload)
        if self.checksum != expected or self.kind != kind:
            raise DamagedRow("its checksum does not fit")
        try:
            return read(json.loads(self.payload))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise DamagedRow(str(error)) from error


def _checksum(key: bytes, kind: str, length: int, whole: bool, payload: bytes) -> bytes:
    head = f"{kind} {length} {int(whole)}\0".encode()
    return hashlib.blake2b(key + head + payload, digest_size=16).digest()


def generation_key(fingerprint: str, generation: Generation) -> bytes:
    """What determines a greedy draft, hashed; `max_tokens` is left out on purpose."""
    return _key(
        fingerprint,
        generation.prompt_ids,
        sorted(generation.stop_ids),
        sorted(generation.closing_ids),
        generation.first_ids,
        generation.forced_ids,
        generation.read_ids,
        generation.first_offsets,
    )


def retrieval_key(fingerprint: str, query: str, k: int) -> bytes:
    """What determines a retrieval, hashed."""
    return _key(fingerprint, query, k)


def draft_to_dict(draft: Draft) -> dict[str, Any]:
    """Plain data; floats survive JSON exactly."""
    return {
        "token_ids": list(draft.token_ids),
        "log_probabilities": list(draft.log_probabilities),
        "readings": {str(position): list(values) for position, values in draft.readings.items()},
        "next_id": draft.next_id,
        "finish": draft.finish,
        "first_was_argmax": draft.first_was_argmax,
    }


def draft_from_dict(data: dict[str, Any]) -> Draft:
    """Inverse of `draft_to_dict`."""
    return Draft(
        token_ids=tuple(data["token_ids"]),
        log_probabilities=tuple(data["log_probabilities"]),
        readings={int(position): tuple(values) for position, values in data["readings"].items()},
        next_id=data["next_id"],
        finish=data["finish"],
        first_was_argmax=data["first_was_argmax"],
    )


def _key(*parts: Any) -> bytes:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).digest()
