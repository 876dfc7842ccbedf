"""The stages of a build in its working folder, each skipped where the journal says it is done.

Reading (shards of passages), encoding (a file of vectors for each shard), training on a sample,
adding in a stream, measuring, counting words. What each stage makes is determined by the plan, so
a build that was killed and resumed gives the same bytes as one that was not.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes import vectors
from indexes.building.codes import fill, write_index
from indexes.building.journal import Journal
from indexes.building.plan import Plan, VectorParts, VectorSource
from indexes.building.reading import StoredCorpus, read_corpus
from indexes.building.recall import measure_recall
from indexes.building.words import build_words
from indexes.checksums import record_file
from indexes.choice import Choice, choose_factory
from indexes.manifest import (
    BM25_FOLDER,
    ENCODER_FOLDER,
    MATRIX_FOLDER,
    STORE_FOLDER,
    VECTORS_FILE,
    EncoderRecord,
    Manifest,
    VectorsRecord,
)
from indexes.matrix import MatrixFiles, write_matrix
from indexes.progress import Reporter
from indexes.shards import Shard

_PARTS_FOLDER = "parts"


class Pipeline:
    """One build in its working folder, not yet published."""

    def __init__(self, plan: Plan, working: Path, journal: Journal, reporter: Reporter) -> None:
        self._plan = plan
        self._working = working
        self._parts = working / _PARTS_FOLDER
        self._journal = journal
        self._reporter = reporter

    def run(self, generation: str, created_at: str) -> Manifest:
        """Do what is not done yet; the manifest that is to be published as `generation`."""
        plan, journal = self._plan, self._journal
        self._parts.mkdir(exist_ok=True)
        corpus = read_corpus(
            plan.passages(),
            self._working / STORE_FOLDER,
            plan.rows_per_file,
            journal,
            self._reporter,
        )
        encoder, found, parameters, factory = None, None, "", None
        if plan.vectors is not None:
            choice = self._choice(corpus, plan.vectors.record)
            factory = choice.factory
            parameters, found = self._vectors(corpus, plan.vectors, choice)
            encoder = self._encoder(plan.vectors, generation)
        if plan.bm25 is not None:
            self._words(corpus)
        if journal.get("ready") is None:
            journal.finish("ready", generation=generation)
        shutil.rmtree(self._parts)
        return Manifest(
            created_at=created_at,
            corpus_sha256=corpus.sha256,
            passages=len(corpus),
            generation=generation,
            encoder=encoder,
            factory=factory,
            search_parameters=parameters,
            bm25=plan.bm25,
            files=self._files(generation),
            vectors=found,
        )

    def _choice(self, corpus: StoredCorpus, record: EncoderRecord) -> Choice:
        plan = self._plan
        if plan.factory != "auto":
            return Choice(plan.factory, "It was asked for.")
        return choose_factory(len(corpus), record.dimension, plan.memory)

    def _vectors(
        self, corpus: StoredCorpus, source: VectorSource, choice: Choice
    ) -> tuple[str, VectorsRecord]:
        journal, record = self._journal, source.record
        target = self._working / VECTORS_FILE
        index = vectors.make_index(choice.factory, record.dimension, record.similarity)
        sample = vectors.training_rows(index, len(corpus))
        precision = vectors.keeps_precision(index)
        matrices = MatrixFiles(self._working / MATRIX_FOLDER, corpus.shard_rows, record.dimension)
        if journal.get("vectors.faiss") is None:
            self._encode(corpus, source, matrices, precision or "float16")
            index, used = self._train(index, sample, matrices)
            self._reporter.begin("adding", len(corpus))
            used += fill(index, matrices, target, self._parts, journal, self._reporter)
            used += matrices.files if precision is not None else []
            parameters = vectors.search_parameters(index)
            journal.finish("vectors.faiss", [target], used, parameters=parameters)
        if precision is not None:
            if matrices.folder.is_dir():
                matrices.folder.rmdir()
            exact = VectorsRecord(choice.reason, False, 1, 1.0)
            return "", replace(exact, requested=self._plan.factory, memory=self._plan.memory)
        refine = vectors.candidates_per_result(choice.factory)
        measured = self._measure(target, matrices, record.similarity, refine)
        return measured["parameters"], VectorsRecord(
            choice.reason,
            kept=True,
            refine=refine,
            recall=measured["recall"],
            recall_queries=measured["queries"],
            requested=self._plan.factory,
            memory=self._plan.memory,
        )

    def _encode(
        self, corpus: StoredCorpus, source: VectorSource, matrices: MatrixFiles, dtype: str
    ) -> None:
        matrices.folder.mkdir(exist_ok=True)
        shards = range(len(corpus.shard_rows))
        left = [n for n in shards if self._journal.get(f"vectors {n}") is None]
        if not left:
            return
        self._reporter.begin("encoding", len(corpus))
        with closing(source.vectors([corpus.shard(number) for number in left])) as parts:
            for number in left:
                shard = corpus.shard(number)
                given = self._given(parts, shard)
                write_matrix(matrices.file(number), given, shard.rows, matrices.dimension, dtype)
                self._journal.finish(f"vectors {number}", [matrices.file(number)])

    def _given(self, parts: VectorParts, shard: Shard) -> Iterator[npt.NDArray[np.float32]]:
        """The next of the parts, until they make up the shard."""
        done = 0
        while done < shard.rows and (part := next(parts, None)) is not None:
            yield part
            done += len(part)
            self._reporter.tick(shard.first_row + done)

    def _train(
        self, index: Any, sample: npt.NDArray[np.int64], matrices: MatrixFiles
    ) -> tuple[Any, list[Path]]:
        import faiss

        if not len(sample):
            return index, []
        file = self._parts / "trained.faiss"
        if self._journal.get("trained") is None:
            self._reporter.begin("training", len(sample))
            vectors.train(index, matrices.take(sample))
            write_index(index, file)
            self._journal.finish("trained", [file])
            self._reporter.end(len(sample))
        return faiss.read_index(str(file)), [file]

    def _measure(
        self, file: Path, matrices: MatrixFiles, similarity: str, refine: int
    ) -> dict[str, Any]:
        done = self._journal.get("recall")
        if done is None:
            self._reporter.begin("measuring", len(matrices))
            added = self._journal.get("vectors.faiss")
            assert added is not None, "recall is measured after vectors were added"
            parameters, recall, queries = measure_recall(
                file,
                matrices,
                similarity,
                added["parameters"],
                refine,
                self._plan.factory == "auto",
                self._reporter.tick,
            )
            done = {"parameters": parameters, "recall": recall, "queries": queries}
            self._journal.finish("recall", **done)
            self._reporter.end(len(matrices))
        return done

    def _encoder(self, source: VectorSource, generation: str) -> EncoderRecord:
        """The record, with the name under which the published index finds the encoder."""
        record, folder = source.record, source.folder
        name = record.name
        if folder is not None:
            inside = folder.resolve().is_relative_to(self._plan.folder.resolve())
            if self._plan.bundle or inside:
                copy = self._working / ENCODER_FOLDER
                if self._journal.get("encoder") is None:
                    shutil.rmtree(copy, ignore_errors=True)
                    ignored = shutil.ignore_patterns(".*", "README.md")
                    shutil.copytree(folder, copy, ignore=ignored)
                    self._journal.finish("encoder", [f for f in copy.rglob("*") if f.is_file()])
                name = f"{generation}/{ENCODER_FOLDER}"
            elif Path(name).is_dir():
                base = self._plan.folder.resolve()
                name = Path(os.path.relpath(folder.resolve(), base)).as_posix()
        return EncoderRecord(**{**record.to_dict(), "name": name})

    def _words(self, corpus: StoredCorpus) -> None:
        assert self._plan.bm25 is not None, "the caller has looked"
        if self._journal.get("bm25") is None:
            folder = self._working / BM25_FOLDER
            used = build_words(
                corpus, self._plan.bm25, folder, self._parts, self._journal, self._reporter
            )
            self._journal.finish("bm25", sorted(folder.iterdir()), used)

    def _files(self, generation: str) -> dict[str, Any]:
        known = self._journal.records()
        names = {
            file.relative_to(self._working).as_posix(): file
            for file in sorted(self._working.rglob("*"))
            if file.is_file()
        }
        return {
            f"{generation}/{name}": known.get(name) or record_file(file)
            for name, file in names.items()
        }
