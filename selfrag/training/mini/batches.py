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
from selfrag.training.mini.example import Example, Judged
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.mixture import Mixture, Shares
from selfrag.training.mini.schemas import read_entities
from selfrag.training.mini.tokenizer import load_tokenizer

LONGEST = 640


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
    a tenth of that share. The rest ends with the judgement.
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
        texts = [example.prompt]
        for segment in example.branches:
            (opening, _), (paragraph, _), *rest = segment.pieces()
            share = self.told_share if segment.support else self.told_share / 10
            told = self.rng.random() < share
            written = "".join(text for text, _ in rest) + f"[Utility:{5 if segment.support else 1}]"
            texts.append(paragraph + (f"{written}</s>" if told else ""))
        encoded = self.backend.encode_batch([*texts, opening], add_special_tokens=False)
        ids = [1, *encoded[0].ids, *encoded[-1].ids]
        labels = [IGNORED] * (len(ids) - 1) + ids[-1:]
        branches = [0] * len(ids)
        for number, encoding in enumerate(encoded[1:-1], 1):
            end = encoding.ids.index(self.close_id) + 1
            ids.extend(encoding.ids)
            labels.extend([IGNORED] * end + encoding.ids[end:])
            branches.extend([number] * len(encoding.ids))
        return Row(ids, labels, branches)


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
