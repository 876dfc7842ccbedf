"""What building an index needs of an encoder; `retrievers.encoders.Encoder` is one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from indexes.passage import Passage


class PassageEncoder(Protocol):
    """What a build needs of an encoder (`retrievers.encoders.Encoder` is one).

    The properties are those of `indexes.manifest.EncoderRecord`; `folder` is where the encoder's
    files lie, None for an encoder without files.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def folder(self) -> Path | None: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def dimension(self) -> int: ...  # noqa: D102
    @property
    def similarity(self) -> str: ...  # noqa: D102
    @property
    def query_prefix(self) -> str: ...  # noqa: D102
    @property
    def passage_prefix(self) -> str: ...  # noqa: D102
    @property
    def normalise(self) -> bool: ...  # noqa: D102
    @property
    def pooling(self) -> str | None: ...  # noqa: D102

    def encode_passages(self, passages: list[Passage]) -> npt.NDArray[np.float32]:
        """One vector per passage, shape [len(passages), dimension]."""
        ...
