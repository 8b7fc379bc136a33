"""Map one GEMM on ws16 with AccelForge, on one core; run in AccelForge's own environment, prints one JSON object.

python accelforge_map.py M N K L1_BYTES
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import accelforge  # type: ignore[import-not-found]
from accelforge.mapper.FFM.main import map_workload_to_arch  # type: ignore[import-not-found]


def main() -> None:
    """Search by energy-delay product; CPU seconds of the search alone, and of the process so far."""
    m, n, k, l1_bytes = map(int, sys.argv[1:5])
    spec = accelforge.Spec.from_yaml(
        Path(__file__).with_name("accelforge_ws16.yaml"),
        jinja_parse_data={"M": m, "N": n, "K": k, "L1_BYTES": l1_bytes},
    )
    spec.mapper.metrics = accelforge.Metrics.ENERGY_DELAY_PRODUCT
    accelforge.set_n_parallel_jobs(1)
    start = time.process_time()
    found = map_workload_to_arch(spec, eval_in_detail=False, print_progress=False).data.iloc[0]
    search_s = time.process_time() - start
    mapping = found["Total<SEP>mapping"]().compact_str()
    json.dump(
        {
            "edp": float(found["Total<SEP>energy_delay_product"]),
            "search_cpu_s": search_s,
            "process_cpu_s": time.process_time(),
            "mapping": mapping,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
