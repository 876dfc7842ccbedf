"""What a retriever is made of: a tree of nodes, written as a mapping or in YAML.

A node is a mapping with one key, its kind, which leads to its settings; a bare kind is a node with
default settings. For example:

    cache:
      path: results.sqlite
      of:
        rerank:
          model: cross-encoder/ms-marco-MiniLM-L6-v2
          top: 50
          of: {hybrid: {dense: {}, bm25: {}, method: weighted, weights: [0.6, 0.4]}}

This module checks a description and opens nothing. A new kind is a class with a `kind` here, one
more in `NODES`, and a case in `retrievers.opening`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from indexes.milvus import TIMEOUT as MILVUS_TIMEOUT
from retrievers.cache import MAX_ENTRIES
from retrievers.diversity import LAMBDA
from retrievers.diversity import TOP as MMR_TOP
from retrievers.errors import InvalidRetriever
from retrievers.fusion import DEPTH, METHODS
from retrievers.graph_settings import GraphSettings
from retrievers.rerank import TOP as RERANK_TOP


@dataclass(frozen=True, slots=True)
class DenseConfig:
    """`dense`: passages whose vectors are close to the query's."""

    kind: ClassVar[str] = "dense"


@dataclass(frozen=True, slots=True)
class MilvusConfig:
    """`milvus`: what `dense` finds, searched by a Milvus server; see `retrievers.milvus`.

    The token is taken from the environment (MILVUS_TOKEN): a description holds no secrets.

    Attributes:
        uri: as `http://host:19530`, or a path of Milvus Lite that ends in `.db`; a relative one is
            seen from the working directory.
        collection: None for the name that `selfrag index push` makes of the index.
        database: None for the server's default one.
        timeout: seconds for each request.
        parameters: of Milvus's search, for its kind of index, as {"ef": 200}.
    """

    kind: ClassVar[str] = "milvus"
    uri: str
    collection: str | None = None
    database: str | None = None
    timeout: float = MILVUS_TIMEOUT
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("uri", "collection", "database"):
            if name == "uri" or getattr(self, name) is not None:
                _text(self.kind, name, getattr(self, name))
        if not _is_number(self.timeout) or not self.timeout > 0:
            raise InvalidRetriever(
                f"The timeout of milvus is {self.timeout!r}.", "It must be seconds above 0."
            )
        if not isinstance(self.parameters, Mapping):
            raise InvalidRetriever(
                f"The parameters of milvus are {self.parameters!r}.",
                "Write a mapping of names to values, as {ef: 200}.",
            )


@dataclass(frozen=True, slots=True)
class BM25Config:
    """`bm25`: passages that share words with the query."""

    kind: ClassVar[str] = "bm25"


@dataclass(frozen=True, slots=True)
class HybridConfig:
    """`hybrid`: several rankings fused; see `retrievers.fusion`.

    Attributes:
        members: at least one; in a mapping each stands under its kind, in the order of `weights`.
        method: "rrf" or "weighted".
        depth: how many passages each member is asked for, if more than k.
        weights: one positive number per member; None is 1 each.
    """

    kind: ClassVar[str] = "hybrid"
    members: tuple[Node, ...] = (DenseConfig(), BM25Config())
    method: str = "rrf"
    depth: int = DEPTH
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _at_least_one(self.kind, "depth", self.depth)
        if not self.members:
            raise InvalidRetriever("A hybrid has no members.", "Name at least one.")
        if self.method not in METHODS:
            raise InvalidRetriever(
                f"The fusion method is {self.method!r}.", f"Allowed are {list(METHODS)}."
            )
        weights = self.weights
        if weights is not None and (
            len(weights) != len(self.members)
            or not all(_is_number(weight) and weight > 0 for weight in weights)
        ):
            raise InvalidRetriever(
                f"The weights are {list(weights)} for {len(self.members)} members.",
                "Give one positive number per member, in their order.",
            )


