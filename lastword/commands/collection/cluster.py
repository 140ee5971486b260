"""Options of commands that encode on a Ray cluster, and the report of what that took."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from lastword.cli.options import EncoderOptions
from lastword.cli.screen import Screen, counted, duration

if TYPE_CHECKING:
    from embedder.cluster.options import RayOptions, WorkerReport


def _option(text: str, *names: str, **settings: Any) -> Any:  # noqa: ANN401  (typer's type)
    return Option(*names, help=text, rich_help_panel="Encoding on a Ray cluster", **settings)


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Which workers encode documents; none unless --ray is given."""

    ray: Annotated[
        str,
        _option(
            "Encode documents by workers: local starts Ray on this machine, HOST:PORT is a "
            "cluster, auto the one that this machine is part of. Needs lastword[ray].",
            metavar="local|auto|HOST:PORT",
        ),
    ] = ""
    workers: Annotated[
        int,
        _option(
            "How many, each with a model of its own; by default as many as GPUs allow, and "
            "without GPUs one for each machine.",
            min=0,
        ),
    ] = 0
    gpus_per_worker: Annotated[
        float,
        _option("GPUs of each worker; 0.5 lets two share one, 0 encodes on CPUs.", min=0),
    ] = 0

    def ray_options(self, reading: EncoderOptions) -> "RayOptions | None":
        """Return where workers run, once it is sure that there is Ray and something answers.

        Raises:
            ImportError, ValueError, ConnectionError: as of `check_address`.
        """
        if not self.ray:
            if self.workers or self.gpus_per_worker:
                raise ValueError("--workers and --gpus-per-worker go with --ray, e.g. --ray local")
            return None
        from embedder.cluster.connection import check_address
        from embedder.cluster.options import RayOptions

        check_address(self.ray)
        return RayOptions(
            address=self.ray,
            workers=self.workers,
            gpus_per_worker=self.gpus_per_worker,
            batch_tokens=reading.batch_tokens,
            trust_remote_code=reading.trust_remote_code,
        )


def tell_workers(workers: "Sequence[WorkerReport]", screen: Screen) -> None:
    """Say what each worker did and all of them cost, where there were some."""
    if not workers:
        return
    held = sum(worker.held for worker in workers)
    encoding = sum(worker.encoding for worker in workers)
    texts = sum(worker.texts for worker in workers)
    tokens = sum(worker.tokens for worker in workers)
    screen.remark(
        f"{counted(len(workers), 'worker')} encoded {counted(texts, 'text')}, "
        f"{counted(tokens, 'token')}; held for {held:,.1f} worker seconds, of which "
        f"{encoding:,.1f} were spent encoding."
    )
    for worker in workers:
        lost = f", lost {counted(worker.losses, 'time')}" if worker.losses else ""
        where = f" on {worker.node}" if worker.node else ""
        screen.remark(
            f"  worker {worker.worker}{where}: {counted(worker.texts, 'text')}, "
            f"{counted(worker.tokens, 'token')}, {worker.texts_per_second:,.1f} texts/s, held for "
            f"{duration(worker.held)}{lost}"
        )
