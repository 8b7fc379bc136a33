"""Convolution networks: counts against published ones, shapes against PyTorch's rules, and faults at their places."""

import pytest

from hwsim.errors import HwsimError
from hwsim.workload import find_workload
from hwsim.workload.builders import build
from hwsim.workload.model import Pass


def graph_of(name, images=1):
    """The graph of a shipped network."""
    workload = find_workload(name)
    return build(workload.model, workload.formats, Pass("inference", images))


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [("vgg16", 138_357_544, 15_470_264_320), ("alexnet", 62_378_344, 1_135_256_096)],
)
def test_known_networks(name, parameters, macs):
    """Parameters of the published models to the last one; MACs as commonly counted."""
    totals = graph_of(name).totals
    assert (totals.parameters, totals.macs) == (parameters, macs)


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("resnet-18-cifar", 1_220_800),
        ("fatnet", 148_792),
        ("unet", 3_833_984),
        ("fat-unet", 7_123),
        ("vgg16", 1_634_496),
    ],
)
def test_pairs_of_channels(name, pairs):
    """Sum of input x output channels of the convolutions: what a 4f system without tiles takes in frames."""
    convolutions = [op for op in graph_of(name).ops if op.kind == "conv2d"]
    assert sum(op.dims["ic"] * op.dims["oc"] for op in convolutions) == pairs


def test_macs_scale_with_the_batch():
    """Two images are twice the work with the same weights."""
    one, two = graph_of("fatnet").totals, graph_of("fatnet", 2).totals
    assert two.macs == 2 * one.macs
    assert two.parameters == one.parameters


def test_same_padding_of_an_even_kernel_keeps_the_image():
    """A 4 x 4 kernel pads three zeros in all, so 16 rows stay 16."""
    op = next(op for op in graph_of("fatnet").ops if op.kind == "conv2d" and op.dims["r"] == 4)
    assert op.operand("x").shape(op.dims)[2:] == (16, 16)
    assert (op.dims["y"], op.dims["x"]) == (16, 16)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[]", "one or more"),
        ("[{kind: conv}]", "1 or more in a conv or linear layer"),
        ("[{kind: pool}]", "the rows of the result in a pool"),
        ("[{kind: conv, channels: 4}, {kind: add}]", "the name of a layer in an add"),
        ("[{kind: conv, channels: 4, after: stem}]", "a layer before this one"),
        ("[{kind: conv, channels: 4, groups: 2}]", "a divisor of 3 and 4"),
        ("[{kind: conv, channels: 4, kernel: 40, padding: valid}]", "at most the 32 of the image"),
        ("[{kind: pool, to: 64}]", "fewer in a pool"),
        ("[{kind: conv, channels: 4, name: a}, {kind: conv, channels: 4, name: a}]", "a name for each"),
        ("[{kind: conv, channels: 4, name: a}, {kind: pool, to: 16}, {kind: add, other: a}]", "the same extents"),
        ("[{kind: cnov, channels: 4}]", "did you mean 'conv'"),
    ],
)
def test_faults(tmp_path, body, message):
    """Each mistake is named with its line."""
    path = tmp_path / "net.yaml"
    path.write_text(
        f"name: net\nmodel:\n  family: convnet\n  image: 32\n  body: {body}\nrun: {{phase: inference}}\n", "utf-8"
    )
    with pytest.raises(HwsimError) as caught:
        find_workload(str(path))
    assert message in str(caught.value)
    assert "net.yaml:" in str(caught.value)


def test_a_network_of_images_decodes_nothing(tmp_path):
    """Only inference makes sense."""
    path = tmp_path / "net.yaml"
    path.write_text("extends: vgg16\nname: net\nrun: {phase: decode}\n", "utf-8")
    with pytest.raises(HwsimError, match="inference for a model of images"):
        find_workload(str(path))
