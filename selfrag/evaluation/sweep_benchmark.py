"""What a sweep costs, counted: model calls and tokens against separate runs, answers compared.

`measure` asks the same questions under many settings of one recording, and a sample of questions
and settings again on their own, without a store. With a folder it goes on where it was stopped.
What separate runs would have cost is not estimated: of every setting the requests are known, since
an answer's usage says how many a store had. This module knows nothing of files of questions.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decoding.config import DecodingConfig
from selfrag.answer import Answer
from selfrag.errors import EXIT_INPUT, SelfRAGError
from selfrag.evaluation.questions import spread
from selfrag.evaluation.sweeps import sweep
from selfrag.expansion_file import ExpansionFile
from selfrag.rag import SelfRAG

BATCH = 32
"""Questions in flight."""

TOLERANCE = 1e-5
"""By how much the scores of two equal answers may differ."""

Open = Callable[[Path | None], AbstractContextManager[SelfRAG]]
"""Opens a model: recording in this file, or with None without any store."""


class OtherSweep(SelfRAGError, ValueError):
    """The folder holds another sweep."""

    exit_code = EXIT_INPUT


def random_settings(base: DecodingConfig, count: int, seed: int) -> list[DecodingConfig]:
    """`base`, and settings of weights, thresholds and beam drawn at random, all different.

    Only what leaves the prompts as they are is drawn. `relevance_threshold` is not: it decides
    which IsRel token a branch goes on with, so that every value of it writes other text.
    """
    chance = random.Random(seed)
    made = {json.dumps(base.to_dict()): base}
    while len(made) < count:
        config = base.replace(
            w_seq=round(chance.uniform(0, 2), 2),
            w_rel=round(chance.uniform(0, 5), 2),
            w_sup=round(chance.uniform(0, 5), 2),
            w_use=round(chance.uniform(0, 2), 2),
            w_ret=round(chance.uniform(0, 5), 2),
            retrieve_threshold=round(chance.uniform(0, 1), 2),
            later_threshold=round(chance.uniform(0, 1), 2),
            end_threshold=chance.choice((None, round(chance.uniform(0.5, 1), 2))),
            beam_width=chance.choice((1, 2, 3)),
        )
        made.setdefault(json.dumps(config.to_dict()), config)
    return list(made.values())[:count]


@dataclass(frozen=True, slots=True)
class Swept:
    """One setting over all questions.

    Attributes:
        model_calls, requests: sent to the model, and what a run of its own would have sent.
        tokens, tokens_alone: generated, and what a run of its own would have generated (unpruned).
        seconds: of processor time.
        answers: a short hash of each question's text and passages.
        chosen: the number of the question whose answer can be compared.
        shown: what was answered to it (`shown`).
    """

    model_calls: int
    requests: int
    tokens: int
    tokens_alone: int
    seconds: float
    answers: tuple[str, ...]
    chosen: int
    shown: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Swept:
        """Inverse of `to_dict`."""
        return cls(**{**data, "answers": tuple(data["answers"])})


def shown(answer: Answer) -> dict[str, Any]:
    """What makes two answers the same: text, cited passages, status, score."""
    return {
        "text": answer.text,
        "passages": [one.passage_id for one in answer.citations],
        "status": answer.status,
        "score": answer.score,
    }


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two answers are: scores within `TOLERANCE`, all else exactly."""
    scores = one["score"], other["score"]
    if None in scores:
        close = scores == (None, None)
    else:
        close = math.isclose(*scores, rel_tol=0.0, abs_tol=TOLERANCE)
    return close and all(one[key] == other[key] for key in ("text", "passages", "status"))


def measure(
    open_model: Open,
    questions: Sequence[str],
    settings: Sequence[DecodingConfig],
    folder: Path,
    *,
    sample: int,
    seed: int = 0,
    advance: Callable[[str, int], None] = lambda stage, done: None,
) -> dict[str, Any]:
    """The figures of a sweep, as plain data.

    Args:
        open_model: see `Open`; called once for the sweep and once for the sample.
        questions: asked under every setting.
        settings: the first pays for most.
        folder: keeps the recording and what was counted; the same call goes on from there, one with
            other numbers of settings and samples too.
        sample: of how many settings a question is asked again without a store.
        seed: of which question of a setting that is.
        advance: told of the stage ("sweep", "check") and how many questions were answered.

    Raises:
        OtherSweep: `folder` holds a sweep of other questions or settings.
    """
    journal = _Journal(folder, questions, settings)
    runs = journal.runs
    advance("sweep", len(runs) * len(questions))
    if len(runs) < len(settings):
        with open_model(folder / "recording.sqlite") as rag:
            for number in range(len(runs), len(settings)):
                chosen = random.Random(f"{seed} {number}").randrange(len(questions))
                journal.add(_run(rag, questions, settings[number], chosen, advance))
    recording = ExpansionFile(folder / "recording.sqlite", writable=False)
    recorded = recording.counts().get("expansion", 0)
    recording.close()
    checked = _check(open_model, questions, settings, runs, sample, advance)
    return _report(questions, runs, recorded, checked)


