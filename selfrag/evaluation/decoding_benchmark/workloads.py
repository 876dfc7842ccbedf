"""What the systems are asked: models, procedures, passages, and how many questions at once.

`short` and `short_64`: 10 passages, one expansion, questions of one fact. `long_64`: 5 passages,
beam 2, at most 7 segments, questions whose answers take several (`LONG_SECTIONS`). All with the
embedded model grown to 134 million weights and its own questions. `random` and `random_64`: the
short form with random weights of the same shape, where nothing can be pruned and every branch
writes to its limit. All retrieve for every question (mode "always"), so that every system has the
same work; the published long form keeps special tokens, without which its tree has one level.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from decoding.codec import PromptCodec
from decoding.config import DecodingConfig
from decoding.prompt import PromptBuilder
from decoding.vocabulary import ReflectionVocabulary
from selfrag.calibration import Calibration
from selfrag.evaluation.decoding_benchmark.growing import SHAPE_134M, Shape, grown
from selfrag.evaluation.decoding_benchmark.published import LONG_TABLE, SHORT_TABLE

ModelName = Literal["grown", "random"]
SEED = 633
"""Of the random weights; the published scripts' own seed."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload.

    Attributes:
        name: its key in the report.
        model: which weights.
        config: of the search, for all systems but the published one; nothing is pruned where the
            system cannot.
        published: of the published procedure.
        table: entries of the published table of log-probabilities.
        in_flight: questions at once; the published procedure takes one.
    """

    name: str
    model: ModelName
    config: DecodingConfig
    published: DecodingConfig
    table: int
    in_flight: int


LONG_SECTIONS = ("two_hop", "three_hop", "long_form")
"""Kinds of evaluation questions that the long form is asked."""

_SHORT = DecodingConfig(form="short", mode="always", passages=10, max_segment_tokens=100)
_LONG = DecodingConfig(mode="always", passages=5, beam_width=2, max_segments=7)
_PUBLISHED_SHORT = _SHORT.replace(procedure="released-short")
_PUBLISHED_LONG = _LONG.replace(
    procedure="released-long", max_segment_tokens=300, released_special_tokens="kept"
)
_RANDOM = {"max_segment_tokens": 50}

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("short", "grown", _SHORT, _PUBLISHED_SHORT, SHORT_TABLE, 1),
        Workload("short_64", "grown", _SHORT, _PUBLISHED_SHORT, SHORT_TABLE, 64),
        Workload("long_64", "grown", _LONG, _PUBLISHED_LONG, LONG_TABLE, 64),
        Workload(
            "random",
            "random",
            _SHORT.replace(**_RANDOM),
            _PUBLISHED_SHORT.replace(**_RANDOM),
            SHORT_TABLE,
            1,
        ),
        Workload(
            "random_64",
            "random",
            _SHORT.replace(**_RANDOM),
            _PUBLISHED_SHORT.replace(**_RANDOM),
            SHORT_TABLE,
            64,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Weights:
    """A model with what is needed to ask it."""

    model: Any
    tokenizer: Any
    vocabulary: ReflectionVocabulary
    prompts: PromptBuilder
    calibration: Calibration
    fingerprint: str


def load_weights(name: ModelName, shape: Shape = SHAPE_134M) -> Weights:
    """The embedded model grown to a shape, or random weights of that shape, in float32."""
    import torch

    from selfrag.backends.checkpoint import load_checkpoint
    from selfrag.rag import EMBEDDED_MODEL

    checkpoint = load_checkpoint(EMBEDDED_MODEL, device="cpu", dtype="float32")
    prompts = PromptBuilder(
        PromptCodec(checkpoint.tokenizer, checkpoint.vocabulary), checkpoint.vocabulary
    )
    weights = Weights(
        model=None,
        tokenizer=checkpoint.tokenizer,
        vocabulary=checkpoint.vocabulary,
        prompts=prompts,
        calibration=checkpoint.calibration,
        fingerprint=f"{name} {checkpoint.fingerprint} {shape}",
    )
    if name == "grown":
        return replace(weights, model=grown(checkpoint.model, shape))
    from transformers import LlamaForCausalLM

    config = checkpoint.model.config
    torch.manual_seed(SEED)
    settings = shape.config(
        config.max_position_embeddings,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
    )
    model: Any = LlamaForCausalLM(settings)
    return replace(weights, model=model.eval(), calibration=Calibration())
