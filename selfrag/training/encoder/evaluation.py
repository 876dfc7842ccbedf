"""How well an encoder finds passages: sentence-transformers' own retrieval evaluator.

Figures over queries that were not trained on, among all passages, by exact search. This module
knows nothing of how the encoder was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from selfrag.training.encoder.data import EncoderData
from selfrag.training.encoder.errors import NotEnoughQueries

PLACES = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class EncoderFigures:
    """Retrieval figures, all between 0 and 1.

    Attributes:
        queries, passages: how many were measured with.
        hit: k -> share of the queries with a positive among the first k passages.
        recall: k -> mean share of a query's positives among the first k passages.
        mrr: mean of 1 / place of the first positive, 0 beyond the tenth.
        ndcg: normalised discounted cumulative gain of the first ten passages.
    """

    queries: int
    passages: int
    hit: Mapping[str, float]
    recall: Mapping[str, float]
    mrr: float
    ndcg: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def evaluate_encoder(model: Any, data: EncoderData) -> EncoderFigures:
    """Measure a `SentenceTransformer` on all queries of the data.

    Raises:
        NotEnoughQueries: there are none.
    """
    return _measured(model, data, _encoded(model, data))


def evaluate_by_sort(model: Any, data: EncoderData) -> dict[str, EncoderFigures]:
    """The figures of all queries, under "all", and of each sort of queries that has a name.

    Raises:
        NotEnoughQueries: there are none.
    """
    passages = _encoded(model, data)
    figures = {"all": _measured(model, data, passages)}
    for sort in sorted({query.sort for query in data.queries} - {""}):
        part = [query for query in data.queries if query.sort == sort]
        figures[sort] = _measured(model, EncoderData(data.passages, part), passages)
    return figures


def _encoded(model: Any, data: EncoderData) -> Any:
    """Vectors of all passages."""
    return model.encode_document(
        list(data.passages.values()),
        batch_size=64,
        show_progress_bar=False,
        convert_to_tensor=True,
    )


def _measured(model: Any, data: EncoderData, passages: Any) -> EncoderFigures:
    from sentence_transformers.sentence_transformer.evaluation import (
        InformationRetrievalEvaluator,
    )

    if not data.queries:
        raise NotEnoughQueries(
            "There is no query to measure with.", "Give queries, or a larger `held_out`."
        )
    texts: dict[str, Any] = {str(place): query.text for place, query in enumerate(data.queries)}
    relevant = {str(place): set(query.positives) for place, query in enumerate(data.queries)}
    evaluator = InformationRetrievalEvaluator(
        texts,
        dict[str, Any](data.passages),
        relevant,
        mrr_at_k=[10],
        ndcg_at_k=[10],
        accuracy_at_k=list(PLACES),
        precision_recall_at_k=list(PLACES),
        map_at_k=[10],
        batch_size=64,
        write_csv=False,
    )
    measured = evaluator(model, corpus_embeddings=passages)
    main = str(evaluator.primary_metric).rpartition("_")[0]
    return EncoderFigures(
        queries=len(texts),
        passages=len(data.passages),
        hit={str(k): float(measured[f"{main}_accuracy@{k}"]) for k in PLACES},
        recall={str(k): float(measured[f"{main}_recall@{k}"]) for k in PLACES},
        mrr=float(measured[f"{main}_mrr@10"]),
        ndcg=float(measured[f"{main}_ndcg@10"]),
    )
