"""One turn of one system: the questions asked once, timed from the first one to the last answer.

Loading, saving and warming up are not in it. A system is warmed up once in a process and for each
workload: it is asked one question of which it may write a few tokens, so that the first product
of a shape and the first call of a compiled function are nobody's loss.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfrag.evaluation.decoding_benchmark.systems import Setup, system
from selfrag.evaluation.decoding_benchmark.workloads import Workload
from selfrag.evaluation.memory import peak_memory, reset_peak_memory

_BRIEF = {"max_segments": 1, "max_segment_tokens": 4}


@dataclass(frozen=True, slots=True)
class Turn:
    """What was measured.

    Attributes:
        seconds: wall-clock time of all questions.
        processor_seconds: what the process took of its processors meanwhile, all threads together.
        prompt_tokens, generated_tokens: of all branches together, as `Usage` counts them.
        peak_bytes: highest resident memory of the process that the system worked in, the model
            included; None where the operating system does not tell.
        answers: text and score of each.
    """

    seconds: float
    processor_seconds: float
    prompt_tokens: int
    generated_tokens: int
    peak_bytes: int | None
    answers: tuple[tuple[str, float | None], ...]


def take_turn(name: str, setup: Setup, workload: Workload, questions: Sequence[str]) -> Turn:
    """Ask a system in this process, warmed up and with nothing cached."""
    if (name, workload.name) not in setup.warm:
        with system(name, setup, brief(workload), questions[:1]) as ask:
            ask(questions[:1])
        setup.warm.add((name, workload.name))
    gc.collect()
    with system(name, setup, workload, questions) as ask:
        told = reset_peak_memory()
        used, began = time.process_time(), time.perf_counter()
        answers = ask(questions)
        seconds, used = time.perf_counter() - began, time.process_time() - used
        peak = peak_memory() if told else None
    return Turn(
        seconds=seconds,
        processor_seconds=used,
        prompt_tokens=sum(answer.usage.prompt_tokens for answer in answers),
        generated_tokens=sum(answer.usage.generated_tokens for answer in answers),
        peak_bytes=peak,
        answers=tuple((answer.draft or answer.text, answer.score) for answer in answers),
    )


def brief(workload: Workload) -> Workload:
    """The same workload, of which little is written."""
    return replace(
        workload,
        config=workload.config.replace(**_BRIEF),
        published=workload.published.replace(**_BRIEF),
    )
