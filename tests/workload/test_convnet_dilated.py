"""Dilated layers of convolution networks: extents and counts against taps placed one by one."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.workload import find_workload
from hwsim.workload.builders import build
from hwsim.workload.convnet import ConvLayer, ConvNetModel
from hwsim.workload.model import Formats, Pass


def places(rows, layer):
    """First row of the window of every output row, and its taps, by sliding a ruler with holes over the image."""
    taps = [layer.dilation * tap for tap in range(layer.kernel)]
    if layer.padding == "valid":
        return [[at + tap for tap in taps] for at in range(0, rows, layer.stride) if at + taps[-1] < rows]
    zeros = max(0, (-(-rows // layer.stride) - 1) * layer.stride + taps[-1] + 1 - rows)
    return [[at - zeros // 2 + tap for tap in taps] for at in range(0, rows, layer.stride)]


@st.composite
def layers(draw, channels):
    """A convolution whose groups divide."""
    groups = draw(st.sampled_from([each for each in range(1, channels + 1) if channels % each == 0]))
    return ConvLayer(
        "conv", channels=groups * draw(st.integers(1, 3)), kernel=draw(st.integers(1, 4)),
        stride=draw(st.integers(1, 3)), padding=draw(st.sampled_from(["same", "valid"])), groups=groups,
        dilation=draw(st.integers(1, 4)), relu=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(data=st.data(), image=st.integers(1, 14), channels=st.sampled_from([1, 2, 4, 6]), images=st.integers(1, 2))
def test_extents_and_counts_are_those_of_the_taps(data, image, channels, images):
    """Rows of the result, products, weights and stored pixels of a layer, zeros between taps left out of all."""
    layer = data.draw(layers(channels))
    found = places(image, layer)
    if not found:
        with pytest.raises(Exception, match="at most the"):
            ConvNetModel((layer,), channels, image)
        return
    graph = build(ConvNetModel((layer,), channels, image), Formats("int8", "int8", "int8"), Pass("inference", images))
    op = graph.ops[0]
    rows, taps = len(found), layer.kernel**2
    assert op.output.shape(op.dims) == (images, layer.channels, rows, rows)
    pairs = [(i, o) for i, o in product(range(channels), range(layer.channels)) if same_group(i, o, layer, channels)]
    assert op.macs == images * len(pairs) * sum(len(a) * len(b) for a in found for b in found)
    assert op.operand("w").elements(op.dims) == len(pairs) * taps
    assert op.operand("x").shape(op.dims) == (images, channels, image, image)


def same_group(i, o, layer, channels):
    """Whether an input and an output channel belong together."""
    return i // (channels // layer.groups) == o // (layer.channels // layer.groups)


def test_a_dilated_network_from_a_file(tmp_path):
    """Context layers in the manner of dilated networks: extents stay, the weights are those of 3 x 3 kernels."""
    path = tmp_path / "context.yaml"
    body = "\n".join(f"    - {{kind: conv, channels: 8, dilation: {each}}}" for each in (1, 2, 4, 8))
    head = "name: context\nmodel:\n  family: convnet\n  image: 16\n  channels: 8\n  body:\n"
    path.write_text(f"{head}{body}\nrun: {{phase: inference}}\n", "utf-8")
    workload = find_workload(str(path))
    graph = build(workload.model, workload.formats, Pass("inference", 1))
    convolutions = [op for op in graph.ops if op.kind == "conv2d"]
    assert {op.output.shape(op.dims) for op in convolutions} == {(1, 8, 16, 16)}
    assert [op.operand("x").halo[2] for op in convolutions] == [2, 4, 8, 16]
    assert {op.macs for op in convolutions} == {8 * 8 * 9 * 16 * 16}


def test_a_reach_beyond_the_image_is_refused(tmp_path):
    """Taps 8 apart reach over 17 rows: too many for a valid convolution of 16."""
    path = tmp_path / "net.yaml"
    body = "[{kind: conv, channels: 4, dilation: 8, padding: valid}]"
    path.write_text(
        f"name: net\nmodel: {{family: convnet, image: 16, body: {body}}}\nrun: {{phase: inference}}\n", "utf-8"
    )
    with pytest.raises(HwsimError, match="17 rows; expected at most the 16 of the image"):
        find_workload(str(path))
