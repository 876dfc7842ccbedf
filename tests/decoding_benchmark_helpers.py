"""Tiny models, passages and workloads for the decoding benchmark's tests."""

from __future__ import annotations

from typing import Any

from scripted_rag import ListRetriever, passages, prompts, reflective_llama

from decoding.config import DecodingConfig
from selfrag.calibration import Calibration
from selfrag.evaluation.decoding_benchmark.passages import RecordedPassages
from selfrag.evaluation.decoding_benchmark.systems import Setup
from selfrag.evaluation.decoding_benchmark.workloads import Weights, Workload

QUESTIONS = ("Where?", "Who was it, and when?", "Why not?")

TINY: dict[str, Any] = {"mode": "always", "passages": 3, "max_segment_tokens": 8}
SHORT = DecodingConfig(form="short", **TINY)
LONG = DecodingConfig(max_segments=3, min_mass=0.0, **TINY)
PUBLISHED_LONG = {"procedure": "released-long", "released_special_tokens": "kept"}


def weights(seed: int = 0) -> Weights:
    return Weights(
        model=reflective_llama(seed),
        tokenizer=None,
        vocabulary=prompts().vocabulary,
        prompts=prompts(),
        calibration=Calibration(),
        fingerprint=f"tiny-{seed}",
    )


def retriever() -> ListRetriever:
    return ListRetriever(
        passages("One cat.", "Two dogs!", "Six birds?"),
        by_query={"Why not?": passages("Nothing at all.", "Half of a sentence")},
    )


def setup(seed: int = 0) -> Setup:
    return Setup(weights(seed), RecordedPassages(retriever()))


def workload(form: str = "short", in_flight: int = 3, table: int = 5_000) -> Workload:
    if form == "short":
        published = SHORT.replace(procedure="released-short")
        return Workload("short", "grown", SHORT, published, table, in_flight)
    return Workload("long_64", "grown", LONG, LONG.replace(**PUBLISHED_LONG), table, in_flight)
