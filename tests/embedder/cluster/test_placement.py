"""How many workers fit on machines, by hand."""

import pytest

from embedder.cluster.options import RayOptions
from embedder.cluster.placement import Placement, place_workers

ONE_BIG = [{"CPU": 8.0}, {"CPU": 2.0}]
GPUS = [{"CPU": 16.0, "GPU": 4.0}, {"CPU": 3.0, "GPU": 4.0}, {"CPU": 8.0}]


@pytest.mark.parametrize(
    ("machines", "options", "placement"),
    [
        ([{"CPU": 2.0}], RayOptions(), Placement(1, 2, 0)),
        ([{"CPU": 2.0}], RayOptions(workers=2), Placement(2, 1, 0)),
        (ONE_BIG, RayOptions(), Placement(2, 4, 0)),  # two on the first, which has 4 for each
        (ONE_BIG, RayOptions(workers=5), Placement(5, 2, 0)),  # 4 + 1
        (ONE_BIG, RayOptions(workers=6), Placement(6, 1, 0)),  # by twos there is room for 5
        (GPUS, RayOptions(gpus_per_worker=1), Placement(7, 1, 1)),  # 4, and 3 for want of CPUs
        (GPUS, RayOptions(gpus_per_worker=2), Placement(4, 1, 2)),  # 2 + 2
        (GPUS, RayOptions(gpus_per_worker=0.5), Placement(11, 1, 0.5)),  # 8 + 3
        (GPUS, RayOptions(workers=3, gpus_per_worker=0.4), Placement(3, 1, 0.4)),
        ([{"CPU": 1.0}, {}], RayOptions(), Placement(1, 1, 0)),  # a machine that gives nothing
    ],
)
def test_workers_fit_on_machines(
    machines: list[dict[str, float]], options: RayOptions, placement: Placement
) -> None:
    assert place_workers(machines, options) == placement


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (RayOptions(workers=11), "11 workers need a CPU each; the cluster has 10"),
        (RayOptions(gpus_per_worker=1), "some workers need 1 GPU and a CPU each; .* has 0 GPUs"),
    ],
)
def test_what_does_not_fit_is_refused(options: RayOptions, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        place_workers(ONE_BIG, options)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 0; got -1, 0, 0"):
        RayOptions(workers=-1)
    with pytest.raises(ValueError, match=r"a whole number; got 1\.5"):
        RayOptions(gpus_per_worker=1.5)
    with pytest.raises(TypeError, match="address must be"):
        RayOptions(address=None)  # type: ignore[arg-type]
