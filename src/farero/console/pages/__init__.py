"""The console's pages, a module each; every module has `register(cloud, outer)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.console.pages import (
    access,
    alarms,
    dashboards,
    endpoint,
    home,
    jobs,
    logs,
    monitor,
    platform,
    storage,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

    from farero.console.data import Cloud


def register(cloud: Cloud, outer: FastAPI) -> None:
    """Make all pages known."""
    home.register(cloud)
    endpoint.register(cloud)
    jobs.register(cloud)
    logs.register(cloud)
    monitor.register(cloud)
    alarms.register(cloud)
    dashboards.register(cloud)
    access.register(cloud)
    platform.register(cloud)
    storage.register(cloud, outer)
