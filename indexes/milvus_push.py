"""Writes the vectors of an index into a Milvus collection, and goes on where it was interrupted.

What is done stands in the collection itself, nowhere else: rows are written in their order under
their numbers, so what Milvus counts says what is missing, from whichever machine one looks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.errors import CollectionMismatch, InvalidSetting, MissingPart
from indexes.index import Index
from indexes.milvus import TIMEOUT, MilvusAddress, MilvusServer
from indexes.milvus_collection import (
    ROW,
    MilvusCollection,
    check_name,
    collection_name,
    drop_collection,
    encoder_of,
)
from indexes.progress import Progress, Reporter

BATCH_ROWS = 1000
AUTOINDEX = "AUTOINDEX"
_BYTES_OF_A_REQUEST = 48 << 20  # Milvus takes 64 MiB


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did.

    Attributes:
        collection: its name.
        rows: how many rows it holds now: all of the index but the deleted ones.
        found: how many of them an earlier push had written.
    """

    collection: str
    rows: int
    found: int

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)


def push_index(
    path: Path | str,
    address: MilvusAddress,
    *,
    collection: str | None = None,
    index_type: str | None = None,
    batch_rows: int = BATCH_ROWS,
    restart: bool = False,
    timeout: float = TIMEOUT,
    progress: Callable[[Progress], None] | None = None,
) -> PushReport:
    """Write the vectors of the index in the folder `path` into a Milvus collection.

    A push that was interrupted goes on after the last row before which none is missing; a complete
    one is left as it is.

    Args:
        path: the index folder.
        address: of the server.
        collection: its name; None makes one of the manifest's fingerprint.
        index_type: how Milvus is to search; None is AUTOINDEX for a new collection, which leaves
            the choice to it and is approximate. FLAT is exact.
        batch_rows: rows of one request.
        restart: remove a collection of that name that this program has made, and begin anew.
        timeout: seconds for each request.
        progress: told how far the work is.

    Raises:
        CollectionMismatch: the collection is one of another index, or of others, or is searched
            in another way than asked for.
        UnfinishedPush: the server did not keep all rows.
        MissingPart: the index has no vectors, or only codes of them.
        InvalidSetting: the name or the number of rows is not allowed.
        MissingLibrary: the extra `milvus` is not installed.
        MilvusError: the server cannot be reached, refuses, or fails. Rows written so far stay.
    """
    index = Index.open(path, bm25=False)
    vectors = index.require_vectors()
    if not vectors.lossless:
        raise MissingPart(
            f"The index {index.path} keeps no exact vectors.", "Build it again, then push it."
        )
    name = collection_name(index.manifest) if collection is None else collection
    check_name(name)
    most = _BYTES_OF_A_REQUEST // (4 * encoder_of(index.manifest).dimension)
    if not 1 <= batch_rows <= most:
        raise InvalidSetting(
            f"{batch_rows} rows of {vectors.d} numbers are no size for a request.",
            f"Use 1 to {most} rows.",
        )
    rows = np.arange(len(index)) if index.deleted is None else np.flatnonzero(~index.deleted)
    server = MilvusServer(address, timeout, create=True)
    with Reporter(progress) as reporter:
        if restart:
            drop_collection(server, name)
        elif server.call("has_collection", name) and not server.call("list_indexes", name):
            drop_collection(server, name)  # a push was killed while it made it
        if server.call("has_collection", name):
            target = MilvusCollection.find(server, index.manifest, name)
            if index_type not in (None, target.index_type):
                raise CollectionMismatch(
                    f"The collection {name!r} of {address} is searched by {target.index_type}, "
                    f"not {index_type}.",
                    "Leave the type out, or begin anew with restart (--restart).",
                )
            server.call("load_collection", name)
        else:
            target = MilvusCollection.create(server, index.manifest, name, index_type or AUTOINDEX)
        found = first_missing(target, rows)
        missing = rows[found:]
        reporter.begin("pushing", len(missing))
        for begin in range(0, len(missing), batch_rows):
            batch = missing[begin : begin + batch_rows]
            target.upsert(batch, vectors.stored(batch))
            reporter.tick(begin + len(batch))
        if len(missing):
            server.call("flush", name)
        target.check_count()
        reporter.end(len(missing))
    return PushReport(name, len(rows), found)


def first_missing(collection: MilvusCollection, rows: npt.NDArray[np.int64]) -> int:
    """How many of the rows, which ascend, stand in a collection before the first that does not.

    Only such rows are ever written, so as many rows up to one as there can be are all of them.
    """

    def lacks_one_of_first(number: int) -> bool:
        return collection.count(f"{ROW} <= {int(rows[number - 1])}") < number

    count = min(collection.count(), len(rows))
    if count == 0 or not lacks_one_of_first(count):
        return count
    # A request was written in part: the first hole is found by halving.
    return bisect_left(range(1, count), True, key=lacks_one_of_first)
