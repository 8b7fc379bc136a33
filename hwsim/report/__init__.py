"""Drawing and writing only: tables, figures, traces and files made from Results. Numbers come from `hwsim.analysis`."""
