"""A Ray cluster (extra `ray`): which one, how many workers, joining it and leaving it again.

This module does not know what the workers do (see `indexes.building.workers`).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from indexes.errors import ClusterUnreachable, InvalidSetting, MissingLibrary

_SECONDS_TO_CONNECT = 10


@dataclass(frozen=True, slots=True)
class Workers:
    """What a joined cluster gives.

    Attributes:
        count: how many workers.
        gpus: of each of them; 0 for workers that use one CPU.
    """

    count: int
    gpus: float


@dataclass(frozen=True, slots=True)
class RayCluster:
    """A Ray cluster and the part of it that is asked for.

    Attributes:
        address: "local" starts a cluster on this machine and ends it afterwards; "auto" joins the
            one of which this machine is a node; "host:port" joins one by its address. A process
            that has joined a cluster already stays with that, whatever the address.
        workers: how many; None for as many as the cluster has room for.
        gpus_per_worker: may be a fraction; None for one where the cluster has any, else none.

    Raises:
        InvalidSetting: a value is not allowed.
    """

    address: str = "local"
    workers: int | None = None
    gpus_per_worker: float | None = None

    def __post_init__(self) -> None:
        known = self.address in ("local", "auto") or ":" in self.address
        if not known or "://" in self.address:
            raise InvalidSetting(
                f"The address of the Ray cluster is {self.address!r}.",
                'Allowed are "local", "auto" and host:port. Workers read passages from the machine '
                "of the build, so it must be a node of the cluster: run the build on one.",
            )
        if self.workers is not None and self.workers < 1:
            raise InvalidSetting(f"The number of workers is {self.workers}.", "Ask for 1 or more.")
        gpus = self.gpus_per_worker
        if gpus is not None and not (0 <= gpus <= 1 or (gpus > 1 and gpus % 1 == 0)):
            raise InvalidSetting(
                f"The GPUs of a worker are {gpus}.", "Allowed are 0 to 1, and whole numbers."
            )

    @contextmanager
    def joined(self) -> Iterator[Workers]:
        """Be in the cluster while it lasts; a connection that was there before is kept.

        Raises:
            MissingLibrary: ray is not installed.
            ClusterUnreachable: the cluster cannot be joined or started.
            InvalidSetting: it has no room for so many workers.
        """
        ray = import_ray()
        if ray.is_initialized():
            yield self._workers(ray.cluster_resources())
            return
        handler = signal.getsignal(signal.SIGTERM)
        try:
            self._join(ray)
            yield self._workers(ray.cluster_resources())
        finally:
            ray.shutdown()
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)  # Ray puts its own there

    def _join(self, ray: Any) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports to its makers else
        local = self.address == "local"
        host, _, port = self.address.rpartition(":")
        try:
            if host:  # Ray itself tries for minutes
                with socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_CONNECT):
                    pass
            ray.init(
                address=self.address,
                num_cpus=self.workers if local else None,
                include_dashboard=False if local else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:  # of many kinds, by what is wrong
            what = "be started here" if local else f"be joined at {self.address!r}"
            raise ClusterUnreachable(
                f"A Ray cluster cannot {what}: {error}",
                "`ray status` on this machine says whether it is a node; `ray start` makes it one.",
            ) from error

    def _workers(self, resources: dict[str, float]) -> Workers:
        cpus, all_gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
        gpus = self.gpus_per_worker
        if gpus is None:
            gpus = 1.0 if all_gpus else 0.0
        room = int(all_gpus / gpus) if gpus else int(cpus)
        if room < (self.workers or 1):
            need = f"{gpus:g} GPUs" if gpus else "1 CPU"
            raise InvalidSetting(
                f"The Ray cluster has {cpus:g} CPUs and {all_gpus:g} GPUs: no room for "
                f"{self.workers or 1} workers with {need} each.",
                f"Ask for at most {room} workers, or for fewer GPUs each, or start more nodes.",
            )
        return Workers(self.workers or room, gpus)


def import_ray() -> Any:
    """The module `ray`, with `ray.data`.

    Raises:
        MissingLibrary: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            # Making its first settings, Ray warns of some of them.
            warnings.simplefilter("ignore", DeprecationWarning)
            import ray.data

            ray.data.DataContext.get_current()
    except ImportError as error:
        raise MissingLibrary("ray[data]", "Builds over a cluster", "ray") from error
    return ray
