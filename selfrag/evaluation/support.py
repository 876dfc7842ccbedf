"""What the model says of labelled sentences: one position is read for each, nothing is written.

The prompt is that of training: the question, `[Retrieval]<paragraph>…</paragraph>[Relevant]` and
the sentence; the next position is where the IsSup token stands. Question, passage and sentence
are encoded as text, whatever they contain. Where the checkpoint comes from is the caller's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from decoding.backend import Backend
from decoding.distributions import ReflectionDistribution
from decoding.generation import Draft, Generation
from decoding.prompt import PromptBuilder
from decoding.segment import distribution_at
from decoding.vocabulary import LABELS
from selfrag.evaluation.intervals import Proportion
from selfrag.evaluation.judgements import LabelledSentence
from selfrag.evaluation.sections import Section, calibration_section

BATCH = 32


@dataclass(frozen=True, slots=True)
class JudgedSentence:
    """A labelled sentence and the model's IsSup distribution there.

    `is_sup` is None where the model was not asked, since the prompt does not fit its context, or
    where it gives the whole group no probability.
    """

    item: LabelledSentence
    is_sup: ReflectionDistribution | None

    @property
    def group(self) -> str:
        """Sentences about one question depend on each other."""
        return self.item.question

    @property
    def confidence(self) -> float:
        """The most probable label's share of the group; 0 where nothing was measured."""
        if self.is_sup is None or self.is_sup.argmax is None:
            return 0.0
        return self.is_sup.share(self.is_sup.argmax) or 0.0

    @property
    def correct(self) -> bool:
        """Whether the most probable label, the first of equals, is the given one."""
        return self.is_sup is not None and self.is_sup.argmax == self.item.label


def judge_support(
    backend: Backend, prompts: PromptBuilder, items: Sequence[LabelledSentence]
) -> list[JudgedSentence]:
    """Ask the model about every sentence, in order.

    Args:
        backend: driven from the calling thread; nothing else may use it meanwhile.
        prompts: builds prompts for its tokenizer.
        items: what to judge.
    """
    vocabulary = prompts.vocabulary
    requests = [_prompt(prompts, item) for item in items]
    fitting = [place for place, ids in enumerate(requests) if len(ids) <= backend.context_limit]
    judged: dict[int, ReflectionDistribution | None] = {}
    for start in range(0, len(fitting), BATCH):
        places = fitting[start : start + BATCH]
        generations = [
            Generation(requests[place], max_tokens=0, read_ids=vocabulary.read_ids)
            for place in places
        ]
        for place, draft in zip(places, _drafts(backend, generations), strict=True):
            found = distribution_at(vocabulary.is_sup, draft.last_reading, vocabulary)
            judged[place] = None if found is None or found.argmax is None else found
    return [JudgedSentence(item, judged.get(place)) for place, item in enumerate(items)]


def support_sections(judged: Sequence[JudgedSentence]) -> tuple[Section, Section]:
    """is_sup_accuracy (overall and by label, with the ids of what was not judged), calibration."""
    measured = [one for one in judged if one.is_sup is not None]
    accuracy = Section(
        {"accuracy": Proportion.of(one.correct for one in measured)},
        {
            "accuracy_by_label": {
                label: Proportion.of(one.correct for one in measured if one.item.label == label)
                for label in LABELS["IsSup"]
            }
        },
        {"not_judged": [one.item.id for one in judged if one.is_sup is None]},
    )
    return accuracy, calibration_section({"IsSup": measured})


def _prompt(prompts: PromptBuilder, item: LabelledSentence) -> tuple[int, ...]:
    relevant = prompts.vocabulary.relevant
    return (
        *prompts.question(item.question),
        *prompts.passage(item.title, item.passage),
        *prompts.codec.encode([relevant, item.sentence], bos=False),
    )


def _drafts(backend: Backend, generations: Sequence[Generation]) -> list[Draft]:
    """The drafts of several requests, in order."""
    tickets = [backend.submit(generation) for generation in generations]
    drafts: dict[int, Draft] = {}
    while len(drafts) < len(tickets):
        backend.step()
        drafts.update(backend.poll())
    return [drafts[ticket] for ticket in tickets]
