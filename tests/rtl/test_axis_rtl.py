"""The AXI edges, driven by cocotbext-axi, and the reader's bursts and cycles on an ideal memory."""

import numpy as np
import pytest
from rtl_runner import play

from hwsim.errors import HwsimError
from hwsim.timing.stream import axi_bursts
from rtl.axis import AxisUnit, WeightReader
from rtl.emit import lower, to_rtlil
from rtl.hadamard import Hadamard


def test_axis_wrapper_passes_frames():
    """A wrapped unit gives the golden beats through cocotbext-axi with pauses on both sides."""
    pytest.importorskip("cocotbext.axi")
    unit = Hadamard(points=4, bits=7)
    inputs = unit.draw(np.random.default_rng(0))
    beats, want = unit.encode(inputs)["i"], unit.expect(inputs)["o"]
    into, out = (-(-port.bits // 8) for port in (unit.ports_in()["i"], unit.ports_out()["o"]))
    plan = {"in": [b.to_bytes(into, "little").hex() for b in beats], "count": len(want)}
    got = play(lower(to_rtlil(AxisUnit(unit))), plan, "rtl_axi_bench", "axis_round")["out"]
    assert got == [w.to_bytes(out, "little").hex() for w in want]


def test_reader_reads_through_a_pausing_ram():
    """Requests that start off a page boundary come back whole and in order."""
    pytest.importorskip("cocotbext.axi")
    reader = WeightReader(data_bits=64, address_bits=16, burst=16)
    ram = np.random.default_rng(1).integers(0, 256, 1 << 14).astype(np.uint8).tobytes()
    requests = [(0, 5), (4096 - 24, 40), (8, 1), (8192 - 8, 17)]
    plan = {
        "ram": ram.hex(),
        "ram_bytes": len(ram),
        "address_bits": 16,
        "requests": requests,
        "count": sum(beats for _, beats in requests),
    }
    got = play(lower(to_rtlil(reader.create())), plan, "rtl_axi_bench", "read_from_ram")["out"]
    want = [ram[a + 8 * k : a + 8 * k + 8][::-1].hex() for a, beats in requests for k in range(beats)]
    assert [int(word, 16) for word in got] == [int(word, 16) for word in want]


@pytest.mark.parametrize(("beats", "memory_cycles"), [(1, 1), (40, 1), (100, 12)])
def test_reader_cycles_on_an_ideal_memory(beats, memory_cycles):
    """Bursts and cycles are exactly the formula's."""
    reader = WeightReader(data_bits=64, address_bits=16, burst=16)
    plan = {"address": 4096 - 40, "beats": beats, "memory_cycles": memory_cycles, "address_bits": 16}
    got = play(lower(to_rtlil(reader.create())), plan, "rtl_axi_bench", "read_ideal")
    assert [tuple(burst) for burst in got["bursts"]] == reader.bursts(4096 - 40, beats)
    assert got["cycles"] == reader.cycles(beats, memory_cycles=memory_cycles)


def test_bursts_respect_pages():
    """No burst crosses 4 KiB; together they cover the request."""
    bursts = axi_bursts(4096 - 96, 700, beat_bytes=32, burst=256)
    assert sum(n for _, n in bursts) == 700
    assert all(a // 4096 == (a + 32 * n - 1) // 4096 for a, n in bursts)


def test_reader_refuses_bad_widths():
    """A width that AXI4 does not know is refused by name."""
    with pytest.raises(HwsimError, match="data_bits=48"):
        WeightReader(data_bits=48)
