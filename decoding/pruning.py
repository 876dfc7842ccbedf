"""Giving up branches that cannot change the answer; the proof is in docs/pruning.md.

Of every branch of a level two numbers are known at any time: `ceiling`, which its score will not
exceed, and `floor`, which it will reach for certain (minus infinity while it is not sure to take
part). A completed one's are its score. A branch is cut when its ceiling is below the B-th best
floor by more than epsilon: at least B candidates then beat it whatever it goes on to write, so the
selection without pruning would not have taken it either. It is also cut as soon as it breaks a
hard constraint, since it takes part in no selection then. Answer, survivors, their scores and
their order are unchanged, in whatever order the branches run.

This module knows nothing of passages, of engines, and of how branches are scheduled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from decoding.config import DecodingConfig
from decoding.errors import CutUnproven
from decoding.generation import Draft, PartialDraft, Watch
from decoding.scores import final_score
from decoding.search import breaks_constraint
from decoding.segment import boundary_of, read_segment
from decoding.standing import Contender, Standing
from decoding.tree import path_score
from decoding.vocabulary import ReflectionVocabulary

_ROUNDING = 2.0**-40
"""Relative error of a score that the comparison forgives; that of the arithmetic is under 2^-48."""

_EXPECTED = 0.9
"""How much of what it can still gain a leader is expected to reach. Of 0.5, 0.8 and 0.95 the last
two wrote as few tokens as leaders alone, in an eighth fewer passes (selfrag-mini, short form)."""


@dataclass(slots=True)
class LevelPruner:
    """Watches the branches of one level.

    Attributes:
        places: how many candidates survive the level (B; 1 in the short form).
        bonus: the most that a candidate's utility can still add to F, or take from it (w_use in
            the short form, whose candidates are final; 0 in the long form).
        floors: of the contenders that are sure to take part, by their place in `contenders`.
        cuts: the contenders given up so far.
    """

    config: DecodingConfig
    vocabulary: ReflectionVocabulary
    contenders: Sequence[Contender]
    places: int
    bonus: float = 0.0
    floors: dict[int, float] = field(default_factory=dict)
    cuts: set[int] = field(default_factory=set)
    standings: list[Standing] = field(init=False)
    cutoff: float = field(init=False, default=-math.inf)

    def __post_init__(self) -> None:
        self.standings = [self._standing(contender) for contender in self.contenders]

    @property
    def margin(self) -> float:
        """Epsilon, and what rounding may do to scores of this size."""
        config = self.config
        most = config.w_seq + config.w_rel + config.w_sup + (config.w_ret or 0.0) + config.w_use
        return config.prune_epsilon + _ROUNDING * most

    def hopeless(self, ceiling: float) -> bool:
        """Whether a candidate whose score is at most `ceiling` cannot survive."""
        return ceiling + self.margin < self.cutoff

    def watch(self, index: int) -> Watch:
        """A watcher of contender `index`; it may be used for a branch and for its resumption."""
        standing = self.standings[index]

        def give_up(partial: PartialDraft) -> bool:
            moved = standing.advance(partial)
            if moved and standing.competes:
                self._raise(index, self.floor(standing))
            if standing.broken or (
                self.cutoff > -math.inf and self.hopeless(self.ceiling(standing))
            ):
                self.cuts.add(index)
            return index in self.cuts

        return give_up

    def dismiss(self, index: int) -> bool:
        """Give up a contender of which nothing was asked yet, if it cannot survive."""
        if self.hopeless(self.ceiling(self.standings[index])):
            self.cuts.add(index)
        return index in self.cuts

    def complete(self, index: int, draft: Draft) -> None:
        """Take note of a finished draft; one that does not take part is left out."""
        if draft.finish in ("cut", "cancelled"):
            return
        contender = self.contenders[index]
        segment = read_segment(draft, self.vocabulary)
        repeated = bool(segment.text_ids) and segment.text_ids in contender.path_texts
        if breaks_constraint(segment, self.config) or repeated:
            return
        scores = replace(segment.scores, ret=contender.s_ret)
        score = path_score([*contender.earlier, scores], self.config)
        if self.bonus:
            boundary = boundary_of(draft, self.vocabulary, self.config.end_threshold)
            score = final_score(score, boundary.utility, self.config.w_use)
        self._raise(index, score)

    def ceiling(self, standing: Standing) -> float:
        """An upper bound of the score, whatever the branch writes next."""
        earlier = standing.contender.earlier
        reachable = (path_score([*earlier, s], self.config) for s in standing.best_cases)
        return max(reachable) + self.bonus

    def floor(self, standing: Standing) -> float:
        """A lower bound of the score, whatever the branch writes next."""
        path = [*standing.contender.earlier, standing.worst_case]
        return path_score(path, self.config) - self.bonus

    def best_first(self) -> list[int]:
        """The contenders by what they can still reach, the best first; ties in their order."""
        ceilings = [self.ceiling(standing) for standing in self.standings]
        return sorted(range(len(ceilings)), key=lambda index: (-ceilings[index], index))

    def ahead(self) -> list[int]:
        """The leaders, as many as survive, and those that these are not likely to cut; best first.

        A leader is expected to reach `_EXPECTED` of what it can still gain. Whoever can reach more
        would probably be decoded anyway, and then better at the same time.
        """
        order = self.best_first()
        if len(order) <= self.places:
            return order
        last = self.standings[order[self.places - 1]]
        low, high = self.floor(last), self.ceiling(last)
        expected = low + _EXPECTED * (high - low)
        rest = order[self.places :]
        return order[: self.places] + [
            index for index in rest if self.ceiling(self.standings[index]) >= expected
        ]

    def check_cut(self, index: int, draft: Draft) -> None:
        """Make sure that a draft which was cut elsewhere is rightly cut here.

        Raises:
            CutUnproven: the branch might have survived; a recording made with pruning is being
                replayed under other weights.
        """
        if index in self.cuts:
            return
        standing = self._standing(self.contenders[index])
        standing.advance(draft)
        if not standing.broken and not self.hopeless(self.ceiling(standing)):
            raise CutUnproven(
                "A recorded branch was given up early and might survive under these settings.",
                "Record without pruning (prune: false), or replay with the recorded settings.",
            )

    def _standing(self, contender: Contender) -> Standing:
        return Standing(contender, self.config, self.vocabulary)

    def _raise(self, index: int, floor: float) -> None:
        """Note a contender's floor, and what the B-th best is now."""
        self.floors[index] = max(floor, self.floors.get(index, -math.inf))
        if len(self.floors) >= self.places:
            self.cutoff = sorted(self.floors.values())[-self.places]
