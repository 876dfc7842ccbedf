"""Trains the encoder of a dense retriever: from queries with their passages to a folder that
`selfrag index build --encoder` reads.

`read_encoder_data` reads queries, `train_encoder` trains in rounds with mined negatives,
`evaluate_encoder` measures. Needs the extra `train`; importing this package does not.
"""

from selfrag.training.encoder.data import (
    EncoderData,
    EncoderQuery,
    read_corpus,
    read_encoder_data,
)
from selfrag.training.encoder.evaluation import EncoderFigures, evaluate_by_sort, evaluate_encoder
from selfrag.training.encoder.models import load_model
from selfrag.training.encoder.plan import EncoderPlan
from selfrag.training.encoder.rounds import EncoderResult, train_encoder

__all__ = [
    "EncoderData",
    "EncoderFigures",
    "EncoderPlan",
    "EncoderQuery",
    "EncoderResult",
    "evaluate_by_sort",
    "evaluate_encoder",
    "load_model",
    "read_corpus",
    "read_encoder_data",
    "train_encoder",
]