@dataclass(frozen=True, slots=True)
class GraphConfig:
    """`graph`: a walk from another retriever's first passages; see `retrievers.graph`.

    Attributes:
        of: the retriever below: `dense`, `milvus`, `bm25`, `graph`, or a `hybrid` of these.
        settings: of the walk; in a mapping each stands beside `of` under its own name.
    """

    kind: ClassVar[str] = "graph"
    of: Node = field(default_factory=HybridConfig)
    settings: GraphSettings = field(default_factory=GraphSettings)

    def __post_init__(self) -> None:
        ranking = self.of.members if isinstance(self.of, HybridConfig) else (self.of,)
        for node in ranking:
            if not isinstance(node, DenseConfig | MilvusConfig | BM25Config | GraphConfig):
                raise InvalidRetriever(
                    f"A graph cannot walk from what {node.kind} finds there.",
                    "Let it be of dense, milvus, bm25, graph, or a hybrid of these.",
                )


@dataclass(frozen=True, slots=True)
class RerankConfig:
    """`rerank`: the first passages of another retriever, ordered anew by a cross-encoder.

    Attributes:
        of: the retriever below.
        model: folder or name of the cross-encoder; a relative folder is seen from the working
            directory.
        top: how many passages are read, if more than k.
    """

    kind: ClassVar[str] = "rerank"
    of: Node
    model: str
    top: int = RERANK_TOP

    def __post_init__(self) -> None:
        _text(self.kind, "model", self.model)
        _at_least_one(self.kind, "top", self.top)


@dataclass(frozen=True, slots=True)
class MMRConfig:
    """`mmr`: a choice of another retriever's passages by maximal marginal relevance.

    Attributes:
        of: the retriever below.
        lambda_: `lambda` in a mapping; 0 (diversity only) to 1 (relevance only).
        top: how many passages are chosen from, if more than k.
    """

    kind: ClassVar[str] = "mmr"
    of: Node
    lambda_: float = LAMBDA
    top: int = MMR_TOP

    def __post_init__(self) -> None:
        _at_least_one(self.kind, "top", self.top)
        if not _is_number(self.lambda_) or not 0 <= self.lambda_ <= 1:
            raise InvalidRetriever(
                f"The lambda of mmr is {self.lambda_!r}.", "It must lie between 0 and 1."
            )


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """`cache`: another retriever's results, kept in a sqlite file.

    Attributes:
        of: the retriever below.
        path: the file; a relative one is seen from the working directory.
        max_entries: how many results are kept.
    """

    kind: ClassVar[str] = "cache"
    of: Node
    path: str
    max_entries: int = MAX_ENTRIES

    def __post_init__(self) -> None:
        _text(self.kind, "path", self.path)
        _at_least_one(self.kind, "max_entries", self.max_entries)


Node = (
    DenseConfig
    | MilvusConfig
    | BM25Config
    | HybridConfig
    | GraphConfig
    | RerankConfig
    | MMRConfig
    | CacheConfig
)
NODES: Mapping[str, type[Node]] = {
    node.kind: node
    for node in (
        *(HybridConfig, DenseConfig, MilvusConfig, BM25Config, GraphConfig),
        *(RerankConfig, MMRConfig, CacheConfig),
    )
}


def node_from(values: Any) -> Node:
    """The node that a mapping, or a bare kind, describes.

    Raises:
        InvalidRetriever: a kind or key is unknown, a setting is missing or not allowed.
    """
    if isinstance(values, str):
        values = {values: {}}
    if not isinstance(values, Mapping) or len(values) != 1:
        got = (
            f"the keys {sorted(map(str, values))}" if isinstance(values, Mapping) else repr(values)
        )
        raise InvalidRetriever(
            f"A retriever is described by {got}.",
            f"Write one of {list(NODES)} as the only key, with its settings below it.",
        )
    kind, settings = next(iter(values.items()))
    if kind not in NODES:
        raise InvalidRetriever(
            f"The kind of retriever {kind!r} is unknown.", f"Allowed are {list(NODES)}."
        )
    if settings is None:
        settings = {}
    if not isinstance(settings, Mapping):
        raise InvalidRetriever(
            f"The settings of {kind} are {settings!r}.", "Write a mapping of names to values."
        )
    return _node_of(NODES[kind], dict(settings))


