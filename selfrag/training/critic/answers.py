"""Answers of chat models in one sqlite file, and what they cost so far.

An answer is found by the question's key, the model and the version of its prompt. It is written
at once, unreadable replies too, so that none is paid twice, whenever a run is killed. Limits hold
for all runs that share a file. Several threads may use a store. It knows nothing of servers.
"""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from selfrag.training.critic.server import Reply
from selfrag.training.errors import StageFailed

_SCHEMA = 1
_APPLICATION = 0x73726361
_Value = TypeVar("_Value")
Key = tuple[str, str, str]
"""The question's key, the model, the prompt's version."""

_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS answers (
    question TEXT, model TEXT, prompt TEXT, replies INTEGER NOT NULL, label TEXT,
    reply TEXT NOT NULL, PRIMARY KEY (question, model, prompt)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (
    question TEXT, model TEXT, prompt TEXT, runs INTEGER NOT NULL,
    PRIMARY KEY (question, model, prompt)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (
    one INTEGER PRIMARY KEY CHECK (one = 1), requests INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, cost REAL NOT NULL);
INSERT OR IGNORE INTO spent VALUES (1, 0, 0, 0, 0.0);
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_SCHEMA};
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class ChatLimits:
    """What may be spent, in all runs that share a file of answers.

    Attributes:
        input_price, output_price: for a million tokens, in any currency.
        max_cost: in the same currency; it needs a price. Requests that are under way when it is
            reached still end, so it is passed by their cost at most.
        max_requests: every attempt counts.

    Raises:
        StageFailed: a number is negative or not finite, or a limit of cost has no price.
    """

    input_price: float = 0.0
    output_price: float = 0.0
    max_cost: float | None = None
    max_requests: int | None = None

    def __post_init__(self) -> None:
        given = (self.input_price, self.output_price, self.max_cost or 0, self.max_requests or 0)
        if not all(math.isfinite(value) and value >= 0 for value in given):
            raise StageFailed(f"The limits are {self}.", "Numbers must be 0 or more.")
        if self.max_cost is not None and not (self.input_price or self.output_price):
            raise StageFailed(
                f"max_cost is {self.max_cost:g}, but no price is given.",
                "Give input_price and output_price, for a million tokens.",
            )

    def cost_of(self, reply: Reply) -> float:
        """What a reply costs; tokens that the server does not count cost nothing."""
        prompt, completion = reply.prompt_tokens or 0, reply.completion_tokens or 0
        return (prompt * self.input_price + completion * self.output_price) / 1_000_000


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent so far, over all runs that share a file."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What is kept. replies: how many were read; label: None where the last names none."""

    replies: int
    label: str | None
    reply: str


class AnswerStore:
    """An open file of answers; made where it is missing.

    Raises:
        StageFailed: the file is no such store, or cannot be read or written (also later on).
    """

    def __init__(self, path: Path, limits: ChatLimits) -> None:
        self.path, self.limits = Path(path), limits
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        try:
            self._do(self._open)
        except StageFailed:
            self.close()
            raise

    def get(self, key: Key) -> Answer | None:
        """The answer that is kept under a key."""
        found = self._do(
            lambda connection: connection.execute(
                "SELECT replies, label, reply FROM answers "
                "WHERE question = ? AND model = ? AND prompt = ?",
                key,
            ).fetchone()
        )
        return None if found is None else Answer(*found)

    def has_answers(self, model: str) -> bool:
        """Whether the model ever answered."""
        return (
            self._do(
                lambda connection: connection.execute(
                    "SELECT 1 FROM answers WHERE model = ? LIMIT 1", (model,)
                ).fetchone()
            )
            is not None
        )

    def put(self, key: Key, answer: Answer, reply: Reply) -> None:
        """Keep an answer, and count what its last reply cost, both or neither."""
        cost = self.limits.cost_of(reply)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)",
                (*key, answer.replies, answer.label, _storable(answer.reply)),
            )
            connection.execute(
                "UPDATE spent SET prompt_tokens = prompt_tokens + ?, "
                "completion_tokens = completion_tokens + ?, cost = cost + ?",
                (reply.prompt_tokens or 0, reply.completion_tokens or 0, cost),
            )

        self._do(write)

    def begin_request(self) -> None:
        """Count a request that is about to be sent.

        Raises:
            StageFailed: a limit is reached; the request is not counted.
        """

        def count(connection: sqlite3.Connection) -> None:
            spent, limits = _spent(connection), self.limits
            if limits.max_requests is not None and spent.requests >= limits.max_requests:
                raise StageFailed(
                    f"The limit of {limits.max_requests} requests is reached.", self._hint()
                )
            if limits.max_cost is not None and spent.cost >= limits.max_cost:
                raise StageFailed(
                    f"The limit of cost is reached: {spent.cost:.6g} of {limits.max_cost:g}.",
                    self._hint(),
                )
            connection.execute("UPDATE spent SET requests = requests + 1")

        self._do(count)

    def failed_runs(self, key: Key) -> int:
        """Note that a question failed after all attempts. Returns how often it did so before."""

        def note(connection: sqlite3.Connection) -> int:
            where = "WHERE question = ? AND model = ? AND prompt = ?"
            found = connection.execute(f"SELECT runs FROM failures {where}", key).fetchone()
            before = int(found[0]) if found else 0
            connection.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?)", (*key, before + 1)
            )
            return before

        return self._do(note)

    @property
    def spent(self) -> Spent:
        """What was spent so far."""
        return self._do(_spent)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _hint(self) -> str:
        return f"Raise it and run the same command again; {self.path} holds what is answered."

    def _open(self, connection: sqlite3.Connection) -> None:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if tables and (application, version) != (_APPLICATION, _SCHEMA):
            raise StageFailed(f"{self.path} holds no chat answers.", "Name another file.")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_TABLES)

    def _do(self, action: Callable[[sqlite3.Connection], _Value]) -> _Value:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = sqlite3.connect(
                        self.path, timeout=30.0, check_same_thread=False
                    )
                    return action(self._connection)
                with self._connection:
                    self._connection.execute("BEGIN IMMEDIATE")
                    return action(self._connection)
            except sqlite3.Error as error:
                raise StageFailed(
                    f"{self.path}: {error}.",
                    "Make room or mend the path, and run the same command again.",
                ) from error


def _spent(connection: sqlite3.Connection) -> Spent:
    values: Any = connection.execute(
        "SELECT requests, prompt_tokens, completion_tokens, cost FROM spent"
    ).fetchone()
    return Spent(*values)


def _storable(text: str) -> str:
    """Text without lone surrogates, which sqlite cannot hold."""
    return text.encode("utf-8", "replace").decode()
