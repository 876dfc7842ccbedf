"""Calls in a thread that ends with them."""

from __future__ import annotations

import threading

import pytest

from selfrag import SelfRAG
from selfrag.passing_thread import in_passing


def test_the_thread_ends_with_the_call() -> None:
    ran = in_passing(threading.current_thread)
    assert ran is not threading.main_thread() and not ran.is_alive()


def test_errors_come_through() -> None:
    def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        in_passing(fails)


def test_models_are_loaded_in_passing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that calls has computed nothing by the time the engine begins."""
    from selfrag.backends import checkpoint, engines

    threads: list[threading.Thread] = []
    load, open_engine = checkpoint.load_checkpoint, engines.open_engine

    def noted(call: object) -> object:
        def noting(*given: object, **named: object) -> object:
            threads.append(threading.current_thread())
            return call(*given, **named)  # type: ignore[operator]

        return noting

    monkeypatch.setattr(checkpoint, "load_checkpoint", noted(load))
    monkeypatch.setattr(engines, "open_engine", noted(open_engine))
    with SelfRAG.from_pretrained():
        assert len(threads) == 2
        assert not any(thread.is_alive() for thread in threads)