def node_to_dict(node: Node) -> dict[str, Any]:
    """The mapping from which `node_from` makes the node again, with every setting written out."""
    settings: dict[str, Any] = {}
    for entry in fields(node):
        value = getattr(node, entry.name)
        if entry.name == "members":
            for member in value:
                settings.update(node_to_dict(member))
        elif entry.name == "of":
            settings["of"] = node_to_dict(value)
        elif isinstance(value, GraphSettings):
            settings.update(asdict(value))
        elif value is not None:
            settings[entry.name.rstrip("_")] = list(value) if isinstance(value, tuple) else value
    return {node.kind: settings}


def node_from_yaml(path: Path | str) -> Node:
    """Read a node from a YAML file.

    Raises:
        InvalidRetriever: the file cannot be read, is no YAML, or names a key twice; or see
            `node_from`.
    """
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Refuses keys that stand twice, of which YAML would keep the last."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value]
            if twice := sorted({str(key) for key in keys if keys.count(key) > 1}):
                raise yaml.YAMLError(f"the keys {twice} stand twice{node.start_mark}")
            made: dict[Any, Any] = super().construct_mapping(node, deep)
            return made

    try:
        values = yaml.load(Path(path).read_text(encoding="utf-8"), Loader)
    except OSError as error:
        raise InvalidRetriever(
            f"The description {path} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRetriever(f"{path} is not valid YAML: {error}.", "Correct it.") from error
    try:
        return node_from(values)
    except RecursionError as error:  # an alias inside its own anchor
        raise InvalidRetriever(
            f"The description {path} contains itself.", "Write it without that alias."
        ) from error


def kinds_in(node: Node) -> Iterator[str]:
    """The kinds of a node and of all nodes below it."""
    yield node.kind
    below = node.members if isinstance(node, HybridConfig) else (getattr(node, "of", None),)
    for child in below:
        if child is not None:
            yield from kinds_in(child)


def _node_of(node: type[Node], settings: dict[str, Any]) -> Node:
    nested = ("members", "settings")
    known = {entry.name.rstrip("_"): entry for entry in fields(node) if entry.name not in nested}
    arguments: dict[str, Any] = {}
    if node is HybridConfig:
        members = [node_from({key: settings.pop(key)}) for key in list(settings) if key in NODES]
        if members:
            arguments["members"] = tuple(members)
    walk = [entry.name for entry in fields(GraphSettings)] if node is GraphConfig else []
    if walk:
        given = {name: settings.pop(name) for name in walk if name in settings}
        arguments["settings"] = _graph_settings(given)
    if unknown := sorted(map(str, set(settings) - set(known))):
        allowed = [*known, *walk, *(NODES if node is HybridConfig else ())]
        raise InvalidRetriever(
            f"The retriever {node.kind} has unknown keys {unknown}.", f"Allowed are {allowed}."
        )
    needed = [
        name
        for name, entry in known.items()
        if entry.default is MISSING and entry.default_factory is MISSING
    ]
    if missing := [name for name in needed if name not in settings]:
        raise InvalidRetriever(f"The retriever {node.kind} lacks {missing}.", "Give them.")
    for name, value in settings.items():
        if name == "of":
            value = node_from(value)
        elif name == "weights" and value is not None:
            if isinstance(value, str) or not isinstance(value, list | tuple):
                raise InvalidRetriever(
                    f"The weights are {value!r}.", "Give a list of positive numbers."
                )
            value = tuple(value)
        arguments[known[name].name] = value
    return node(**arguments)


def _graph_settings(values: dict[str, Any]) -> GraphSettings:
    for name, value in values.items():
        whole = isinstance(getattr(GraphSettings(), name), int)
        if not _is_number(value) or (whole and not isinstance(value, int)):
            raise InvalidRetriever(
                f"The {name} of graph is {value!r}.",
                f"It must be a {'whole ' if whole else ''}number.",
            )
    return GraphSettings(**values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _at_least_one(kind: str, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRetriever(
            f"The {name} of {kind} is {value!r}.", "It must be a whole number from 1 up."
        )


def _text(kind: str, name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidRetriever(f"The {name} of {kind} is {value!r}.", "It must be a path or name.")
