"""The parts of a recipe that are no plans of a training; see `selfrag.training.recipe`.

This module knows nothing of how the parts fit together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from selfrag.errors import EXIT_INPUT
from selfrag.training.errors import TrainingError
from selfrag.training.generator.options import GeneratorDataOptions
from selfrag.training.mini.world import WorldPlan

JUDGES = ("gold", "chat", "model")


class InvalidRecipe(TrainingError, ValueError):
    """A recipe has an unknown key, a value that is not allowed, or lacks a part."""

    exit_code = EXIT_INPUT


@dataclass(frozen=True, slots=True)
class SourcesPart:
    """Instructions with outputs.

    Attributes:
        files: JSON Lines of source rows (`selfrag.training.sources`). hotpotqa: files with
            supporting facts, as HotpotQA publishes them. world: an invented world, with its corpus.
        held_out: share of the rows that is never trained on, chosen by a hash of the id.
        utility: of rows that do not say theirs, where every output is a good answer.
    """

    files: tuple[str, ...] = ()
    hotpotqa: tuple[str, ...] = ()
    world: WorldPlan | None = None
    held_out: float = 0.1
    utility: int | None = None

    def __post_init__(self) -> None:
        if not (self.files or self.hotpotqa or self.world):
            raise InvalidRecipe("`sources` is empty.", "Give files, hotpotqa or world.")
        counts = asdict(self.world) if self.world else {"judged": 0}
        share = counts.pop("judged")
        _require(0 <= share <= 1, "world: judged", share, "from 0 to 1")
        for name, count in counts.items():
            _require(type(count) is int and count >= 0, f"world: {name}", count, "whole, from 0 up")
        _require(0 <= self.held_out < 1, "sources: held_out", self.held_out, "0 to less than 1")
        allowed = (None, 1, 2, 3, 4, 5)
        _require(self.utility in allowed, "sources: utility", self.utility, "1 to 5")

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return _plain(self)


@dataclass(frozen=True, slots=True)
class IndexPart:
    """Where passages come from.

    Attributes:
        folder: an index that exists. corpus: a file or folder to build one of; without either,
            the world's.
        encoder: folder or name of a sentence-transformers model, "embedded", or "none" for words
            alone.
        retriever: how it is searched, see `retrievers.configuration`; None for the default.
    """

    folder: str = ""
    corpus: str = ""
    encoder: str = "embedded"
    retriever: Mapping[str, Any] | str | None = None

    def __post_init__(self) -> None:
        both = bool(self.folder) and bool(self.corpus)
        _require(not both, "index: corpus", self.corpus, "left out where `folder` is given")

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return _plain(self)


@dataclass(frozen=True, slots=True)
class ChatPart:
    """A chat model behind an OpenAI-compatible address.

    Attributes:
        base_url, model: of the server. key_variable: the environment variable that holds the key,
            which is never stored; "" for a server without keys.
        workers, timeout, attempts, backoff: see `critic.chat.ChatCritic`.
        input_price, output_price, max_cost, max_requests: see `critic.answers.ChatLimits`.
    """

    base_url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    workers: int = 8
    timeout: float = 60.0
    attempts: int = 5
    backoff: float = 1.0
    input_price: float = 0.0
    output_price: float = 0.0
    max_cost: float | None = None
    max_requests: int | None = None

    def __post_init__(self) -> None:
        for name in ("base_url", "model"):
            value = getattr(self, name)
            _require(isinstance(value, str) and value, f"chat: {name}", value, "a text")
        _require(self.workers >= 1, "chat: workers", self.workers, "1 or more")
        _require(self.attempts >= 1, "chat: attempts", self.attempts, "1 or more")

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return _plain(self)


@dataclass(frozen=True, slots=True)
class CriticDataPart:
    """Judgements to train a critic on.

    Attributes:
        judge: "gold", "chat", or both in the order in which they are asked.
        files: JSON Lines of judgements that exist already. scifact: `claims` and `corpus` of
            SciFact.
        pool: passages that are found for a row without passages of its own, to be judged beside
            its evidence.
        others, unsupporting: how much is asked of a row, see `critic.asking.AskingPlan`.
        cap: most judgements of one label. held_out: share of the rows that is kept for measuring.
    """

    judge: tuple[str, ...] = ("gold",)
    files: tuple[str, ...] = ()
    scifact: Mapping[str, str] | None = None
    pool: int = 4
    others: int = 2
    unsupporting: int = 1
    cap: int | None = None
    held_out: float = 0.2

    def __post_init__(self) -> None:
        _check_judges("critic_data: judge", self.judge, ("gold", "chat"))
        _require(bool(self.judge), "critic_data: judge", self.judge, "gold or chat")
        for name in ("pool", "others", "unsupporting"):
            value = getattr(self, name)
            whole = type(value) is int and value >= 0
            _require(whole, f"critic_data: {name}", value, "whole, from 0 up")
        _require(self.cap is None or self.cap >= 1, "critic_data: cap", self.cap, "1 or more")
        _require(0 <= self.held_out < 1, "critic_data: held_out", self.held_out, "0 to below 1")
        _require(
            self.scifact is None or set(self.scifact) == {"claims", "corpus"},
            "critic_data: scifact",
            self.scifact,
            "{claims: FILE, corpus: FILE}",
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return _plain(self)


@dataclass(frozen=True, slots=True)
class GeneratorDataPart:
    """Rows for the generator.

    Attributes:
        critic: "gold", "chat", "model", or several in the order in which they are asked; () for
            the critic that is trained, or gold where none is.
        options: how they are made; in YAML its keys stand beside `critic`.
    """

    critic: tuple[str, ...] = ()
    options: GeneratorDataOptions = field(default_factory=GeneratorDataOptions)

    def __post_init__(self) -> None:
        _check_judges("generator_data: critic", self.critic, JUDGES)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"critic": list(self.critic), **self.options.to_dict()}


@dataclass(frozen=True, slots=True)
class TokenizerPart:
    """A tokenizer made of the sources' texts. pieces: of text, beside the control tokens."""

    pieces: int = 900

    def __post_init__(self) -> None:
        _require(self.pieces >= 300, "tokenizer: pieces", self.pieces, "300 or more")

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return _plain(self)


