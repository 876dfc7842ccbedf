"""A small encoder with one classification head for each group of reflection tokens.

The body is any `AutoModel` that reads a sequence by itself (BERT, RoBERTa, ModernBERT, a body of
fresh weights). Its last hidden states are averaged over the prompt; a head is a linear layer from
there to the labels of its group. The four heads are kept as the rows of one matrix, in the order of
`decoding.vocabulary.GROUPS`. Labels that may not answer a question get no probability. This module
knows nothing of files of judgements and of schedules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from decoding.vocabulary import GROUPS
from selfrag.training.critic.features import Frame, QuestionReader, ReadQuestion
from selfrag.training.critic.network import WEIGHTS, Example, check_context, pad_right
from selfrag.training.errors import UnusableBase

OUTPUTS: tuple[tuple[str, str], ...] = tuple(
    (group, label) for group, labels in GROUPS.items() for label in labels
)
"""(group, label) of each output, in order."""
PLACES = {output: place for place, output in enumerate(OUTPUTS)}


class EncoderHeads(nn.Module):
    """Body and heads."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body = body
        self.heads = nn.Linear(body.config.hidden_size, len(OUTPUTS))

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, allowed: torch.Tensor
    ) -> torch.Tensor:
        """Log-probabilities over the allowed outputs, -inf elsewhere: (batch, 13) float32.

        input_ids, attention_mask: (batch, tokens); allowed: (batch, 13) bool, in each row the
        labels that may answer the question.
        """
        hidden = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        outputs = self.heads(mean).float().masked_fill(~allowed, -torch.inf)
        return torch.log_softmax(outputs, dim=-1)


class HeadsNetwork:
    """An `EncoderHeads` as a `Network`.

    Raises:
        UnusableBase: the body is a sequence-to-sequence model, the tokenizer has no pad token, or
            `context` is more than the body reads.
    """

    def __init__(self, body: Any, tokenizer: Any, context: int) -> None:
        if getattr(body.config, "is_encoder_decoder", False):
            raise UnusableBase(
                f"{type(body).__name__} has an encoder and a decoder.",
                'Use kind "language" for it, or an encoder such as BERT.',
            )
        if tokenizer.pad_token_id is None:
            raise UnusableBase(
                "The tokenizer of the base model has no pad token, which an encoder needs.",
                "Add one to the tokenizer and to the model, and save both.",
            )
        check_context(context, body.config, tokenizer)
        self.module = EncoderHeads(body)
        self.tokenizer = tokenizer
        self._frame = Frame.of(tokenizer)
        self.reader = QuestionReader(tokenizer, context - self._frame.length)

    def collate(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """See `Network.collate`; `target` (batch,) is the place of the label among the outputs."""
        batch = self._inputs(
            [example.read for example in examples],
            [(example.question.group, example.question.labels) for example in examples],
        )
        targets = [PLACES[example.question.group, example.label] for example in examples]
        batch["target"] = torch.tensor(targets)
        batch["weight"] = torch.tensor([example.weight for example in examples])
        return batch

    def losses(self, module: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """See `Network.losses`."""
        outputs: torch.Tensor = module(
            batch["input_ids"], batch["attention_mask"], batch["allowed"]
        )
        return -outputs.gather(1, batch["target"].unsqueeze(1)).squeeze(1)

    @torch.inference_mode()
    def scores(
        self, reads: Sequence[ReadQuestion], labels: Sequence[str], group: str
    ) -> list[list[float]]:
        """See `Network.scores`."""
        device = self.module.heads.weight.device
        batch = self._inputs(reads, [(group, labels)] * len(reads))
        outputs = self.module(**{name: tensor.to(device) for name, tensor in batch.items()})
        places = [PLACES[group, label] for label in labels]
        values: list[list[float]] = outputs[:, places].tolist()
        return values

    def save(self, folder: Path, state: Mapping[str, torch.Tensor]) -> None:
        """See `Network.save`."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        self.module.body.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        # Copies: tensors that share memory are no case for safetensors.
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    @classmethod
    def load(cls, folder: Path, context: int) -> HeadsNetwork:
        """The network that `save` wrote, on the CPU in float32. RuntimeError or OSError where the
        files do not fit together."""
        from safetensors.torch import load_file
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        make: Any = AutoModel.from_config
        body = make(config, trust_remote_code=False).float()
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        network = cls(body, tokenizer, context)
        network.module.load_state_dict(load_file(folder / WEIGHTS))
        return network

    def _inputs(
        self, reads: Sequence[ReadQuestion], asked: Sequence[tuple[str, Sequence[str]]]
    ) -> dict[str, torch.Tensor]:
        rows = [(*self._frame.before, *read.ids, *self._frame.behind) for read in reads]
        ids, mask = pad_right(rows, self.tokenizer.pad_token_id)
        allowed = torch.zeros((len(rows), len(OUTPUTS)), dtype=torch.bool)
        for number, (group, labels) in enumerate(asked):
            allowed[number, [PLACES[group, label] for label in labels]] = True
        return {"input_ids": ids, "attention_mask": mask, "allowed": allowed}
