"""Giving up branches that cannot change the answer.

Inside one level, a branch is cut when an upper bound of its score, plus epsilon, is strictly
below the B-th best score that a candidate of the same level has already completed. At least B
candidates then beat it whatever it goes on to write, so the selection without pruning would
not have taken it either: answer, survivors, their scores and their order are unchanged.

The bound. Text log-probabilities are at most 0, so with sum S over at most L_max text tokens the
sequence score exp(mean) is at most exp(S / L_max). A relevance score is exact as soon as
position 0 was read and at most 1 before. Support is exact once its token was written, 0 after
`[Irrelevant]`, else at most 1. The retriever's score of the passage is known from the beginning.
A branch that a hard constraint will drop never counts as completed.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field

from decoding.config import DecodingConfig
from decoding.errors import CutUnproven
from decoding.generation import Draft, PartialDraft, Watch
from decoding.segment import SegmentScores, read_segment
from decoding.tree import path_score
from decoding.vocabulary import ReflectionVocabulary


@dataclass(slots=True)
class LevelPruner:
    """Watches the branches of one level.

    Attributes:
        places: how many candidates survive the level (B; 1 in the short form).
        bonus: the most that a candidate can still gain on top of F (w_use in the short form).
        completed: scores of completed candidates, ascending.
    """

    config: DecodingConfig
    vocabulary: ReflectionVocabulary
    places: int
    bonus: float = 0.0
    completed: list[float] = field(default_factory=list)

    def complete(self, score: float) -> None:
        """Record the score of a candidate that takes part in the selection."""
        bisect.insort(self.completed, score)

    @property
    def cutoff(self) -> float:
        """The B-th best completed score; -inf while fewer have completed."""
        return self.completed[-self.places] if len(self.completed) >= self.places else -math.inf

    def hopeless(self, bound: float) -> bool:
        """Whether a candidate whose score is at most `bound` cannot survive."""
        return bound + self.config.prune_epsilon < self.cutoff

    def watch(
        self, earlier: list[SegmentScores], max_tokens: int, s_ret: float | None = None
    ) -> Watch:
        """A watcher for one branch, `earlier` being the scores along its parent's path and
        `s_ret` the retrieval score of its passage."""

        def hopeless(partial: PartialDraft) -> bool:
            if len(self.completed) < self.places:
                return False
            return self.hopeless(self.bound(partial, earlier, max_tokens, s_ret))

        return hopeless

    def bound(
        self,
        draft: Draft | PartialDraft,
        earlier: list[SegmentScores],
        max_tokens: int,
        s_ret: float | None = None,
    ) -> float:
        """An upper bound of the score that the branch can reach, whatever it writes next."""
        segment = read_segment(draft, self.vocabulary)
        scores = segment.scores
        room = max_tokens - len(draft.token_ids) + len(segment.text_ids)
        optimistic = SegmentScores(
            seq=math.exp(math.fsum(segment.text_log_probabilities) / room) if room else scores.seq,
            rel=1.0 if scores.rel is None else scores.rel,
            sup=1.0 if scores.sup is None else scores.sup,
            ret=s_ret,
        )
        return path_score([*earlier, optimistic], self.config) + self.bonus

    def check_cut(
        self,
        draft: Draft,
        earlier: list[SegmentScores],
        max_tokens: int,
        s_ret: float | None = None,
    ) -> None:
        """Make sure that a cut was right under the present weights.

        Raises:
            CutUnproven: the branch might have survived; a recording made with pruning is being
                replayed under other weights.
        """
        if not self.hopeless(self.bound(draft, earlier, max_tokens, s_ret)):
            raise CutUnproven(
                "A recorded branch was given up early and might survive under these settings.",
                "Record without pruning (prune: false), or replay with the recorded settings.",
            )
