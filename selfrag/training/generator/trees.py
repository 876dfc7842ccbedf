"""Makes training rows of judged drafts: where tokens, branches and ends stand.

In a tree every candidate of a segment is a branch behind the path chosen so far:

- the chosen one goes on with the sentence, its support and the rest of the output;
- up to `told` other relevant ones get the sentence and their own support, and where they support
  the last segment the output's utility; further ones end with `[Relevant]`;
- irrelevant ones end with `[Irrelevant]`; a share of them goes on with the refusal, and one may go
  on with what it does say, read as if it were relevant (`accepted`): fully supported, of no use;
- sentences that the row brings to be judged by the chosen passage stand behind it, one branch each.

A chain has the chosen ones only. Sentences that their passage does not support are there to be
judged, not to be learnt. This module knows nothing of critics and retrievers.
"""

from __future__ import annotations

from collections.abc import Sequence

from decoding.vocabulary import (
    FULLY_SUPPORTED,
    IRRELEVANT,
    NO_RETRIEVAL,
    NO_SUPPORT,
    RELEVANT,
    RETRIEVAL,
    UTILITY,
)
from selfrag.training.errors import InvalidRow
from selfrag.training.generator.checking import row_violations
from selfrag.training.generator.choosing import SUPPORTS
from selfrag.training.generator.critiquing import REFUSED_UTILITY
from selfrag.training.generator.drafts import Candidate, Draft, DraftSegment, draws
from selfrag.training.generator.options import GeneratorDataOptions
from selfrag.training.rows import PROMPT_END, TrainingRow, TreeSegment
from selfrag.training.stages import Drop, InputLine, Process, Row


def making_rows(options: GeneratorDataOptions) -> Process:
    """The last step."""

    def process(lines: Sequence[InputLine]) -> list[Sequence[Row] | Drop]:
        return [_made(Draft.from_dict(line.row or {}), options) for line in lines]

    return process


def rows_of(draft: Draft, options: GeneratorDataOptions) -> list[TrainingRow]:
    """The rows of a judged draft: one, and perhaps one that refuses (`negatives`).

    Raises:
        InvalidRow: what the draft holds is no row.
    """
    path: list[TreeSegment] = []
    parent = PROMPT_END
    for place, segment in enumerate(draft.segments):
        last = place == len(draft.segments) - 1
        utility = draft.utility if last else None
        if segment.opening != RETRIEVAL:
            path.append(
                TreeSegment(
                    parent, segment.opening, segment.text, utility=utility, learnt=segment.learnt
                )
            )
            parent = len(path) - 1
            continue
        chosen = segment.chosen_candidate
        assert chosen is not None
        goes_on = _chosen(parent, segment, chosen, utility, options)
        branches = _branches(draft, place, parent, utility, options) if options.trees else {}
        branches[segment.chosen or 0] = goes_on
        ordered = [branches[at] for at in sorted(branches)]
        parent, before = len(path) + ordered.index(goes_on), parent
        path.extend(ordered)
        if options.trees:
            path.extend(_judged(before, draft, segment, chosen))
    rows = [TrainingRow(draft.id, draft.instruction, tuple(path), draft.input, draft.dataset)]
    negative = None if options.trees else _negative(draft, options)
    return rows if negative is None else [*rows, negative]


def _made(draft: Draft, options: GeneratorDataOptions) -> Sequence[Row] | Drop:
    if drop := _balanced_out(draft, options):
        return drop
    try:
        rows = rows_of(draft, options)
    except InvalidRow as error:
        return Drop("invalid row", str(error))
    for row in rows:
        if violations := row_violations(row):
            return Drop("grammar", "; ".join(violations))
    return [row.to_dict() for row in rows]


def _balanced_out(draft: Draft, options: GeneratorDataOptions) -> Drop | None:
    """A drop where the balance that is asked for has no place for this row."""
    random = draws(options.seed, draft.id, 0, "balance")
    first, second = random.random(), random.random()
    needs_none = all(segment.opening == NO_RETRIEVAL for segment in draft.segments)
    if needs_none and first >= options.keep_no_retrieval:
        return Drop(f"balance: {NO_RETRIEVAL}")
    assert draft.utility is not None
    if second >= options.keep_utility.get(draft.utility, 1.0):
        return Drop(f"balance: {UTILITY[draft.utility - 1]}")
    return None


def _chosen(
    parent: int,
    segment: DraftSegment,
    candidate: Candidate,
    utility: int | None,
    options: GeneratorDataOptions,
) -> TreeSegment:
    if segment.refused:
        return _refusal(parent, candidate, options)
    return _told(parent, segment, candidate, utility, options)


