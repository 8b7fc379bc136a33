"""The builder of vision transformers: published counts, and what stands before and behind the layers."""

from hwsim.workload.builders import build
from hwsim.workload.catalog import find_workload
from hwsim.workload.model import Formats, Pass, VitModel
from hwsim.workload.summary import summary


def test_vit_macs_are_torchvisions():
    """torchvision states 17.56 G and 61.55 G multiply-adds for ViT-B/16 and ViT-L/16 (rounded to two decimals)."""
    assert round(summary(find_workload("vit-b-16")).macs / 1e9, 2) == 17.56
    assert round(summary(find_workload("vit-l-16")).macs / 1e9, 2) == 61.55


def test_vit():
    """Patches, the class token in front, positions, layers, and the class row to the head; per image alike."""
    model = VitModel(d_model=48, layers=2, heads=3, d_ff=96, image=32, patch=8, classes=10)
    graph = build(model, Formats(), Pass("inference", batch=2))
    outside = [op.name for op in graph if op.layer is None]
    assert outside == ["patch_embed", "class_token", "position_add", "final_norm", "class_row", "head"]
    assert graph.op("layers.0.attention").attributes["phase"] == "bidirectional"
    assert graph.op("layers.0.attention").bytes_by_role["cache"] == 0
    assert graph.op("class_token").output.matrix(graph.op("class_token").dims) == (2 * 17, 48)
    assert graph.op("patch_embed").operand("x").elements(graph.op("patch_embed").dims) == 2 * 3 * 32 * 32
    assert graph.op("head").dims["m"] == 2
    single = build(model, Formats(), Pass("inference"))
    assert graph.totals.macs == 2 * single.totals.macs
    assert graph.totals.parameters == single.totals.parameters


def test_vit_with_more_tokens():
    """Registers have no position; two class tokens have a head each; without classes there is no head."""
    shape = {"d_model": 48, "layers": 2, "heads": 3, "d_ff": 96, "image": 32, "patch": 8}
    plain, two = (VitModel(**shape, classes=10, class_tokens=count) for count in (1, 2))
    bare = VitModel(**shape, classes=0, registers=4, layer_scale=True)
    of_plain, of_two, of_bare = (build(each, Formats(), Pass("inference", batch=2)) for each in (plain, two, bare))
    assert (plain.tokens, two.tokens, bare.tokens) == (17, 18, 21)
    assert of_two.totals.parameters - of_plain.totals.parameters == 2 * 48 + 48 * 10 + 10
    assert of_bare.totals.parameters - of_plain.totals.parameters == 4 * 48 + 2 * 2 * 48 - (48 * 10 + 10)
    assert of_bare.op("class_token").operand("x").elements(of_bare.op("class_token").dims) == 2 * 16 * 48
    assert of_bare.op("layers.0.mlp_scale").parameters == 48
    assert [op.name for op in of_two if op.block == "head"] == [
        "final_norm", "class_row", "head", "distillation_class_row", "distillation_head",
    ]  # fmt: skip
    assert [op.name for op in of_bare if op.block == "head"] == ["final_norm", "class_row"]


def test_vit_of_clip():
    """A norm before the layers, patches and projection without biases."""
    shape = {"d_model": 48, "layers": 1, "heads": 3, "d_ff": 96, "image": 32, "patch": 8, "classes": 10}
    plain = build(VitModel(**shape), Formats(), Pass("inference"))
    clip = build(VitModel(**shape, pre_norm=True, patch_bias=False, head_bias=False), Formats(), Pass("inference"))
    assert clip.op("pre_norm").parameters == 2 * 48
    assert plain.totals.parameters - clip.totals.parameters == 48 + 10 - 2 * 48
