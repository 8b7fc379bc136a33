"""Where a simulator enters Python, in place of cocotb's own list of entries: the same ones, without pytest behind them.

cocotb imports pytest for three of its exceptions and for rewriting asserts. A bench here raises none of the three and
asserts nothing (`rtl_runner` judges), and a small unit's run takes longer to import pytest than for everything else.
"""

import sys
from importlib import import_module
from types import SimpleNamespace


class Never(BaseException):
    """Stands for an outcome that no bench ends with."""


def enter():
    """What `pygpi.entry` runs by default, but for coverage of cocotb itself."""
    outcome = SimpleNamespace(Exception=Never)
    sys.modules["pytest"] = SimpleNamespace(raises=outcome, skip=outcome, xfail=outcome)
    regression = import_module("cocotb.regression")
    regression.RegressionManager.setup_pytest_assertion_rewriting = lambda self: None
    import_module("cocotb.logging")._configure()
    import_module("cocotb._init").init_package_from_simulation()
    regression._run_regression()
