"""How many workers a cluster has room for, and what each of them gets of its machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embedder.cluster.options import RayOptions

CPU, GPU = "CPU", "GPU"  # as Ray names them


@dataclass(frozen=True, slots=True)
class Placement:
    """Workers, and what is reserved for each.

    Attributes:
        workers: at least 1.
        cpus: cores of each, whose threads it runs.
        gpus: of each.
    """

    workers: int
    cpus: int
    gpus: float

    def describe(self) -> str:
        """Say what one worker needs."""
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus} CPU{gpus}"


def place_workers(machines: Sequence[Mapping[str, float]], options: RayOptions) -> Placement:
    """Choose workers for machines, each of which must fit on one of them.

    Args:
        machines: the resources of each, by name.
        options: what is asked for.

    Raises:
        ValueError: there is no room for them.
    """
    if options.gpus_per_worker:
        return _place_on_gpus(machines, options)
    cores = [int(machine.get(CPU, 0)) for machine in machines]
    workers = options.workers or sum(core > 0 for core in cores)
    if not 0 < workers <= sum(cores):
        raise ValueError(
            f"{workers or 'some'} workers need a CPU each; the cluster has {sum(cores)}"
        )
    cpus = next(
        cpus for cpus in range(max(cores), 0, -1) if sum(core // cpus for core in cores) >= workers
    )
    return Placement(workers, cpus, 0)


def _place_on_gpus(machines: Sequence[Mapping[str, float]], options: RayOptions) -> Placement:
    share = options.gpus_per_worker
    room = 0
    for machine in machines:
        gpus, cores = machine.get(GPU, 0), int(machine.get(CPU, 0))
        # Ray lets none of several workers on a GPU span two.
        by_gpus = int(gpus // share) if share >= 1 else int(gpus) * int(1 / share + 1e-9)
        room += min(by_gpus, cores)
    workers = options.workers or room
    if not 0 < workers <= room:
        total = sum(machine.get(GPU, 0) for machine in machines)
        raise ValueError(
            f"{workers or 'some'} workers need {share:g} GPU and a CPU each; the cluster has "
            f"{total:g} GPUs and room for {room}"
        )
    return Placement(workers, 1, share)
