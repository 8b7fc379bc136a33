"""hwsim: hardware simulation and accelerator mapping from first principles.

In a notebook: ``hwsim.simulate("mamba", "vck190-spec")`` answers with a `Result`, and ``hwsim.report`` draws it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.api import simulate, simulate_each
    from hwsim.errors import HwsimError, Infeasible
    from hwsim.result import Result

__version__ = "0.1.0"
__all__ = ["HwsimError", "Infeasible", "Result", "__version__", "simulate", "simulate_each"]

_HOMES = {"simulate": "api", "simulate_each": "api", "HwsimError": "errors", "Infeasible": "errors", "Result": "result"}
"""Where each name comes from: it is imported when it is asked for, so that `hwsim --help` imports none of it."""


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hwsim' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"hwsim.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
