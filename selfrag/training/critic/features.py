"""How a critic model reads a question: one prompt, for training and for judging.

The released critic was trained with one prompt and asked with another (the Alpaca preamble came in
at inference); here both go through `QuestionReader.read`. A prompt is

    TASK, then "Instruction: ...", "Before: ...", "Passage: TITLE\\nTEXT", "Sentence: ...",
    "Judgement:"

with only the fields that the question has. Every piece is encoded by itself, and without special
tokens: "</s>" inside a passage is text. What is too long is cut by this rule: instruction, title
and sentence are never cut; of the rest, the preceding text keeps its end, a quarter of the room
(more where the passage leaves it), the passage its beginning. Where fewer than `LEAST_PASSAGE`
tokens of a longer passage would stay, the question is refused. This module knows nothing of models
and labels.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from decoding.vocabulary import GroupName
from selfrag.training.critic.errors import QuestionTooLong
from selfrag.training.critic.questions import CriticQuestion
from selfrag.training.errors import UnusableBase

LEAST_PASSAGE = 16
"""Tokens of a passage that must stay for a judgement of it to mean anything."""

TASKS: dict[GroupName, str] = {
    "Retrieve": "Is a passage needed to go on?",
    "IsRel": "Does the passage help with the instruction?",
    "IsSup": "Does the passage support the sentence?",
    "IsUse": "How useful is the sentence as an answer, from 1 to 5?",
}


@dataclass(frozen=True, slots=True)
class ReadQuestion:
    """A question as a model reads it.

    Attributes:
        ids: token ids of the prompt, special tokens left out.
        cut: tokens of the passage and of the preceding text that had no room.
    """

    ids: Sequence[int]
    cut: int


@dataclass(frozen=True, slots=True)
class Frame:
    """The special tokens that a tokenizer puts before and behind a text."""

    before: tuple[int, ...]
    behind: tuple[int, ...]

    @property
    def length(self) -> int:
        """How many they are."""
        return len(self.before) + len(self.behind)

    @classmethod
    def of(cls, tokenizer: Any) -> Frame:
        """Read it off a probe. UnusableBase where the tokenizer changes the text's own ids."""
        plain = list(tokenizer("a", add_special_tokens=False)["input_ids"])
        whole = list(tokenizer("a")["input_ids"])
        for start in range(len(whole) - len(plain) + 1):
            if plain and whole[start : start + len(plain)] == plain:
                return cls(tuple(whole[:start]), tuple(whole[start + len(plain) :]))
        raise UnusableBase(
            f"The tokenizer encodes 'a' as {plain} alone and as {whole} with special tokens.",
            "Use a tokenizer that only adds special tokens before and behind a text.",
        )


def as_text(text: str) -> str:
    """The text with "?" for each half of a surrogate pair that stands alone: tokenizers refuse
    those, and a JSON file may hold them."""
    return text.encode("utf-8", "replace").decode()


def encode_plain(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text; strings that look like special tokens are text."""
    ids = tokenizer(
        as_text(text), add_special_tokens=False, split_special_tokens=True, verbose=False
    )
    return list(ids["input_ids"])


class QuestionReader:
    """Makes prompts of at most `limit` tokens, special tokens not counted."""

    def __init__(self, tokenizer: Any, limit: int) -> None:
        self.limit = limit
        self._tokenizer = tokenizer
        self._template: dict[str, list[int]] = {}

    def read(self, question: CriticQuestion) -> ReadQuestion:
        """The prompt of a question.

        Raises:
            QuestionTooLong: what may not be cut is longer than the limit.
        """
        passage = question.passage
        head = [self._piece(TASKS[question.group]), self._piece("\nInstruction: ")]
        head.append(self._encode(question.instruction))
        before: list[int] = []
        if question.preceding.strip():
            head.append(self._piece("\nBefore: "))
            before = self._encode(question.preceding)
        middle: list[list[int]] = []
        text: list[int] = []
        if passage is not None:
            middle.append(self._piece("\nPassage: "))
            if passage.title.strip():
                middle += [self._encode(passage.title), self._piece("\n")]
            text = self._encode(passage.text)
        tail: list[list[int]] = []
        if question.sentence.strip():
            tail += [self._piece("\nSentence: "), self._encode(question.sentence)]
        tail.append(self._piece("\nJudgement: "))

        room = self.limit - sum(len(piece) for piece in (*head, *middle, *tail))
        kept_before = min(len(before), max(room // 4, room - len(text), 0))
        kept_text = min(len(text), room - kept_before)
        if room < 0 or kept_text < min(len(text), LEAST_PASSAGE):
            needed = self.limit - room + min(len(text), LEAST_PASSAGE)
            raise QuestionTooLong(
                f"A question for {question.group} needs {needed} tokens besides what can be cut; "
                f"the model reads {self.limit}.",
                "Train with a larger context, or shorten instruction and sentence.",
            )
        ids = [token for piece in head for token in piece]
        ids += before[len(before) - kept_before :]
        ids += [token for piece in middle for token in piece]
        ids += text[:kept_text]
        ids += [token for piece in tail for token in piece]
        return ReadQuestion(array("i", ids), len(before) - kept_before + len(text) - kept_text)

    def _encode(self, text: str) -> list[int]:
        return encode_plain(self._tokenizer, text)

    def _piece(self, text: str) -> list[int]:
        """The ids of a piece of the template, encoded once."""
        if text not in self._template:
            self._template[text] = self._encode(text)
        return self._template[text]
