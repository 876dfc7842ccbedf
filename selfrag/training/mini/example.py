"""One training example in the output grammar of Self-RAG.

What the labels mean, so that they can be learnt and relied on:

- `[Relevant]`: the passage helps to answer: it states what was asked, or a part of it.
  `[Irrelevant]` otherwise, also where it is about the thing asked about; then the sentence is "I do
  not know." and no IsSup token follows. Relevance is read as a probability, so a passage that may
  answer and one that states something beside the question differ by degrees.
- `[Fully supported]`: the passage states what the sentence says. `[Partially supported]`: it states
  a part of it, or only a part of what the question asks of one thing. `[No support /
  Contradictory]`: the passage does not state what the sentence says.
- `[Utility:5]`: all that was asked is answered; `4`: at least half of it; `3`: less than half;
  `2`: an answer is given that its passage does not support; `1`: nothing is answered.
- A further segment begins with `[Retrieval]` while something asked is still open, with
  `[Continue to Use Evidence]` when the passage at hand also states the next thing, and with
  `[No Retrieval]` for a greeting or a closing remark. After a passage that did not help, the output
  ends.

Sentences that their passage does not support are marked as not to be learnt: the model learns to
judge them, not to write them.
"""

from dataclasses import dataclass

RETRIEVAL, NO_RETRIEVAL, CONTINUE = "[Retrieval]", "[No Retrieval]", "[Continue to Use Evidence]"
RELEVANT, IRRELEVANT = "[Relevant]", "[Irrelevant]"
FULLY, PARTIALLY, NO_SUPPORT = (
    "[Fully supported]",
    "[Partially supported]",
    "[No support / Contradictory]",
)
UNKNOWN = "I do not know."
PROMPT = "### Instruction:\n{instruction}\n\n### Response:\n"


Passage = tuple[str, str]
"""Title and text."""


@dataclass(frozen=True)
class Segment:
    """One segment of an output. A passage is (title, text). learnt: whether the model is to write
    such a sentence. aside: a sentence that an irrelevant passage does support, so that the model
    learns what such an answer is worth, should it write one."""

    opening: str
    sentence: str
    passage: Passage | None = None
    relevance: str = ""
    support: str = ""
    learnt: bool = True
    aside: str = ""

    @property
    def text(self) -> str:
        """The segment as the output has it."""
        paragraph = ""
        if self.passage is not None:
            title, text = self.passage
            paragraph = f"<paragraph>{title}\n{text}</paragraph>{self.relevance}"
        return f"{self.opening}{paragraph}{self.sentence}{self.support}"


@dataclass(frozen=True)
class Example:
    """One training example. kind: which sort of example it is, for shares and reports."""

    kind: str
    instruction: str
    segments: tuple[Segment, ...]
    utility: int

    @property
    def prompt(self) -> str:
        """The text before the output."""
        return PROMPT.format(instruction=self.instruction)

    @property
    def output(self) -> str:
        """The output, end of text left out."""
        return "".join(segment.text for segment in self.segments) + f"[Utility:{self.utility}]"


@dataclass(frozen=True)
class Judged:
    """One question with several next segments, none of which knows of the others. After
    `[Retrieval]` they branch, each with its passage.

    path: the segments before the branches. last: whether the branches' sentences complete the
    answer; a further segment is retrieved for otherwise.
    """

    instruction: str
    branches: tuple[Segment, ...]
    path: tuple[Segment, ...] = ()
    last: bool = True


def helpless(passage: Passage, aside: str = "") -> Segment:
    """The segment after a passage that does not answer, and what it says instead."""
    return Segment(RETRIEVAL, UNKNOWN, passage, IRRELEVANT, aside=aside)
