"""The library as a notebook uses it: names in, Results out, a table to show, figures without pyplot."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import result_builder as build

import hwsim
from hwsim import report
from hwsim.cli import main


def test_public_names_are_few_and_there() -> None:
    """At most twenty, each of which can be imported; an unknown one is named with those that exist."""
    assert len(hwsim.__all__) <= 20
    assert all(getattr(hwsim, name) for name in hwsim.__all__)
    assert set(dir(hwsim)) >= set(hwsim.__all__)
    with pytest.raises(AttributeError, match=r"no attribute 'simulat'; it has .*simulate"):
        hwsim.simulat  # noqa: B018 - the access is the test
    with pytest.raises(AttributeError, match="no attribute 'rooflin'"):
        report.rooflin  # noqa: B018


def test_import_is_light() -> None:
    """`import hwsim` brings in neither numba nor matplotlib nor numpy."""
    program = "import sys, hwsim; sys.exit(any(name in sys.modules for name in ('numba', 'matplotlib', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


def test_library_answers_as_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    """The same JSON, hashes of inputs and all."""
    words = ["simulate", "mamba-ar", "--device", "vck190", "--batch", "1", "--set", "device.memory.bandwidth=20 GB/s"]
    assert main([*words, "--json", "-"]) == 0
    said = json.loads(capsys.readouterr().out)
    settings = {"device.memory.bandwidth": "20 GB/s"}
    answer = hwsim.simulate("mamba-ar", "vck190", batch=1, settings=settings)
    assert isinstance(answer, hwsim.Result)
    assert json.loads(json.dumps(answer.to_dict())) == {k: v for k, v in said.items() if k != "baseline"}


def test_what_is_wrong_is_raised_and_what_cannot_run_is_answered() -> None:
    """A typo names the nearest; a machine without attention says so as a value."""
    with pytest.raises(hwsim.HwsimError, match="mamba"):
        hwsim.simulate("mambo", "vck190")
    assert isinstance(hwsim.simulate("llama-3-8b", "vck190"), hwsim.Infeasible)
    with pytest.raises(hwsim.HwsimError, match="unknown part of a question 'batches'"):
        hwsim.simulate_each("mamba", "vck190", [1], over="batches")  # type: ignore[arg-type]


def test_sweep_leaves_out_what_does_not_fit() -> None:
    """Batches in order; the one that the memory cannot hold is gone."""
    found = hwsim.simulate_each("llama-3-8b", "rtx-4090", [1, 8, 100_000])
    assert [answer.batch for answer in found] == [1, 8]


def test_notebook_table_is_plain_and_escaped() -> None:
    """One table with the headline and the operators; names stay text."""
    text = build.result(workload="<b>", ops=(build.op_row("<script>"),))._repr_html_()
    assert text.startswith("<table><caption>&lt;b&gt; on board, decode</caption>")
    assert "<script>" not in text
    assert "&lt;script&gt; (gemm)" in text
    assert "<td>100 ms</td>" in text


def test_dataframe_has_a_row_for_each_operator() -> None:
    """With pandas; without it the error says what to install."""
    pytest.importorskip("pandas", reason="pandas is optional")
    frame = build.result().to_dataframe()
    assert list(frame.index) == [row.name for row in build.OPS]
    assert frame.loc["in_proj", "share"] == 0.6


def test_dataframe_without_pandas_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the user's kind, not an ImportError."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(hwsim.HwsimError, match="pip install pandas"):
        build.result().to_dataframe()


def figures() -> dict[str, Any]:
    """A figure of each function."""
    one, two = build.result(), build.result(batch=4, time_per_token_s=0.2, tokens_per_s=20.0, context=512)
    return {
        "roofline": report.draw_roofline(one, two),
        "together": report.draw_roofline(one, two, together=True),
        "breakdown": report.draw_breakdown(one),
        "compare": report.draw_compare(one, two),
        "latency_throughput": report.draw_latency_throughput(one, two),
        "context_roofline": report.draw_context_roofline(one, two),
    }


def test_figures_are_functions_of_results_without_pyplot() -> None:
    """Each returns a matplotlib Figure; pyplot is not even imported."""
    from matplotlib.figure import Figure

    assert all(isinstance(figure, Figure) for figure in figures().values())
    assert "matplotlib.pyplot" not in sys.modules


def test_curves_name_their_points() -> None:
    """Batches beside the latency-throughput curve, contexts beside the roofline's."""
    drawn = figures()
    words = {text.get_text() for text in drawn["latency_throughput"].axes[0].texts}
    assert {"1", "4"} <= words
    words = {text.get_text() for text in drawn["context_roofline"].axes[0].texts}
    assert {"0 tokens", "512 tokens"} <= words


@pytest.mark.parametrize(
    "draw", [report.draw_roofline, report.draw_compare, report.draw_latency_throughput, report.draw_context_roofline]
)
def test_figures_of_nothing_are_refused(draw: Any) -> None:
    """No result, no figure."""
    with pytest.raises(ValueError, match=r"at least one|0 machines|one machine"):
        draw()
