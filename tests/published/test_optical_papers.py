"""Published figures of optics: what is marked reproduced is, what is not is said, and the figure is drawn."""

import pytest

from hwsim.analysis.speedup import speedups
from hwsim.errors import HwsimError
from hwsim.published.figures import FIGURES
from hwsim.published.model import find_paper
from hwsim.published.optical import PREDICTORS
from hwsim.published.runner import holds, predictors, run_paper
from hwsim.report.speedup import speedup_figure
from hwsim.report.style import figure_bytes

PAPERS = ("fatnet", "fatunet", "channel-tiling", "refocus", "lightening-transformer")


@pytest.mark.parametrize("name", PAPERS)
def test_reproduced_rows_hold(name):
    """Each within its tolerance."""
    results = run_paper(find_paper(name), predictors())
    assert holds(results)
    assert any(each.verdict == "reproduced" for each in results)


def test_rows_that_do_not_reproduce_say_so():
    """AlexNet and SRCNN with channel tiling are off by more than a fifth, and marked."""
    verdicts = {each.row.id: each for each in run_paper(find_paper("channel-tiling"), predictors())}
    for name in ("alexnet-tiled", "srcnn-tiled"):
        assert verdicts[name].verdict == "not reproduced"
        assert verdicts[name].error < -0.2


def test_convsharevit_claims_nothing():
    """No row of it is reproduced: its inputs are not published, and batch and mapping span a decade."""
    results = run_paper(find_paper("convsharevit"), predictors())
    assert {each.verdict for each in results} == {"inputs not published"}
    found = [each.prediction.value for each in results]
    assert max(found) > 10 * min(found)
    assert all(each.prediction.constants for each in results)


def test_the_figure_is_drawn():
    """Lines over batches as an SVG; the paper's is registered."""
    lines = speedups({"a": float, "b": lambda n: 2.0 * n}, lambda n: 3.0 * n, (1, 2, 4))
    assert lines[0].speedups == (3.0, 3.0, 3.0)
    assert lines[1].speedups == (1.5, 1.5, 1.5)
    assert figure_bytes(speedup_figure(lines, "title", "label", 3.04), "svg").startswith(b"<?xml")
    assert "speedup.svg" in FIGURES["convsharevit"]


def test_frame_power_form_of_the_bench():
    """Hu 2022, equation 5: 64 x 24 tiles of a 1920 x 1080 frame with 3 x 3 kernels at 2 kHz and 29.6 W."""
    arguments = {"image_pixels": 2.0736e6, "kernel_pixels": 9.0, "tiles": 64.0, "kernels": 24.0}
    said = PREDICTORS["power_efficiency"]({**arguments, "frame_hz": 2000.0, "power_w": 29.6})
    assert said.value == pytest.approx(1.937, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "vck190", "workload": "fatnet", "baseline": "fatnet"}, "a machine of the optical family"),
        ({"workload": "fatnet", "baseline": "fatnet"}, "a text"),
        (
            {
                "device": "optical-4k-2mhz",
                "settings": ("plane.rows=4", "plane.columns=4"),
                "workload": "fatnet",
                "baseline": "fatnet",
            },
            "a machine that runs fatnet",
        ),
    ],
)
def test_bad_rows_are_named(arguments, message):
    """A row that asks the wrong machine or gives the wrong kind."""
    with pytest.raises(HwsimError, match=message):
        PREDICTORS["frames_ratio"](arguments)


def test_numbers_must_be_numbers():
    """A text where a number belongs."""
    with pytest.raises(HwsimError, match="a number"):
        PREDICTORS["laser_power"]({"reuses": "three", "loss_db": 0.1})
