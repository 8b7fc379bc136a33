"""Workloads: ops and their exact counts, graphs, model builders, and how tokens are produced."""
