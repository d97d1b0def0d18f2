"""The page of operations lists what the gateway really answers, and nothing else."""

from farero.app import catalogue


def test_the_catalogue_has_the_rooms_and_families_of_the_gateway(cloud):
    rooms = cloud.gateway.rooms
    assert {name: type(room) for name, room in rooms.items()} == {
        room.service: room for room in catalogue.ROOMS
    }
    for service, families in (
        ("sagemaker", catalogue.SAGEMAKER_FAMILIES),
        ("cloudwatch", catalogue.CLOUDWATCH_FAMILIES),
    ):
        assert {type(family) for family in rooms[service].families} == {*families}
