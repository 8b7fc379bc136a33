"""Shipped workloads: each loads, says what it is, and is found by name."""

import subprocess
import sys

import pytest

from hwsim.errors import HwsimError
from hwsim.workload.builders import build
from hwsim.workload.catalog import document_of, find_file, find_workload, shelf, workload_names
from hwsim.workload.decoding import Autoregressive, Speculative, compose
from hwsim.workload.summary import summary, token_pass

EXPECTED = {
    "mamba", "mamba-ar", "mamba-tree", "transformer", "vit",
    "mamba-130m", "mamba-370m", "mamba-790m", "mamba-1.4b", "mamba-2.8b",
    "mamba2-130m", "mamba2-370m", "mamba2-780m", "mamba2-1.3b", "mamba2-2.7b",
    "gpt2", "llama-2-7b", "llama-2-13b", "llama-2-70b", "llama-3-8b", "llama-3-70b", "mistral-7b", "qwen3-8b",
    "mixtral-8x7b", "jamba", "apriel-h1", "bert-base", "bert-large",
    "vit-b-16", "vit-l-16", "deit-t", "deit-s", "deit-b",
    "vgg16", "vgg16-cifar", "alexnet", "srcnn", "resnet-18-cifar", "fatnet", "unet", "fat-unet",
}  # fmt: skip


def test_all_promised_workloads_are_shipped():
    """The shelf holds what the documentation promises."""
    assert set(workload_names()) >= EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_shipped_workload(name):
    """It loads, its name is its file's, a comment heads it, it has description and source, and its graph builds."""
    workload = find_workload(name)
    text = find_file("workloads", name).read_text()
    assert workload.name == name
    assert text.startswith("# ")
    assert workload.description
    assert workload.source
    assert len(build(workload.model, workload.formats, token_pass(workload))) > workload.model.layers


def test_mamba_is_as_documented():
    """The headline workload: chain of three, 3.05 tokens per target call, marked assumed, head on the host."""
    workload = find_workload("mamba")
    assert isinstance(workload.decoding, Speculative)
    assert (workload.formats.weights, workload.formats.activations, workload.formats.state) == ("int4", "int4", "int8")
    assert workload.run.lm_head == "host"
    assert compose(workload.decoding).tokens_per_step == pytest.approx(3.0475)
    assert workload.decoding.acceptance.accepted_ratio.kind == "assumed"
    assert find_workload(workload.decoding.draft).model.d_model == 768
    assert isinstance(find_workload("mamba-ar").decoding, Autoregressive)


def test_the_tree_is_strees():
    """Thirteen nodes, four levels of three, children counts 3 / 2,1 / 2,1 / 3; acceptance marked assumed."""
    decoding = find_workload("mamba-tree").decoding
    tree = decoding.tree.tree
    assert tree.nodes == 13
    assert [len(level) for level in tree.levels] == [1, 3, 3, 3, 3]
    assert tree.parents == (0, 0, 0, 1, 1, 2, 4, 4, 5, 7, 7, 7)
    assert {quantity.kind for quantity in decoding.acceptance.per_rank} == {"assumed"}


def test_settings_are_laid_over_the_file():
    """``--set workload.…`` values change one run."""
    workload = find_workload("mamba", ("run.batch=4", "decoding.tree.chain=5", "formats.weights=int8"))
    assert workload.run.batch == 4
    assert workload.decoding.tree.tree.nodes == 6
    assert workload.formats.weights == "int8"
    with pytest.raises(HwsimError, match=r"--set workload\.run\.bach=4"):
        find_workload("mamba", ("run.bach=4",))


def test_unknown_name_suggests():
    """A name that is not shipped gives the nearest one."""
    with pytest.raises(HwsimError, match=r"unknown workload 'mamba2-2.7'.*did you mean 'mamba2-2.7b'"):
        find_workload("mamba2-2.7")
    with pytest.raises(HwsimError, match=r"unknown workload ''"):
        find_workload("")


def test_a_file_of_the_users_own(tmp_path):
    """A path is read as it is and may extend a shipped name."""
    path = tmp_path / "mine.yaml"
    path.write_text("extends: mamba2-130m\nname: mine\nrun: {batch: 8}\n")
    workload = find_workload(str(path))
    assert (workload.name, workload.model.d_model, workload.run.batch) == ("mine", 768, 8)
    with pytest.raises(HwsimError, match="no such file"):
        find_workload(str(tmp_path / "other.yaml"))


def test_inputs_name_every_file():
    """The record of inputs holds the file and what it extends, with their hashes."""
    inputs = document_of("mamba").inputs
    assert [name.rsplit("/", 1)[-1] for name in inputs] == ["mamba.yaml", "mamba-ar.yaml", "mamba2-2.7b.yaml"]
    assert all(len(digest) == 64 for digest in inputs.values())


def test_installed_files_come_first(tmp_path, monkeypatch):
    """In an installed wheel the files lie inside the package."""
    data = tmp_path / "hwsim" / "_data" / "workloads"
    data.mkdir(parents=True)
    monkeypatch.setattr("hwsim.workload.catalog._PACKAGE", tmp_path / "hwsim")
    shelf.cache_clear()
    try:
        assert shelf("workloads") == data
        assert shelf("mappings") == tmp_path / "mappings"
    finally:
        monkeypatch.undo()
        shelf.cache_clear()


def test_loading_a_file_imports_no_graph_library():
    """Checking a file needs neither networkx nor numba nor matplotlib."""
    code = (
        "import sys; from hwsim.workload import find_workload; find_workload('mamba');"
        "print([name for name in ('networkx', 'numba', 'matplotlib') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_summary_of_a_transformer():
    """Bytes of keys and values per token, weights in memory, and work by layer kind."""
    found = summary(find_workload("llama-3-8b"))
    assert found.cache_bytes_per_token == 2 * 32 * 8 * 128 * 2
    assert found.weight_bytes == 2 * found.parameters
    assert found.head_macs == 4096 * 128256
    assert found.linear_macs_body == 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    assert list(found.blocks) == ["embedding", "attention", "mlp", "head"]
    assert (found.scan_state_elements, found.state_bytes) == (0, 0)


def test_summary_of_a_quantised_mamba():
    """Weights in four bits, state and windows in eight."""
    found = summary(find_workload("mamba"))
    assert found.state_bytes == found.scan_state_elements + found.conv_state_elements
    assert found.conv_state_elements == 64 * 3 * 5376
    assert found.blocks["mamba2"].bytes_by_role["weight"] == pytest.approx(found.linear_macs_body / 2, rel=0.002)
    assert found.cache_bytes_per_token == 0
