"""Monitoring: schedules, the windows they look at, and a processing job for each of them."""
