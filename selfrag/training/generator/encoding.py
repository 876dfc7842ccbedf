"""From a training row to token ids with labels, the paths of its tree sharing their beginnings.

Each path from the prompt to an end is encoded as the tokenizer encodes the joined string, with
control tokens placed by id (`decoding.codec`), so that text never becomes one. Paths are then
merged where their tokens and labels are equal: a token that several paths begin with stands once
and is counted once. The tokens stand in depth-first order, so two numbers say everything about
the tree: the last token that sees a token (`ends`), and the token that predicts it (`before`).

Counted by the loss is what the model writes itself (`selfrag.training.masking`): neither the
prompt, nor the insides of paragraphs, nor `</paragraph>`, nor sentences that are not learnt. A
token with text on both sides of such a border is not counted. This module knows nothing of files,
batches and models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from decoding.codec import Part, PromptCodec
from decoding.prompt import question_parts
from decoding.vocabulary import CONTROL_STRINGS, ReflectionVocabulary
from selfrag.training.masking import IGNORED
from selfrag.training.rows import TrainingRow, TreeSegment

Integers = NDArray[np.int32]
Learn = bool | int
"""Whether a part is learnt; an int is the id to be learnt in the place of the one that is read."""
Chunk = tuple[tuple[Part, Learn], ...]


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """The tokens of a row, or of several rows one after the other; all arrays have one length.

    Attributes:
        ids: token ids. labels: what is to be predicted in each place, or `IGNORED`.
        ends: the last place whose token sees this one; a token sees those before it that it is
            not behind the end of, and itself.
        before: the place of the token that predicts this one; -1 for the first of a row.
    """

    ids: Integers
    labels: Integers
    ends: Integers
    before: Integers

    def __len__(self) -> int:
        return len(self.ids)


class RowEncoder:
    """Encodes rows for one tokenizer that has the control tokens.

    Raises:
        MissingControlTokens, UnsupportedTokenizer: see `decoding.vocabulary`, `decoding.codec`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.vocabulary = ReflectionVocabulary.from_tokenizer(tokenizer)
        self.codec = PromptCodec(tokenizer, self.vocabulary)
        known = self.vocabulary
        ids = (*known.read_ids, known.paragraph_start, known.paragraph_end)
        self._control = dict(zip(CONTROL_STRINGS, ids, strict=True))

    def encode(self, row: TrainingRow) -> EncodedRow:
        """The whole row."""
        return self._encode(row, len(row.segments), {})

    def fit(self, row: TrainingRow, room: int) -> tuple[EncodedRow, int] | None:
        """The row with as many segments, from its first, as fit into `room` tokens.

        Returns:
            The tokens and the number of segments kept; None where not even one fits.
        """
        chunks: dict[Chunk, tuple[list[int], list[int]]] = {}
        whole = self._encode(row, len(row.segments), chunks)
        if len(whole) <= room:
            return whole, len(row.segments)
        low, high, best = 1, len(row.segments) - 1, None
        while low <= high:
            middle = (low + high) // 2
            found = self._encode(row, middle, chunks)
            if len(found) <= room:
                best, low = (found, middle), middle + 1
            else:
                high = middle - 1
        return best

    def _encode(
        self, row: TrainingRow, kept: int, chunks: dict[Chunk, tuple[list[int], list[int]]]
    ) -> EncodedRow:
        """The first `kept` segments; `chunks` remembers what has been encoded of this row."""
        if kept < len(row.segments):
            row = TrainingRow(row.id, row.instruction, row.segments[:kept], row.input, row.dataset)
        paths = [self._path(row, path, chunks) for path in row.paths()]
        return _chain(*paths[0]) if len(paths) == 1 else _merged(paths)

    def _path(
        self,
        row: TrainingRow,
        path: Sequence[TreeSegment],
        chunks: dict[Chunk, tuple[list[int], list[int]]],
    ) -> tuple[list[int], list[int]]:
        ids: list[int] = []
        labels: list[int] = []
        for number, chunk in enumerate(_chunks(self._parts(row, path))):
            if chunk not in chunks:
                chunks[chunk] = self._chunk(chunk, bos=number == 0)
            ids.extend(chunks[chunk][0])
            labels.extend(chunks[chunk][1])
        return ids, labels

    def _parts(self, row: TrainingRow, path: Sequence[TreeSegment]) -> Iterator[tuple[Part, Learn]]:
        """The parts of one path in order, each with whether it is learnt."""
        for part in question_parts(row.instruction, row.input):
            yield part, False
        for segment in path:
            if segment.opening:
                yield self._control[segment.opening], True
            if segment.passage is not None:
                title, text = segment.passage.title, segment.passage.text
                yield self.vocabulary.paragraph_start, True
                yield f"{title}\n{text}" if title else text, False
                yield self.vocabulary.paragraph_end, False
                label = self._control[segment.relevance]
                yield (self.vocabulary.relevant if segment.accepted else label), label
            if segment.sentence:
                yield segment.sentence, segment.learnt
            if segment.support:
                yield self._control[segment.support], True
            if segment.utility is not None:
                yield self.vocabulary.utility[segment.utility - 1], True
                yield self.vocabulary.eos, True

    def _chunk(self, chunk: Chunk, *, bos: bool) -> tuple[list[int], list[int]]:
        """Ids and labels of a control id and the texts behind it, or of texts alone."""
        parts = [part for part, _ in chunk]
        ids = list(self.codec.encode(parts, bos=bos))
        labels = [IGNORED] * len(ids)
        start, first = 0, 0
        if isinstance(parts[0], int):
            place, learn = ids.index(parts[0]), chunk[0][1]
            if learn is not False:
                labels[place] = parts[0] if learn is True else learn
            start, first = place + 1, 1
        for number in range(first, len(chunk)):
            last = number + 1 == len(chunk)
            if not last and chunk[number + 1][1] == chunk[number][1]:
                continue
            end = len(ids) if last else max(start, self._border(parts[: number + 1], ids, bos=bos))
            if chunk[number][1]:
                labels[start:end] = ids[start:end]
            start = end
        return ids, labels

    def _border(self, parts: Sequence[Part], ids: list[int], *, bos: bool) -> int:
        """How many of the ids hold text of the parts; one that holds later text too is among them.

        A masked text must not reach the loss, so such a token counts to the text before it.
        """
        alone = list(self.codec.encode(parts, bos=bos))
        same = 0
        while same < min(len(alone), len(ids)) and alone[same] == ids[same]:
            same += 1
        if same == len(alone):
            return same
        length = len(self.codec.decode(alone))
        while same < len(ids) and len(self.codec.decode(ids[:same])) < length:
            same += 1
        return same


def _chunks(parts: Iterator[tuple[Part, Learn]]) -> Iterator[Chunk]:
    """The parts cut in front of each control id: no piece of text crosses one."""
    chunk: list[tuple[Part, Learn]] = []
    for part, learn in parts:
        if chunk and isinstance(part, int):
            yield tuple(chunk)
            chunk = []
        chunk.append((part, learn))
    yield tuple(chunk)


def _chain(ids: list[int], labels: list[int]) -> EncodedRow:
    length = len(ids)
    return EncodedRow(
        np.array(ids, np.int32),
        np.array(labels, np.int32),
        np.full(length, length - 1, np.int32),
        np.arange(-1, length - 1, dtype=np.int32),
    )


def _merged(paths: Sequence[tuple[list[int], list[int]]]) -> EncodedRow:
    """Paths as a tree of tokens, in depth-first order."""
    nodes: dict[tuple[int, int, int], int] = {}
    values: list[tuple[int, int, int]] = []
    children: list[list[int]] = [[]]
    for ids, labels in paths:
        at = -1
        for token_id, label in zip(ids, labels, strict=True):
            key = (at, token_id, label)
            node = nodes.setdefault(key, len(values))
            if node == len(values):
                values.append(key)
                children.append([])
                children[at + 1].append(node)
            at = node
    place: dict[int, int] = {-1: -1}
    order: list[int] = []
    waiting = children[0][::-1]
    while waiting:
        node = waiting.pop()
        place[node] = len(order)
        order.append(node)
        waiting.extend(reversed(children[node + 1]))
    before = np.array([place[values[node][0]] for node in order], np.int32)
    ends = np.arange(len(order), dtype=np.int32)
    for index in range(len(order) - 1, 0, -1):
        if before[index] >= 0:
            ends[before[index]] = max(ends[before[index]], ends[index])
    return EncodedRow(
        np.array([values[node][1] for node in order], np.int32),
        np.array([values[node][2] for node in order], np.int32),
        ends,
        before,
    )