@dataclass(frozen=True, slots=True)
class EvaluationPart:
    """What the trained generator is asked.

    Attributes:
        questions: a file of questions (`selfrag.evaluation.questions`); the held-out source rows
            by default.
        most: questions at most, chosen by a hash. beams: widths of the search, 1 is greedy.
        batch: questions at once. device, dtype: of the model.
        decoding: further settings, see `decoding.config.DecodingConfig`.
    """

    questions: str = ""
    most: int = 500
    beams: tuple[int, ...] = (1, 2)
    batch: int = 16
    device: str = "auto"
    dtype: str = "auto"
    decoding: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from decoding.config import DecodingConfig

        good = bool(self.beams) and all(type(one) is int and one >= 1 for one in self.beams)
        _require(good, "evaluation: beams", self.beams, "a list of whole numbers from 1 up")
        _require(self.most >= 1, "evaluation: most", self.most, "1 or more")
        _require(self.batch >= 1, "evaluation: batch", self.batch, "1 or more")
        _require("beam_width" not in self.decoding, "decoding", "beam_width", "left to `beams`")
        DecodingConfig.from_dict(self.decoding)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return _plain(self)


def part_from(kind: type[Any], name: str, values: Any) -> Any:
    """The part that a mapping of a YAML file describes; InvalidRecipe where it is none."""
    if not isinstance(values, Mapping):
        raise InvalidRecipe(f"`{name}` is {values!r}.", "Write its settings as `name: value`.")
    if name in ("critic", "generator"):
        return kind.from_dict(values)
    given = dict(values)
    if kind is GeneratorDataPart:
        critic = _names("generator_data: critic", given.pop("critic", ()))
        return GeneratorDataPart(critic, GeneratorDataOptions.from_dict(given))
    known = [one.name for one in fields(kind)]
    if unknown := sorted(set(map(str, given)) - set(known)):
        raise InvalidRecipe(f"`{name}` has unknown keys {unknown}.", f"Allowed: {known}.")
    if given.get("world") is not None and not isinstance(given["world"], WorldPlan):
        given["world"] = part_from(WorldPlan, "sources: world", given["world"])
    for key in ("files", "hotpotqa"):
        if key in given:
            given[key] = paths_from(f"{name}: {key}", given[key])
    if "judge" in given:
        given["judge"] = _names(f"{name}: judge", given["judge"])
    if isinstance(given.get("beams"), list):
        given["beams"] = tuple(given["beams"])
    try:
        return kind(**given)
    except TypeError as error:
        raise InvalidRecipe(f"`{name}` cannot be read: {error}.", "Mend it.") from None


def paths_from(name: str, value: Any) -> tuple[str, ...]:
    """One path or a list of them; InvalidRecipe where it is none."""
    return _names(name, value)


def _names(name: str, value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    good = isinstance(names, Sequence) and all(isinstance(one, str) and one for one in names)
    _require(good, name, value, "a text or a list of texts")
    return tuple(names)


def _check_judges(name: str, chosen: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    good = set(chosen) <= set(allowed) and len(set(chosen)) == len(chosen)
    _require(good, name, list(chosen), f"some of {', '.join(allowed)}, each once")


def _plain(part: Any) -> dict[str, Any]:
    """JSON values of a part; tuples become lists."""
    values = asdict(part)
    return {key: list(one) if isinstance(one, tuple) else one for key, one in values.items()}


def _require(holds: object, name: str, got: object, allowed: str) -> None:
    if not holds:
        raise InvalidRecipe(f"`{name}` is {got!r}.", f"Allowed: {allowed}.")
