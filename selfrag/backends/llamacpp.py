"""llama.cpp in this process, through `Backend`: GGUF files on machines without a large GPU.

The low-level functions of llama-cpp-python give the logits of every position that is asked for, so
log-probabilities are of the full softmax. A float32 file is computed in float32 throughout; with
weights in fewer bits llama.cpp rounds activations, keys and values too (docs/engines.md has the
effect). Several sequences run in one batch. A slot of llama.cpp's memory keeps what it has computed
when its sequence ends, and the longest beginning that a later prompt shares with any slot is copied
from there (which copies no numbers: cells belong to several sequences).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decoding.generation import Generation
from decoding.queue import RequestQueue
from decoding.sequence import RunningSequence
from decoding.vocabulary import ReflectionVocabulary
from selfrag.backends.errors import EngineError, EngineMissing, ModelMismatch
from selfrag.backends.llamacpp_log import log_of
from selfrag.errors import ModelNotFound

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_EDGE = 2**20


@dataclass(slots=True)
class _Slot:
    """One sequence id of llama.cpp's memory.

    Attributes:
        number: the sequence id.
        ids: token ids that its cells hold, in order.
        sequence: the request that runs in it, or None where it only keeps a beginning.
        used: when it was last taken, by the engine's count.
    """

    number: int
    ids: list[int] = field(default_factory=list)
    sequence: RunningSequence | None = None
    used: int = 0


class LlamaCppEngine(RequestQueue):
    """`Backend` over a GGUF file; open it with `LlamaCppEngine.open`.

    Args:
        api: the module `llama_cpp`.
        model: a model that `api` loaded; freed with the engine.
        fingerprint: names the file.
        context: largest number of tokens of a prompt and its continuation.
        rows: sequences that run at the same time.
        cells: positions that llama.cpp's memory holds, for all sequences together.
        batch: tokens of one call.
    """

    def __init__(
        self,
        api: Any,
        model: Any,
        *,
        fingerprint: str,
        context: int,
        rows: int = 16,
        cells: int = 16_384,
        batch: int = 512,
    ) -> None:
        super().__init__(min(context, cells))
        self.fingerprint = fingerprint
        self._api, self._model = api, model
        self._context = api.llama_init_from_model(model, _settings(api, model, rows, cells, batch))
        if not self._context:
            raise EngineError(
                f"llama.cpp cannot make a context of {cells} positions for {2 * rows} sequences: "
                f"{log_of(api).errors()}.",
                "Ask for fewer cells or rows, or free some memory.",
            )
        self._memory = api.llama_get_memory(self._context)
        self._batch = api.llama_batch_init(batch, 0, 1)
        self._vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
        self._slots = [_Slot(number) for number in range(2 * rows)]
        self._rows, self._cells, self._batch_tokens = rows, cells, batch
        self._clock = 0
        self.forwarded_tokens = 0

    @classmethod
    def open(
        cls,
        path: Path,
        tokenizer: PreTrainedTokenizerBase,
        vocabulary: ReflectionVocabulary,
        **limits: int,
    ) -> LlamaCppEngine:
        """Load a GGUF file.

        Args:
            path: the file; of one in parts, the first.
            tokenizer, vocabulary: of the checkpoint that the file was made from.
            limits: `rows`, `cells` and `batch` of the class.

        Raises:
            EngineMissing: llama-cpp-python is not installed, or too old.
            ModelNotFound: there is no such file, or llama.cpp cannot read it.
            ModelMismatch: its vocabulary is another than the tokenizer's.
        """
        try:
            import llama_cpp as api
        except (ImportError, OSError, RuntimeError) as error:
            raise EngineMissing(
                f"GGUF files need llama-cpp-python, which cannot be imported ({error}).",
                "Install it: pip install llama-cpp-python.",
            ) from error
        if not hasattr(api, "LLAMA_FLASH_ATTN_TYPE_DISABLED"):
            raise EngineMissing(
                f"llama-cpp-python {api.__version__} cannot turn flash attention off.",
                "Install a later version; the tests have run with 0.3.36.",
            )
        return cls.load(api, path, tokenizer, vocabulary, **limits)

    @classmethod
    def load(
        cls,
        api: Any,
        path: Path,
        tokenizer: PreTrainedTokenizerBase,
        vocabulary: ReflectionVocabulary,
        **limits: int,
    ) -> LlamaCppEngine:
        """`open` with a module that is imported already."""
        fingerprint = gguf_fingerprint(path)
        log = log_of(api)
        api.llama_backend_init()
        model = api.llama_model_load_from_file(str(path).encode(), api.llama_model_default_params())
        if not model:
            raise ModelNotFound(
                f"llama.cpp cannot load {path}: {log.errors()}.", "Download or convert it again."
            )
        try:
            _check_vocabulary(api, model, path, tokenizer, vocabulary)
            context = int(api.llama_model_n_ctx_train(model))
            return cls(api, model, fingerprint=fingerprint, context=context, **limits)
        except BaseException:
            api.llama_model_free(model)
            raise

    def _accept(self, generation: Generation) -> None:
        """ModelMismatch for ids that the file has not."""
        ids = (*generation.prompt_ids, *generation.forced_ids, *generation.read_ids)
        if max((*ids, *generation.first_ids)) >= self._vocabulary:
            raise ModelMismatch(
                f"The request has ids beyond the file's {self._vocabulary}.",
                "Use the tokenizer that the model was trained with.",
            )

    def step(self) -> bool:
        """One call of llama.cpp for the running sequences; waiting ones join first.

        Raises:
            EngineError: llama.cpp failed; what runs is given up.
        """
        while self._waiting and self._admit(self._waiting[0]):
            self._waiting.popleft()
        running = [slot for slot in self._slots if slot.sequence is not None]
        if running:
            self._decode(running)
        return bool(self._waiting) or any(slot.sequence is not None for slot in self._slots)

    def _cancel_running(self, ticket: int) -> None:
        for slot in self._slots:
            if slot.sequence is not None and slot.sequence.ticket == ticket:
                draft = slot.sequence.partial.freeze("cancelled", None)
                self._finished.append((ticket, draft))
                slot.sequence = None

    def progress(self, ticket: int) -> tuple[int, ...]:
        """Ids appended so far; empty for a request that is not running."""
        for slot in self._slots:
            if slot.sequence is not None and slot.sequence.ticket == ticket:
                return tuple(slot.sequence.partial.token_ids)
        return ()

    def close(self) -> None:
        """Free the context and the model."""
        if self._context is not None:
            self._api.llama_batch_free(self._batch)
            self._api.llama_free(self._context)
            self._api.llama_model_free(self._model)
            self._context = None

    def _admit(self, sequence: RunningSequence) -> bool:
        """Give a request a slot, with the longest beginning that any slot holds."""
        running = [slot for slot in self._slots if slot.sequence is not None]
        needed = _room(sequence) + sum(_room(s.sequence) for s in running if s.sequence)
        if len(running) >= self._rows or needed > self._cells:
            return False
        prompt = sequence.generation.prompt_ids
        source = max(self._slots, key=lambda slot: (_shared(slot.ids, prompt), slot.used))
        length = _shared(source.ids, prompt)
        idle = [slot for slot in self._slots if slot.sequence is None]
        slot = min(idle, key=lambda slot: (slot is source, bool(slot.ids), slot.used))
        if slot is source:
            self._cut(slot, length)
        else:
            self._cut(slot, 0)
            if length:
                arguments = (source.number, slot.number, 0, length)
                self._api.llama_memory_seq_cp(self._memory, *arguments)
                slot.ids = list(prompt[:length])
        self._clock += 1
        slot.used = source.used = self._clock
        slot.sequence = sequence
        self._make_room(needed)
        return True

    def _make_room(self, needed: int) -> None:
        """Forget what is kept for later, least recently used first, until all running fit."""
        kept = sorted((s for s in self._slots if s.sequence is None), key=lambda s: s.used)
        held = sum(len(slot.ids) for slot in kept)
        for slot in kept:
            if held + needed <= self._cells:
                return
            held -= len(slot.ids)
            self._cut(slot, 0)

    def _cut(self, slot: _Slot, length: int) -> None:
        if len(slot.ids) > length:
            self._api.llama_memory_seq_rm(self._memory, slot.number, length, -1)
            del slot.ids[length:]

    def _decode(self, running: list[_Slot]) -> None:
        """Fill one batch with what the sequences have not computed, and read what is complete."""
        batch, count = self._batch, 0
        complete: list[tuple[_Slot, int]] = []
        for slot in running:
            assert slot.sequence is not None
            ids = slot.sequence.ids
            for position in range(len(slot.ids), len(ids)):
                if count == self._batch_tokens:
                    break
                batch.token[count], batch.pos[count] = ids[position], position
                batch.n_seq_id[count], batch.seq_id[count][0] = 1, slot.number
                batch.logits[count] = int(position == len(ids) - 1)
                slot.ids.append(ids[position])
                count += 1
            if len(slot.ids) == len(ids) and count:
                complete.append((slot, count - 1))
        batch.n_tokens = count
        code = self._api.llama_decode(self._context, batch)
        if code != 0:
            for slot in running:
                slot.sequence = None
                self._cut(slot, 0)
            raise EngineError(
                f"llama.cpp failed to decode (code {code}): {log_of(self._api).errors()}.",
                "What ran is lost; ask again.",
            )
        self.forwarded_tokens += count
        for slot, index in complete:
            self._read(slot, index)

    def _read(self, slot: _Slot, index: int) -> None:
        """Extend a slot's request by the logits at a place of the batch."""
        import numpy as np

        assert slot.sequence is not None
        pointer = self._api.llama_get_logits_ith(self._context, index)
        logits = np.ctypeslib.as_array(pointer, (self._vocabulary,)).astype(np.float64)
        best = int(logits.argmax())
        top = logits[best]
        normaliser = top + np.log(np.exp(logits - top).sum())
        sequence = slot.sequence
        wanted = tuple(float(logits[token] - normaliser) for token in sequence.wanted_ids)
        finish = sequence.advance(best, float(top - normaliser), wanted)
        if finish is not None:
            next_id = None if finish == "cut" else best
            self._finished.append((sequence.ticket, sequence.partial.freeze(finish, next_id)))
            slot.sequence = None


