"""The mapper as it is called: both modes, answers kept on disk, several writers at once."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from array_machines import make_ws16

from hwsim.devices.catalog import find_device
from hwsim.errors import Infeasible
from hwsim.mapping import cache
from hwsim.mapping.mapper import Search, best_nest, cost_of
from hwsim.mapping.ops import padded_to_lanes
from hwsim.mapping.problem import conv2d, gemm


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("HWSIM_MAPPING_CACHE", str(tmp_path))
    return tmp_path


def test_kept_answers_are_the_searched_ones(folder, ws16, monkeypatch):
    """Every objective and mode: what comes from the disk equals what the search gave, and nothing is searched again."""
    asked = [Search(objective, mode=mode) for objective in ("edp", "pareto") for mode in ("ideal", "pipelined")]
    first = [best_nest(gemm(60, 96, 80), ws16, each) for each in asked]
    assert len(list(folder.glob("*.json"))) == len(asked)
    monkeypatch.setattr("hwsim.mapping.mapper.find_best", None)
    assert [best_nest(gemm(60, 96, 80), ws16, each) for each in asked] == first


def test_the_key_holds_everything_that_matters(ws16):
    """Another problem, machine or question has another key; another name of the machine has not."""
    problem = gemm(4, 4, 4)
    key = cache.key_of(problem, ws16, "edp")
    from dataclasses import replace

    assert cache.key_of(gemm(4, 4, 8), ws16, "edp") != key
    assert cache.key_of(problem, ws16, "energy") != key
    assert cache.key_of(problem, replace(ws16, mac_pj=0.3), "edp") != key
    assert cache.key_of(problem, replace(ws16, name="other"), "edp") == key


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": "other"}', "nul\0", "\xff"])
def test_a_damaged_entry_is_searched_anew(folder, ws16, damage):
    """Half-written, foreign or empty files count as none, and are replaced."""
    problem = gemm(32, 32, 32)
    first = best_nest(problem, ws16)
    (entry,) = folder.glob("*.json")
    entry.write_text(damage, "latin-1")
    assert best_nest(problem, ws16) == first
    assert json.loads(entry.read_text())["key"] == entry.stem


def test_no_folder_no_cache(tmp_path, monkeypatch, ws16):
    """An empty name turns the cache off; a place that cannot be written is no fault."""
    for name in ("", str(tmp_path / "file" / "below")):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("HWSIM_MAPPING_CACHE", name)
        assert best_nest(gemm(16, 16, 16), ws16).certificate.optimal


def write_one(name):
    import os

    os.environ["HWSIM_MAPPING_CACHE"] = name
    return best_nest(gemm(48, 48, 48), make_ws16()).cost.edp


def test_several_processes_write_one_answer(folder):
    """Four searches by two processes: one entry, one answer, no part files left."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        answers = set(pool.map(write_one, [str(folder)] * 4))
    assert len(answers) == 1
    assert [path.suffix for path in folder.iterdir()] == [".json"]


def test_answers_out_of_budget_are_not_kept(folder, ws16):
    """Only a finished search is worth keeping."""
    assert isinstance(best_nest(gemm(64, 64, 64), ws16, Search(budget_s=0.0)), Infeasible)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("problem", [gemm(64, 64, 64), gemm(1, 256, 256), conv2d(1, 32, 32, 8, 8, 3, 3)])
@pytest.mark.parametrize("name", ["systolic-ws-16", "systolic-os-16", "tpu-256", "ws16"])
def test_pipelined_answers_carry_a_true_bound(problem, name):
    """The bound is at least the ideal optimum; the gap is what the answer is above it; no nest tried is better."""
    hierarchy = find_device(name).hierarchy
    ideal, found = (best_nest(problem, hierarchy, Search(mode=mode)) for mode in ("ideal", "pipelined"))
    proof = found.certificate
    assert proof.mode == "pipelined"
    assert ideal.cost.edp <= proof.lower_bound <= found.cost.edp
    assert proof.gap == pytest.approx(found.cost.edp / proof.lower_bound - 1)
    assert proof.optimal == (proof.gap == 0)
    assert proof.evaluated >= 1
    assert proof.evaluated + sum(proof.pruned.values()) == proof.represented
    assert found.cost == cost_of(problem, hierarchy, found.nest, "pipelined")
    assert found.cost.edp <= cost_of(problem, hierarchy, ideal.nest, "pipelined").edp


def test_padding_fills_the_lanes(ws16):
    """A prime dimension goes up to the next multiple of a fixed axis; what fits on it, or is on none, stays."""
    assert padded_to_lanes(gemm(7, 197, 5), ws16).extents == {"m": 7, "n": 208, "k": 5}
    assert padded_to_lanes(gemm(7, 64, 32), ws16) == gemm(7, 64, 32)
