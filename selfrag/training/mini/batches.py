"""Batches for training: rows of token ids, labels and branches, sorted by length.

A row is one example, or one question with its judged passages. Branch 0 is what every branch of
the row sees; a branch sees that and itself. `attention` and `positions` say so to the model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.utils.data import IterableDataset
from transformers import PreTrainedTokenizerFast

from selfrag.training.masking import IGNORED, mask_labels
from selfrag.training.mini.example import (
    FULLY,
    IRRELEVANT,
    RELEVANT,
    RETRIEVAL,
    Example,
    Judged,
    Segment,
)
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.mixture import Mixture, Shares
from selfrag.training.mini.schemas import read_entities
from selfrag.training.mini.tokenizer import load_tokenizer

LONGEST = 768


@dataclass(frozen=True)
class Row:
    """Token ids, their labels and branches, all of one length."""

    ids: list[int]
    labels: list[int]
    branches: list[int]


class Encoder:
    """Encodes examples with their labels. Equal to encoding the joined text: the parts are cut at
    control tokens, where no piece can cross.

    told_share: of the judged passages that answer, those whose answer is written out; of the others
    a tenth of that share, and half of it with a sentence beside the question. The rest ends with
    the judgement.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, rng: Random, told_share: float = 0.8
    ) -> None:
        self.backend = tokenizer.backend_tokenizer
        vocabulary = tokenizer.get_vocab()
        self.open_id, self.close_id = vocabulary["<paragraph>"], vocabulary["</paragraph>"]
        self.rng, self.told_share = rng, told_share

    def encode(self, example: Example | Judged) -> Row:
        """The example as a row."""
        if isinstance(example, Judged):
            return self._judged(example)
        ids, labels = self._encoded([(example.prompt, False), *example.pieces()])
        return Row(ids, labels, [0] * len(ids))

    def _encoded(self, parts: list[tuple[str, bool]]) -> tuple[list[int], list[int]]:
        """Ids and labels of a prompt and the parts of its output."""
        encoded = self.backend.encode_batch([text for text, _ in parts], add_special_tokens=False)
        ids = [1]
        unlearnt: list[tuple[int, int]] = []
        prompt_length = 0
        for (_, learnt), encoding in zip(parts, encoded, strict=True):
            start = len(ids)
            ids.extend(encoding.ids)
            prompt_length = prompt_length or len(ids)
            if not learnt:
                unlearnt.append((start, len(ids)))
        labels = mask_labels(ids, prompt_length, self.open_id, self.close_id)
        for start, end in unlearnt:
            labels[start:end] = [IGNORED] * (end - start)
        return ids, labels

    def _judged(self, example: Judged) -> Row:
        """The question, then the branches one after the other."""
        question = [(example.prompt, ""), *_read(example.path), (RETRIEVAL, RETRIEVAL)]
        ids, labels, branches = [1], [IGNORED], [0]
        told = [self._branch(segment, example.last) for segment in example.branches]
        for number, parts in enumerate((question, *told)):
            for text, learnt in parts:
                tokens = self._ids(text)
                ids.extend(tokens)
                branches.extend([number] * len(tokens))
                if learnt:
                    labels.extend(tokens if learnt == text else self._ids(learnt))
                else:
                    labels.extend([IGNORED] * len(tokens))
        return Row(ids, labels, branches)

    def _branch(self, segment: Segment, last: bool) -> list[tuple[str, str]]:
        """Texts of a branch, each with what is to be learnt in its place.

        After a passage that does not answer, `[Irrelevant]` is learnt and, in a part of them,
        `[Relevant]` is read: then follow what the passage says, that it says so, and that nothing
        asked is answered by it.
        """
        title, text = segment.passage or ("", "")
        paragraph = (f"<paragraph>{title}\n{text}</paragraph>", "")
        judged = (segment.relevance, segment.relevance)
        if segment.support:
            after = "[Utility:5]</s>" if last else RETRIEVAL
            end = f"{segment.sentence}{segment.support}{after}"
            told = self.rng.random() < self.told_share
            return [paragraph, judged, (end, end)] if told else [paragraph, judged]
        chance = self.rng.random()
        if chance < 0.1 * self.told_share:
            end = f"{segment.sentence}[Utility:1]</s>"
            return [paragraph, judged, (end, end)]
        if chance < 0.6 * self.told_share and segment.aside:
            end = f"{FULLY}[Utility:1]</s>"
            return [paragraph, (RELEVANT, IRRELEVANT), (segment.aside, ""), (end, end)]
        return [paragraph, judged]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.backend.encode(text, add_special_tokens=False).ids
        return ids


