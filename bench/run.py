"""Run the benchmarks: each `bench/bench_NAME.py` has a `main()` that prints its table.

`python bench/run.py` runs all of them, `python bench/run.py NAME ...` those named.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
PREFIX = "bench_"


def main(names: Sequence[str]) -> int:
    """Run the benchmarks named, or all; 2 when a name is unknown."""
    found = {path.stem.removeprefix(PREFIX): path for path in sorted(HERE.glob(f"{PREFIX}*.py"))}
    unknown = [name for name in names if name not in found]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(found) or 'none'}", file=sys.stderr)
        return 2
    for name in names or found:
        print(f"== {name} ==", flush=True)
        start = time.perf_counter()
        load(found[name]).main()
        print(f"({time.perf_counter() - start:.1f} s)\n", flush=True)
    return 0


def load(path: Path) -> ModuleType:
    """Import a benchmark from its file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up by its name
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
