"""Mapping files: round trips, shipped ones legal and worth what they say, faults line by line."""

import pytest
from array_machines import make_ws16
from hypothesis import given, settings
from hypothesis import strategies as st
from nest_draws import nests

from hwsim.devices.catalog import find_device
from hwsim.devices.mapped import load_mapping, mapper_view
from hwsim.errors import HwsimError
from hwsim.mapping.account import account
from hwsim.mapping.files import form_of, mapping_text, parse_steps, read_mapping, shape_of
from hwsim.mapping.mapper import Search, best_nest
from hwsim.mapping.problem import attention_gemms, conv2d, gemm
from hwsim.spec import parse, read
from hwsim.workload.catalog import find_file, shipped_names

PROBLEMS = [gemm(4, 6, 4), gemm(2, 4, 3, batch=2), conv2d(1, 4, 2, 4, 2, 2, 1), conv2d(1, 4, 4, 3, 1, 3, 1, groups=2)]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_nests_round_trip(data):
    """Any nest to YAML and back: the same nest, the same shape, the same text again."""
    problem = data.draw(st.sampled_from(PROBLEMS))
    nest = data.draw(nests(problem, perfect=data.draw(st.booleans())))
    text = mapping_text("drawn", "a drawn nest", "ws16", [(problem, nest)])
    file = read_mapping(parse(text, "drawn.yaml"))
    assert file.by_shape == {shape_of(problem): nest}
    back = file.nests[0].problem(8, 8)
    assert account(back, make_wide(), nest) == account(problem, make_wide(), nest)
    assert mapping_text("drawn", "a drawn nest", "ws16", [(back, nest)]) == text


def make_wide():
    from nest_draws import machine

    return machine()


NESTS = [name for name in shipped_names("mappings") if read_mapping(read(find_file("mappings", name))).nests]


@pytest.mark.parametrize("name", NESTS)
def test_shipped_nests_are_legal_and_the_mapper_finds_nothing_better(name):
    """Each is legal on its machine, and as good as the proven optimum of its space."""
    file = load_mapping(read(find_file("mappings", name)))
    view = mapper_view(find_device(file.device))
    for form in file.nests:
        problem = form.problem(*view.word_bits)
        best = best_nest(problem, view.hierarchy, Search(space="imperfect" if "imperfect" in name else "perfect"))
        cost = account(problem, view.hierarchy, form.nest)
        assert best.certificate.optimal
        assert cost.edp == pytest.approx(best.cost.edp, rel=1e-12)


def test_equal_shapes_are_written_once():
    """Attention's two products may have one shape: one nest serves both."""
    scores, values = attention_gemms(1, 2, 8, 8, 8)
    nest = parse_steps(["for m 1"])
    assert len(read_mapping(parse(mapping_text("a", "b", "ws16", [(scores, nest), (values, nest)]), "x")).nests) == 1
    assert form_of(scores, nest).dims == {"batch": 2, "m": 8, "n": 8, "k": 8}


TEXT = """mapping: test
description: a test
device: ws16
nests:
  - kind: gemm
    dims: {m: 64, "n": 64, k: 64}
    steps:
      - hold I in L1
      - hold O in L1
      - for n 16
      - for k 16
      - spread k on rows 1
      - spread n on columns 1
      - hold W in wreg
"""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("hold I in L1", "hold I in L3", "x.yaml:8:9: level 'L3'; expected one of L2, L1, wreg"),
        ("hold I in L1", "hold X in L1", "x.yaml:8:9: operand 'X'; expected one of I, W, O"),
        ("for n 16", "for q 16", "x.yaml:10:9: dimension 'q'"),
        ("on rows 1", "on row 1", "x.yaml:12:9: axis 'row'; expected one of rows, columns; did you mean 'rows'?"),
        ("for n 16", "for n 65", "x.yaml:10:9: a tile of 65 of dimension n; expected from 1 to the 64"),
        ("for n 16", "for n 0", "a tile of 0 of dimension n"),
        ("- hold O in L1\n", "- hold O in L2\n", "L1 skips O; expected L1 to hold every output"),
        ("hold O in L1", "hold I in wreg", "wreg holds I (input); expected weight only"),
        ("spread k on rows 1", "spread m on rows 1", "dimension m on axis rows; expected k, ic on it"),
        ("spread k on rows 1", "spread m on rows 1", "on axis rows, which cannot multicast W"),
        ("for k 16", "for k 32", "32 lanes on axis rows; expected at most 16"),
        (
            "k: 64}",
            "k: 4096}",
            "L1 holds 266,240 bytes (I 262,144 + O 4,096); expected at most 65,536: smaller tiles of",
        ),
        ("k: 64}", "k: 0}", "found 0 for nests[0].dims.k; expected a whole number of at least 1"),
        (
            "k: 64}",
            "k: 1000000000000}",
            "found 1000000000000 for nests[0].dims.k; expected a whole number of at least 1 and",
        ),
        ("k: 64}", "z: 64}", "dimension 'z' of a gemm; expected one of batch, m, n, k"),
        ("for n 16", "loop n 16", "x.yaml:10:9: step 'loop n 16'; expected 'for DIM TILE'"),
        ("device: ws16", "device: ws61", "did you mean 'ws16'?"),
        (
            "device: ws16",
            "device: l4",
            "x.yaml:5:3: nests for l4, of family gpu; expected tiles, which that family has",
        ),
        ("kind: gemm", "kind: gem", "'gem'"),
    ],
)
def test_faults_name_line_level_and_operand(old, new, fault):
    """Each mistake at its line: which level, which operand, need against room, what would mend it."""
    with pytest.raises(HwsimError) as caught:
        load_mapping(parse(TEXT.replace(old, new), "x.yaml"))
    assert fault in "\n".join(map(str, caught.value.faults))


def test_a_second_nest_of_a_shape_is_refused():
    """One nest for each shape of op."""
    twice = TEXT + TEXT[TEXT.index("  - kind") :]
    with pytest.raises(HwsimError, match="a second nest of this shape"):
        load_mapping(parse(twice, "x.yaml"))


def test_the_catalog_machine_is_the_golden_one():
    """The hierarchy of the catalog's ws16 and the one by hand price the golden mapping alike."""
    form = load_mapping(read(find_file("mappings", "golden-gemm"))).nests[0]
    mine = mapper_view(find_device("ws16")).hierarchy
    problem = form.problem(8, 8)
    assert account(problem, mine, form.nest) == account(problem, make_ws16(), form.nest)
