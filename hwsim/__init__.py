"""hwsim: hardware simulation and accelerator mapping from first principles."""

__version__ = "0.1.0"
__all__ = ["__version__"]
