"""The stages `sources` and `index`: source rows in two parts, and where passages come from."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfrag.training.critic.data import part_of
from selfrag.training.critic.hotpotqa import convert_hotpotqa
from selfrag.training.errors import InvalidRow
from selfrag.training.mini.world import WorldPlan
from selfrag.training.recipe_parts import InvalidRecipe
from selfrag.training.sources import SourceRow
from selfrag.training.stages import Drop, InputLine, Row, fingerprint, read_lines, run_stage
from selfrag.training.steps.record import Outcome
from selfrag.training.steps.run import Run, shipped


def source_inputs(run: Run) -> dict[str, str]:
    """The fingerprints of the files that rows are read from."""
    part = run.recipe.sources
    assert part is not None
    return {name: fingerprint([Path(name)]) for name in (*part.files, *part.hotpotqa)}


def run_sources(run: Run) -> Outcome:
    """Read rows, and split off those that are never trained on.

    In the folder stand `world/` or `hotpotqa/`, where the recipe asks for them, `read/` with all
    rows and their ids, and the parts `train/` and `held-out/`.
    """
    part = run.recipe.sources
    assert part is not None
    folder = run.folder("sources")
    files = [Path(name) for name in part.files]
    dropped: Counter[str] = Counter()
    if part.hotpotqa:
        done = convert_hotpotqa([Path(name) for name in part.hotpotqa], folder / "hotpotqa")
        dropped.update(done.dropped)
        files.append(folder / "hotpotqa" / "rows.jsonl")
    if part.world is not None:
        files.append(make_world(part.world, folder / "world") / "sources.jsonl")
    read = run_stage(
        "read",
        folder / "read",
        files,
        _Reading(part.utility, _first_lines(files)),
        {"utility": part.utility},
        balance=_datasets,
        advance=run.counter("sources", "read"),
    )
    dropped.update(read.dropped)
    counts: dict[str, Any] = {
        "read": read.read + sum(dropped.values()) - sum(read.dropped.values())
    }
    balance: dict[str, Any] = {}
    for name, which in (("train", "train"), ("held-out", "heldout")):
        done = run_stage(
            name,
            folder / name,
            [folder / "read" / "rows.jsonl"],
            _Splitting(which, part.held_out),
            {"held_out": part.held_out},
            balance=_datasets,
            batch=1024,
        )
        counts[name], balance[name] = done.written, done.balance["datasets"]
    if not counts["train"]:
        raise InvalidRow(
            f"No source row is left to train on: {dict(dropped) or 'the files are empty'}.",
            f"The rows that were dropped are listed in {folder / 'read' / 'dropped.jsonl'}.",
        )
    return Outcome(counts, dict(dropped), balance)


def make_world(plan: WorldPlan, folder: Path) -> Path:
    """The folder with the world's `corpus.jsonl` and `sources.jsonl`; it is whole, or not there."""
    if folder.exists():
        return folder
    from selfrag.training.mini.inventor import Inventor
    from selfrag.training.mini.schemas import FACTS, read_entities
    from selfrag.training.mini.world import World, write_world

    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    write_world(World(Inventor(read_entities(FACTS)), plan), part)
    part.rename(folder)
    return folder


def index_inputs(run: Run) -> dict[str, str]:
    """The fingerprint of the index that is given, or of the corpus."""
    part = run.recipe.index
    assert part is not None
    if part.folder:
        return {"index": fingerprint([Path(part.folder) / "manifest.json"])}
    corpus = _corpus(run)
    if not corpus.exists():
        raise InvalidRecipe(
            f"`index: corpus` names {corpus}, which is not there.", "Mend the path."
        )
    files = (
        [corpus] if corpus.is_file() else sorted(one for one in corpus.rglob("*") if one.is_file())
    )
    return {"corpus": fingerprint(files)}


def run_index(run: Run) -> Outcome:
    """Build the index, or look at the one that is given."""
    from indexes.index import Index

    part = run.recipe.index
    assert part is not None
    if not part.folder:
        _build(run)
    info = Index.open(run.index_folder).info()
    assert run.retriever is not None  # a description that is not valid is told of here
    return Outcome(
        {"passages": info["corpus"]["passages"]}, figures={"folder": str(run.index_folder)}
    )


def _build(run: Run) -> None:
    import warnings

    from indexes.build import build_index
    from indexes.errors import ResumedBuild
    from indexes.manifest import MANIFEST_FILE
    from retrievers.encoders import Encoder

    part = run.recipe.index
    assert part is not None
    if (run.index_folder / MANIFEST_FILE).exists():
        return
    encoder = None if part.encoder == "none" else Encoder(shipped(part.encoder, "encoder"))
    run.folder("index").mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResumedBuild)
        build_index(_corpus(run), run.index_folder, encoder=encoder, progress=lambda _: None)


def _corpus(run: Run) -> Path:
    part = run.recipe.index
    assert part is not None
    return Path(part.corpus) if part.corpus else run.folder("sources") / "world" / "corpus.jsonl"


class _Reading:
    """Rows as they are read everywhere else, each with its id; a taken id is a drop."""

    def __init__(self, utility: int | None, first: Mapping[str, int]) -> None:
        self._utility, self._first = utility, first

    def __call__(self, lines: Sequence[InputLine]) -> list[Sequence[Row] | Drop]:
        return [self._one(line) for line in lines]

    def _one(self, line: InputLine) -> Sequence[Row] | Drop:
        assert line.row is not None
        try:
            row = SourceRow.from_dict(line.row, line.id)
        except InvalidRow as error:
            return Drop("not a source row", error.message)
        if self._first[row.id] != line.number:
            return Drop("id taken", f"line {self._first[row.id]} has the id {row.id!r}")
        values = row.to_dict()
        if row.utility is None and self._utility is not None:
            values["utility"] = self._utility
        return [values]


class _Splitting:
    """Keeps the rows of one part; those of the other are no drops."""

    def __init__(self, which: str, held_out: float) -> None:
        self._which, self._held_out = which, held_out

    def __call__(self, lines: Sequence[InputLine]) -> list[Sequence[Row] | Drop]:
        return [
            [line.row] if line.row and _part(line.id, self._held_out) == self._which else []
            for line in lines
        ]


def _part(row_id: str, held_out: float) -> str:
    """The part of a row. Critic data are split by a hash of the id too: that one would find none
    of its own part among the rows that the same hash left."""
    return part_of(f"held out {row_id}", held_out)


def _first_lines(files: Sequence[Path]) -> dict[str, int]:
    """Id -> the first line that has it."""
    first: dict[str, int] = {}
    for line in read_lines(files):
        if line.row is not None:
            first.setdefault(line.id, line.number)
    return first


def _datasets(rows: Any) -> Mapping[str, Any]:
    counts = Counter(str(row.get("dataset", "")) for row in rows)
    return {"datasets": dict(sorted(counts.items()))}
