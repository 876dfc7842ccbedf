"""Parses output text that still shows its control tokens into segments, whatever a model wrote.

Works on strings, so it serves recorded outputs and training rows; decoding itself reads token
ids and never parses text. Every string parses, its parts joined are the string, and what leaves
the training-time grammar (`training_grammar`) becomes an anomaly of its segment. This module
knows nothing of tokenizers, models or files.

Segment borders are those of decoding: a token of the Retrieve group opens a segment, and so does
text after an IsSup token; `[Utility:k]` or the end of text ends the output. Where an output leaves
the grammar, a `<paragraph>` or an IsRel token also opens a segment when the current one has begun
to answer, and text after `[Utility:k]` does. Blank text opens nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from decoding.codec import join_segments
from decoding.output_parts import COUNTED_STRINGS, OutputPart, split_parts
from decoding.training_grammar import strict_violations
from decoding.vocabulary import GROUPS, PARAGRAPH_END, PARAGRAPH_START, RELEVANT, RETRIEVAL, UTILITY

__all__ = [
    "OutputPart",
    "ParsedOutput",
    "ParsedSegment",
    "check_outputs",
    "parse_output",
    "strict_violations",
]


@dataclass(frozen=True, slots=True)
class ParsedSegment:
    """One segment of an output; an absent token is None.

    Attributes:
        decision: the token of the Retrieve group that opened it.
        passage: text between `<paragraph>` and `</paragraph>`. Where the closing markup is
            missing, text up to an IsRel token or the end of the output is taken as a passage,
            and text up to any other token as the segment's text.
        is_rel, is_sup: the critique tokens; where one is repeated, the first.
        utility: k of `[Utility:k]`, 1 to 5.
        text: what the segment says, control tokens and passage left out.
        unanswered_retrieval: the model asked for a passage, and none with closing markup came.
        anomalies: how it leaves the training-time grammar, such as "missing_is_sup".
        start, end: its span in the output; the spans of all segments cover the output.
    """

    decision: str | None
    passage: str | None
    is_rel: str | None
    text: str
    is_sup: str | None
    utility: int | None
    unanswered_retrieval: bool
    anomalies: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ParsedOutput:
    """An output's parts, whose strings joined are the output, and its segments."""

    parts: tuple[OutputPart, ...]
    segments: tuple[ParsedSegment, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How often each control string occurs: all 15 of them and the end of text."""
        found = Counter(part.string for part in self.parts if part.kind != "text")
        return {string: found[string] for string in COUNTED_STRINGS}

    @property
    def text(self) -> str:
        """The answer: the texts of all segments, without control tokens and passages."""
        return join_segments(segment.text for segment in self.segments)

    @property
    def anomalies(self) -> tuple[str, ...]:
        """The anomalies of all segments, in order."""
        return tuple(name for segment in self.segments for name in segment.anomalies)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of the text, the parts and the segments."""
        return {
            "text": self.text,
            "parts": [_as_dict(part) for part in self.parts],
            "segments": [_as_dict(segment) for segment in self.segments],
        }


def parse_output(text: str) -> ParsedOutput:
    """Parse any string; never fails, and an empty one has no parts and no segments."""
    parts = tuple(split_parts(text))
    return ParsedOutput(parts, tuple(_segments(parts)))


def check_outputs(texts: Iterable[str]) -> dict[str, Any]:
    """Parse many outputs and report on them.

    Returns:
        rows; parsed: rows whose segments cover the whole text; roundtrip: rows whose parts give
        the text back; tokens: counts of every control string; segments: their number.
    """
    rows = parsed = roundtrip = segments = 0
    tokens = Counter(dict.fromkeys(COUNTED_STRINGS, 0))
    for text in texts:
        output = parse_output(text)
        rows += 1
        parsed += "".join(text[s.start : s.end] for s in output.segments) == text
        roundtrip += "".join(part.string for part in output.parts) == text
        segments += len(output.segments)
        tokens.update(output.counts)
    return {
        "rows": rows,
        "parsed": parsed,
        "roundtrip": roundtrip,
        "tokens": dict(tokens),
        "segments": segments,
    }


def _as_dict(value: OutputPart | ParsedSegment) -> dict[str, Any]:
    items = ((item.name, getattr(value, item.name)) for item in fields(value))
    return {name: list(item) if isinstance(item, tuple) else item for name, item in items}


_GROUP_OF = {string: name for name, strings in GROUPS.items() for string in strings}


def _segments(parts: Sequence[OutputPart]) -> list[ParsedSegment]:
    """Group parts into segments; the borders are those of the module's docstring."""
    drafts: list[_SegmentDraft] = []
    index = 0
    while index < len(parts):
        part = parts[index]
        if not drafts or drafts[-1].ends_before(part):
            drafts.append(_SegmentDraft(part.offset))
            if any(draft.utility is not None for draft in drafts):
                drafts[-1].note("after_utility")
        if part.string == PARAGRAPH_START:
            index += drafts[-1].add_paragraph(parts[index : index + 3])
        else:
            drafts[-1].add(part)
            index += 1
    if drafts and all(draft.utility is None for draft in drafts):
        drafts[-1].note("missing_utility")
    ends = [draft.start for draft in drafts[1:]] + [part.end for part in parts[-1:]]
    return [draft.close(end) for draft, end in zip(drafts, ends, strict=True)]


@dataclass(slots=True)
class _SegmentDraft:
    """A segment while it is read."""

    start: int
    decision: str | None = None
    passage: str | None = None
    is_rel: str | None = None
    text: str = ""
    is_sup: str | None = None
    utility: int | None = None
    anomalies: list[str] = field(default_factory=list)
    asked: bool = False
    """A `<paragraph>` came."""
    answered: bool = False
    """A `</paragraph>` came for it."""

    @property
    def has_text(self) -> bool:
        return bool(self.text.strip())

    @property
    def critiqued(self) -> bool:
        """Whether a token came that belongs behind the text."""
        return self.is_sup is not None or self.utility is not None

    @property
    def answering(self) -> bool:
        """Whether something came that belongs behind the passage."""
        return self.has_text or self.critiqued or self.is_rel is not None

    def ends_before(self, part: OutputPart) -> bool:
        """Whether `part` belongs to a new segment."""
        if part.kind == "text":
            return self.critiqued and not part.blank
        if part.string == PARAGRAPH_START:
            return self.answering or self.passage is not None
        group = _GROUP_OF.get(part.string)
        if group == "Retrieve":
            return self.answering or self.asked or self.decision is not None
        return group == "IsRel" and (self.has_text or self.critiqued)

    def add_paragraph(self, parts: Sequence[OutputPart]) -> int:
        """Take up a `<paragraph>` with what follows it; the number of parts that were used."""
        if self.decision != RETRIEVAL:
            self.note("paragraph_without_retrieval")
        if self.asked:
            self.note("repeated_paragraph")
        self.asked = True
        strings = [part.string for part in parts]
        if strings[1:2] == [PARAGRAPH_END]:
            self.passage, self.answered = "", True
            return 2
        if len(parts) == 1 or parts[1].kind != "text":
            return 1
        if strings[2:] == [PARAGRAPH_END]:
            self.passage, self.answered = strings[1], True
            return 3
        self.note("unclosed_paragraph")
        if len(parts) == 2 or _GROUP_OF.get(strings[2]) == "IsRel":
            self.passage = strings[1]
            return 2
        return 1

    def add(self, part: OutputPart) -> None:
        """Take up any part but a `<paragraph>`."""
        group = _GROUP_OF.get(part.string)
        if part.kind == "text":
            self.text += part.string
        elif part.string == PARAGRAPH_END:
            self.note("stray_paragraph_end")
        elif group == "Retrieve":
            self.decision = part.string
        elif group == "IsRel":
            if self.passage is None and self.decision != RETRIEVAL and self.start > 0:
                self.note("is_rel_without_passage")
            if self.is_rel is not None:
                self.note("repeated_token")
            self.is_rel = self.is_rel or part.string
        elif group == "IsSup":
            self._add_support(part.string)
        elif group == "IsUse":
            if self.utility is not None:
                self.note("repeated_token")
            self.utility = self.utility or UTILITY.index(part.string) + 1

    def _add_support(self, string: str) -> None:
        if self.utility is not None:
            self.note("after_utility")
        if not self.has_text:
            self.note("is_sup_without_text")
        elif self.is_rel != RELEVANT:
            self.note("unexpected_is_sup")
        if self.is_sup is not None:
            self.note("repeated_token")
        self.is_sup = self.is_sup or string

    def note(self, anomaly: str) -> None:
        """Keep an anomaly, once."""
        if anomaly not in self.anomalies:
            self.anomalies.append(anomaly)

    def close(self, end: int) -> ParsedSegment:
        """The finished segment, with what turned out to be missing."""
        unanswered = self.decision == RETRIEVAL and not self.answered
        if unanswered:
            self.note("unanswered_retrieval")
        if self.passage is not None and self.is_rel is None:
            self.note("missing_is_rel")
        if self.is_rel == RELEVANT and self.has_text and self.is_sup is None:
            self.note("missing_is_sup")
        if not self.has_text:
            self.note("no_text")
        return ParsedSegment(
            decision=self.decision,
            passage=self.passage,
            is_rel=self.is_rel,
            text=self.text,
            is_sup=self.is_sup,
            utility=self.utility,
            unanswered_retrieval=unanswered,
            anomalies=tuple(self.anomalies),
            start=self.start,
            end=end,
        )
