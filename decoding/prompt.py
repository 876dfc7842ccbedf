"""Prompt templates of Self-RAG (reference: the published `PROMPT_DICT`) as token ids.

Control ids stand at template positions only; questions and passages are encoded as text, whatever
they contain. A passage that does not fit is cut at a sentence, never in the middle of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from decoding.codec import Part, PromptCodec
from decoding.scaling import Scaling
from decoding.vocabulary import ReflectionVocabulary

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+")


@dataclass(frozen=True, slots=True)
class FittedPassage:
    """Ids of an inserted passage; `truncated` when sentences were left out at its end."""

    ids: tuple[int, ...]
    truncated: bool


def question_parts(instruction: str, question_input: str | None = None) -> tuple[Part, ...]:
    """The parts of the `### Instruction:` template, for prompts that text continues."""
    middle = () if question_input is None else ("\n\n### Input:\n", question_input)
    return ("### Instruction:\n", instruction, *middle, "\n\n### Response:\n")


class PromptBuilder:
    """Builds prompts for one tokenizer."""

    def __init__(self, codec: PromptCodec, vocabulary: ReflectionVocabulary) -> None:
        self.codec = codec
        self.vocabulary = vocabulary

    def scaled(self, scalings: Mapping[str, Scaling]) -> PromptBuilder:
        """The same prompts; what is read behind them, read with these scalings."""
        return PromptBuilder(self.codec, self.vocabulary.scaled(scalings))

    def question(self, instruction: str, question_input: str | None = None) -> tuple[int, ...]:
        """`### Instruction:` template, with an `### Input:` part when one is given."""
        return self.codec.encode(question_parts(instruction, question_input), bos=True)

    def passage(self, title: str, text: str) -> tuple[int, ...]:
        """`[Retrieval]<paragraph>title\\ntext</paragraph>`, without spaces around the tokens."""
        body = f"{title}\n{text}" if title else text
        vocabulary = self.vocabulary
        return self.codec.encode(
            [vocabulary.retrieval, vocabulary.paragraph_start, body, vocabulary.paragraph_end],
            bos=False,
        )

    def fit_passage(self, title: str, text: str, room: int) -> FittedPassage | None:
        """The passage in at most `room` tokens, cut at a sentence; None when none fits."""
        whole = self.passage(title, text)
        if len(whole) <= room:
            return FittedPassage(whole, truncated=False)
        ends = [match.start() for match in _SENTENCE_END.finditer(text)]
        low, high, best = 0, len(ends) - 1, None
        while low <= high:
            middle = (low + high) // 2
            ids = self.passage(title, text[: ends[middle]])
            if len(ids) <= room:
                best, low = FittedPassage(ids, truncated=True), middle + 1
            else:
                high = middle - 1
        return best
