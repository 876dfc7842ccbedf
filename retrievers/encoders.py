"""Encoders: sentence-transformers models that turn queries and passages into vectors.

A model is loaded from a folder or by a name that is already in the local cache; the network is
used only when it is allowed. What a model's own configuration says holds; known families
(`retrievers.families`) add what their files leave out; what nobody says is an error, not a guess.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.checksums import sha256_of_json
from indexes.passage import Passage, text_for_search
from indexes.vectors import SIMILARITIES
from retrievers.errors import EncoderNotFound, EncoderUnclear, EncoderUnreadable
from retrievers.families import Family, family_of, organisation_of, resembles_family
from retrievers.modelfiles import checksums_of_model, locate_model
from retrievers.static import StaticModel, is_static

_MODULES_FILE = "modules.json"
_CONFIG_FILE = "config.json"
_PASSAGE_PROMPTS = ("document", "passage", "corpus")


class Encoder:
    """A sentence-transformers model with the settings it is used with.

    Args:
        name: a folder, or the name of a model in the local cache.
        query_prefix: put in front of queries; by default what the model or its family says.
        passage_prefix: put in front of passages; likewise.
        pooling: "mean" or "cls", for a bare transformer without `modules.json` only.
        normalise: whether vectors are brought to length 1; by default they are, where the
            similarity is cosine.
        similarity: "cosine", "dot" or "euclidean"; by default what the model or its family says.
        device: "cpu", "cuda", …; by default the best there is.
        batch_size: texts per forward pass.
        allow_download: fetch a model that is not in the local cache.

    Attributes:
        folder: where the model's files lie.

    Raises:
        EncoderNotFound: there is no such folder, no model in it, or no such model in the cache.
        EncoderUnreadable: its files are damaged or incomplete.
        EncoderUnclear: how its texts or vectors are made is not known.
    """

    def __init__(
        self,
        name: Path | str,
        *,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        pooling: str | None = None,
        normalise: bool | None = None,
        similarity: str | None = None,
        device: str | None = None,
        batch_size: int = 64,
        allow_download: bool = False,
    ) -> None:
        self._name = str(name)
        self._given: dict[str, Any] = {
            "query_prefix": query_prefix,
            "passage_prefix": passage_prefix,
            "pooling": pooling,
            "normalise": normalise,
            "similarity": similarity,
            "device": device,
            "batch_size": batch_size,
            "allow_download": allow_download,
        }
        self.folder: Path = locate_model(self._name, allow_download)
        self._batch_size = batch_size
        own_folder = Path(self._name).is_dir() and self.folder.parent.name != "snapshots"
        organisation = None if own_folder else organisation_of(self._name)
        family = family_of(self._name, organisation)
        unsure = resembles_family(self._name, organisation)
        bare = not (self.folder / _MODULES_FILE).is_file()
        if bare and not (self.folder / _CONFIG_FILE).is_file():
            raise EncoderNotFound(
                f"The folder {self.folder} holds no model: it has neither {_MODULES_FILE} nor "
                f"{_CONFIG_FILE}.",
                "Give the folder of a sentence-transformers or transformers model.",
            )
        if bare:
            pooling = _pooling_of(self._name, family, pooling)
        if not is_static(self.folder):
            import_module("sentence_transformers")  # a missing library is no damaged model
        try:
            self._model: Any = _load(self.folder, pooling if bare else None, device)
            self._dimension = int(self._model.get_embedding_dimension() or 0)
        except Exception as error:  # whatever a damaged file makes the libraries raise
            raise EncoderUnreadable(
                f"The encoder in {self.folder} cannot be loaded: {error}",
                "Check that all of its files are there and whole.",
            ) from error
        if not self._dimension:
            raise EncoderUnreadable(
                f"The encoder in {self.folder} does not tell its dimension.",
                "Use a sentence-transformers model that makes one vector per text.",
            )
        if family is not None and not bare:
            _check_modules(self._name, self._model, family)
        self._set_prefixes(query_prefix, passage_prefix, family, unsure)
        self._set_similarity(similarity, normalise, family)
        self._pooling = pooling if bare else None
        self._fingerprint = self._make_fingerprint()

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        """Pickled are the name and the settings: where it is unpickled it is loaded again."""
        name = os.path.abspath(self._name) if Path(self._name).is_dir() else self._name
        return partial(Encoder, name, **self._given), ()

    @property
    def name(self) -> str:
        """The folder or name that was given."""
        return self._name

    @property
    def dimension(self) -> int:
        """Numbers per vector."""
        return self._dimension

    @property
    def fingerprint(self) -> str:
        """Checksum of the model's files and of the settings that change its vectors."""
        return self._fingerprint

    @property
    def similarity(self) -> str:
        """How vectors are compared: "cosine", "dot" or "euclidean"."""
        return self._similarity

    @property
    def query_prefix(self) -> str:
        """Text put in front of every query."""
        return self._query_prefix

    @property
    def passage_prefix(self) -> str:
        """Text put in front of every passage."""
        return self._passage_prefix

    @property
    def normalise(self) -> bool:
        """Whether vectors are brought to length 1."""
        return self._normalise

    @property
    def pooling(self) -> str | None:
        """How token vectors are pooled, where the model's own files do not say; else None."""
        return self._pooling

    def encode_queries(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """One vector per query, shape [len(queries), dimension]."""
        return self._encode(self._model.encode_query, list(queries), self._query_prefix)

    def encode_passages(self, passages: Sequence[Passage]) -> npt.NDArray[np.float32]:
        """One vector per passage, of its title and text; shape [len(passages), dimension]."""
        texts = [text_for_search(passage) for passage in passages]
        return self._encode(self._model.encode_document, texts, self._passage_prefix)

    def _encode(self, encode: Any, texts: list[str], prefix: str) -> npt.NDArray[np.float32]:
        if not texts:
            return np.empty((0, self._dimension), dtype=np.float32)
        vectors = encode(
            texts,
            prompt=prefix,
            batch_size=self._batch_size,
            normalize_embeddings=self._normalise,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.ascontiguousarray(vectors, dtype=np.float32)

    def _set_prefixes(
        self,
        query_prefix: str | None,
        passage_prefix: str | None,
        family: Family | None,
        unsure: bool,
    ) -> None:
        prompts = getattr(self._model, "prompts", None) or {}
        own_query = prompts.get("query") or ""
        own_passage = next((prompts[key] for key in _PASSAGE_PROMPTS if prompts.get(key)), "")
        unsaid = query_prefix is None and passage_prefix is None
        if unsaid and not own_query and not own_passage and unsure:
            raise EncoderUnclear(
                f"The prefixes of {self._name!r} are not known: its name resembles a family whose "
                "models need some, and its files name none.",
                'Give query_prefix and passage_prefix, "" for none.',
            )
        if family is not None and not own_query and not own_passage:
            own_query, own_passage = family.query_prefix, family.passage_prefix
        self._query_prefix = own_query if query_prefix is None else query_prefix
        self._passage_prefix = own_passage if passage_prefix is None else passage_prefix

    def _set_similarity(
        self, similarity: str | None, normalise: bool | None, family: Family | None
    ) -> None:
        if similarity is None:
            # A family comes first: saving a model again records "cosine" for want of better.
            own = str(self._model.similarity_fn_name)
            similarity = own if family is None else family.similarity
        if similarity not in SIMILARITIES:
            raise EncoderUnclear(
                f"The similarity of {self._name!r} is {similarity!r}.",
                f"Allowed are {list(SIMILARITIES)}; name one.",
            )
        self._similarity = similarity
        if normalise is None:
            normalise = similarity == "cosine" if family is None else family.normalise
        if similarity == "cosine" and not normalise:
            raise EncoderUnclear(
                f"Cosine similarity was asked of {self._name!r} without normalising.",
                'Normalise, or use similarity="dot".',
            )
        self._normalise = normalise

    def _make_fingerprint(self) -> str:
        return sha256_of_json(
            {
                "files": checksums_of_model(self.folder),
                "pooling": self._pooling,
                "query_prefix": self._query_prefix,
                "passage_prefix": self._passage_prefix,
                "normalise": self._normalise,
                "similarity": self._similarity,
            }
        )


def _pooling_of(name: str, family: Family | None, pooling: str | None) -> str:
    if family is not None and family.projection:
        raise EncoderUnclear(
            f"{name!r} is named like a {family.name} model, which has a dense layer after its "
            f"pooling; its folder has no {_MODULES_FILE} and so no such layer.",
            "Give the complete sentence-transformers folder.",
        )
    chosen = pooling or (family.pooling if family is not None else None)
    if chosen is None:
        raise EncoderUnclear(
            f"How {name!r} pools its token vectors is not known: it has no {_MODULES_FILE}.",
            'Give pooling="mean" or pooling="cls", or a complete sentence-transformers folder.',
        )
    if chosen not in ("mean", "cls"):
        raise EncoderUnclear(f"The pooling is {chosen!r}.", 'Allowed are "mean" and "cls".')
    return chosen


def _load(folder: Path, pooling: str | None, device: str | None) -> Any:
    """A complete model, or with `pooling` a bare transformer with that pooling put on it."""
    if pooling is None and is_static(folder):
        return StaticModel(folder)
    from sentence_transformers import SentenceTransformer

    if pooling is None:
        return SentenceTransformer(str(folder), device=device, local_files_only=True)
    modules: Any = import_module("sentence_transformers.sentence_transformer.modules")
    transformer = modules.Transformer(str(folder))
    width = transformer.get_embedding_dimension()
    return SentenceTransformer(
        modules=[transformer, modules.Pooling(width, pooling)], device=device
    )


def _check_modules(name: str, model: Any, family: Family) -> None:
    """Refuse a model whose own modules contradict the family that its name speaks of."""
    modes = [module.pooling_mode for module in model if hasattr(module, "pooling_mode")]
    kinds = {type(module).__name__ for module in model}
    wrong = None
    if modes and modes != [family.pooling]:
        wrong = f"pools by {family.pooling}; its files say {modes[0]}"
    elif modes and family.projection != ("Dense" in kinds):
        wrong = "has a dense layer after its pooling" if family.projection else "has no dense layer"
        wrong += "; its files say otherwise"
    elif "Normalize" in kinds and not family.normalise:
        wrong = "does not normalise its vectors; its files do"
    if wrong is not None:
        raise EncoderUnclear(
            f"{name!r} is named like a {family.name} model, which {wrong}.",
            "Check where the folder comes from, or rename it.",
        )
