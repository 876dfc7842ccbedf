"""Asks all systems in turn, A B A B, and keeps what was measured in a file as it goes.

Every turn starts with an empty cache: the same questions come again, and an engine that kept its
prefixes would not be asked them but be reminded of them (`turns.py`). The machine is measured right
before and after each turn of `ours`, so that the floor is that of the same minutes: what it can
do changes within a run where others share it.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from selfrag import __version__
from selfrag.evaluation.decoding_benchmark.apart import Apart
from selfrag.evaluation.decoding_benchmark.floor import Level, Prefixes, levels_of
from selfrag.evaluation.decoding_benchmark.growing import SHAPE_134M, Shape
from selfrag.evaluation.decoding_benchmark.machine import Rates, measure_rates
from selfrag.evaluation.decoding_benchmark.recording import Recorder
from selfrag.evaluation.decoding_benchmark.systems import (
    VLLM_SETTINGS,
    Setup,
    chunks,
    fresh_engine,
    open_rag,
    runs_apart,
    vllm_version,
)
from selfrag.evaluation.decoding_benchmark.turns import take_turn
from selfrag.evaluation.decoding_benchmark.workloads import Workload
from selfrag.passing_thread import in_passing

RUNS_FILE = "decoding_runs.jsonl"

TIMED = "ours"
"""The system whose time is compared with the floor."""


@dataclass(frozen=True, slots=True)
class Run:
    """One turn of one system.

    Attributes:
        workload, system, repeat: which turn.
        questions: how many were asked.
        seconds: wall-clock time of all of them.
        prompt_tokens, generated_tokens: of all branches together, as `Usage` counts them.
        processor_seconds, peak_bytes, answers: see `Turn`.
    """

    workload: str
    system: str
    repeat: int
    questions: int
    seconds: float
    processor_seconds: float
    prompt_tokens: int
    generated_tokens: int
    peak_bytes: int | None
    answers: tuple[tuple[str, float | None], ...]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Run:
        """Inverse of `dataclasses.asdict`, through JSON."""
        answers = tuple((text, score) for text, score in values["answers"])
        return cls(**{**values, "answers": answers})


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured of one workload.

    Attributes:
        workload: what it is.
        questions: what is asked.
        published_questions: how many of them the published procedure is asked.
        systems: names, in the order of their turns.
        repeats: how often the turns go round.
        shape: of the model.
        published_repeats: turns of the published procedure; no more than `repeats`.
        eager: see `Setup`.
    """

    workload: Workload
    questions: tuple[str, ...]
    published_questions: int
    systems: tuple[str, ...]
    repeats: int
    shape: Shape = SHAPE_134M
    published_repeats: int = 3
    eager: bool = False

    @property
    def turns(self) -> list[tuple[int, str]]:
        """All turns in order: A B A B."""
        return [
            (repeat, name)
            for repeat in range(self.repeats)
            for name in self.systems
            if name != "published" or repeat < self.published_repeats
        ]

    @property
    def key(self) -> str:
        """Names everything that a turn's figures depend on, but the number of turns."""
        workload = self.workload
        return _digest(
            {
                "workload": [workload.name, workload.model, workload.table, workload.in_flight],
                "config": workload.config.to_dict(),
                "published": workload.published.to_dict(),
                "questions": self.questions,
                "published_questions": self.published_questions,
                "vllm": [vllm_version(), VLLM_SETTINGS, self.eager],
                "run": [one.name for one in fields(Run)],
                "machine": self.machine_key,
            }
        )

    @property
    def machine_key(self) -> str:
        """Names the model and what it runs on."""
        return _digest(
            {
                "model": self.workload.model,
                "shape": str(self.shape),
                "threads": torch.get_num_threads(),
                "versions": [__version__, platform.python_version(), torch.__version__],
                "machine": platform.machine(),
            }
        )

    def asked(self, name: str) -> tuple[str, ...]:
        """What a system is asked."""
        count = self.published_questions if name == "published" else len(self.questions)
        return self.questions[:count]


