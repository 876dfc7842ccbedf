"""A Milvus server, or a folder of Milvus Lite: requests with a timeout, failures with a name.

The same code talks to a cluster and to Milvus Lite, which runs inside this process. This module
knows addresses and requests, not what collections hold. Needs the extra `milvus`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from indexes.errors import (
    InvalidSetting,
    MilvusAccessDenied,
    MilvusError,
    MilvusTimeout,
    MilvusUnreachable,
    MissingCollection,
    MissingLibrary,
)

TIMEOUT = 30.0
TOKEN_VARIABLE = "MILVUS_TOKEN"
_SCHEMES = ("http", "https", "tcp", "unix")
_LITE_SUFFIX = ".db"
# Of Milvus (pkg/util/merr): authentication, and what is not there.
_ACCESS_CODES = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", 1400, 1401, 1402})
_MISSING_CODES = frozenset({100, 800})
_CONNECT_FAILED = 2


@dataclass(frozen=True, slots=True)
class MilvusAddress:
    """Where a Milvus server is, and how one gets in.

    Attributes:
        uri: as `http://host:19530`, or a path that ends in `.db` for Milvus Lite; a relative one
            is seen from the working directory.
        database: None for the server's default one.
        token: "user:password" or an API key; None takes the environment variable MILVUS_TOKEN. It
            is shown nowhere.

    Raises:
        InvalidSetting: the address is none, or holds a password, which would be shown.
    """

    uri: str
    database: str | None = None
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.uri)
            valid = self.is_local or (parts.scheme in _SCHEMES and parts.port != 0)
        except ValueError:
            valid = False
        if not valid:
            raise InvalidSetting(
                f"{self.uri!r} is no address of a Milvus server.",
                f"Give one as http://host:19530, or a path that ends in {_LITE_SUFFIX} for Milvus "
                "Lite.",
            )
        if not self.is_local and "@" in parts.netloc:
            raise InvalidSetting(
                f"The Milvus address of {parts.hostname} holds a password.",
                f"Leave it out, and set the environment variable {TOKEN_VARIABLE}.",
            )

    @property
    def is_local(self) -> bool:
        """Whether this is a path of Milvus Lite."""
        return "://" not in self.uri and self.uri.endswith(_LITE_SUFFIX)

    def __str__(self) -> str:
        return self.uri if self.database is None else f"{self.uri} (database {self.database})"


class MilvusServer:
    """A connection to a server; safe to share between threads.

    Args:
        address: of the server.
        timeout: seconds for a request that names none.
        create: make a folder of Milvus Lite that is not there.

    Attributes:
        address: of the server.
        timeout: seconds for a request that names none.

    Raises:
        MissingLibrary: pymilvus is not installed, or milvus-lite for a local path.
        InvalidSetting: the timeout is not positive.
        MissingCollection: there is no such folder, or no such database.
        MilvusUnreachable, MilvusAccessDenied, MilvusTimeout: see `call`.
    """

    def __init__(
        self, address: MilvusAddress, timeout: float = TIMEOUT, *, create: bool = False
    ) -> None:
        if not timeout > 0:
            raise InvalidSetting(f"The timeout is {timeout!r}.", "Give seconds above 0.")
        if address.is_local and not create and not Path(address.uri).exists():
            raise MissingCollection(
                f"There is no Milvus Lite at {address}.",
                "Check the path, or push an index there: selfrag index push.",
            )
        self.address = address
        self.timeout = timeout
        self.client: Any = None
        library = _pymilvus(address)
        self.client = self._attempt(
            timeout,
            library.MilvusClient,
            uri=address.uri,
            token=address.token or os.environ.get(TOKEN_VARIABLE, ""),
            db_name=address.database or "",
            timeout=timeout,
        )

    def call(
        self, request: str, /, *arguments: Any, timeout: float | None = None, **more: Any
    ) -> Any:
        """Do what the method `request` of `pymilvus.MilvusClient` does.

        Args:
            request: the method's name.
            arguments: its arguments.
            timeout: seconds; None for the server's own.
            more: further arguments by name.

        Raises:
            MilvusUnreachable: no server answers.
            MilvusAccessDenied: it does not accept the token.
            MilvusTimeout: the time was over before its answer.
            MissingCollection: it has no such collection or database.
            MilvusError: it failed otherwise.
        """
        limit = self.timeout if timeout is None else timeout
        method = getattr(self.client, request)
        return self._attempt(limit, method, *arguments, timeout=limit, **more)

    def _attempt(self, limit: float, method: Any, /, *arguments: Any, **more: Any) -> Any:
        import grpc
        from pymilvus import MilvusException

        try:
            return method(*arguments, **more)
        except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError) as error:
            raise _named(error, self.address, limit) from error


def _pymilvus(address: MilvusAddress) -> Any:
    """The library; what it logs of errors reaches the user as exceptions, so it keeps quiet."""
    loaded_before = "pymilvus" in sys.modules
    try:
        import pymilvus
    except ImportError as error:
        raise MissingLibrary("pymilvus", "Milvus collections", "milvus") from error
    if not loaded_before:
        for name in ("pymilvus", "pymilvus.milvus_client", "milvus_lite"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if address.is_local:
        try:
            import milvus_lite  # noqa: F401
        except ImportError as error:
            raise MissingLibrary("milvus-lite", f"Paths as {address}", "milvus") from error
    return pymilvus


def _named(error: BaseException, address: MilvusAddress, limit: float) -> MilvusError:
    """The error of this program for one of pymilvus or gRPC."""
    chain = list(_chain(error))
    codes = {_code(one) for one in chain}
    text = getattr(error, "message", None) or _details(chain) or type(error).__name__
    if codes & _ACCESS_CODES:
        return MilvusAccessDenied(
            f"The Milvus server {address} refuses the token: {_details(chain) or text}.",
            f"Set the environment variable {TOKEN_VARIABLE} to user:password or an API key that "
            "may use this database.",
        )
    if address.is_local and "Open local milvus failed" in text:
        return MilvusUnreachable(
            f"Milvus Lite cannot open {address}.",
            "Check that its folder exists, that the path is one of Milvus Lite 3, and that no "
            "other process has it open.",
        )
    if _CONNECT_FAILED in codes or "UNAVAILABLE" in codes:
        return MilvusUnreachable(
            f"No Milvus server answers at {address}: {_details(chain) or text}.",
            "Check the address and that the server runs.",
        )
    if "DEADLINE_EXCEEDED" in codes or "Retry timeout" in text:
        return MilvusTimeout(
            f"The Milvus server {address} did not answer within {limit:g} seconds.",
            "Allow more time, or ask for less at once.",
        )
    if codes & _MISSING_CODES or ("database" in text and "not exist" in text):
        return MissingCollection(
            f"The Milvus server {address} lacks something: {text}.",
            "Check the names of collection and database, or push the index: selfrag index push.",
        )
    return MilvusError(
        f"The Milvus server {address} failed: {text}.", "Its own log may say more; try again."
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes; pymilvus makes errors their own causes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _code(error: BaseException) -> int | str | None:
    """The number of a Milvus error, or the name of a gRPC status."""
    code = getattr(error, "code", None)
    if callable(code):
        code = code()
    name = getattr(code, "name", None)
    return int(code) if isinstance(code, int) else name


def _details(chain: list[BaseException]) -> str:
    """What gRPC says of the innermost failure."""
    for error in reversed(chain):
        details = getattr(error, "details", None)
        if callable(details) and details():
            return str(details()).rstrip(".")
    return ""
