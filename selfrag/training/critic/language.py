"""A causal or sequence-to-sequence model that answers with the label as text.

The label is the control string as ordinary text and the end of text; nothing is generated: the
log-probability of each candidate is the sum over its tokens, and because every candidate ends with
the end of text none is the beginning of another, so that their probabilities, normalised over the
candidates, are exact. The loss is -log p(label): the sum over the label's tokens and nothing else.

A causal model's rows are filled up on the left. Filling is masked and never in the loss, so that a
base without a pad token is filled with its end of text. This module knows nothing of files of
judgements and of schedules.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from decoding.vocabulary import GROUPS
from selfrag.training.critic.features import Frame, QuestionReader, ReadQuestion, encode_plain
from selfrag.training.critic.network import Example, check_context, pad_left, pad_right
from selfrag.training.errors import UnusableBase

IGNORED = -100


class LanguageNetwork:
    """A language model as a `Network`.

    Raises:
        UnusableBase: the tokenizer has no end of text, two labels are the same for it, or `context`
            is more than the model reads.
    """

    def __init__(self, model: Any, tokenizer: Any, context: int) -> None:
        if tokenizer.eos_token_id is None:
            raise UnusableBase(
                "The tokenizer of the base model has no end of text (eos_token).",
                "Set eos_token in its tokenizer_config.json; a label ends with it.",
            )
        check_context(context, model.config)
        self.module = model
        self.tokenizer = tokenizer
        self._pairs = bool(model.config.is_encoder_decoder)
        self._frame = Frame.of(tokenizer)
        end = tokenizer.eos_token_id
        self._filler = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        strings = [string for group in GROUPS.values() for string in group]
        self._label_ids = {s: (*encode_plain(tokenizer, s), end) for s in strings}
        if len(set(self._label_ids.values())) < len(strings):
            raise UnusableBase(
                "The tokenizer of the base model gives the same ids to different labels.",
                "Its vocabulary lacks characters of them; use another base.",
            )
        reserved = self._frame.length
        if not self._pairs:
            reserved = len(self._frame.before) + max(map(len, self._label_ids.values()))
        self.reader = QuestionReader(tokenizer, context - reserved)
        accepted = inspect.signature(model.forward).parameters
        self._keeps = "logits_to_keep" in accepted
        self._places = "position_ids" in accepted
        if self._pairs:
            self._start = _decoder_start(model.config, tokenizer)

    def collate(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """See `Network.collate`; `targets` (batch, longest label), -100 where there is none."""
        labels = [self._label_ids[example.label] for example in examples]
        batch = self._batch([example.read for example in examples], labels)
        batch["weight"] = torch.tensor([example.weight for example in examples])
        return batch

    def losses(self, module: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """See `Network.losses`."""
        inputs = {key: value for key, value in batch.items() if key not in ("targets", "weight")}
        targets = batch["targets"]
        length = targets.shape[1]
        if self._pairs:
            logits = module(**inputs, use_cache=False).logits
        else:
            keep = {"logits_to_keep": length + 1} if self._keeps else {}
            logits = module(**inputs, **keep, use_cache=False).logits[:, -length - 1 : -1]
        return -_sum_of_targets(logits, targets)

    @torch.inference_mode()
    def scores(
        self, reads: Sequence[ReadQuestion], labels: Sequence[str], group: str
    ) -> list[list[float]]:
        """See `Network.scores`. The prompt is computed once for all labels where the model's cache
        can be repeated, which every attention cache can."""
        label_ids = [self._label_ids[label] for label in labels]
        fast = self._scores_of_pairs if self._pairs else self._scores_with_cache
        sums = fast(reads, label_ids)
        if sums is None:
            sums = self.scores_by_rows(reads, label_ids)
        values: list[list[float]] = torch.log_softmax(sums.double(), dim=-1).tolist()
        return values

    def scores_by_rows(
        self, reads: Sequence[ReadQuestion], label_ids: Sequence[Sequence[int]]
    ) -> torch.Tensor:
        """log p(label) of each question and label, a whole row computed for each: (questions,
        labels) float32. The slow and obvious way."""
        rows = [read for read in reads for _ in label_ids]
        batch = self._batch(rows, [*label_ids] * len(reads))
        losses = self.losses(self.module, self._moved(batch))
        return -losses.view(len(reads), len(label_ids))

    def save(self, folder: Path, state: Mapping[str, torch.Tensor]) -> None:
        """See `Network.save`."""
        self.module.save_pretrained(folder, state_dict=dict(state))
        self.tokenizer.save_pretrained(folder)

    @classmethod
    def load(cls, name: str | Path, context: int, tokenizer: str | Path = "") -> LanguageNetwork:
        """A model and its tokenizer from a folder or hub name, on the CPU in float32. OSError or
        ValueError where the files do not fit together."""
        from transformers import (
            AutoConfig,
            AutoModelForCausalLM,
            AutoModelForSeq2SeqLM,
            AutoTokenizer,
        )

        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        kind: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model = kind.from_pretrained(name, dtype=torch.float32, trust_remote_code=False)
        text = AutoTokenizer.from_pretrained(tokenizer or name, trust_remote_code=False)
        return cls(model, text, context)

    def _batch(
        self, reads: Sequence[ReadQuestion], labels: Sequence[Sequence[int]]
    ) -> dict[str, torch.Tensor]:
        """Inputs and `targets` of one row for each prompt and label."""
        if self._pairs:
            return {**self._encoder_inputs(reads), **self._decoder_inputs(labels)}
        prompts = [(*self._frame.before, *read.ids) for read in reads]
        rows = [(*prompt, *label) for prompt, label in zip(prompts, labels, strict=True)]
        targets, known = pad_left(labels, self._filler)
        targets = targets.masked_fill(known == 0, IGNORED)
        return {**self._inputs(*pad_left(rows, self._filler)), "targets": targets}

    def _inputs(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        batch = {"input_ids": ids, "attention_mask": mask}
        if self._places:
            batch["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
        return batch

    def _encoder_inputs(self, reads: Sequence[ReadQuestion]) -> dict[str, torch.Tensor]:
        rows = [(*self._frame.before, *read.ids, *self._frame.behind) for read in reads]
        ids, mask = pad_right(rows, self._filler)
        return {"input_ids": ids, "attention_mask": mask}

    def _decoder_inputs(self, labels: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        ids, known = pad_right(labels, self._filler)
        start = torch.full((len(labels), 1), self._start)
        inputs = torch.cat([start, ids[:, :-1]], dim=1)
        return {"decoder_input_ids": inputs, "targets": ids.masked_fill(known == 0, IGNORED)}

    def _scores_of_pairs(
        self, reads: Sequence[ReadQuestion], label_ids: Sequence[Sequence[int]]
    ) -> torch.Tensor | None:
        """The encoder reads each prompt once; the decoder then reads each label."""
        from transformers.modeling_outputs import BaseModelOutput

        inputs = self._moved(self._encoder_inputs(reads))
        read = self.module.get_encoder()(**inputs).last_hidden_state
        count = len(label_ids)
        labels = self._moved(self._decoder_inputs([*label_ids] * len(reads)))
        logits = self.module(
            encoder_outputs=BaseModelOutput(last_hidden_state=read.repeat_interleave(count, dim=0)),
            attention_mask=inputs["attention_mask"].repeat_interleave(count, dim=0),
            decoder_input_ids=labels["decoder_input_ids"],
            use_cache=False,
        ).logits
        return _sum_of_targets(logits, labels["targets"]).view(len(reads), count)

    def _scores_with_cache(
        self, reads: Sequence[ReadQuestion], label_ids: Sequence[Sequence[int]]
    ) -> torch.Tensor | None:
        """The prompts are computed once, their cache repeated for each label; None where the model
        has no such cache."""
        count = len(label_ids)
        prompts = [(*self._frame.before, *read.ids) for read in reads]
        inputs = self._moved(self._inputs(*pad_left(prompts, self._filler)))
        keep = {"logits_to_keep": 1} if self._keeps else {}
        prompt = self.module(**inputs, **keep, use_cache=True)
        cache = getattr(prompt, "past_key_values", None)
        if not hasattr(cache, "batch_repeat_interleave"):
            return None
        assert cache is not None
        cache.batch_repeat_interleave(count)
        ids, known = pad_right(label_ids, self._filler)
        ids, known = ids.repeat(len(reads), 1), known.repeat(len(reads), 1)
        before = inputs["attention_mask"].repeat_interleave(count, dim=0)
        ids, known = ids.to(before.device), known.to(before.device)
        mask = torch.cat([before, torch.ones_like(ids[:, :-1])], dim=1)
        later = self._inputs(ids[:, :-1], mask)
        if self._places:
            later["position_ids"] = later["position_ids"][:, before.shape[1] :]
        label = self.module(**later, past_key_values=cache, use_cache=True).logits
        first = prompt.logits[:, -1:].repeat_interleave(count, dim=0)
        targets = ids.masked_fill(known == 0, IGNORED)
        return _sum_of_targets(torch.cat([first, label], dim=1), targets).view(len(reads), count)

    def _moved(self, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor.to(self.module.device) for name, tensor in batch.items()}


def _sum_of_targets(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Sum of the targets' log-probabilities in each row; targets (rows, n), -100 counts nothing."""
    known = targets != IGNORED
    chosen = targets.clamp(min=0).unsqueeze(-1)
    values = torch.log_softmax(logits.float(), dim=-1).gather(-1, chosen).squeeze(-1)
    return torch.where(known, values, 0.0).sum(1)


def _decoder_start(config: Any, tokenizer: Any) -> int:
    """What a decoder begins with. UnusableBase where the model does not say."""
    start = getattr(config, "decoder_start_token_id", None)
    start = tokenizer.pad_token_id if start is None else start
    if start is None:
        raise UnusableBase(
            "The base model has neither decoder_start_token_id nor a pad token.",
            "Set decoder_start_token_id in its config.json.",
        )
    return int(start)
