"""What the storage and retrieval tests share: a small corpus, an encoder of numpy, a tiny model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, settings

from indexes.passage import Passage, text_for_search
from indexes.words import WordSettings, WordSplitter

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

CORPUS = (
    Passage("p1", "Paris", "Paris is the capital of France and lies on the Seine."),
    Passage("p2", "Berlin", "Berlin is the capital of Germany."),
    Passage("p3", "Seine", "The Seine is a river in France.", {"length_km": 777}),
    Passage("p4", "Curie", "Marie Curie discovered polonium and radium.", {"born": "1867"}),
    Passage("p5", "Zürich", "Zürich is the largest city of Switzerland."),
    Passage("p6", "", "Nobody gave this passage a title."),
)


steady = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For property tests: a busy machine must not fail them."""


class HashEncoder:
    """Vectors from the hashes of words: as cheap as it gets, and the same everywhere."""

    def __init__(
        self, dimension: int = 16, similarity: str = "cosine", fingerprint: str = "hash-1"
    ) -> None:
        self.name = "hash"
        self.folder: Path | None = None
        self.fingerprint = fingerprint
        self.dimension = dimension
        self.similarity = similarity
        self.query_prefix = ""
        self.passage_prefix = ""
        self.normalise = similarity == "cosine"
        self.pooling: str | None = None
        self._splitter = WordSplitter(WordSettings(stopwords="none"))

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in self._splitter.words(text):
                digest = hashlib.blake2b(word.encode(), digest_size=self.dimension).digest()
                vectors[row] += np.frombuffer(digest, dtype=np.int8)
        if self.normalise:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors /= np.where(lengths > 0, lengths, 1)
        return vectors

    def encode_queries(self, queries: list[str]) -> npt.NDArray[np.float32]:
        return self.encode_texts(queries)

    def encode_passages(self, passages: list[Passage]) -> npt.NDArray[np.float32]:
        return self.encode_texts([text_for_search(passage) for passage in passages])


def save_static_model(folder: Path, dimension: int = 12, seed: int = 0, **settings: Any) -> Path:
    """A sentence-transformers model with a word-level tokenizer and random static embeddings."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    words = sorted({word for p in CORPUS for word in text_for_search(p).lower().split()})
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *words, "query", ":"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    weights = torch.randn(len(vocabulary), dimension, generator=torch.Generator().manual_seed(seed))
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    SentenceTransformer(modules=[module], device="cpu", **settings).save(str(folder))
    return folder


def save_tiny_bert(folder: Path, seed: int = 0) -> Path:
    """A bare BERT of one layer with its tokenizer, without sentence-transformers' own files."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    words = sorted({word for p in CORPUS for word in text_for_search(p).lower().split()})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "query", "passage", ":"]
    (folder / "vocab.txt").write_text("\n".join([*special, *words]), encoding="utf-8")
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(special) + len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def shared_data(*parts: str) -> Path:
    """A file of the real data beside the repository; the test is skipped where it is missing."""
    path = SHARED_DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real data are missing: {path}")
    return path