def _read(path: tuple[Segment, ...]) -> list[tuple[str, str]]:
    """Texts of the segments before the branches; all but the passages is learnt."""
    parts: list[tuple[str, str]] = []
    for segment in path:
        opening, *rest = (text for text, _ in segment.pieces())
        parts.append((opening, opening))
        if segment.passage is not None:
            title, text = segment.passage
            parts.append((f"<paragraph>{title}\n{text}</paragraph>", ""))
            parts.append((segment.relevance, segment.relevance))
            rest = rest[1:]
        told = "".join(rest)
        parts.append((told, told))
    return parts


def padded(rows: list[Row], pad_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, labels and branches as tensors (rows, length), padded on the right to 8."""
    length = -(-max(len(row.ids) for row in rows) // 8) * 8
    ids = torch.full((len(rows), length), pad_id, dtype=torch.long)
    labels = torch.full((len(rows), length), IGNORED, dtype=torch.long)
    branches = torch.zeros((len(rows), length), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        labels[index, : len(row.ids)] = torch.tensor(row.labels)
        branches[index, : len(row.ids)] = torch.tensor(row.branches)
    return ids, labels, branches


def attention(branches: Tensor) -> Tensor:
    """What each token sees, as a mask to add to the attention scores: (rows, 1, length, length)."""
    length = branches.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool).tril()
    mine, other = branches[:, :, None], branches[:, None, :]
    seen = earlier & ((other == mine) | (other == 0))
    mask = torch.zeros(seen.shape).masked_fill_(~seen, torch.finfo(torch.float32).min)
    return mask[:, None]


def positions(branches: Tensor) -> Tensor:
    """The position of each token when its branch is read right after branch 0: (rows, length)."""
    where = torch.arange(branches.shape[1]).expand_as(branches)
    shared = (branches == 0).long().cumprod(1).sum(1, keepdim=True)
    begins = torch.zeros_like(branches, dtype=torch.bool)
    begins[:, 1:] = branches[:, 1:] != branches[:, :-1]
    start = torch.where(begins, where, 0).cummax(1).values
    return torch.where(branches == 0, where, where - start + shared)


class Batches(IterableDataset[tuple[Tensor, Tensor, Tensor]]):
    """Endless batches of about `tokens` tokens, each of rows of similar length."""

    def __init__(
        self, folder: Path, facts: Path, seed: int, tokens: int, shares: Shares, pool: int = 1024
    ) -> None:
        self.folder, self.facts, self.seed = folder, facts, seed
        self.tokens, self.pool, self.shares = tokens, pool, shares

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        torch.set_num_threads(1)
        worker = torch.utils.data.get_worker_info()
        seed = self.seed * 1000 + (worker.id if worker else 0)
        rng = Random(seed)
        mixture = Mixture(Inventor(read_entities(self.facts)), seed, self.shares)
        tokenizer = load_tokenizer(self.folder)
        encoder = Encoder(tokenizer, rng)
        pad_id = len(tokenizer) - 1
        while True:
            rows = [encoder.encode(mixture.example()) for _ in range(self.pool)]
            rows = sorted((row for row in rows if len(row.ids) <= LONGEST), key=_length)
            batches: list[list[Row]] = [[]]
            for row in rows:
                if batches[-1] and (len(batches[-1]) + 1) * len(row.ids) > self.tokens:
                    batches.append([])
                batches[-1].append(row)
            rng.shuffle(batches)
            for batch in batches:
                yield padded(batch, pad_id)


def _length(row: Row) -> int:
    return len(row.ids)
