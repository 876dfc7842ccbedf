"""The state of one question, and the few steps that every procedure takes.

An `Inquiry` counts what was spent, keeps what was retrieved and collects warnings. Its `expand`
and `retrieve` are the only places where requests are made, hence the only ones that know budgets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from decoding.config import DecodingConfig
from decoding.generation import Draft, Generation
from decoding.prompt import PromptBuilder
from decoding.vocabulary import ReflectionVocabulary
from retrievers.hit import Hit
from selfrag.answer import Budget, Decision, Question
from selfrag.calibration import Calibration
from selfrag.controller.options import template_texts
from selfrag.errors import QuestionRefused
from selfrag.events import EventLog
from selfrag.requests import Branch, Expand, Expanded, Retrieve, Retrieved, Steps

MIN_ROOM = 32
"""Tokens that must be left for writing after a prompt."""

_CHARACTERS_PER_TOKEN = 64
"""A question longer than this many characters per token of context is refused unread."""


@dataclass(slots=True)
class Inquiry:
    """One question on its way to an answer.

    Attributes:
        question, config, budget, calibration: what was asked, and how.
        prompts: builds prompts for the model's tokenizer.
        context_limit: the model's context in tokens.
        resumes_cheaply: whether branches may be held back at little cost (`decoding.backend`).
        log: where events go.
        interrupted: why the search has to stop ("max_seconds", ...), or None.
    """

    question: Question
    config: DecodingConfig
    budget: Budget
    calibration: Calibration
    prompts: PromptBuilder
    context_limit: int
    resumes_cheaply: bool
    log: EventLog
    warnings: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    hits: dict[str, Hit] = field(default_factory=dict)
    interrupted: str | None = None
    prompt_tokens: int = 0
    generated_tokens: int = 0
    expansions: int = 0
    retrievals: int = 0
    cached: int = 0
    cached_tokens: int = 0
    model_calls: int = 0
    pruned: int = 0
    pruned_tokens: int = 0
    unwritten_tokens: int = 0

    @property
    def vocabulary(self) -> ReflectionVocabulary:
        """The model's control tokens."""
        return self.prompts.vocabulary

    def question_prompt(self) -> tuple[int, ...]:
        """The bare prompt; a question that cannot be asked is refused here."""
        text = self.question.text
        if not isinstance(text, str) or not text.strip():
            raise QuestionRefused("The question is empty.", "Ask something.")
        if len(text) > self.context_limit * _CHARACTERS_PER_TOKEN:
            raise QuestionRefused(
                f"The question has {len(text)} characters; the model's context is "
                f"{self.context_limit} tokens.",
                "Shorten it.",
            )
        try:
            prompt = self.prompts.question(*template_texts(self.question))
        except ValueError as error:
            raise QuestionRefused(f"The question cannot be encoded: {error}.") from error
        if len(prompt) + 1 + MIN_ROOM > self.context_limit:  # 1: a control token follows
            raise QuestionRefused(
                f"The question takes {len(prompt)} tokens; the model's context is "
                f"{self.context_limit}, of which {MIN_ROOM} must be left to write.",
                "Shorten it.",
            )
        return prompt

    def warn(self, message: str) -> None:
        """Put a warning into the answer, once."""
        if message not in self.warnings:
            self.warnings.append(message)
            self.log.emit("warning", message=message)

    def stop(self, reason: str) -> None:
        """Let the search end with the best so far."""
        if self.interrupted is None:
            self.interrupted = reason
            self.log.emit("budget.hit", reason=reason)

    def room(self, prompt_length: int) -> int:
        """Tokens that a branch with a prompt of this length may write."""
        return min(self.config.max_segment_tokens, self.context_limit - prompt_length)

    def affordable(self, branches: int) -> tuple[int, int]:
        """How many of `branches` the token budget allows, and the most each may write.

        The budget is shared out evenly before decoding starts, so that what a branch writes
        does not depend on the order in which branches happen to run.
        """
        limit = self.budget.max_generated_tokens
        if limit is None:
            return branches, self.config.max_segment_tokens
        left = limit - self.generated_tokens
        allowed = min(branches, left)
        return allowed, 0 if allowed <= 0 else left // allowed

    def expand(
        self, generations: Sequence[Generation], *, first_node: int = 0
    ) -> Steps[tuple[Draft, ...]]:
        """Decode to the end; drafts come back in order, and are counted."""
        branches = [
            Branch(generation, first_node + index) for index, generation in enumerate(generations)
        ]
        return (yield from self.expand_branches(branches))

    def expand_branches(
        self,
        branches: Sequence[Branch],
        completed: Callable[[int, Draft], None] | None = None,
    ) -> Steps[tuple[Draft, ...]]:
        """Decode branches, submitted in this order; drafts come back in it, and are counted.

        A branch that goes on from where it was held back counts once.
        """
        result: Expanded = yield Expand(tuple(branches), completed)
        new = [branch.generation for branch in branches if branch.start is None]
        self.expansions += sum(generation.max_tokens > 0 for generation in new)
        self.prompt_tokens += sum(len(generation.prompt_ids) for generation in new)
        held = (branch.start for branch in branches if branch.start is not None)
        self.generated_tokens += sum(len(draft.token_ids) for draft in result.drafts)
        self.generated_tokens -= sum(len(draft.token_ids) for draft in held)
        self.cached += result.cached
        self.cached_tokens += result.cached_tokens
        self.model_calls += result.model_calls
        for warning in result.warnings:
            self.warn(warning)
        if result.interrupted:
            self.stop("max_seconds")
        return result.drafts

    def note_cut(self, generation: Generation, draft: Draft) -> None:
        """Count a branch that was given up."""
        self.pruned += 1
        self.pruned_tokens += len(draft.token_ids)
        self.unwritten_tokens += generation.max_tokens - len(draft.token_ids)

    def retrieve(self, query: str, *, distinct: bool = True) -> Steps[list[Hit]]:
        """Passages for a query, best first; none, with a warning, where that failed.

        Passages of the same title and text count once, unless `distinct` is False.
        """
        limit = self.budget.max_retrievals
        if limit is not None and self.retrievals >= limit:
            self.stop("max_retrievals")
            self.warn(f"The budget of {limit} retrievals is spent.")
            return []
        self.retrievals += 1
        self.log.emit("retrieval.started", query=query)
        result: Retrieved = yield Retrieve(query, self.config.passages)
        for warning in result.warnings:
            self.warn(warning)
        if result.interrupted:
            self.stop("max_seconds")
        if result.error is not None:
            self.warn(f"Retrieval failed: {result.error}")
        elif not result.hits and not result.interrupted:
            self.warn(f"No passages were found for {query[:80]!r}.")
        hits = self._distinct(result.hits) if distinct else list(result.hits)
        for hit in hits:
            self.hits.setdefault(hit.passage.id, hit)
        self.log.emit(
            "retrieval.finished",
            query=query,
            passages=[hit.passage.id for hit in hits],
            scores=[hit.score for hit in hits],
        )
        return hits

    def _distinct(self, hits: Sequence[Hit]) -> list[Hit]:
        """Hits whose title and text were not seen at a better rank."""
        seen: set[tuple[str, str]] = set()
        distinct = []
        for hit in hits:
            content = (hit.passage.title, hit.passage.text)
            if content in seen:
                continue
            seen.add(content)
            known = self.hits.setdefault(hit.passage.id, hit).passage
            if (known.title, known.text) == content:
                distinct.append(hit)
            else:
                self.warn(f"Two passages have the id {known.id!r}; the second was left out.")
        return distinct
