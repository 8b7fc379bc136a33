"""Machine families, each behind the protocol of `hwsim.devices.base`; machines themselves are files in `catalog/`."""