def _settings(api: Any, model: Any, rows: int, cells: int, batch: int) -> Any:
    """One memory for all sequences, which is what lets them share cells.

    llama.cpp keeps keys and values in 16 bits, and so does its flash attention whatever the memory
    holds. Beside weights in 16 bits or fewer that changes nothing; beside float32 it would be the
    largest error, so there both are turned off.
    """
    import torch

    settings = api.llama_context_default_params()
    settings.n_seq_max, settings.kv_unified = 2 * rows, True
    settings.n_ctx = max(cells, 2 * rows)
    settings.n_batch = settings.n_ubatch = max(batch, 2 * rows)  # with less it aborts the process
    settings.n_threads = settings.n_threads_batch = torch.get_num_threads()
    if api.llama_model_size(model) >= 4 * api.llama_model_n_params(model):
        settings.type_k = settings.type_v = api.GGML_TYPE_F32
        settings.flash_attn_type = api.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return settings


def gguf_fingerprint(path: Path) -> str:
    """Names a GGUF file by its size, its first and its last mebibyte.

    Raises:
        ModelNotFound: there is no such file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            digest = hashlib.sha256(f"{size}".encode())
            digest.update(stream.read(_EDGE))
            stream.seek(max(0, size - _EDGE))
            digest.update(stream.read(_EDGE))
    except OSError as error:
        raise ModelNotFound(f"{path} cannot be read: {error}.", "Give a .gguf file.") from error
    return f"{digest.hexdigest()[:24]}-gguf"


def _room(sequence: RunningSequence) -> int:
    return len(sequence.generation.prompt_ids) + sequence.generation.max_tokens


def _shared(held: Sequence[int], prompt: Sequence[int]) -> int:
    """Length of the common beginning, without the prompt's last id: its logits are wanted."""
    length = 0
    for ours, theirs in zip(held, prompt[:-1], strict=False):
        if ours != theirs:
            break
        length += 1
    return length


def _check_vocabulary(
    api: Any,
    model: Any,
    path: Path,
    tokenizer: PreTrainedTokenizerBase,
    vocabulary: ReflectionVocabulary,
) -> None:
    """The file's token of each control id is the control string."""
    held = api.llama_model_get_vocab(model)
    size = int(api.llama_vocab_n_tokens(held))
    wrong = [
        vocabulary.string_of(token)
        for token in sorted(vocabulary.control_ids)
        if token >= size
        or api.llama_vocab_get_text(held, token).decode("utf-8", "replace")
        != str(tokenizer.convert_ids_to_tokens(token))
    ]
    if wrong:
        raise ModelMismatch(
            f"{path.name} has other tokens at {len(wrong)} control ids: {', '.join(wrong[:5])}.",
            "Convert the checkpoint whose tokenizer this client was given, with its added tokens.",
        )