@dataclass(slots=True)
class Measured:
    """What was measured of a plan.

    Attributes:
        runs: turns by repeat and system.
        levels: the work of the recorded run; empty before it.
        rates: of the machine, before and after each turn of `ours`.
    """

    runs: dict[tuple[int, str], Run] = field(default_factory=dict)
    levels: list[Level] = field(default_factory=list)
    rates: list[Rates] = field(default_factory=list)


class RunFile:
    """What was measured so far, one JSON object a line; lines of other settings are left alone.

    Args:
        folder: where the file lies, made where there is none; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / RUNS_FILE
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def read(self, key: str) -> Measured:
        """What there is of a plan."""
        found = Measured()
        for line in self._lines():
            if line.get("key") != key:
                continue
            if "levels" in line:
                found.levels = [Level.from_list(values) for values in line["levels"]]
            elif "rates" in line:
                found.rates.append(Rates.from_dict(line["rates"]))
            else:
                run = Run.from_dict(line["run"])
                found.runs[run.repeat, run.system] = run
        return found

    def decode_step(self, key: str) -> dict[str, float] | None:
        """What was measured of the decode step; None where nothing was."""
        found = [line["decode_step"] for line in self._lines() if line.get("key") == key]
        return found[-1] if found else None

    def add(self, key: str, name: str, value: Any) -> None:
        """Append one line."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, name: value}, ensure_ascii=False) + "\n")

    def _lines(self) -> list[dict[str, Any]]:
        if self._path is None or not self._path.is_file():
            return []
        lines = []
        for text in self._path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:  # the line that was being written when the run was stopped
                continue
        return lines


def measure(
    plan: Plan,
    setup: Callable[[], Setup],
    file: RunFile,
    advance: Callable[[str], None] = lambda name: None,
) -> Measured:
    """All turns of a workload, those in the file included.

    The recorded run comes first: it also fills the passages, so that no turn waits for them.

    Args:
        plan: what to measure.
        setup: model and passages, asked for where something is to be measured.
        file: where turns are kept.
        advance: told the system of each turn that is done.
    """
    found = file.read(plan.key)
    if not found.levels or any(turn not in found.runs for turn in plan.turns):
        found.levels = record(plan.workload, setup(), plan.questions)
        file.add(plan.key, "levels", [level.to_list() for level in found.levels])

    def measure_machine() -> None:
        found.rates.append(in_passing(partial(measure_rates, setup().weights.model)))
        file.add(plan.key, "rates", found.rates[-1].to_dict())

    for repeat, name in plan.turns:
        if (repeat, name) not in found.runs:
            if name == TIMED:
                measure_machine()
            run = _turn(plan, setup(), repeat, name)
            if name == TIMED:
                measure_machine()
            found.runs[repeat, name] = run
            file.add(plan.key, "run", asdict(run))
        advance(name)
    if not found.rates:
        measure_machine()
    found.runs = {turn: found.runs[turn] for turn in plan.turns}
    found.rates = found.rates[: 2 * plan.repeats]
    return found


def _digest(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]


def record(workload: Workload, setup: Setup, questions: Sequence[str]) -> list[Level]:
    """The work of the search with pruning, for the floor: by questions that are in flight together.

    Asked one after the other, so that it is known which call is whose.
    """
    recorder = Recorder(fresh_engine(setup.weights, speculation=0))
    known, levels = Prefixes(), list[Level]()
    with open_rag(setup, workload.config, recorder) as rag:
        for chunk in chunks(questions, workload.in_flight):
            rounds = []
            for question in chunk:
                rag.ask(question)
                rounds.append(recorder.take())
            levels += levels_of(rounds, known)
    return levels


def _turn(plan: Plan, setup: Setup, repeat: int, name: str) -> Run:
    questions = plan.asked(name)
    if runs_apart(name):
        process: Apart = setup.kept(f"{name} apart", lambda: Apart(setup))
        turn = process.turn(name, plan.workload, questions)
    else:
        turn = in_passing(lambda: take_turn(name, setup, plan.workload, questions))
    return Run(plan.workload.name, name, repeat, len(questions), **asdict(turn))
