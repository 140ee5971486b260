"""Where workers run that encode documents, and the report of what each of them did."""

from dataclasses import dataclass

from embedder.arguments import check_fields

LOCAL = "local"
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Workers that encode documents, each with a model of its own (extra `ray`).

    Attributes:
        address: "local" starts Ray on this machine, on its loopback interface alone, and ends it
            with the build; HOST:PORT is that of a running cluster, and "auto" one of this machine.
        workers: how many; 0 is one for every GPU's worth of `gpus_per_worker`, and without GPUs
            one for every machine.
        gpus_per_worker: 0 encodes on CPUs; a fraction lets workers share a GPU.
        batch_tokens: tokens that go through a model together; 0 chooses by device.
        trust_remote_code: run Python code that comes with the model. Off unless asked for.

    >>> lw.RayOptions("local", workers=2).gpus_per_worker
    0
    """

    address: str = LOCAL
    workers: int = 0
    gpus_per_worker: float = 0
    batch_tokens: int = 0
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.workers, self.gpus_per_worker, self.batch_tokens) < 0:
            raise ValueError(
                "workers, gpus_per_worker and batch_tokens are at least 0; "
                f"got {self.workers}, {self.gpus_per_worker:g}, {self.batch_tokens}"
            )
        if self.gpus_per_worker > 1 and self.gpus_per_worker % 1:
            raise ValueError(  # so says Ray
                f"above 1, gpus_per_worker is a whole number; got {self.gpus_per_worker:g}"
            )


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker did, and for how long it was held.

    Attributes:
        worker: its number, from 1.
        node: name of the last machine that it ran on; "" if it never ran.
        windows: calls that it answered, of many texts each.
        texts: that it encoded.
        tokens: that its model read, prompts included; 0 where the encoder does not count them.
        loading: seconds until its model was loaded, those of its replacements too.
        encoding: seconds of the calls that it answered.
        held: seconds that it held its CPUs or GPUs, loaded or loading: what it costs.
        texts_per_second: texts by `encoding`.
        losses: how often it died and another took its place.
    """

    worker: int
    node: str
    windows: int
    texts: int
    tokens: int
    loading: float
    encoding: float
    held: float
    texts_per_second: float
    losses: int
