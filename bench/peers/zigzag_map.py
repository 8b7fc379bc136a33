"""ZigZag 3.9.1 on one GEMM of ws16, as JSON: run by bench_mapping with an interpreter that has zigzag-dse.

    PYTHON zigzag_map.py M N K

Registers hold two bytes, as ZigZag has no implicit double buffer. The account is ZigZag's own: weight loads and
on- and off-loading stall, which the ideal cycles of the other tools do not have.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def port(name: str, kind: str, width: int, served: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A port that is ``width`` bits wide, and the moves that it serves."""
    return {
        "name": name,
        "type": kind,
        "bandwidth_min": 8,
        "bandwidth_max": width,
        "allocation": [f"{operand}, {move}" for operand, move in served],
    }


def memory(
    bits: int, cost: float, ports: list[dict[str, Any]], operands: list[str], served: list[str]
) -> dict[str, Any]:
    """A level; ``cost`` is of one access of a port's whole width."""
    return {
        "size": bits,
        "r_cost": cost,
        "w_cost": cost,
        "area": 0,
        "latency": 1,
        "operands": operands,
        "ports": ports,
        "served_dimensions": served,
        "auto_cost_extraction": False,
    }


def buffer(bits: int, width: int, cost: float) -> dict[str, Any]:
    """A level with a read and a write port for every operand."""
    reads = [(o, "tl") for o in ("I1", "I2", "O")] + [("O", "th")]
    writes = [(o, "fh") for o in ("I1", "I2", "O")] + [("O", "fl")]
    ports = [port("r_port_1", "read", width, reads), port("w_port_1", "write", width, writes)]
    return memory(bits, cost * width / 8, ports, ["I1", "I2", "O"], ["D1", "D2"])


def main(m: int, n: int, k: int) -> None:
    """Map one GEMM and print the answer."""
    moves = [(o, "fh") for o in ("I1", "I2", "O")] + [(o, "tl") for o in ("I1", "I2", "O")] + [("O", "fl"), ("O", "th")]
    dram = memory(10**11, 64 * 16, [port("rw_port_1", "read_write", 128, moves)], ["I1", "I2", "O"], ["D1", "D2"])
    register = memory(
        16,
        0.02,
        [port("r_port_1", "read", 8, [("I2", "tl")]), port("w_port_1", "write", 8, [("I2", "fh")])],
        ["I2"],
        [],
    )
    l1 = buffer(65536 * 8, 1024, 1)
    l1["operands"] = ["I1", "O"]
    for each in l1["ports"]:
        each["allocation"] = [a for a in each["allocation"] if not a.startswith("I2")]
    hardware = {
        "name": "ws16",
        "memories": {"wreg": register, "L1": l1, "L2": buffer(262144 * 8, 256, 2), "DRAM": dram},
        "operational_array": {
            "input_precision": [8, 8],
            "unit_energy": 0.2,
            "unit_area": 1,
            "dimensions": ["D1", "D2"],
            "sizes": [16, 16],
        },
    }
    mapping = [
        {
            "name": "default",
            "spatial_mapping": {"D1": ["K, 16"], "D2": ["C, 16"]},
            "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
        }
    ]
    workload = [
        {
            "id": 0,
            "name": "gemm",
            "operator_type": "Gemm",
            "equation": "O[d][k]+=I[d][c]*W[c][k]",
            "loop_dims": ["C", "D", "K"],
            "loop_sizes": [k, m, n],
            "operand_precision": {"I": 8, "W": 8, "O": 8, "O_final": 8},
            "operand_source": {"I": 0, "W": 0},
        }
    ]
    import yaml
    from zigzag.api import get_hardware_performance_zigzag

    logging.disable(logging.CRITICAL)
    Path("hardware.yaml").write_text(yaml.safe_dump(hardware, sort_keys=False))
    Path("mapping.yaml").write_text(yaml.safe_dump(mapping, sort_keys=False))
    Path("workload.yaml").write_text(yaml.safe_dump(workload, sort_keys=False))
    start = time.process_time()
    energy, cycles, *_ = get_hardware_performance_zigzag(
        "workload.yaml",
        "hardware.yaml",
        "mapping.yaml",
        opt="EDP",
        lpf_limit=6,
        nb_spatial_mappings_generated=1,
        dump_folder="out",
        loma_show_progress_bar=False,
    )
    spent = time.process_time() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "energy_pj": energy,
                "cycles": cycles,
                "edp": energy * 1e-12 * cycles / 1e9,
                "search_cpu_s": spent,
                "process_cpu_s": usage.ru_utime + usage.ru_stime,
            }
        )
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
