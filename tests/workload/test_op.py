"""Operands as affine projections, ops as values."""

import dataclasses
import itertools
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import FORMATS
from hwsim.workload.named import Named
from hwsim.workload.op import Operand
from hwsim.workload.ops import conv1d, conv2d, gemm, scan, with_bias

DIMS = st.fixed_dictionaries({name: st.integers(1, 4) for name in "uvw"})
TERMS = st.lists(st.tuples(st.sampled_from("uvw"), st.integers(1, 4)), min_size=1, max_size=3, unique_by=lambda t: t[0])


@settings(max_examples=60, deadline=None)
@given(DIMS, st.lists(TERMS, min_size=1, max_size=3))
def test_extent_is_the_bounding_box_of_the_projection(dims, axes):
    """Walking the whole iteration space reaches indices 0 to extent - 1 on each axis, and no further."""
    operand = Operand("x", "activation", tuple(tuple(axis) for axis in axes), "int8")
    points = [dict(zip(dims, point, strict=True)) for point in itertools.product(*(range(n) for n in dims.values()))]
    boxes = []
    for axis in axes:
        reached = {sum(stride * point[name] for name, stride in axis) for point in points}
        assert min(reached) == 0
        boxes.append(max(reached) + 1)
    assert operand.shape(dims) == tuple(boxes)
    product = 1
    for extent in boxes:
        product *= extent
    assert operand.elements(dims) == product


@pytest.mark.parametrize("name", FORMATS)
def test_bytes_are_those_of_the_format_table(name):
    """A dense operand's bytes are the format's bytes for its elements, scales included."""
    op = gemm(3, 5, 70, dtype=name)
    assert op.operand("b").bytes(op.dims) == FORMATS[name].bytes_for(350)


def test_sparse_operand_stores_its_density():
    """Half of the weights stored is half of the bytes; the arithmetic stays dense."""
    dense, sparse = gemm(2, 64, 64), gemm(2, 64, 64, structure="2:4")
    assert sparse.bytes_by_role["weight"] * 2 == dense.bytes_by_role["weight"]
    assert sparse.weight_bytes * 2 == dense.weight_bytes
    assert (sparse.macs, sparse.parameters) == (dense.macs, dense.parameters)
    assert gemm(1, 3, 3, sparsity=0.5).operand("b").bytes({"batch": 1, "m": 1, "n": 3, "k": 3}) == 5 * 2


def test_state_counts_in_both_directions():
    """A scan's state moves twice: read before, written after."""
    op = scan("mamba2", "decode", 1, 1, 4, 8, 16, state_dtype="fp32")
    assert op.state_elements == 4 * 8 * 16
    assert op.bytes_by_role["state"] == 2 * 4 * op.state_elements


def test_padding_is_not_read():
    """A 3x3 convolution with padding 1 reads the image, not the zeros around it."""
    op = conv2d(1, 4, 3, 8, 8, 3, 3, padding=1, dtype="int8")
    assert op.operand("x").shape(op.dims) == (1, 3, 8, 8)


def test_a_gap_between_strides_counts_as_read():
    """A stride wider than the kernel: the bounding box is counted, since memory moves in bursts."""
    op = conv2d(1, 1, 1, 3, 3, 1, 1, stride=2, dtype="int8")
    assert op.operand("x").elements(op.dims) == 25


def test_id_and_signature():
    """The id carries the layer; the signature carries neither name nor layer."""
    op = gemm(1, 2, 3)
    renamed = dataclasses.replace(op, name="in_proj", layer=3)
    assert (op.id, renamed.id) == ("gemm", "layers.3.in_proj")
    assert renamed.signature == op.signature
    assert hash(renamed.signature) == hash(op.signature)
    assert dataclasses.replace(op, block="mlp").signature != op.signature
    assert gemm(1, 2, 4).signature != op.signature


def test_bias_adds_weights_and_additions():
    """A bias is n more parameters and an addition per output element; a convolution's is one per channel."""
    plain, biased = gemm(4, 5, 6), with_bias(gemm(4, 5, 6), "bf16")
    assert biased.parameters - plain.parameters == 5
    assert biased.other_ops - plain.other_ops == 20
    assert biased.output.name == "out"
    assert with_bias(conv1d("decode", 2, 1, 7, 4), "bf16").parameters == 7 * 5
    assert with_bias(conv2d(1, 6, 4, 2, 2, 1, 1, groups=2), "bf16").parameters == 6 * 2 + 6


def test_operand_by_name():
    """An operand is found by name; an unknown name is a KeyError."""
    op = gemm(1, 2, 3)
    assert op.operand("a").matrix(op.dims) == (1, 3)
    with pytest.raises(KeyError):
        op.operand("c")


def test_named_is_an_ordered_hashable_mapping():
    """Equal pairs in equal order are equal and hash alike; order matters; copies survive pickling."""
    one = Named({"m": 1, "n": 2})
    assert one["n"] == 2
    assert list(one) == ["m", "n"]
    assert dict(one) == {"m": 1, "n": 2}
    assert "k" not in one
    assert len(one) == 2
    assert one == Named([("m", 1), ("n", 2)]) == pickle.loads(pickle.dumps(one))
    assert hash(one) == hash(Named([("m", 1), ("n", 2)]))
    assert one != Named([("n", 2), ("m", 1)])
    assert one.replace(n=3, k=4).pairs == (("m", 1), ("n", 3), ("k", 4))
    assert repr(one) == "Named(m=1, n=2)"
    with pytest.raises(ValueError, match="twice"):
        Named([("m", 1), ("m", 2)])
