"""Checks a checkpoint against what is known of the published one.

Differences from the published generator are reported, not errors: a model trained the same way on
another base has other ids. Problems are what keeps any checkpoint from working rightly. Recorded
outputs are replayed by `replays`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from decoding.codec import PromptCodec
from decoding.vocabulary import ReflectionVocabulary
from selfrag.backends.checkpoint import Checkpoint, first_line

PUBLISHED_IDS: dict[str, int] = {
    "[No Retrieval]": 32000,
    "[Retrieval]": 32001,
    "[Continue to Use Evidence]": 32002,
    "[Irrelevant]": 32003,
    "[Relevant]": 32004,
    "<paragraph>": 32005,
    "</paragraph>": 32006,
    "[Utility:1]": 32007,
    "[Utility:2]": 32008,
    "[Utility:3]": 32009,
    "[Utility:4]": 32010,
    "[Utility:5]": 32011,
    "[Fully supported]": 32012,
    "[Partially supported]": 32013,
    "[No support / Contradictory]": 32014,
}
"""Token ids of selfrag/selfrag_llama2_7b and 13b (their `added_tokens.json`)."""


def describe_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the checkpoint is, as plain data; `differences` lists what the published one has not."""
    vocabulary, tokenizer, model = checkpoint.vocabulary, checkpoint.tokenizer, checkpoint.model
    ids = control_ids(vocabulary)
    probe = list(tokenizer("x")["input_ids"])
    rows = int(model.get_input_embeddings().weight.shape[0])
    output_rows = int(model.get_output_embeddings().weight.shape[0])
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    generation = getattr(model, "generation_config", None)
    report: dict[str, Any] = {
        "fingerprint": checkpoint.fingerprint,
        "context_limit": checkpoint.context_limit,
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "device": checkpoint.device,
        "token_ids": ids,
        "bos_id": vocabulary.bos,
        "eos_ids": sorted(vocabulary.eos_ids),
        "generation_eos": getattr(generation, "eos_token_id", None),
        "tokenizer": type(tokenizer).__name__,
        "tokenizer_size": len(tokenizer),
        "tokenizer_legacy": getattr(tokenizer, "legacy", None),
        "adds_bos": vocabulary.bos is not None and probe[:1] == [vocabulary.bos],
        "adds_eos": probe[-1] in vocabulary.eos_ids,
        "embedding_rows": rows,
        "output_rows": output_rows,
        "tied": tied,
        "safe_encoding": _safe_encoding(checkpoint),
    }
    report["differences"] = list(_differences(report))
    report["problems"] = list(_problems(report))
    return report


def control_ids(vocabulary: ReflectionVocabulary) -> dict[str, int]:
    """The ids of the 15 control strings, in the order of the published ids."""
    known = {vocabulary.string_of(token_id): token_id for token_id in vocabulary.control_ids}
    return {string: known[string] for string in PUBLISHED_IDS}


def _safe_encoding(checkpoint: Checkpoint) -> str:
    """ "ok", or why untrusted text cannot be kept apart from control tokens."""
    try:
        PromptCodec(checkpoint.tokenizer, checkpoint.vocabulary)
    except ValueError as error:
        return first_line(error)
    return "ok"


def _differences(report: dict[str, Any]) -> Iterator[str]:
    for string, expected in PUBLISHED_IDS.items():
        if report["token_ids"][string] != expected:
            yield f"{string} is {report['token_ids'][string]}; published {expected}"
    published = {
        "bos_id": 1,
        "eos_ids": [2],
        "context_limit": 4096,
        "embedding_rows": 32016,
        "tied": False,
        "adds_bos": True,
        "adds_eos": False,
    }
    for name, value in published.items():
        if report[name] != value:
            yield f"{name} is {report[name]}; published {value}"


def _problems(report: dict[str, Any]) -> Iterator[str]:
    """What keeps any checkpoint from working rightly."""
    if report["safe_encoding"] != "ok":
        yield f"The tokenizer cannot encode untrusted text safely: {report['safe_encoding']}"
    if report["tokenizer_size"] > report["embedding_rows"]:
        yield (
            f"The tokenizer has {report['tokenizer_size']} tokens, the model "
            f"{report['embedding_rows']} embedding rows."
        )
    if report["embedding_rows"] != report["output_rows"]:
        yield (
            f"The model has {report['embedding_rows']} embedding rows and "
            f"{report['output_rows']} output rows."
        )
    if report["adds_eos"]:
        yield "The tokenizer puts an end of text behind every text; prompts are made without it."
