"""Points of a sweep: their order, and the words that each stands for."""

from pathlib import Path

from hwsim.sweep import Sweep, checked_points, points_of

SWEEP = Sweep(
    sweep="s",
    workload="models/mine.yaml",
    set={"device.scan.lanes": 8},
    transforms=("quantize:weights=int4",),
    axes={
        "device": ("vck190", "mine.yaml"),
        "device.flag": (True,),
        "batch": (1, 2, 3),
        "transform": ("", "sparsity:weights=0.5"),
    },
)


def test_order():
    """Every combination once, the last axis fastest."""
    points = list(points_of(SWEEP, Path("here")))
    assert [point.index for point in points] == list(range(12))
    assert [(p.values["device"], p.values["batch"]) for p in points[:5]] == [
        ("vck190", 1), ("vck190", 1), ("vck190", 2), ("vck190", 2), ("vck190", 3),
    ]  # fmt: skip
    assert len({tuple(point.values.items()) for point in points}) == 12


def test_words():
    """Files are looked for beside the sweep's own, shipped names stay; settings and transforms as a user types them."""
    last = list(points_of(SWEEP, Path("here")))[-1]
    assert last.workload == "here/models/mine.yaml"
    assert last.device == "here/mine.yaml"
    assert next(points_of(SWEEP, Path("here"))).device == "vck190"
    assert last.settings == ("device.scan.lanes=8", "device.flag=true")
    assert last.transforms == ("quantize:weights=int4", "sparsity:weights=0.5")
    assert last.question == {"phase": None, "batch": 3, "context": None, "new_tokens": None}


def test_each_value_is_checked_once_before_anything_runs():
    """Values are checked beside the first of the other axes: 1 + 1 + 0 + 2 + 1 points of 12."""
    seen = []
    points = checked_points(SWEEP, Path("here"), lambda point: seen.append(point.index))
    assert len(points) == 12
    assert seen == [0, 1, 2, 4, 6]