def _run(
    rag: SelfRAG,
    questions: Sequence[str],
    config: DecodingConfig,
    chosen: int,
    advance: Callable[[str, int], None],
) -> Swept:
    """All questions under one setting, in batches."""
    began, calls, requests, answers = time.process_time(), 0, 0, list[Answer]()
    for start in range(0, len(questions), BATCH):
        (run,) = sweep(rag, questions[start : start + BATCH], [config])
        calls, requests = calls + run.model_calls, requests + run.requests
        answers += run.answers
        advance("sweep", len(run.answers))
    usage = [answer.usage for answer in answers]
    written = sum(one.generated_tokens for one in usage)
    return Swept(
        calls,
        requests,
        written - sum(one.cached_tokens for one in usage),
        written,
        time.process_time() - began,
        tuple(_hash([a.text, [c.passage_id for c in a.citations]]) for a in answers),
        chosen,
        shown(answers[chosen]),
    )


def _check(
    open_model: Open,
    questions: Sequence[str],
    settings: Sequence[DecodingConfig],
    runs: Sequence[Swept],
    sample: int,
    advance: Callable[[str, int], None],
) -> dict[str, Any]:
    """The sample asked one by one, as anybody would: without a store, and pruned."""
    differences, calls, tokens = [], 0, 0
    asked = spread(list(zip(settings, runs, strict=True)), sample) if sample else []
    if asked:
        with open_model(None) as rag:
            for config, run in asked:
                answer = rag.ask(questions[run.chosen], config=config)
                calls += answer.usage.model_calls
                tokens += answer.usage.generated_tokens
                if not same(run.shown, shown(answer)):
                    differences.append({"configuration": config.to_dict(), "swept": run.shown})
                advance("check", 1)
    return {
        "asked": len(asked),
        "same": len(asked) - len(differences),
        "differences": differences,
        "model_calls": calls,
        "generated_tokens": tokens,
    }


def _report(
    questions: Sequence[str], runs: Sequence[Swept], recorded: int, checked: dict[str, Any]
) -> dict[str, Any]:
    calls = sum(run.model_calls for run in runs)
    # An interrupted setting was counted again, from what it had recorded; that was paid for too.
    calls = max(calls, recorded)
    answers = list(zip(*(run.answers for run in runs), strict=True))
    return {
        "questions": len(questions),
        "settings": len(runs),
        "model_calls": _cost(calls, sum(run.requests for run in runs)),
        "generated_tokens": _cost(
            sum(run.tokens for run in runs), sum(run.tokens_alone for run in runs)
        ),
        "first_setting": {"model_calls": runs[0].model_calls, "seconds": runs[0].seconds},
        "later_settings_seconds": statistics.median(run.seconds for run in runs[1:])
        if runs[1:]
        else None,
        "questions_answered_differently": sum(len(set(one)) > 1 for one in answers),
        "check": checked,
    }


def _cost(swept: int, alone: int) -> dict[str, Any]:
    return {"sweep": swept, "separate_runs": alone, "share": swept / alone if alone else None}


class _Journal:
    """What was counted, a setting a line, behind a line that says of which questions."""

    def __init__(
        self, folder: Path, questions: Sequence[str], settings: Sequence[DecodingConfig]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file, self._settings, self.runs = folder / "settings.jsonl", settings, list[Swept]()
        head = {"questions": _hash(questions)}
        if not self._file.exists():
            self._file.write_text(json.dumps(head) + "\n", encoding="utf-8")
            return
        lines = self._file.read_text(encoding="utf-8").split("\n")[:-1]  # a cut one counts anew
        known = [json.loads(line) for line in lines]
        expected = [head, *({"setting": _hash([one])} for one in settings)]
        for found, wanted in zip(known, expected, strict=False):
            if wanted.items() - {k: v for k, v in found.items() if k in wanted}.items():
                raise OtherSweep(
                    f"{folder} holds a sweep of other questions or settings.",
                    "Give another folder, or the options with which it was begun.",
                )
        self.runs += [Swept.from_dict(one["run"]) for one in known[1 : len(settings) + 1]]
        self._file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def add(self, run: Swept) -> None:
        """Count the next setting."""
        row = {"setting": _hash([self._settings[len(self.runs)]]), "run": run.to_dict()}
        with self._file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.runs.append(run)


def _hash(values: Sequence[Any]) -> str:
    plain = [one.to_dict() if isinstance(one, DecodingConfig) else one for one in values]
    return hashlib.blake2b(json.dumps(plain).encode(), digest_size=6).hexdigest()
