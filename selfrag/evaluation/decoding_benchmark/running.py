"""One benchmark from its options to its report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfrag.evaluation.decoding_benchmark.decode_step import limit_share
from selfrag.evaluation.decoding_benchmark.growing import SHAPE_134M, Shape
from selfrag.evaluation.decoding_benchmark.machine import measure_rates
from selfrag.evaluation.decoding_benchmark.measuring import Plan, RunFile, measure
from selfrag.evaluation.decoding_benchmark.passages import RecordedPassages
from selfrag.evaluation.decoding_benchmark.report import (
    REPORT_VERSION,
    tokens_entry,
    workload_entry,
)
from selfrag.evaluation.decoding_benchmark.systems import SYSTEMS, VARIANTS, Setup, has_vllm
from selfrag.evaluation.decoding_benchmark.workloads import (
    WORKLOADS,
    ModelName,
    Weights,
    load_weights,
)

HEADLINES = ("short", "short_64", "long_64")


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many questions of a workload, how many of them the published procedure is asked, and
    whether ours is measured with single points switched off."""

    questions: int
    published: int
    variants: bool = True


FULL = {
    "short": Amounts(32, 8),
    "short_64": Amounts(64, 8),
    "long_64": Amounts(64, 4),
    "random": Amounts(8, 2),
    "random_64": Amounts(64, 2),
}
QUICK = {
    "short": Amounts(3, 1),
    "short_64": Amounts(8, 1, variants=False),
    "long_64": Amounts(3, 1, variants=False),
    "random": Amounts(1, 1, variants=False),
}


def make_plans(
    questions: Sequence[str],
    *,
    quick: bool = False,
    only: Sequence[str] = (),
    count: int | None = None,
    repeats: int | None = None,
) -> list[Plan]:
    """What to measure, in order.

    Args:
        questions: all that there are; each workload takes some, spread evenly.
        quick: few questions and one turn of each system.
        only: names of workloads; () takes all that the amounts name.
        count: questions of every workload, in place of the amounts.
        repeats: turns of each system; by default 3, and 1 when quick.

    vLLM is left out where it is not installed.
    """
    from selfrag.evaluation.questions import spread

    amounts = QUICK if quick else FULL
    chosen = only or tuple(amounts)
    known = tuple(name for name in SYSTEMS if name != "vllm" or has_vllm())
    plans = []
    for name in chosen:
        amount = amounts.get(name, FULL[name])
        names = tuple(one for one in known if amount.variants or one not in VARIANTS)
        number = min(count or amount.questions, len(questions))
        plans.append(
            Plan(
                workload=WORKLOADS[name],
                questions=tuple(spread(questions, number)),
                published_questions=min(amount.published, number),
                systems=names,
                repeats=repeats or (1 if quick else 3),
            )
        )
    return plans


def run_benchmark(
    plans: Sequence[Plan],
    retriever: Any,
    output: Path | None,
    *,
    shape: Shape = SHAPE_134M,
    load: Callable[[ModelName, Shape], Weights] = load_weights,
    advance: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Measure all plans; see `scripts/benchmark_decoding.py` for what comes back.

    Args:
        plans: what to measure; those of the same model should stand together.
        retriever: finds the passages.
        output: folder in which intermediate results are kept; None keeps none.
        shape: of the models.
        load: makes the models.
        advance: told what is measured now.
    """
    import torch

    values: dict[str, Any] = {name: None for name in HEADLINES}
    values |= {"limit_share": None, "tokens": {}, "machine": {}}
    file, passages = RunFile(output), RecordedPassages(retriever)
    setup: Setup | None = None
    model = ""
    with tempfile.TemporaryDirectory() as scratch:
        for plan in plans:
            workload = plan.workload
            if setup is None or workload.model != model:
                model, setup = workload.model, None  # the old model goes before the new one comes
                weights = load(workload.model, shape)
                folder = _saved(weights, (output or Path(scratch)) / f"model-{workload.model}")
                setup = Setup(weights, passages, folder)
                rates = measure_rates(weights.model)
                values["machine"][model] = rates.to_dict()
                if values["limit_share"] is None:
                    step = limit_share(weights.model, rates)
                    values["limit_share"] = step["share"]
                    values["machine"]["decode_step"] = step
            runs, levels = measure(
                plan, setup, file, lambda name, at=workload.name: advance(f"{at}: {name}")
            )
            values[workload.name] = workload_entry(plan, runs, levels, rates)
            values["tokens"][workload.name] = tokens_entry(plan, runs)
    published = "vllm" if has_vllm() else "transformers"
    values["benchmark"] = {
        "schema_version": REPORT_VERSION,
        "published_on": published,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "dtype": "float32",
        "shape": {name: getattr(shape, name) for name in shape.__slots__},
    }
    return values


def _saved(weights: Weights, folder: Path) -> Path | None:
    """The model as a checkpoint for engines that load it themselves; None where there are none."""
    if not has_vllm():
        return None
    if not (folder / "config.json").is_file():
        weights.model.save_pretrained(folder)
        weights.tokenizer.save_pretrained(folder)
    return folder
