"""Faults, user errors and infeasibility as values."""

from __future__ import annotations

import pickle

import pytest

from hwsim.errors import Fault, HwsimError, Infeasible, Where, did_you_mean


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (Where("a.yaml"), "a.yaml"),
        (Where("a.yaml", 3), "a.yaml:3"),
        (Where("a.yaml", 3, 7), "a.yaml:3:7"),
        (Where("--set", None, 7), "--set"),
    ],
)
def test_a_place_is_file_line_column(where: Where, text: str) -> None:
    """A column says nothing without its line."""
    assert str(where) == text


def test_a_fault_says_where_what_expected_and_nearest() -> None:
    """One line; the suggestion only where there is one."""
    fault = Fault(Where("a.yaml", 1, 2), "found 'x'", "a number")
    assert str(fault) == "a.yaml:1:2: found 'x'; expected a number"
    assert (
        str(Fault(fault.where, "found 'x'", "a name", "y"))
        == "a.yaml:1:2: found 'x'; expected a name; did you mean 'y'?"
    )


def test_an_error_holds_all_faults_in_order() -> None:
    """A line for each; at least one."""
    one, two = Fault(Where("a"), "x", "y"), Fault(Where("b"), "x", "y")
    error = HwsimError(one, two)
    assert error.faults == (one, two)
    assert str(error) == "a: x; expected y\nb: x; expected y"
    with pytest.raises(ValueError, match="at least one Fault"):
        HwsimError()


def test_at_takes_a_word_or_a_place() -> None:
    """The short forms for a single fault."""
    place = Where("a.yaml", 4)
    assert HwsimError.at("--phase", "x", "y").faults[0].where == Where("--phase")
    assert HwsimError.at(place, "x", "y", "z").faults == (Fault(place, "x", "y", "z"),)


def test_unknown_names_are_listed_and_the_nearest_suggested() -> None:
    """Sorted names; no suggestion when nothing is near."""
    near = HwsimError.unknown_name("--device", "device", "vck19", ["vhk158-spec", "vck190", "u280"])
    assert str(near) == (
        "--device: unknown device 'vck19'; expected one of u280, vck190, vhk158-spec; did you mean 'vck190'?"
    )
    far = HwsimError.unknown_name("--device", "device", "zzz", ["vck190"])
    assert far.faults[0].suggestion is None


def test_did_you_mean_needs_likeness() -> None:
    """The shortest name that begins so, else a ratio of 0.6 or more, the best first; case does not count."""
    assert did_you_mean("mamba2", ["mamba", "mamba2-130m", "gpt2"]) == "mamba2-130m"
    assert did_you_mean("h100", ["8x-h100-sxm", "h100-pcie", "h100-sxm", "v100"]) == "h100-sxm"
    assert did_you_mean("mmaba", ["mamba", "mamba2-130m", "gpt2"]) == "mamba"
    assert did_you_mean("TP", ["tp", "cip"]) == "tp"
    assert did_you_mean("x", ["mamba"]) is None
    assert did_you_mean("mamba", []) is None


def test_infeasible_reads_and_serialises() -> None:
    """A sentence with demand, bound and levers; the same fields as JSON."""
    bad = Infeasible("URAM", 500, 463, "URAM", "board has too few URAM blocks", {"state": 500}, ("a smaller batch",))
    assert str(bad) == "board has too few URAM blocks (URAM: needs 500 URAM, has 463). Try: a smaller batch"
    assert bad.to_dict() == {
        "resource": "URAM",
        "demand": 500,
        "bound": 463,
        "unit": "URAM",
        "reason": "board has too few URAM blocks",
        "terms": {"state": 500},
        "levers": ["a smaller batch"],
    }
    told = Infeasible("URAM", 5, 4, "URAM", "too few", {"state": 5}, (), {"state": "derived: its bits"})
    assert told.to_dict()["sources"] == {"state": "derived: its bits"}
    assert str(Infeasible("x", 1, 0, "units", "no x")) == "no x (x: needs 1 units, has 0)"


def test_an_error_reaches_another_process_whole() -> None:
    """Pickled, as between the workers of a sweep, it keeps its faults with their places."""
    error = HwsimError(Fault(Where("a.yaml", 3, 7), "found", "expected", "near"), Fault(Where("b"), "x", "y"))
    again = pickle.loads(pickle.dumps(error))
    assert again.faults == error.faults
    assert str(again) == str(error)
