"""What pruning saves: the same questions with and without it, counted.

The length that a cut branch would have had is not known while it is cut, so the true saving is
known only by asking twice. `MadeCases` stands in for a model whose critique says little: every
passage is relevant with a probability above 0.9, the hardest case for pruning.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from decoding.backend import Backend, resumes_cheaply
from decoding.config import DecodingConfig
from decoding.generation import Draft, Generation, Watch
from decoding.sequence import RunningSequence
from decoding.vocabulary import ReflectionVocabulary
from indexes.passage import Passage
from retrievers.hit import Hit
from selfrag.answer import Question
from selfrag.rag import SelfRAG


@dataclass(frozen=True, slots=True)
class Saving:
    """One way of pruning against none, over the same questions.

    Attributes:
        name: of the way.
        questions: how many.
        same_answers: of how many the text, the passages and the score are the same.
        branches, cut: without pruning, and given up.
        read, read_without: prompt tokens of the branches that were asked for, and of all.
        tokens, tokens_without: generated with pruning, and without.
        passes, passes_without: forward steps of the backend that had work.
        left_at_most: what `Usage` says could have been saved at most, in tokens.
    """

    name: str
    questions: int
    same_answers: int
    branches: int
    cut: int
    read: int
    read_without: int
    tokens: int
    tokens_without: int
    passes: int
    passes_without: int
    left_at_most: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with the shares of prompts, tokens and passes saved."""
        shares = {
            "read_saved": 1 - self.read / max(1, self.read_without),
            "tokens_saved": 1 - self.tokens / max(1, self.tokens_without),
            "passes_saved": 1 - self.passes / max(1, self.passes_without),
        }
        return {**asdict(self), **shares}


class CountingBackend:
    """A backend that counts its steps."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner
        self.fingerprint, self.context_limit = inner.fingerprint, inner.context_limit
        self.resumes_cheaply = resumes_cheaply(inner)
        self.passes = 0

    def submit(self, generation: Generation, watch: Watch | None = None) -> int:
        """Handed on."""
        return self._inner.submit(generation, watch)

    def step(self) -> bool:
        """Handed on and counted."""
        self.passes += 1
        return self._inner.step()

    def poll(self) -> list[tuple[int, Draft]]:
        """Handed on."""
        return self._inner.poll()

    def cancel(self, ticket: int) -> None:
        """Handed on."""
        self._inner.cancel(ticket)

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Handed on."""
        return self._inner.progress(ticket)


def savings(
    rag: SelfRAG,
    counting: CountingBackend,
    questions: Sequence[str | Question],
    base: DecodingConfig,
) -> list[Saving]:
    """Both orders against no pruning; one question at a time, so that passes are its own."""

    def asked(config: DecodingConfig) -> tuple[list[Any], int]:
        before = counting.passes
        answers = [rag.ask(question, config=config) for question in questions]
        return answers, counting.passes - before

    whole, passes_without = asked(base.replace(prune=False))
    made = []
    for order in ("auto", "together", "leaders"):
        answers, passes = asked(base.replace(prune=True, order=order))
        same = sum(
            (one.text, one.citations) == (other.text, other.citations)
            and math.isclose(one.score or 0.0, other.score or 0.0, abs_tol=1e-5)
            for one, other in zip(answers, whole, strict=True)
        )
        usage = [answer.usage for answer in answers]
        made.append(
            Saving(
                order,
                len(answers),
                same,
                sum(answer.usage.expansions for answer in whole),
                sum(one.pruned for one in usage),
                sum(one.prompt_tokens for one in usage),
                sum(answer.usage.prompt_tokens for answer in whole),
                sum(one.generated_tokens for one in usage),
                sum(answer.usage.generated_tokens for answer in whole),
                passes,
                passes_without,
                sum(one.unwritten_tokens for one in usage),
            )
        )
    return made


