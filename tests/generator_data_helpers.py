"""What the tests of generator data share: a scripted critic, a scripted retriever, small rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from decoding.vocabulary import (
    FULLY_SUPPORTED,
    IRRELEVANT,
    NO_SUPPORT,
    RELEVANT,
    RETRIEVAL,
)
from indexes.passage import Passage
from retrievers.hit import Hit
from selfrag.training.critic.questions import CriticQuestion, Judgement, Unjudged
from selfrag.training.generator.data import make_generator_data
from selfrag.training.generator.options import GeneratorDataOptions


class ScriptedCritic:
    """Answers by a function; records what it was asked, and stops after some questions if told."""

    def __init__(
        self, script: Callable[[CriticQuestion], str | None], name: str = "scripted"
    ) -> None:
        self.name = name
        self.script = script
        self.asked: list[CriticQuestion] = []
        self.stop_after: int | None = None

    def judge(self, questions: Sequence[CriticQuestion]) -> list[Judgement | Unjudged]:
        results: list[Judgement | Unjudged] = []
        for question in questions:
            if self.stop_after is not None and len(self.asked) >= self.stop_after:
                raise ConnectionError("the critic is gone")
            self.asked.append(question)
            label = self.script(question)
            if label is None:
                results.append(Unjudged(question, "no answer"))
            else:
                results.append(Judgement(question, label, self.name))
        return results


def gold_like(supports: Mapping[str, Sequence[str]]) -> Callable[[CriticQuestion], str]:
    """Rules from sentence -> ids of all passages that support it; a passage that supports any
    sentence is relevant, every instruction needs one, and every output is perfect."""
    helpful = {passage for ids in supports.values() for passage in ids}

    def script(question: CriticQuestion) -> str:
        passage = question.passage.id if question.passage else ""
        if question.group == "Retrieve":
            return RETRIEVAL
        if question.group == "IsRel":
            return RELEVANT if passage in helpful else IRRELEVANT
        if question.group == "IsSup":
            return FULLY_SUPPORTED if passage in supports[question.sentence] else NO_SUPPORT
        return "[Utility:5]"

    return script


def always(**labels: str) -> Callable[[CriticQuestion], str]:
    """The same label for each group, for example IsRel="[Relevant]"."""
    defaults = {
        "Retrieve": RETRIEVAL,
        "IsRel": RELEVANT,
        "IsSup": FULLY_SUPPORTED,
        "IsUse": "[Utility:5]",
    }
    return lambda question: (defaults | labels)[question.group]


class ScriptedRetriever:
    """Finds what it was told for a query, and nothing else; records its queries."""

    fingerprint = "scripted"

    def __init__(self, found: Mapping[str, Sequence[Passage]] | Sequence[Passage]) -> None:
        self.found = found
        self.queries: list[str] = []
        self.stop_after: int | None = None

    def search(self, query: str, k: int) -> list[Hit]:
        return self.search_many([query], k)[0]

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        results = []
        for query in queries:
            if self.stop_after is not None and len(self.queries) >= self.stop_after:
                raise OSError("the retriever is gone")
            self.queries.append(query)
            found = self.found.get(query, ()) if isinstance(self.found, Mapping) else self.found
            results.append([Hit(one, 1.0 / n, n) for n, one in enumerate(found[:k], start=1)])
        return results


def passage(name: str, text: str = "") -> Passage:
    return Passage(name, name.title(), text or f"The text of {name}.")


def write_sources(path: Path, rows: Sequence[Mapping[str, Any] | str]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


PLAIN = GeneratorDataOptions(beside=0.0, told_refusals=0.0)


def make(tmp_path: Path, rows: Any, critic: ScriptedCritic, found: Any, **changes: Any) -> Path:
    """A work folder with all steps done."""
    options = changes.pop("options", PLAIN)
    work: Path = tmp_path / changes.pop("work", "work")
    sources = write_sources(tmp_path / "sources.jsonl", rows)
    retriever = None if found is None else ScriptedRetriever(found)
    make_generator_data([sources], work, critic, retriever, options, **changes)
    return work


def dropped(work: Path, step: str) -> list[tuple[str, str]]:
    lines = (work / step / "dropped.jsonl").read_text(encoding="utf-8").splitlines()
    return [(drop["id"], drop["reason"]) for drop in map(json.loads, lines)]
