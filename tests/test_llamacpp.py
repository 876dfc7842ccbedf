"""The llama.cpp engine against the reference, over a stand-in for the low-level module.

The stand-in keeps tokens by sequence id and position as llama.cpp's memory does, checks every call
for what llama.cpp would refuse, and computes logits with a small torch model.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from engine_parity import assert_same, random_requests, run_all
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_llama
from tiny_tokenizers import byte_level

from decoding.backend import Backend
from decoding.errors import PromptTooLong
from decoding.generation import Generation
from decoding.reference import ReferenceEngine
from decoding.vocabulary import ReflectionVocabulary
from selfrag.backends.errors import EngineError, EngineMissing, ModelMismatch
from selfrag.backends.llamacpp import LlamaCppEngine
from selfrag.errors import ModelNotFound

CONTEXT = 96
TOKENIZER = byte_level(special=True)
VOCABULARY = ReflectionVocabulary.from_tokenizer(TOKENIZER)
SIZE = len(TOKENIZER)
MODEL = tiny_llama(SIZE, seed=2, context=CONTEXT, initializer_range=0.25)


class FakeApi:
    """The functions of `llama_cpp` that the engine calls."""

    GGML_TYPE_F32 = 0
    LLAMA_FLASH_ATTN_TYPE_DISABLED = 0

    def __init__(self, size: int = SIZE) -> None:
        self.size, self.code, self.freed, self.bytes_per_weight = size, 0, 0, 4
        self.memory: dict[int, dict[int, int]] = {}
        self.logits: dict[int, Any] = {}
        self.settings: Any = None
        self.texts = {i: TOKENIZER.convert_ids_to_tokens(i) for i in range(SIZE)}

    def llama_backend_init(self) -> None: ...

    def llama_log_callback(self, function: Any) -> Any:
        return function

    def llama_log_set(self, function: Any, data: Any) -> None:
        self.say = function

    def llama_model_default_params(self) -> Any:
        return SimpleNamespace()

    def llama_model_load_from_file(self, path: bytes, settings: Any) -> Any:
        if b"broken" not in path:
            return "model"
        for level, text in ((4, b"load: tensor"), (5, b"a is short\n"), (2, b"load: freed\n")):
            self.say(level, text, None)
        return None

    def llama_model_free(self, model: Any) -> None:
        self.freed += 1

    def llama_model_n_ctx_train(self, model: Any) -> int:
        return CONTEXT

    def llama_model_get_vocab(self, model: Any) -> str:
        return "vocabulary"

    def llama_vocab_n_tokens(self, vocabulary: Any) -> int:
        return self.size

    def llama_vocab_get_text(self, vocabulary: Any, token: int) -> bytes:
        return str(self.texts[token]).encode()

    def llama_context_default_params(self) -> Any:
        return SimpleNamespace(kv_unified=False, type_k=1, type_v=1, flash_attn_type=-1)

    def llama_model_size(self, model: Any) -> int:
        return self.bytes_per_weight * 1000

    def llama_model_n_params(self, model: Any) -> int:
        return 1000

    def llama_init_from_model(self, model: Any, settings: Any) -> Any:
        if settings.n_seq_max > 256:
            return None
        assert settings.kv_unified
        assert settings.n_seq_max <= settings.n_batch == settings.n_ubatch
        assert settings.n_seq_max <= settings.n_ctx
        self.settings = settings
        return "context"

    def llama_get_memory(self, context: Any) -> str:
        return "memory"

    def llama_free(self, context: Any) -> None:
        self.freed += 1

    def llama_batch_init(self, tokens: int, embd: int, sequences: int) -> Any:
        fields = ("token", "pos", "n_seq_id", "logits")
        return SimpleNamespace(
            **{name: [0] * tokens for name in fields}, seq_id=[[0] for _ in range(tokens)]
        )

    def llama_batch_free(self, batch: Any) -> None:
        self.freed += 1

    def llama_memory_seq_cp(self, memory: Any, source: int, to: int, start: int, end: int) -> None:
        assert not self.memory.get(to)
        held = self.memory[source]
        self.memory[to] = {p: held[p] for p in range(start, end)}

    def llama_memory_seq_rm(self, memory: Any, number: int, start: int, end: int) -> bool:
        assert end == -1
        held = self.memory.get(number, {})
        self.memory[number] = {p: token for p, token in held.items() if p < start}
        return True

    @torch.inference_mode()
    def llama_decode(self, context: Any, batch: Any) -> int:
        if self.code:
            return self.code
        self.logits = {}
        assert 0 < batch.n_tokens <= self.settings.n_batch
        for index in range(batch.n_tokens):
            number = batch.seq_id[index][0]
            assert number < self.settings.n_seq_max and batch.n_seq_id[index] == 1
            held = self.memory.setdefault(number, {})
            assert len(held) == batch.pos[index]
            held[batch.pos[index]] = batch.token[index]
            if batch.logits[index]:
                ids = torch.tensor([[held[p] for p in range(len(held))]])
                self.logits[index] = MODEL(ids).logits[0, -1].float().numpy().copy()
        assert sum(map(len, self.memory.values())) <= self.settings.n_ctx
        return 0

    def llama_get_logits_ith(self, context: Any, index: int) -> Any:
        array = np.ascontiguousarray(self.logits[index])
        return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def engine(api: FakeApi | None = None, **options: Any) -> LlamaCppEngine:
    return LlamaCppEngine(api or FakeApi(), "model", fingerprint="x", context=CONTEXT, **options)


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.sampled_from([1, 2, 5]),
    cells=st.sampled_from([CONTEXT, 200, 4096]),
    batch=st.sampled_from([1, 7, 512]),
)
def test_equals_the_reference(seed: int, rows: int, cells: int, batch: int) -> None:
    requests = random_requests(seed, 8, SIZE, VOCABULARY.read_ids)
    expected = run_all(ReferenceEngine(MODEL, fingerprint="x"), requests)
    found = run_all(engine(rows=rows, cells=cells, batch=batch), requests)
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours, theirs)


def test_a_shared_beginning_is_not_computed_again() -> None:
    made = engine()
    assert isinstance(made, Backend)
    one = Generation(tuple(range(40)), max_tokens=2)
    other = Generation((*range(40), 50, 51), max_tokens=0)
    run_all(made, [one])
    assert made.forwarded_tokens == 40 + 2
    run_all(made, [one])
    assert made.forwarded_tokens == 42 + 1 + 2
    run_all(made, [other, other])
    assert made.forwarded_tokens == 45 + 2 + 2  # both from what the first request kept


def test_watch_cancel_progress_and_close() -> None:
    api = FakeApi()
    made = engine(api)
    request = Generation((3, 1, 4), max_tokens=20)
    (cut,) = run_all(made, [request], [lambda partial: len(partial.token_ids) == 2])
    assert cut.finish == "cut" and cut.next_id is None
    ticket = made.submit(request)
    made.step()
    made.step()
    assert made.progress(ticket) == cut.token_ids
    made.cancel(ticket)
    waiting = made.submit(request)
    made.cancel(waiting)
    assert [draft.finish for _, draft in made.poll()] == ["cancelled", "cancelled"]
    assert not made.step()
    made.close()
    made.close()
    assert api.freed == 3


@pytest.mark.parametrize(("size", "settings"), [(4, (0, 0, 0)), (2, (1, 1, -1))])
def test_float32_alone_is_kept_and_attended_to_in_float32(size: int, settings: Any) -> None:
    api = FakeApi()
    api.bytes_per_weight = size
    engine(api)
    made = api.settings
    assert (made.type_k, made.type_v, made.flash_attn_type) == settings


def test_more_sequences_than_llama_cpp_can() -> None:
    with pytest.raises(EngineError, match="for 514 sequences: it gave no reason"):
        engine(rows=257)


def test_a_failure_of_llama_cpp_is_named_and_passes() -> None:
    api = FakeApi()
    made = engine(api)
    made.submit(Generation((1, 2), max_tokens=3))
    api.code = -3
    with pytest.raises(EngineError, match="code -3"):
        made.step()
    api.code = 0
    (draft,) = run_all(made, [Generation((1, 2), max_tokens=3)])
    assert len(draft.token_ids) == 3


def test_requests_that_cannot_be() -> None:
    with pytest.raises(PromptTooLong):
        engine().submit(Generation(tuple(range(90)), max_tokens=7))
    with pytest.raises(ModelMismatch, match="beyond the file's"):
        engine().submit(Generation((1,), max_tokens=1, read_ids=(SIZE,)))


def test_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.gguf"
    with pytest.raises(ModelNotFound, match=r"cannot be read"):
        LlamaCppEngine.load(FakeApi(), path, TOKENIZER, VOCABULARY)
    path.write_bytes(b"GGUF")
    made = LlamaCppEngine.load(FakeApi(), path, TOKENIZER, VOCABULARY)
    assert made.fingerprint.endswith("-gguf") and made.context_limit == CONTEXT
    api = FakeApi(size=SIZE - 1)
    with pytest.raises(ModelMismatch, match="other tokens at 1 control ids: </paragraph>"):
        LlamaCppEngine.load(api, path, TOKENIZER, VOCABULARY)
    assert api.freed == 1
    api = FakeApi()
    api.texts[VOCABULARY.is_rel.ids[0]] = "[UNUSED]"
    with pytest.raises(ModelMismatch, match=r"\[Irrelevant\]"):
        LlamaCppEngine.load(api, path, TOKENIZER, VOCABULARY)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"x")
    with pytest.raises(ModelNotFound, match=r"cannot load .*: load: tensor; a is short"):
        LlamaCppEngine.load(FakeApi(), broken, TOKENIZER, VOCABULARY)
    monkeypatch.setitem(__import__("sys").modules, "llama_cpp", None)
    with pytest.raises(EngineMissing, match="pip install llama-cpp-python"):
        LlamaCppEngine.open(path, TOKENIZER, VOCABULARY)