class MadeCases:
    """A `Backend` that writes made-up text of 8 to 60 tokens, by a rule that its ids alone decide.

    Every p(Relevant) lies between 0.9 and 1, support and utility anywhere; text tokens have a
    probability between 0.3 and 1.
    """

    resumes_cheaply = True

    def __init__(self, vocabulary: ReflectionVocabulary, text_ids: Sequence[int]) -> None:
        self.fingerprint, self.context_limit = "made cases", 4096
        self._vocabulary, self._text = vocabulary, tuple(text_ids)
        self._running: dict[int, RunningSequence] = {}
        self._finished: list[tuple[int, Draft]] = []
        self._tickets = 0

    def submit(self, generation: Generation, watch: Watch | None = None) -> int:
        """Queue a request."""
        self._tickets += 1
        self._running[self._tickets] = RunningSequence(self._tickets, generation, watch)
        return self._tickets

    def step(self) -> bool:
        """One position of every request."""
        for ticket, sequence in list(self._running.items()):
            best, values = self._next(sequence)
            wanted = tuple(values.get(token, -20.0) for token in sequence.wanted_ids)
            finish = sequence.advance(best, values[best], wanted)
            if finish is not None:
                del self._running[ticket]
                draft = sequence.partial.freeze(finish, None if finish == "cut" else best)
                self._finished.append((ticket, draft))
        return bool(self._running)

    def poll(self) -> list[tuple[int, Draft]]:
        """Finished drafts since the last poll."""
        finished, self._finished = self._finished, []
        return finished

    def cancel(self, ticket: int) -> None:
        """Stop a request."""
        sequence = self._running.pop(ticket, None)
        if sequence is not None:
            self._finished.append((ticket, sequence.partial.freeze("cancelled", None)))

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Ids appended so far."""
        sequence = self._running.get(ticket)
        return () if sequence is None else tuple(sequence.partial.token_ids)

    def _next(self, sequence: RunningSequence) -> tuple[int, dict[int, float]]:
        """The most probable id after a sequence, and log-probabilities that are not negligible."""
        vocabulary, ids = self._vocabulary, sequence.ids
        draw = random.Random(zlib.crc32(repr(ids).encode()))
        if ids[-1] == vocabulary.paragraph_end:
            relevant = draw.uniform(0.9, 1.0)
            irrelevant = next(i for i in vocabulary.is_rel.ids if i != vocabulary.relevant)
            shares = {vocabulary.relevant: relevant, irrelevant: 1 - relevant}
        elif ids[-1] in vocabulary.is_sup.ids:
            ends = vocabulary.utility if draw.random() < 0.5 else (vocabulary.retrieval,)
            shares = _drawn(draw, ends)
        else:
            written = next(
                (n for n, token in enumerate(reversed(ids)) if token in vocabulary.control_ids),
                len(ids),
            )
            if written >= 60 or (written >= 8 and draw.random() < 0.05):
                shares = _drawn(draw, vocabulary.is_sup.ids)
            else:
                shares = {draw.choice(self._text): 0.3 + 0.7 * draw.random() ** 0.3}
        values = {token: math.log(share) for token, share in shares.items() if share > 0}
        return max(values, key=lambda token: values[token]), values


def _drawn(draw: random.Random, ids: Sequence[int]) -> dict[int, float]:
    """Shares of a group, one usually well above the others."""
    weights = [draw.random() ** 3 + 1e-3 for _ in ids]
    return {token: weight / sum(weights) for token, weight in zip(ids, weights, strict=True)}


class MadeRetriever:
    """Passages with a number as text, scored from 1 downwards."""

    fingerprint = "made passages"

    def search(self, query: str, k: int) -> list[Hit]:
        """`k` passages that no other query finds."""
        number = zlib.crc32(query.encode())
        draw = random.Random(number)
        scores = sorted((draw.uniform(0.4, 1.0) for _ in range(k)), reverse=True)
        return [
            Hit(Passage(f"{number}-{rank}", "", f"{number} {rank}"), score, rank)
            for rank, score in enumerate(scores, start=1)
        ]

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """One after the other."""
        return [self.search(query, k) for query in queries]
