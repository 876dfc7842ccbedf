"""What the tests of combined retrievers share: a fixed ranking, a stub scorer, a tiny model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from storage_helpers import CORPUS

from indexes.passage import Passage, text_for_search
from retrievers.base import BaseRetriever, check_queries
from retrievers.hit import Hit


class Ranked(BaseRetriever):
    """Finds the given passages, in their order, for every query that is not blank."""

    def __init__(self, passages: Sequence[Passage], name: str = "ranked") -> None:
        self._hits = [
            Hit(passage, 1.0 / rank, rank) for rank, passage in enumerate(passages, start=1)
        ]
        self.name = name
        self.asked: list[tuple[list[str], int]] = []

    @property
    def fingerprint(self) -> str:
        return self.name

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        check_queries(queries, k)
        self.asked.append((list(queries), k))
        return [self._hits[:k] if query.strip() else [] for query in queries]


class SharedWords:
    """Scores a pair by the number of different words that its two texts share."""

    fingerprint = "shared-words"

    def score(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float64]:
        shared = [len(set(query.split()) & set(text.split())) for query, text in pairs]
        return np.array(shared, dtype=np.float64)


def save_tiny_cross_encoder(folder: Path, labels: int = 1, seed: int = 0) -> Path:
    """A random BERT of one layer that scores pairs, with a word-level vocabulary."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    words = sorted({word for p in CORPUS for word in text_for_search(p).lower().split()})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join([*special, *words]), encoding="utf-8")
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(special) + len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        num_labels=labels,
        initializer_range=0.5,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder
