"""Equal stretches of a list: folded where that saves lines, the same operators when unfolded."""

from hypothesis import given
from hypothesis import strategies as st

from hwsim.workload.from_onnx.repeats import folded


def op(kind, name="x"):
    """An operator of a kind."""
    return {"kind": kind, "name": name}


def kinds(entries):
    """Kinds of all operators in order, repetitions written out."""
    found = []
    for each in entries:
        found += kinds(each["ops"]) * each["times"] if each["kind"] == "repeat" else [each["kind"]]
    return found


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_unfolding_gives_the_same_operators(letters):
    """In the same order, with names that differ at each level."""
    entries = folded([op(letter, f"/l/{letter}") for letter in letters])
    assert kinds(entries) == letters
    for group in (entries, *(each["ops"] for each in entries if each["kind"] == "repeat")):
        names = [each["name"] for each in group if each["kind"] != "repeat"]
        assert len(names) == len(set(names))


def test_layers_with_an_odd_end_are_found():
    """The shortest period that saves most; what stands before and behind stays, names lose the first layer's path."""
    layer = [op("gemm", "/layer.0/up"), op("relu", "/layer.0/act"), op("gemm2", "/layer.0/down")]
    entries = folded([op("embed"), *(layer * 6), op("head")])
    assert [each["kind"] for each in entries] == ["embed", "repeat", "head"]
    assert (entries[1]["times"], [each["name"] for each in entries[1]["ops"]]) == (6, ["up", "act", "down"])


def test_a_few_equal_operators_stay_in_place():
    """Three in a row are easier read than folded; a list without any has none."""
    assert [each["kind"] for each in folded([op("a"), op("a"), op("a")])] == ["a", "a", "a"]
    assert folded([]) == []


def test_very_many_stages_end():
    """A list of ever other stages is folded as deep as it goes, not without end."""
    letters = [str(stage) for stage in range(300) for _ in range(6)]
    assert kinds(folded([op(letter) for letter in letters])) == letters
