"""Metrics: folding values, keeping them by age, asking for statistics, metric math."""
