"""Requests that a replica died of are remembered for a while, once, and not without end."""

from farero.endpoints.suspects import MOST, REMEMBERED_S, Suspects


def test_a_request_is_remembered_once_for_its_endpoint():
    found = Suspects()
    found.add("iris", b"body", 10.0)

    assert not found.take("iris", b"other", 11.0)
    assert not found.take("irisb", b"ody", 11.0)
    assert found.take("iris", b"body", 11.0)
    assert not found.take("iris", b"body", 11.0)


def test_a_request_is_forgotten_in_time():
    found = Suspects()
    found.add("iris", b"body", 10.0)

    assert not found.take("iris", b"body", 10.0 + REMEMBERED_S)


def test_the_oldest_is_forgotten_for_the_next():
    found = Suspects()
    others = [str(number).encode() for number in range(MOST - 2)]
    for body in (b"a", b"b", *others, b"a", b"c"):
        found.add("iris", body, 0.0)

    assert [found.take("iris", body, 1.0) for body in (b"a", b"b", b"c")] == [True, False, True]
