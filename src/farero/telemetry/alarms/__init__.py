"""Alarms: what state one is in (pure), and what follows from a change."""
