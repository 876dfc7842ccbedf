"""A checkpoint as a model folder that `SelfRAG.from_pretrained` loads.

Low-rank updates and the rows of the new tokens are merged into the weights. This module knows
nothing of rows and of the training loop.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from selfrag.training.generator.model import load_trainee
from selfrag.training.generator.plan import GeneratorPlan

CARD = """# A Self-RAG generator

Trained with `selfrag.training.generator` from {base}. It writes the reflection tokens of Self-RAG
(Asai et al., ICLR 2024); load it with `SelfRAG.from_pretrained`.
"""


def export_checkpoint(checkpoint: Path, plan: GeneratorPlan, tokenizer: Any, target: Path) -> Path:
    """Write the model of a checkpoint, its tokenizer and its card into `target`; returns it.

    What is in `target` is replaced, when all is written.
    """
    dtype = getattr(torch, plan.export_dtype)
    if plan.lora is None:
        model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=dtype)
    else:
        model = _merged(checkpoint, plan).to(dtype)
    model.config.use_cache = True
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.eos_token_id = tokenizer.eos_token_id
    settings = model.generation_config
    settings.eos_token_id, settings.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    settings.do_sample = False
    settings.temperature = settings.top_p = settings.top_k = None
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)
    card = plan.card or CARD.format(base=plan.base or "fresh weights")
    (part / "README.md").write_text(card, encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    return target


def _merged(checkpoint: Path, plan: GeneratorPlan) -> Any:
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    model = load_trainee(plan).model
    result: Any = set_peft_model_state_dict(
        model, load_file(checkpoint / "adapter_model.safetensors")
    )
    assert not result.unexpected_keys, result.unexpected_keys
    return model.merge_and_unload()
