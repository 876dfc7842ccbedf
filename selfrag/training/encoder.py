"""Trains a static sentence-transformers encoder on (question, passage, hard negative) triples.

A static encoder averages one learnt vector per word piece, so that a query costs microseconds and
the model a few megabytes. Loss: in-batch negatives and the given hard ones
(`MultipleNegativesRankingLoss`). This module knows nothing of where the triples come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Triple = tuple[str, str, str]
"""A question, the passage that answers it, and one that looks similar and does not."""


@dataclass(frozen=True, slots=True)
class EncoderPlan:
    """Size and schedule of an encoder.

    Attributes:
        pieces: word pieces of its tokenizer.
        dimension: length of a vector.
        epochs: passes over the triples.
        batch: triples in a batch; each question sees the passages of all of them.
        rate: learning rate; static vectors want a large one.
        seed: of weights and order.
    """

    pieces: int = 8000
    dimension: int = 256
    epochs: int = 1
    batch: int = 512
    rate: float = 0.1
    seed: int = 1


def train_word_pieces(texts: Iterable[str], pieces: int) -> Any:
    """A lower-casing, accent-folding WordPiece tokenizer (`tokenizers.Tokenizer`)."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=pieces, special_tokens=["[PAD]", "[UNK]"], show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def train_encoder(triples: Sequence[Triple], folder: Path, plan: EncoderPlan) -> Any:
    """Train on the triples, save to `folder`, and return the `SentenceTransformer`.

    Needs the `train` extra (datasets, accelerate). Progress is shown by the trainer's own bar.
    """
    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from sentence_transformers.models import Normalize, StaticEmbedding

    torch.manual_seed(plan.seed)
    tokenizer = train_word_pieces((text for triple in triples for text in triple), plan.pieces)
    embedding = StaticEmbedding(tokenizer, embedding_dim=plan.dimension)
    model = SentenceTransformer(modules=[embedding, Normalize()], device="cpu")
    columns = dict(
        zip(("question", "passage", "negative"), zip(*triples, strict=True), strict=True)
    )
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder.parent / f"{folder.name}-run"),
        num_train_epochs=plan.epochs,
        per_device_train_batch_size=plan.batch,
        learning_rate=plan.rate,
        warmup_steps=0.1,
        seed=plan.seed,
        save_strategy="no",
        logging_steps=50,
        report_to=[],
        use_cpu=True,
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({name: list(values) for name, values in columns.items()}),
        loss=MultipleNegativesRankingLoss(model),
    )
    trainer.train()
    model.save_pretrained(str(folder), create_model_card=False)
    return model


def recall_at(
    model: Any, questions: Sequence[str], passages: Sequence[str], gold: Sequence[int], k: int
) -> float:
    """Share of questions whose gold passage is among the `k` most similar ones, by brute force."""
    import numpy as np

    wanted = model.encode(list(questions), normalize_embeddings=True, show_progress_bar=False)
    stored = model.encode(list(passages), normalize_embeddings=True, show_progress_bar=False)
    ranked = np.argsort(-(wanted @ stored.T), axis=1, kind="stable")[:, :k]
    return float(np.mean([target in row for target, row in zip(gold, ranked, strict=True)]))
