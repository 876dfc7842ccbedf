"""Small random Llamas with the reflection vocabulary, and a backend that reads from a script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from tiny_tokenizers import byte_level
from transformers import LlamaConfig, LlamaForCausalLM

from decoding.codec import PromptCodec
from decoding.generation import Draft, Generation, Watch
from decoding.prompt import PromptBuilder
from decoding.sequence import RunningSequence
from decoding.vocabulary import ReflectionVocabulary

torch.set_num_threads(1)  # models this small only lose by sharing their work


def tiny_llama(vocabulary_size: int, seed: int = 0, context: int = 512, **options: Any) -> Any:
    """A random Llama whose logits are spread enough for ties to be unlikely."""
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "vocab_size": vocabulary_size,
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
        "initializer_range": 0.4,
    }
    return LlamaForCausalLM(LlamaConfig(**{**settings, **options})).eval()


def tiny_prompts() -> PromptBuilder:
    """Prompts over a byte-level tokenizer with the 15 control tokens."""
    tokenizer = byte_level(special=True)
    vocabulary = ReflectionVocabulary.from_tokenizer(tokenizer)
    return PromptBuilder(PromptCodec(tokenizer, vocabulary), vocabulary)


class ScriptedBackend:
    """A `Backend` whose next-token probabilities are looked up in a script.

    `script` maps the end of what has been written (control tokens literal) to probabilities of
    control strings or text pieces; the longest matching end counts. Probability that is left over
    goes to id 0. Each text piece must be exactly one id.
    """

    resumes_cheaply = True

    def __init__(
        self, prompts: PromptBuilder, script: dict[str, dict[str, float]], context: int = 512
    ) -> None:
        self.fingerprint = "scripted"
        self.context_limit = context
        self._codec = prompts.codec
        self._ids = {piece: self._id(prompts, piece) for row in script.values() for piece in row}
        self._script = sorted(script.items(), key=lambda item: -len(item[0]))
        self._waiting: list[RunningSequence] = []
        self._finished: list[tuple[int, Draft]] = []
        self._tickets = 0
        self.generations: list[Generation] = []
        self.positions = 0

    def submit(self, generation: Generation, watch: Watch | None = None) -> int:
        self._tickets += 1
        self.generations.append(generation)
        self._waiting.append(RunningSequence(self._tickets, generation, watch))
        return self._tickets

    def step(self) -> bool:
        for sequence in list(self._waiting):
            self.positions += 1
            values = self._log_probabilities(sequence.ids)
            best = max(sorted(values), key=lambda token: values[token])
            wanted = tuple(values.get(token, -math.inf) for token in sequence.wanted_ids)
            finish = sequence.advance(best, values[best], wanted)
            if finish is not None:
                self._waiting.remove(sequence)
                next_id = None if finish == "cut" else best
                self._finished.append((sequence.ticket, sequence.partial.freeze(finish, next_id)))
        return bool(self._waiting)

    def poll(self) -> list[tuple[int, Draft]]:
        finished, self._finished = self._finished, []
        return finished

    def cancel(self, ticket: int) -> None:
        for sequence in list(self._waiting):
            if sequence.ticket == ticket:
                self._waiting.remove(sequence)
                self._finished.append((ticket, sequence.partial.freeze("cancelled", None)))

    def progress(self, ticket: int) -> tuple[int, ...]:
        for sequence in self._waiting:
            if sequence.ticket == ticket:
                return tuple(sequence.partial.token_ids)
        return ()

    def _log_probabilities(self, ids: Sequence[int]) -> dict[int, float]:
        written = self._codec.literal(ids)
        for end, row in self._script:
            if written.endswith(end):
                values = {self._ids[piece]: math.log(p) for piece, p in row.items() if p > 0}
                left = 1.0 - math.fsum(row.values())
                if left > 1e-12:
                    values[0] = math.log(left)
                return values
        raise AssertionError(f"the script has no row for ...{written[-120:]!r}")

    @staticmethod
    def _id(prompts: PromptBuilder, piece: str) -> int:
        strings = {prompts.vocabulary.string_of(i): i for i in prompts.vocabulary.control_ids}
        if piece in strings:
            return strings[piece]
        ids = prompts.codec.encode([piece], bos=False)
        assert len(ids) == 1, f"{piece!r} is {len(ids)} ids"
        return ids[0]
