"""The model that a critic's training starts from, as a plan names it.

This module knows nothing of schedules and of how prompts are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from selfrag.training.critic.features import TASKS, as_text
from selfrag.training.critic.heads import HeadsNetwork
from selfrag.training.critic.language import LanguageNetwork
from selfrag.training.critic.network import Network
from selfrag.training.critic.plan import CriticPlan
from selfrag.training.critic.questions import Judgement
from selfrag.training.errors import UnusableBase


def open_base(plan: CriticPlan, judgements: Iterable[Judgement], run: Path) -> Network:
    """The network to train, with the plan's seed for what is random.

    judgements: a fresh tokenizer is trained on their texts. run: where it is kept, so that a
    resumed run has the same one.

    Raises:
        UnusableBase: the base cannot be loaded, or not be trained as asked; see the networks.
    """
    torch.manual_seed(plan.seed)
    try:
        if plan.kind == "language":
            network = LanguageNetwork.load(plan.base, plan.context, plan.tokenizer)
            if plan.gradient_checkpointing:
                model = network.module
                # Newer transformers warn of the second name; older ones have no other.
                named = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
                getattr(model, next(name for name in named if hasattr(model, name)))()
            return network
        return _encoder(plan, judgements, run)
    except UnusableBase:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UnusableBase(
            f"The base {plan.base or dict(plan.fresh or {})!r} cannot be loaded: {lines[0]}.",
            "Give a folder or hub name of a model of the plan's kind, or mend `fresh`.",
        ) from error


def _encoder(plan: CriticPlan, judgements: Iterable[Judgement], run: Path) -> HeadsNetwork:
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    if plan.fresh is None:
        body = AutoModel.from_pretrained(plan.base, dtype=torch.float32, trust_remote_code=False)
        name = plan.tokenizer or plan.base
        tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        return HeadsNetwork(body, tokenizer, plan.context)
    if plan.tokenizer:
        tokenizer = AutoTokenizer.from_pretrained(plan.tokenizer, trust_remote_code=False)
    else:
        tokenizer = _own_tokenizer(plan, judgements, run / "tokenizer")
    values = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "max_position_embeddings": plan.context,
        **plan.fresh,
    }
    config = AutoConfig.for_model(**values)
    make: Any = AutoModel.from_config
    return HeadsNetwork(make(config).float(), tokenizer, plan.context)


def _own_tokenizer(plan: CriticPlan, judgements: Iterable[Judgement], folder: Path) -> Any:
    """A byte-level BPE of the data, which any text can be written in; kept for a resumed run."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    wrap: Any = PreTrainedTokenizerFast
    if not (folder / "tokenizer_config.json").exists():
        pieces = Tokenizer(models.BPE())
        # With a space in front, a word has the same pieces wherever it stands.
        pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        trainer = trainers.BpeTrainer(
            vocab_size=plan.pieces,
            special_tokens=["[PAD]"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        pieces.train_from_iterator(_texts(judgements), trainer)
        wrap(tokenizer_object=pieces, pad_token="[PAD]").save_pretrained(folder)
    return wrap.from_pretrained(folder)


def _texts(judgements: Iterable[Judgement]) -> Iterator[str]:
    yield from TASKS.values()
    yield "Instruction: Before: Passage: Sentence: Judgement:"
    for judgement in judgements:
        question = judgement.question
        yield from map(as_text, (question.instruction, question.preceding, question.sentence))
        if question.passage is not None:
            yield from map(as_text, (question.passage.title, question.passage.text))