def _told(
    parent: int,
    segment: DraftSegment,
    candidate: Candidate,
    utility: int | None,
    options: GeneratorDataOptions,
) -> TreeSegment:
    """The sentence behind a passage, with its support where the passage is relevant."""
    supported = candidate.relevance == RELEVANT and candidate.support != NO_SUPPORT
    return TreeSegment(
        parent,
        RETRIEVAL,
        segment.text,
        candidate.passage,
        candidate.relevance,
        candidate.support,
        utility,
        learnt=segment.learnt and (supported or options.learn_unsupported),
    )


def _judged(
    parent: int, draft: Draft, segment: DraftSegment, chosen: Candidate
) -> list[TreeSegment]:
    """The sentences that the chosen passage is to judge; none where it does not help."""
    if chosen.relevance != RELEVANT:
        return []
    return [
        TreeSegment(parent, RETRIEVAL, text, chosen.passage, RELEVANT, support, worth, learnt=False)
        for text, support, worth in draft.judged.get(chosen.passage.id, ())
        if text != segment.text
    ]


def _refusal(parent: int, candidate: Candidate, options: GeneratorDataOptions) -> TreeSegment:
    return TreeSegment(
        parent,
        RETRIEVAL,
        options.refusal,
        candidate.passage,
        IRRELEVANT,
        utility=REFUSED_UTILITY,
    )


def _branches(
    draft: Draft, place: int, parent: int, utility: int | None, options: GeneratorDataOptions
) -> dict[int, TreeSegment]:
    """Place of a candidate -> its branch, for those beside the chosen one."""
    segment = draft.segments[place]
    random = draws(options.seed, draft.id, place, "branches")
    # Two draws for each candidate, whatever it is: no option shifts another one's draws.
    drawn = [(random.random(), random.random()) for _ in segment.candidates]
    others = [
        at
        for at, one in enumerate(segment.candidates)
        if at != segment.chosen and drawn[at][0] < _kept_share(one, options)
    ]
    relevant = [at for at in others if segment.candidates[at].relevance == RELEVANT]
    relevant.sort(key=lambda at: (SUPPORTS.index(segment.candidates[at].support), at))
    told = relevant[: options.told]
    beside = _beside(draft, place, others, options)
    branches: dict[int, TreeSegment] = {}
    for at in others:
        candidate = segment.candidates[at]
        if at in told:
            # The utility was judged of the output as chosen: it says nothing of a sentence without
            # support, nor, behind a refusal, of any other sentence.
            known = not segment.refused and candidate.support != NO_SUPPORT
            end = utility if known else None
            branches[at] = _told(parent, segment, candidate, end, options)
        elif at == beside:
            branches[at] = _said_beside(parent, candidate, draft.asides[candidate.passage.id])
        elif candidate.relevance == IRRELEVANT and drawn[at][1] < options.told_refusals:
            branches[at] = _refusal(parent, candidate, options)
        else:
            branches[at] = TreeSegment(
                parent, RETRIEVAL, passage=candidate.passage, relevance=candidate.relevance
            )
    return branches


def _kept_share(candidate: Candidate, options: GeneratorDataOptions) -> float:
    keep = options.keep_branches
    return keep.get(candidate.relevance, 1.0) * keep.get(candidate.support, 1.0)


def _beside(
    draft: Draft, place: int, others: Sequence[int], options: GeneratorDataOptions
) -> int | None:
    """The irrelevant candidate that goes on with what it does say, if one does."""
    candidates = draft.segments[place].candidates
    able = [
        at
        for at in others
        if candidates[at].relevance == IRRELEVANT and candidates[at].passage.id in draft.asides
    ]
    random = draws(options.seed, draft.id, place, "beside")
    if not able or random.random() >= options.beside:
        return None
    return random.choice(able)


def _said_beside(parent: int, candidate: Candidate, sentence: str) -> TreeSegment:
    return TreeSegment(
        parent,
        RETRIEVAL,
        sentence,
        candidate.passage,
        IRRELEVANT,
        FULLY_SUPPORTED,
        REFUSED_UTILITY,
        learnt=False,
        accepted=True,
    )


def _negative(draft: Draft, options: GeneratorDataOptions) -> TrainingRow | None:
    """A further row whose first passage does not help."""
    random = draws(options.seed, draft.id, 0, "negative")
    first = draft.segments[0]
    irrelevant = [one for one in first.candidates if one.relevance == IRRELEVANT]
    if not irrelevant or first.refused or random.random() >= options.negatives:
        return None
    refusal = _refusal(PROMPT_END, random.choice(irrelevant), options)
    return TrainingRow(
        f"{draft.id}#negative", draft.instruction, (refusal,), draft.input, draft.dataset
    )
