"""The first stage: passages from a stream into the shards of a store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from indexes.building.journal import Journal
from indexes.checksums import CorpusDigest
from indexes.errors import EmptyCorpus, InterruptedBuild
from indexes.passage import Passage
from indexes.progress import Reporter
from indexes.shards import Shard, ShardWriter, lookup_name, shard_name
from indexes.store import COUNTS_FILE, HASHES_FILE, ROWS_FILE
from indexes.writer import finish_store


@dataclass(frozen=True, slots=True)
class StoredCorpus:
    """A corpus that was read.

    Attributes:
        folder: of the store.
        shard_rows: passages in each shard.
        sha256: checksum of all passages in row order.
    """

    folder: Path
    shard_rows: tuple[int, ...]
    sha256: str

    def __len__(self) -> int:
        return sum(self.shard_rows)

    def shard_file(self, number: int) -> Path:
        """The Arrow file of a shard."""
        return self.folder / shard_name(number)

    def shard(self, number: int) -> Shard:
        """Where a shard lies, and which rows it holds."""
        return Shard(self.shard_file(number), self.first_row(number), self.shard_rows[number])

    def first_row(self, number: int) -> int:
        """The row of a shard's first passage."""
        return sum(self.shard_rows[:number])


def read_corpus(
    passages: Iterable[Passage],
    folder: Path,
    rows_per_file: int,
    journal: Journal,
    reporter: Reporter,
) -> StoredCorpus:
    """Write the store, from the first shard on that is not finished.

    What was read before is read again and compared, so that a changed source is found.

    Raises:
        InterruptedBuild: the source gives other passages than before.
        EmptyCorpus: it gives none.
        DuplicateId: two passages have the same id.
    """
    if (done := journal.get("store")) is not None:
        return StoredCorpus(folder, tuple(done["shard_rows"]), done["sha256"])
    folder.mkdir(exist_ok=True)
    reporter.begin("reading", None)
    digest = CorpusDigest()
    stream = iter(passages)
    shard_rows: list[int] = []
    while (shard := journal.get(f"passages {len(shard_rows)}")) is not None:
        rows = 0
        for passage in islice(stream, shard["rows"]):
            digest.add(passage)
            rows += 1
            reporter.tick(sum(shard_rows) + rows)
        if digest.hexdigest() != shard["digest"]:
            raise InterruptedBuild(
                f"The corpus is not the one that the interrupted build in {folder.parent.parent} "
                f"was reading: it differs before passage {sum(shard_rows) + rows + 1}.",
                "Start over with restart=True (--restart).",
            )
        shard_rows.append(rows)
    while rows := _write_shard(
        stream, folder, shard_rows, rows_per_file, digest, journal, reporter
    ):
        shard_rows.append(rows)
    if not shard_rows:
        raise EmptyCorpus("The corpus holds no passage.", "Check the path and its format.")
    finish_store(folder, shard_rows)
    sha256 = digest.hexdigest()
    journal.finish(
        "store",
        [folder / name for name in (HASHES_FILE, ROWS_FILE, COUNTS_FILE)],
        [folder / lookup_name(number) for number in range(len(shard_rows))],
        shard_rows=shard_rows,
        sha256=sha256,
    )
    reporter.end(sum(shard_rows))
    return StoredCorpus(folder, tuple(shard_rows), sha256)


def _write_shard(
    stream: Iterable[Passage],
    folder: Path,
    shard_rows: list[int],
    rows_per_file: int,
    digest: CorpusDigest,
    journal: Journal,
    reporter: Reporter,
) -> int:
    first, number = sum(shard_rows), len(shard_rows)
    writer: ShardWriter | None = None
    try:
        for passage in islice(stream, rows_per_file):
            writer = writer or ShardWriter(folder, number)
            writer.add(passage)
            digest.add(passage)
            reporter.tick(first + len(writer))
    except BaseException:
        if writer is not None:
            writer.abandon()
        raise
    if writer is None:
        return 0
    files = writer.finish()
    journal.finish(f"passages {number}", files, rows=len(writer), digest=digest.hexdigest())
    return len(writer)
