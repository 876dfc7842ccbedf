"""Judges candidates and chooses among them, segment by segment.

How a later segment opens depends on the passage chosen for the one before, so a batch of rows goes
through its segments in rounds: decide (Retrieve, three labels, with the passage at hand), judge
every candidate (IsRel, and IsSup for the relevant ones, which alone have such a token), choose. At
the end IsUse judges the whole output. In each round the critic gets the questions of all rows at
once.

What the source knows comes first: `evidence` that holds the passage at hand continues, other
evidence retrieves; a segment's `support` is that of its evidence; `utility` is the row's. A
question that the critic leaves open is never guessed: its candidate is left out, or its row
dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from decoding.vocabulary import CONTINUE_EVIDENCE, IRRELEVANT, RELEVANT, RETRIEVAL, UTILITY
from indexes.passage import Passage
from selfrag.training.critic.questions import Critic, CriticQuestion, Judgement, Unjudged
from selfrag.training.generator.choosing import choose_candidate
from selfrag.training.generator.drafts import Draft, DraftSegment, LeftOut, draws
from selfrag.training.generator.options import GeneratorDataOptions
from selfrag.training.stages import Drop, InputLine, Process, Row

REFUSED_UTILITY = 1
"""What an output is worth that ends with a refusal."""


@dataclass(slots=True)
class _Course:
    """A row on its way through its segments. at_hand: the passage chosen last."""

    draft: Draft
    at_hand: Passage | None = None
    helped: bool = False
    refused: bool = False
    drop: Drop | None = None

    def segment(self, place: int) -> DraftSegment:
        return self.draft.segments[place]

    def set(self, place: int, segment: DraftSegment) -> None:
        self.draft = self.draft.with_segment(place, segment)

    def runs_at(self, place: int) -> bool:
        return self.drop is None and not self.refused and place < len(self.draft.segments)


def critiquing(critic: Critic, options: GeneratorDataOptions) -> Process:
    """The fourth step."""

    def process(lines: Sequence[InputLine]) -> list[Sequence[Row] | Drop]:
        courses = [_Course(Draft.from_dict(line.row or {})) for line in lines]
        for place in range(max(len(course.draft.segments) for course in courses)):
            running = [course for course in courses if course.runs_at(place)]
            _decide(running, place, critic)
            seeking = [
                course
                for course in running
                if course.drop is None and course.segment(place).opening == RETRIEVAL
            ]
            _judge_relevance(seeking, place, critic)
            _judge_support(seeking, place, critic)
            for course in seeking:
                _choose(course, place, options)
        _rate([course for course in courses if course.drop is None], critic, options)
        return [course.drop or [course.draft.to_dict()] for course in courses]

    return process


def _decide(courses: Iterable[_Course], place: int, critic: Critic) -> None:
    """Set the openings that are still open; the first segment's is decided already."""
    open_ones: list[_Course] = []
    for course in courses:
        segment = course.segment(place)
        known = segment.opening or _known_opening(course, segment)
        if known == CONTINUE_EVIDENCE and not course.helped:
            course.drop = Drop("nothing to continue", f"segment {place}")
        elif known:
            _open(course, place, known)
        else:
            open_ones.append(course)
    questions = [
        CriticQuestion(
            "Retrieve",
            course.draft.question,
            course.draft.preceding(place),
            course.at_hand,
            course.segment(place).text,
        )
        for course in open_ones
    ]
    for course, answer in zip(open_ones, _answers(critic, questions), strict=True):
        if isinstance(answer, Unjudged):
            course.drop = Drop("Retrieve not judged", f"segment {place}: {answer.reason}")
        else:
            _open(course, place, answer.label)


def _known_opening(course: _Course, segment: DraftSegment) -> str:
    """The opening of a later segment where its evidence says it, else ""."""
    if segment.evidence is None:
        return ""
    if course.helped and course.at_hand is not None and course.at_hand.id in segment.evidence:
        return CONTINUE_EVIDENCE
    return RETRIEVAL


def _open(course: _Course, place: int, opening: str) -> None:
    segment = course.segment(place)
    if opening != RETRIEVAL:
        course.set(place, replace(segment, opening=opening, candidates=()))
    elif segment.candidates:
        course.set(place, replace(segment, opening=opening))
    else:
        course.drop = Drop("no passage found", f"segment {place}")


def _judge_relevance(courses: Iterable[_Course], place: int, critic: Critic) -> None:
    _judge(
        [(course, at) for course in courses for at in range(len(course.segment(place).candidates))],
        place,
        critic,
        "IsRel",
    )


