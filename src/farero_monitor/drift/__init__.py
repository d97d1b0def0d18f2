"""Distances, tests, and the calibrated verdict over a whole window."""
