"""From examples to tensors: token ids, labels and batches of similar length.

A background process generates, so that training never waits for text.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.utils.data import IterableDataset
from transformers import PreTrainedTokenizerFast

from selfrag.training.masking import IGNORED, mask_labels
from selfrag.training.mini.example import Example
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.primer import Primer
from selfrag.training.mini.schemas import read_entities
from selfrag.training.mini.tokenizer import load_tokenizer

LONGEST = 640


class Encoder:
    """Encodes examples with their labels. Equal to encoding the joined text: the parts are cut at
    control tokens, where no piece can cross."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.backend = tokenizer.backend_tokenizer
        vocabulary = tokenizer.get_vocab()
        self.open_id, self.close_id = vocabulary["<paragraph>"], vocabulary["</paragraph>"]

    def encode(self, example: Example) -> tuple[list[int], list[int]]:
        """Token ids and labels of equal length."""
        parts = [(example.prompt, False), *example.pieces()]
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


def padded(rows: list[tuple[list[int], list[int]]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Rows as tensors (rows, length), padded on the right to a multiple of 16."""
    length = -(-max(len(ids) for ids, _ in rows) // 16) * 16
    ids = torch.full((len(rows), length), pad_id, dtype=torch.long)
    labels = torch.full((len(rows), length), IGNORED, dtype=torch.long)
    for index, (row, row_labels) in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        labels[index, : len(row)] = torch.tensor(row_labels)
    return ids, labels


class Batches(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless batches of about `tokens` tokens, each of rows of similar length."""

    def __init__(
        self,
        folder: Path,
        facts: Path,
        seed: int,
        tokens: int,
        long_share: float,
        primer_share: float,
        reading_share: float,
        pool: int = 1024,
    ) -> None:
        self.folder, self.facts, self.seed = folder, facts, seed
        self.tokens, self.pool = tokens, pool
        self.shares = long_share, primer_share, reading_share

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        torch.set_num_threads(1)
        worker = torch.utils.data.get_worker_info()
        seed = self.seed * 1000 + (worker.id if worker else 0)
        rng = Random(seed)
        inventor = Inventor(read_entities(self.facts))
        generator = Primer(inventor, seed, *self.shares)
        tokenizer = load_tokenizer(self.folder)
        encoder = Encoder(tokenizer)
        pad_id = len(tokenizer) - 1
        while True:
            rows = [encoder.encode(generator.example()) for _ in range(self.pool)]
            rows = sorted((row for row in rows if len(row[0]) <= LONGEST), key=lambda r: len(r[0]))
            batches: list[list[tuple[list[int], list[int]]]] = [[]]
            for row in rows:
                if batches[-1] and (len(batches[-1]) + 1) * len(row[0]) > self.tokens:
                    batches.append([])
                batches[-1].append(row)
            rng.shuffle(batches)
            for batch in batches:
                yield padded(batch, pad_id)
