"""One benchmark from its options to its report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from selfrag.evaluation.decoding_benchmark.decode_step import limit_share
from selfrag.evaluation.decoding_benchmark.growing import Shape
from selfrag.evaluation.decoding_benchmark.machine import typical
from selfrag.evaluation.decoding_benchmark.measuring import Plan, RunFile, measure
from selfrag.evaluation.decoding_benchmark.passages import RecordedPassages
from selfrag.evaluation.decoding_benchmark.report import (
    REPORT_VERSION,
    tokens_entry,
    workload_entry,
)
from selfrag.evaluation.decoding_benchmark.systems import (
    SAME_SEARCH,
    SYSTEMS,
    Setup,
    available,
    has_vllm,
    vllm_version,
)
from selfrag.evaluation.decoding_benchmark.workloads import (
    WORKLOADS,
    ModelName,
    Weights,
    load_weights,
)
from selfrag.passing_thread import in_passing

MAIN = ("published", *SAME_SEARCH)
HEADLINES = ("short", "short_64", "long_64")


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many questions of a workload, how many of them the published procedure is asked,
    whether ours is measured with single points switched off, and how many turns the published
    procedure takes at most."""

    questions: int
    published: int
    variants: bool = True
    published_repeats: int = 3


FULL = {
    "short": Amounts(32, 8),
    "short_64": Amounts(64, 8),
    "long_64": Amounts(64, 1, published_repeats=1),
    "random": Amounts(8, 2),
    "random_64": Amounts(64, 2),
}
QUICK = {
    "short": Amounts(2, 1),
    "short_64": Amounts(6, 1, variants=False),
    "long_64": Amounts(2, 1, variants=False),
}


def make_plans(
    questions: Sequence[str],
    long_questions: Sequence[str],
    *,
    quick: bool = False,
    only: Sequence[str] = (),
    count: int | None = None,
    published: int | None = None,
    systems: Sequence[str] = (),
    repeats: int | None = None,
) -> list[Plan]:
    """What to measure, in order.

    Args:
        questions: all that there are for the short form; each workload takes some, spread evenly.
        long_questions: likewise for the long form, whose answers take several segments.
        quick: few questions and one turn of each system.
        only: names of workloads; () takes all that the amounts name.
        count: questions of every workload, in place of the amounts.
        published: questions of the published procedure, in place of the amounts.
        systems: names; () takes all that the amounts name.
        repeats: turns of each system; by default 3, and 1 when quick.

    A system that cannot run here is left out.
    """
    from selfrag.evaluation.questions import spread

    amounts = QUICK if quick else FULL
    chosen = only or tuple(amounts)
    known = tuple(name for name in SYSTEMS if available(name))
    plans = []
    for name in chosen:
        amount = amounts.get(name, FULL[name])
        wanted = systems or (SYSTEMS if amount.variants else MAIN)
        names = tuple(one for one in known if one in wanted)
        all_questions = questions if WORKLOADS[name].config.form == "short" else long_questions
        number = min(count or amount.questions, len(all_questions))
        plans.append(
            Plan(
                workload=WORKLOADS[name],
                questions=tuple(spread(all_questions, number)),
                published_questions=min(published or amount.published, number),
                systems=names,
                repeats=repeats or (1 if quick else 3),
                published_repeats=amount.published_repeats,
                eager=quick,
            )
        )
    return plans


def run_benchmark(
    plans: Sequence[Plan],
    retriever: Any,
    output: Path | None,
    *,
    load: Callable[[ModelName, Shape], Weights] = load_weights,
    advance: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Measure all plans; see `scripts/benchmark_decoding.py` for what comes back.

    Args:
        plans: what to measure; those of the same model should stand together.
        retriever: finds the passages.
        output: folder in which intermediate results are kept; None keeps none.
        load: makes the models.
        advance: told what is measured now.
    """
    import torch

    values: dict[str, Any] = {name: None for name in HEADLINES}
    values |= {"limit_share": None, "tokens": {}, "machine": {}}
    file = RunFile(output)
    with (
        tempfile.TemporaryDirectory() as scratch,
        closing(_Models(load, RecordedPassages(retriever), output or Path(scratch))) as models,
    ):
        for plan in plans:
            name = plan.workload.name
            if values["limit_share"] is None:
                values["decode_step"] = _decode_step(plan, models, file)
                values["limit_share"] = values["decode_step"]["share"]
            found = measure(plan, partial(models.setup, plan), file, partial(_tell, advance, name))
            values[name] = workload_entry(plan, found)
            values["tokens"][name] = tokens_entry(plan, list(found.runs.values()))
            values["machine"][name] = typical(found.rates).to_dict()
    vllm = vllm_version()
    values["benchmark"] = {
        "schema_version": REPORT_VERSION,
        "published_on": "vllm" if vllm else "transformers",
        "vllm": vllm,
        "vllm_compiled": not plans[0].eager if vllm else None,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "dtype": "float32",
        "shape": asdict(plans[0].shape),
    }
    return values


def _tell(advance: Callable[[str], None], workload: str, system: str) -> None:
    advance(f"{workload}: {system}")


class _Models:
    """The model of the present plan; the one before goes when another is asked for."""

    def __init__(
        self,
        load: Callable[[ModelName, Shape], Weights],
        passages: RecordedPassages,
        folder: Path,
    ) -> None:
        self._load, self._passages, self._folder = load, passages, folder
        self._key: tuple[ModelName, Shape, bool] | None = None
        self._setup: Setup | None = None

    def setup(self, plan: Plan) -> Setup:
        """Model and passages of a plan."""
        key = (plan.workload.model, plan.shape, plan.eager)
        if self._setup is None or self._key != key:
            self.close()
            weights = in_passing(lambda: self._load(*key[:2]))
            folder = _saved(weights, self._folder / f"model-{plan.workload.model}")
            self._key, self._setup = key, Setup(weights, self._passages, folder, plan.eager)
        return self._setup

    def close(self) -> None:
        """Let the model go, and close the engines that were loaded with it."""
        if self._setup is not None:
            self._setup.close()
        self._setup = None


def _decode_step(plan: Plan, models: _Models, file: RunFile) -> dict[str, float]:
    """What the engine makes of the machine in one decode step."""
    found = file.decode_step(plan.machine_key)
    if found is None:
        model = models.setup(plan).weights.model
        found = in_passing(lambda: limit_share(model))
        file.add(plan.machine_key, "decode_step", found)
    return found


def _saved(weights: Weights, folder: Path) -> Path | None:
    """The model as a checkpoint for engines that load it themselves; None where there are none."""
    if not has_vllm():
        return None
    if not folder.is_dir():
        part = folder.with_name(f"{folder.name}.part")
        weights.model.save_pretrained(part)
        weights.tokenizer.save_pretrained(part)
        part.rename(folder)
    return folder
