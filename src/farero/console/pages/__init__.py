"""The console's pages, a module each; every module has `register`."""

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
    processing,
    storage,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

    from farero.console.glances import Home


def register(first: Home, outer: FastAPI) -> None:
    """Make all pages known."""
    cloud = first.cloud
    home.register(first.read)
    endpoint.register(cloud)
    jobs.register(cloud)
    processing.register(cloud)
    logs.register(cloud)
    monitor.register(cloud)
    alarms.register(cloud)
    dashboards.register(cloud)
    access.register(cloud)
    platform.register(cloud)
    storage.register(cloud, outer)
