"""Decides how outputs open: does the instruction need a passage?

What the source knows comes first: its evidence, then `needs_retrieval`; the critic answers for the
rest (Retrieve, two labels). Where no passage is needed and nothing says otherwise of a later
segment, the whole output becomes one `[No Retrieval]` segment, as in the paper. How later segments
open is known here only where their source says it; otherwise it depends on the passage at hand,
and is decided while passages are chosen (`critiquing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from decoding.vocabulary import CONTINUE_EVIDENCE, NO_RETRIEVAL, RETRIEVAL
from selfrag.training.critic.questions import Critic, CriticQuestion, Unjudged
from selfrag.training.generator.drafts import Draft, DraftSegment
from selfrag.training.stages import Drop, InputLine, Process, Row


def deciding(critic: Critic) -> Process:
    """The second step."""

    def process(lines: Sequence[InputLine]) -> list[Sequence[Row] | Drop]:
        drafts = [Draft.from_dict(line.row or {}) for line in lines]
        openings = [known_opening(draft) for draft in drafts]
        asked = [place for place, opening in enumerate(openings) if not opening]
        questions = [CriticQuestion("Retrieve", drafts[place].question) for place in asked]
        answers = critic.judge(questions) if questions else []
        drops: dict[int, Drop] = {}
        for place, answer in zip(asked, answers, strict=True):
            if isinstance(answer, Unjudged):
                drops[place] = Drop("Retrieve not judged", answer.reason)
            else:
                openings[place] = answer.label
        return [
            drops[place] if place in drops else [opened(draft, openings[place]).to_dict()]
            for place, draft in enumerate(drafts)
        ]

    return process


def known_opening(draft: Draft) -> str:
    """The Retrieve token of the first segment where its source says it, else ""."""
    evidence = draft.segments[0].evidence
    if evidence is not None:
        return RETRIEVAL if evidence else NO_RETRIEVAL
    if draft.needs_retrieval is not None:
        return RETRIEVAL if draft.needs_retrieval else NO_RETRIEVAL
    return ""


def opened(draft: Draft, opening: str) -> Draft:
    """The draft with the opening of its first segment, and of later ones where it is known."""
    first, *later = draft.segments
    unknown = first.evidence is None and not any(one.evidence or one.continues for one in later)
    if opening == NO_RETRIEVAL and unknown:
        learnt = all(segment.learnt for segment in draft.segments)
        whole = DraftSegment(draft.output, learnt=learnt, opening=NO_RETRIEVAL)
        return replace(draft, segments=(whole,), pool=())
    segments = [replace(first, opening=opening)]
    for segment in later:
        known = ""
        if segment.evidence == ():
            known = NO_RETRIEVAL
        elif segment.continues and segment.evidence is None:
            known = CONTINUE_EVIDENCE
        segments.append(replace(segment, opening=known))
    return replace(draft, segments=tuple(segments))
