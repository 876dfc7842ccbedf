"""The model that is trained: a static embedding from nothing, or a sentence-transformers model.

A static encoder averages one learnt vector per word piece, so that a query costs microseconds and
the model a few megabytes. This module knows nothing of queries and rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfrag.training.encoder.plan import EncoderPlan
from selfrag.training.errors import UnusableBase

_PADDING, _UNKNOWN = "[PAD]", "[UNK]"


def train_word_pieces(texts: Sequence[str], pieces: int) -> Any:
    """A lower-casing, accent-folding WordPiece tokenizer (`tokenizers.Tokenizer`).

    The same texts give the same pieces. The library's trainer numbers the letters inside words in
    an order that changes from call to call, and breaks ties between pieces by these numbers; so
    they are given to it, and the tokenizer is made of what it found.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    def empty(**vocabulary: Any) -> Any:
        tokenizer = Tokenizer(models.WordPiece(unk_token=_UNKNOWN, **vocabulary))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return tokenizer

    tokenizer = empty()
    written = {word for text in texts for word in text.split()}
    plain = tokenizer.normalizer.normalize_str(" ".join(sorted(written)))
    words = {word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(plain)}
    letters = sorted({letter for word in words for letter in word})
    inner = sorted({f"##{letter}" for word in words for letter in word[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=pieces,
        special_tokens=[_PADDING, _UNKNOWN, *letters, *inner],
        show_progress=False,
        min_frequency=2,
    )
    tokenizer.train_from_iterator(texts, trainer)
    made = empty(vocab=tokenizer.get_vocab())
    made.add_special_tokens([_PADDING, _UNKNOWN])
    return made


def new_static_model(texts: Sequence[str], plan: EncoderPlan) -> Any:
    """A static embedding with random vectors whose pieces are learnt from the texts; its vectors
    have length 1 (`SentenceTransformer`)."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

    torch.manual_seed(plan.seed)
    tokenizer = train_word_pieces(texts, plan.pieces)
    embedding = StaticEmbedding(tokenizer, embedding_dim=plan.dimension)
    return SentenceTransformer(modules=[embedding, Normalize()])


def load_model(folder: Path | str) -> Any:
    """A sentence-transformers model from a folder, or by a name that is in the local cache.

    Raises:
        UnusableBase: there is none, or it cannot be read.
    """
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(str(folder), local_files_only=True)
    except Exception as error:  # whatever missing or damaged files make the libraries raise
        raise UnusableBase(
            f"The encoder {str(folder)!r} cannot be loaded: {error}",
            "Give the folder of a sentence-transformers model, or fetch it into the cache first.",
        ) from error


def is_static(model: Any) -> bool:
    """Whether the model is a table of vectors without layers."""
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    return isinstance(model[0], StaticEmbedding)
