"""Numbers about Results: breakdowns, rooflines, comparisons, differences. No drawing, no printing, no files."""
