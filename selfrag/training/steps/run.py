"""A run of a pipeline: its recipe, its folder, what a stage may open there, and who listens.

This module knows nothing of what stages do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfrag.training.recipe import EMBEDDED, STAGES, Recipe

if TYPE_CHECKING:
    from retrievers.base import Retriever


@dataclass(frozen=True, slots=True)
class Progress:
    """What goes on.

    Attributes:
        stage: that is running. text: a sentence; "" for a mere count.
        step: of the stage. done: rows of it so far. total: None where it is not known.
    """

    stage: str
    text: str = ""
    step: str = ""
    done: int = 0
    total: int | None = None


Report = Callable[[Progress], None]


def folder_of(work: Path, stage: str) -> Path:
    """The folder of a stage."""
    return work / f"{STAGES.index(stage) + 1}-{stage}"


class Run:
    """One call of the pipeline.

    Attributes:
        recipe, work: what is made, and where. report: who is told.
    """

    def __init__(self, recipe: Recipe, work: Path, report: Report) -> None:
        self.recipe, self.work, self.report = recipe, work, report

    def folder(self, stage: str) -> Path:
        """The folder of a stage."""
        return folder_of(self.work, stage)

    def rows(self, part: str) -> Path:
        """The source rows of a part: "train" or "held-out"."""
        return self.folder("sources") / part / "rows.jsonl"

    def teller(self, stage: str) -> Callable[[str], None]:
        """Passes sentences on."""
        return lambda text: self.report(Progress(stage, text))

    def counter(self, stage: str, step: str, total: int | None = None) -> Callable[[int], None]:
        """Passes numbers of further rows on, added up."""
        done = 0

        def advance(further: int) -> None:
            nonlocal done
            done += further
            self.report(Progress(stage, step=step, done=done, total=total))

        return advance

    @property
    def index_folder(self) -> Path:
        """Where the index is, or is going to be."""
        part = self.recipe.index
        assert part is not None
        return Path(part.folder) if part.folder else self.folder("index") / "index"

    @cached_property
    def retriever(self) -> Retriever | None:
        """The retriever over the index, opened once; None where the recipe has no index."""
        part = self.recipe.index
        if part is None:
            return None
        from retrievers import open_retriever

        config: Any = part.retriever
        if config is None and part.encoder == "none" and not part.folder:
            config = "bm25"
        encoder = None
        if not part.folder and part.encoder != "none":
            encoder = shipped(part.encoder, "encoder")
        return open_retriever(self.index_folder, config, encoder=encoder)

    @cached_property
    def store(self) -> Any:
        """The passages of the index; None where the recipe has none."""
        if self.recipe.index is None:
            return None
        from indexes.index import Index

        return Index.open(self.index_folder, vectors=False, bm25=False).store


def shipped(name: str, asset: str) -> str:
    """What a recipe names; for "embedded" the folder of what is shipped."""
    if name != EMBEDDED:
        return name
    import selfrag

    return str(Path(selfrag.__file__).parent / "assets" / asset)
