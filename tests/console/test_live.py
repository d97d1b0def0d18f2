"""What pages that look at the same thing share."""

import asyncio
import contextlib

import pytest

from farero.console.data import UnavailableError, shared


class Source:
    """Counts who asks; answers when it is let."""

    def __init__(self):
        self.asked, self.may_answer, self.error = 0, asyncio.Event(), None

    async def read(self):
        self.asked += 1
        number = self.asked
        await self.may_answer.wait()
        if self.error:
            raise self.error
        return number


def test_many_pages_ask_once_and_again_when_the_answer_is_old():
    async def story():
        source = Source()
        look = shared(source.read, 60)
        pages = [asyncio.create_task(look()) for _ in range(10)]
        await asyncio.sleep(0)
        source.may_answer.set()
        first = await asyncio.gather(*pages)
        at_once = shared(source.read, 0)
        return first, await look(), [await at_once(), await at_once()], source.asked

    assert asyncio.run(story()) == ([1] * 10, 1, [2, 3], 3)


def test_a_page_that_is_closed_does_not_take_the_answer_from_the_others():
    async def story():
        source = Source()
        look = shared(source.read, 60)
        closed, open_one = asyncio.create_task(look()), asyncio.create_task(look())
        await asyncio.sleep(0)
        closed.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await closed
        source.may_answer.set()
        return await open_one

    assert asyncio.run(story()) == 1


def test_an_error_is_told_to_all_and_not_kept():
    async def story():
        source = Source()
        source.may_answer.set()
        source.error = UnavailableError("no platform")
        look = shared(source.read, 0)
        for _ in range(2):
            with pytest.raises(UnavailableError, match="no platform"):
                await look()
        source.error = None
        return await look()

    assert asyncio.run(story()) == 3
