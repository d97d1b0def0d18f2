"""When an endpoint on its way somewhere is looked at next."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from farero.endpoints import rollouts
from farero.records.endpoint import ReplicaState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.endpoints.serverless import Demand
    from farero.records.endpoint import Endpoint, Replica

#: How often /ping is asked while a replica starts, should its own word not arrive.
PING_EVERY = dt.timedelta(milliseconds=200)
#: A process whose exit was not heard of is looked at this often.
LOOK_AGAIN = dt.timedelta(seconds=5)


def next_turn(
    endpoint: Endpoint, replicas: Sequence[Replica], demand: Demand, now: dt.datetime
) -> dt.datetime:
    """Return when something may have changed of an endpoint that is not at rest, should no process say so before."""
    due = now + LOOK_AGAIN
    if (fleet := endpoint.current) is not None and replicas:
        sleeping = [
            demand.sleeps_at(endpoint.name, fleet.generation, variant)
            for variant in fleet.variants
            if variant.serverless
        ]
        due = min([due, *(moment for moment in sleeping if moment > now)])
    for replica in replicas:
        match replica.state:
            case ReplicaState.STARTING:
                due = min(due, now + PING_EVERY)
            case ReplicaState.WAITING if replica.start_after and replica.start_after > now:
                due = min(due, replica.start_after)
            case ReplicaState.DRAINING if replica.stop_after and not replica.stop_sent:
                due = min(due, replica.stop_after)
            case _:
                pass
    return min(due, rollouts.next_look(endpoint, now) or due)
