"""Cross-encoders: sentence-transformers models that read a query and a passage together.

A model is found as an encoder is: in a folder or in the local cache (`retrievers.modelfiles`). It
gives one number per pair, taken as the logit, without the sigmoid that a model may end with: that
is the same order, and great logits stay apart. This module ranks nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from indexes.checksums import sha256_of_json
from retrievers.errors import EncoderNotFound, InvalidRetriever, ModelUnreadable
from retrievers.modelfiles import checksums_of_model, locate_model

_CHARACTERS_PER_TOKEN = 32
"""More than a token of any text covers: what lies beyond is cut before it is tokenized."""


class PairScorer(Protocol):
    """What reranking needs of a model."""

    @property
    def fingerprint(self) -> str:
        """Equal fingerprints give equal scores."""
        ...

    def score(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float64]:
        """How well each passage answers its query, shape [len(pairs)]; higher is better."""
        ...


class CrossEncoderScorer:
    """A cross-encoder with the settings it is used with.

    Args:
        name: a folder, or the name of a model in the local cache.
        device: "cpu", "cuda", …; by default the best there is.
        batch_size: pairs per forward pass.
        max_length: tokens per pair, the longer text of a longer pair is cut; by default what the
            model can read.
        allow_download: fetch a model that is not in the local cache.

    Attributes:
        name: the folder or name that was given.
        folder: where the model's files lie.
        fingerprint: checksum of the model's files and of the settings that change its scores.

    Raises:
        EncoderNotFound: there is no such folder, no model in it, or no such model in the cache.
        ModelUnreadable: its files are damaged, or it gives several scores per pair.
        InvalidRetriever: a setting is out of range.
    """

    def __init__(
        self,
        name: Path | str,
        *,
        device: str | None = None,
        batch_size: int = 32,
        max_length: int | None = None,
        allow_download: bool = False,
    ) -> None:
        for setting, value in (("batch size", batch_size), ("maximal length", max_length)):
            if value is not None and value < 1:
                raise InvalidRetriever(f"The {setting} is {value}.", "It must be 1 or more.")
        self.name = str(name)
        self.folder = locate_model(self.name, allow_download)
        self._batch_size = batch_size
        if not (self.folder / "config.json").is_file():
            raise EncoderNotFound(
                f"The folder {self.folder} holds no cross-encoder: it has no config.json.",
                "Give the folder of a model for sequence classification.",
            )
        import_module("sentence_transformers")  # a missing library is no damaged model
        try:
            self._model: Any = _load(self.folder, device, max_length)
            labels = int(self._model.num_labels)
        except Exception as error:  # whatever a damaged file makes the libraries raise
            raise ModelUnreadable(
                f"The cross-encoder in {self.folder} cannot be loaded: {error}",
                "Check that all of its files are there and whole.",
            ) from error
        if labels != 1:
            raise ModelUnreadable(
                f"The cross-encoder in {self.folder} gives {labels} scores per pair.",
                "Use one that was trained to rank: it gives one.",
            )
        self.fingerprint = sha256_of_json(
            {
                "files": checksums_of_model(self.folder),
                "max_length": self._model.max_seq_length,
            }
        )

    def score(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float64]:
        """The logit of each (query, passage) pair, shape [len(pairs)].

        Pairs are read in batches of similar length, so that little is padded; equal pairs are
        read once, so that they have equal scores. A pair's score depends on the batch it is in
        only by rounding (about 1e-6).
        """
        if not pairs:
            return np.empty(0, dtype=np.float64)
        import torch

        # A tokenizer would read all of a query of 100,000 characters once per passage.
        limit = _CHARACTERS_PER_TOKEN * self._model.max_seq_length
        cut = [(query[:limit], text[:limit]) for query, text in pairs]
        distinct = sorted(dict.fromkeys(cut), key=lambda pair: len(pair[0]) + len(pair[1]))
        logits = self._model.predict(
            distinct,
            batch_size=self._batch_size,
            activation_fn=torch.nn.Identity(),
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        by_pair = dict(zip(distinct, np.asarray(logits, dtype=np.float64).tolist(), strict=True))
        return np.array([by_pair[pair] for pair in cut], dtype=np.float64)


def _load(folder: Path, device: str | None, max_length: int | None) -> Any:
    from sentence_transformers import CrossEncoder

    model: Any = CrossEncoder(str(folder), device=device, local_files_only=True)
    readable = getattr(model.model.config, "max_position_embeddings", None)
    lengths = [max_length, model.max_seq_length, readable]
    # A tokenizer without a limit of its own would let the model read past its positions.
    model.max_seq_length = min(int(length) for length in lengths if length)
    return model
