"""From tables to plotly figures: pure functions, one file a kind of report."""
