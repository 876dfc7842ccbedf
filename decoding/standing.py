"""How a branch stands while it is written: what is measured, and what may still come.

A standing follows one draft, token by token, without reading any token twice. From it follow the
best and the worst segment scores that the finished draft can have (docs/pruning.md, lemmas 1 to 4).
It knows nothing of the other branches of its level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from decoding.config import DecodingConfig
from decoding.generation import Draft, Generation, PartialDraft
from decoding.scores import sequence_score
from decoding.search import breaks_constraint
from decoding.segment import SegmentDraft, SegmentScores, read_segment
from decoding.vocabulary import ReflectionVocabulary


@dataclass(frozen=True, slots=True)
class Contender:
    """A branch of a level, as it is known before anything is decoded.

    Attributes:
        earlier: scores of the segments along its parent's path.
        generation: what is asked of the model.
        s_ret: retrieval score of its passage, or None.
        path_texts: text ids of the path's segments, which it must not repeat; empty where it may.
    """

    earlier: tuple[SegmentScores, ...]
    generation: Generation
    s_ret: float | None = None
    path_texts: frozenset[tuple[int, ...]] = frozenset()


@dataclass(slots=True)
class Standing:
    """One branch under way.

    Attributes:
        left: tokens that it may still write; 0 after a closing token.
        broken: it breaks a hard constraint, whatever it goes on to write.
    """

    contender: Contender
    config: DecodingConfig
    vocabulary: ReflectionVocabulary
    left: int = field(init=False)
    broken: bool = field(init=False, default=False)
    _read: int = field(init=False, default=0)
    _text: list[int] = field(init=False, default_factory=list)
    _logs: list[float] = field(init=False, default_factory=list)
    _critique: SegmentDraft | None = field(init=False, default=None)
    _scores: SegmentScores = field(init=False, default_factory=SegmentScores)

    def __post_init__(self) -> None:
        self.left = self.contender.generation.max_tokens

    def advance(self, draft: Draft | PartialDraft) -> bool:
        """Read what was appended; True when more than the text's probability has changed."""
        moved = self._read == 0 or bool(self._repeatable)
        judged = False
        for position in range(self._read, len(draft.token_ids)):
            token = draft.token_ids[position]
            if token in self.vocabulary.control_ids:
                judged = True
            else:
                self._text.append(token)
                self._logs.append(draft.log_probabilities[position])
        self._read = len(draft.token_ids)
        self.left = self.contender.generation.max_tokens - self._read
        if self._read and draft.token_ids[-1] in self.contender.generation.closing_ids:
            self.left = 0
        if judged:
            self._critique = read_segment(draft, self.vocabulary)
            self._scores = self._critique.scores
            self.broken = breaks_constraint(self._critique, self.config)
        return moved or judged or not self.left

    @property
    def competes(self) -> bool:
        """Whether it takes part in the selection for certain, whatever it goes on to write."""
        if self.broken or self._repeatable:
            return False
        if not self.left:
            return True
        undecided = (not self._has_rel and "irrelevant" in self.config.drop) or (
            not self._has_sup and {"no_support", "partially"} & set(self.config.drop)
        )
        return not undecided

    @property
    def best_cases(self) -> list[SegmentScores]:
        """Segment scores of which one is at least as good as the finished draft's."""
        rel = 1.0 if self.left and not self._has_rel else self._scores.rel
        cases = [
            SegmentScores(self._highest_seq(self.left), rel, self._scores.sup, self.contender.s_ret)
        ]
        if self.left and self._scores.sup is None and not self._has_sup:
            # An IsSup token may come, and takes one of the places that are left.
            cases.append(
                SegmentScores(self._highest_seq(self.left - 1), rel, 1.0, self.contender.s_ret)
            )
        return cases

    @property
    def worst_case(self) -> SegmentScores:
        """Segment scores that are at most as good as the finished draft's."""
        if not self.left:
            seq = sequence_score(self._logs)
            return SegmentScores(seq, self._scores.rel, self._scores.sup, self.contender.s_ret)
        rel = self._scores.rel if self._has_rel else 0.0
        # A support score is final once its group and IsRel were read: [Irrelevant] makes it 0.
        sup = self._scores.sup if self._has_rel else 0.0
        return SegmentScores(0.0, rel, 0.0 if sup is None else sup, self.contender.s_ret)

    @property
    def _has_rel(self) -> bool:
        return self._critique is not None and self._critique.is_rel is not None

    @property
    def _has_sup(self) -> bool:
        return self._critique is not None and self._critique.is_sup is not None

    @property
    def _repeatable(self) -> bool:
        """Whether the finished text may still be one that the path has already."""
        text = tuple(self._text)
        if not self.left:
            return bool(text) and text in self.contender.path_texts
        return any(earlier[: len(text)] == text for earlier in self.contender.path_texts)

    def _highest_seq(self, left: int) -> float | None:
        """exp(S / L) with S the log-probability so far and L the most text tokens there can be;
        log-probabilities are at most 0, so more tokens cannot raise the mean above S / L."""
        most = len(self._logs) + left
        return math.exp(math.fsum(self._logs) / most) if most else None