def _judge_support(courses: Iterable[_Course], place: int, critic: Critic) -> None:
    """Support of the relevant candidates; what the source says of its evidence is taken over."""
    asked: list[tuple[_Course, int]] = []
    for course in courses:
        segment = course.segment(place)
        candidates = list(segment.candidates)
        for at, candidate in enumerate(candidates):
            if candidate.relevance != RELEVANT:
                continue
            if segment.support and candidate.passage.id in (segment.evidence or ()):
                candidates[at] = replace(candidate, support=segment.support)
            else:
                asked.append((course, at))
        course.set(place, replace(segment, candidates=tuple(candidates)))
    _judge(asked, place, critic, "IsSup")


def _judge(asked: Sequence[tuple[_Course, int]], place: int, critic: Critic, group: str) -> None:
    """Ask about candidates, and set the labels; candidates that are not judged are left out."""
    questions = []
    for course, at in asked:
        segment, draft = course.segment(place), course.draft
        passage = segment.candidates[at].passage
        before = draft.preceding(place)
        if group == "IsRel":
            questions.append(CriticQuestion("IsRel", draft.question, before, passage))
        else:
            questions.append(CriticQuestion("IsSup", draft.question, before, passage, segment.text))
    unjudged: list[tuple[_Course, int, str]] = []
    for (course, at), answer in zip(asked, _answers(critic, questions), strict=True):
        if isinstance(answer, Unjudged):
            unjudged.append((course, at, answer.reason))
            continue
        segment = course.segment(place)
        candidates = list(segment.candidates)
        if group == "IsRel":
            candidates[at] = replace(candidates[at], relevance=answer.label)
        else:
            candidates[at] = replace(candidates[at], support=answer.label)
        course.set(place, replace(segment, candidates=tuple(candidates)))
    for course, at, reason in reversed(unjudged):  # from behind, so that places stay true
        segment = course.segment(place)
        left = segment.candidates[at].passage
        kept = (*segment.candidates[:at], *segment.candidates[at + 1 :])
        course.set(place, replace(segment, candidates=kept))
        out = LeftOut(place, left.id, f"{group} not judged", reason)
        course.draft = replace(course.draft, left_out=(*course.draft.left_out, out))


def _answers(critic: Critic, questions: Sequence[CriticQuestion]) -> list[Judgement | Unjudged]:
    return critic.judge(questions) if questions else []


def _choose(course: _Course, place: int, options: GeneratorDataOptions) -> None:
    """Choose the passage to go on from, and end the row where it does not help."""
    segment, draft = course.segment(place), course.draft
    follower = draft.segments[place + 1] if place + 1 < len(draft.segments) else None
    following = (follower.evidence or ()) if follower and follower.continues else ()
    random = draws(options.seed, draft.id, place, "choice")
    chosen = choose_candidate(segment.candidates, options, random, following)
    if chosen is None:
        reasons = [one for one in draft.left_out if one.segment == place]
        detail = reasons[0].detail if reasons else ""
        course.drop = Drop("no passage judged", f"segment {place}: {detail}")
        return
    candidate = segment.candidates[chosen]
    course.at_hand, course.helped = candidate.passage, candidate.relevance == RELEVANT
    course.refused = candidate.relevance == IRRELEVANT and options.unfound == "refuse"
    if candidate.relevance == IRRELEVANT and options.unfound == "drop":
        course.drop = Drop("no passage helps", f"segment {place}")
        return
    course.set(place, replace(segment, chosen=chosen, refused=course.refused))
    if course.refused:
        segments = course.draft.segments[: place + 1]
        course.draft = replace(course.draft, segments=segments, utility=REFUSED_UTILITY)


def _rate(courses: Iterable[_Course], critic: Critic, options: GeneratorDataOptions) -> None:
    """The utility of whole outputs, where the source does not say it."""
    asked = [course for course in courses if course.draft.utility is None]
    questions = [
        CriticQuestion("IsUse", course.draft.question, sentence=course.draft.output)
        for course in asked
    ]
    for course, answer in zip(asked, _answers(critic, questions), strict=True):
        if isinstance(answer, Unjudged) and options.utility is None:
            course.drop = Drop("IsUse not judged", answer.reason)
        elif isinstance(answer, Unjudged):
            course.draft = replace(course.draft, utility=options.utility, utility_assumed=True)
        else:
            course.draft = replace(course.draft, utility=UTILITY.index(answer.label) + 1)
