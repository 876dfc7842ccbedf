"""Families of encoders whose texts and vectors are made in a way their files do not tell.

A model belongs to a family by the whole of its name, never by a part of it: a wrong prefix costs
accuracy silently. Names that only resemble a family are reported as unclear. Sources: the models'
cards (intfloat/e5-*, BAAI/bge-*, facebook/contriever, sentence-transformers/gtr-t5-*,
sentence-transformers/all-MiniLM-*).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """How the models of one family are used.

    Attributes:
        name: the family's.
        pattern: matches the whole of a model's name without its organisation, in lower case.
        pooling: "mean" or "cls" over the token vectors; None where only the model's own modules
            know (a projection after the pooling).
        normalise: whether vectors are brought to length 1.
        similarity: "cosine" or "dot".
        query_prefix: put in front of every query.
        passage_prefix: put in front of every passage.
    """

    name: str
    pattern: str
    pooling: str | None
    normalise: bool
    similarity: str
    query_prefix: str = ""
    passage_prefix: str = ""


FAMILIES = (
    Family(
        "e5",
        r"(multilingual-)?e5-(small|base|large)(-v2|-unsupervised)?",
        pooling="mean",
        normalise=True,
        similarity="cosine",
        query_prefix="query: ",
        passage_prefix="passage: ",
    ),
    Family(
        "bge-en",
        r"bge-(small|base|large)-en(-v1\.5)?",
        pooling="cls",
        normalise=True,
        similarity="cosine",
        query_prefix="Represent this sentence for searching relevant passages: ",
    ),
    Family(
        "bge-zh",
        r"bge-(small|base|large)-zh(-v1\.5)?",
        pooling="cls",
        normalise=True,
        similarity="cosine",
        query_prefix="为这个句子生成表示以用于检索相关文章：",  # noqa: RUF001
    ),
    Family("bge-m3", r"bge-m3", pooling="cls", normalise=True, similarity="cosine"),
    Family(
        "contriever",
        r"m?contriever(-msmarco)?",
        pooling="mean",
        normalise=False,
        similarity="dot",
    ),
    Family("gtr", r"gtr-t5-(base|large|xl|xxl)", pooling=None, normalise=True, similarity="cosine"),
    Family(
        "minilm",
        r"(gt[-_])?all[-_]minilm[-_]l(6|12)[-_]v[12]",
        pooling="mean",
        normalise=True,
        similarity="cosine",
    ),
)
_RESEMBLES = re.compile(r"(^|[-_])(e5|bge|m?contriever|gtr)([-_]|$)")


def model_name_of(name: str) -> str:
    """The bare name of a model given as "organisation/name", as a folder, or as a cached copy."""
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    if len(parts) >= 3 and parts[-2] == "snapshots":
        # The Hugging Face cache: models--organisation--name/snapshots/<commit>
        return parts[-3].split("--")[-1].lower()
    return parts[-1].lower() if parts else ""


def family_of(name: str) -> Family | None:
    """The family that a model belongs to by its name, or None."""
    bare = model_name_of(name)
    return next((family for family in FAMILIES if re.fullmatch(family.pattern, bare)), None)


def resembles_family(name: str) -> bool:
    """Whether a name hints at a family with rules of its own without belonging to one."""
    return family_of(name) is None and _RESEMBLES.search(model_name_of(name)) is not None
