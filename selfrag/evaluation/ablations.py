"""The paper's ablations (section 5.2), re-done: what each part of the procedure is worth.

At the time of the question a part is left out by configuration, with the same model. In training it
is left out of the rows, and a model is trained on those (`selfrag.training.generator.variants`);
such a model is asked in the way that its rows taught it. Every variant answers the same questions,
so each is compared with the full procedure question by question.

This module knows nothing of files and of training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoding.config import DecodingConfig
from selfrag.evaluation.comparisons import Ask, PairedDifference, paired_difference
from selfrag.evaluation.intervals import Proportion
from selfrag.evaluation.outcomes import Outcome
from selfrag.evaluation.questions import ANSWERABLE_SECTIONS, EvaluationQuestion

ALL = "all"

AT_TEST: Mapping[str, Mapping[str, Any]] = {
    "full": {},
    "no retrieval": {"mode": "never"},
    "hard constraints": {"retrieve_threshold": 0.5, "drop": ("irrelevant", "no_support")},
    "top-1 only": {"passages": 1},
    "no IsRel": {"w_rel": 0.0},
    "no IsSup": {"w_sup": 0.0},
    "no critique": {"w_rel": 0.0, "w_sup": 0.0, "w_use": 0.0},
    "no retriever's score": {"w_ret": 0.0},
    "greedy": {"beam_width": 1},
    "paper's later query": {"query": "question+segment"},
}
"""Variant -> what is changed in the configuration. Hard constraints: retrieve where `[Retrieval]`
is the more probable of the two tokens, drop what is judged irrelevant or not supported."""

AFTER_TRAINING: Mapping[str, Mapping[str, Any]] = {
    "no retriever": {"mode": "never"},
    "no critic": {"mode": "always", "passages": 1},
}
"""How a model is asked whose rows had no passages, or no judgements; others as the full one."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """One variant.

    Attributes:
        name: of the variant.
        accuracy: by kind of question, and of "all" answerable ones.
        against_full: paired differences, this variant's minus the full procedure's, by the same
            names; empty for the full procedure.
        passages: read for a question, on average.
    """

    name: str
    accuracy: Mapping[str, Proportion]
    against_full: Mapping[str, PairedDifference]
    passages: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "accuracy": {name: one.to_dict() for name, one in self.accuracy.items()},
            "against_full": {name: one.to_dict() for name, one in self.against_full.items()},
            "passages": self.passages,
        }


def ablate_at_test(
    ask: Ask,
    questions: Sequence[EvaluationQuestion],
    config: DecodingConfig,
    advance: Callable[[str], None] = lambda name: None,
) -> list[Ablation]:
    """Every variant of `AT_TEST`, the full procedure first.

    Args:
        ask: asks questions under a configuration; outcomes in their order.
        questions: those that are not answerable are left out.
        config: the full procedure's.
        advance: told the name of each variant before it is asked.
    """
    asked = [question for question in questions if question.answerable]
    made: list[Ablation] = []
    full: Sequence[Outcome] = ()
    for name, changes in AT_TEST.items():
        advance(name)
        outcomes = ask(asked, config.replace(**{"mode": "adaptive", **changes}))
        full = full or outcomes
        made.append(ablation(name, outcomes, full))
    return made


def ablation(name: str, outcomes: Sequence[Outcome], full: Sequence[Outcome]) -> Ablation:
    """One variant against the full procedure, on the same questions in the same order."""
    groups = {ALL: list(range(len(outcomes)))}
    for kind in ANSWERABLE_SECTIONS:
        places = [i for i, one in enumerate(outcomes) if one.question.section == kind]
        if places:
            groups[kind] = places
    differences = {}
    if outcomes is not full:
        differences = {
            group: paired_difference(
                [_right(outcomes[i]) for i in places],
                [_right(full[i]) for i in places],
                [outcomes[i].question.id for i in places],
            )
            for group, places in groups.items()
        }
    return Ablation(
        name,
        {
            group: Proportion.of(_right(outcomes[i]) for i in places)
            for group, places in groups.items()
        },
        differences,
        sum(one.answer.usage.passages for one in outcomes) / max(1, len(outcomes)),
    )


def _right(outcome: Outcome) -> bool:
    """Whether what was written is right, refused afterwards or not: thresholds are of the full
    procedure, and would judge the variants by its scores."""
    return outcome.written_right or outcome.right


def markdown(ablations: Sequence[Ablation]) -> str:
    """A table: a row a variant, accuracies in per cent with intervals, then the difference."""
    kinds = list(ablations[0].accuracy)
    lines = [
        f"| variant | {' | '.join(kinds)} | against full | passages |",
        f"|---|{'---|' * len(kinds)}---|---|",
    ]
    for one in ablations:
        cells = [_percent(one.accuracy[kind]) for kind in kinds]
        difference = one.against_full.get(ALL)
        shown = "" if difference is None else _difference(difference)
        lines.append(f"| {one.name} | {' | '.join(cells)} | {shown} | {one.passages:.1f} |")
    return "\n".join(lines) + "\n"


def _percent(share: Proportion) -> str:
    if share.value is None or share.interval is None:
        return ""
    low, high = share.interval
    return f"{share.value:.1%} [{100 * low:.1f}, {100 * high:.1f}]"


def _difference(paired: PairedDifference) -> str:
    estimate = paired.difference
    if estimate.value is None or estimate.interval is None:
        return ""
    low, high = estimate.interval
    return f"{100 * estimate.value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
