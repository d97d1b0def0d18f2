"""Where the model is called: what is quick and ours in the event loop, all else in a thread, and never two at once."""

import asyncio
import gc
import itertools
import threading
import time

import pytest

from farero_container.serve.batching import QUICK_BYTES, QUICK_S, ModelCaller, Work
from farero_container.serve.messages import Alike, Request, Response


class Model:
    """Answers with the name of the thread that it was called in; one call at a time or it says so."""

    max_batch = 64

    def __init__(self, *, is_ours):
        self.is_ours = is_ours
        self.busy = threading.Lock()
        self.hold = threading.Event()
        self.hold.set()

    def read(self, body, headers):
        assert headers == {}
        return Work(body, 1, "alike")

    def predict(self, works):
        assert self.busy.acquire(blocking=False), "called twice at once"
        if any(work.data.startswith(b"wait") for work in works):
            self.hold.wait(20)
        if any(work.data.startswith(b"work") for work in works):
            began = time.thread_time()
            while time.thread_time() - began < QUICK_S:
                pass
        self.busy.release()
        return [threading.current_thread().name] * len(works)

    def answer(self, work, prediction):
        assert work.rows == 1
        return Response(body=prediction.encode())

    def answer_alike(self, bodies, headers):
        """Answer at once what begins with "all"; another one among them is a reason to look at each."""
        assert headers == {}
        if not all(body.startswith(b"all") for body in bodies):
            return None
        return {}, [b"%d at once" % len(bodies)] * len(bodies)

    def failed(self, work, error):
        return Response(500, body=work.data + str(error).encode())


class Asker:
    """Asks and keeps the answers in the order they came."""

    def __init__(self, model):
        self.caller = ModelCaller(model)
        self.answers = []
        self.came = asyncio.Event()

    def ask(self, *bodies):
        for body in bodies:
            request = Request("POST", "/invocations", {}, body)
            self.caller.take(request, lambda response, body=body: self.keep(body, response.body))
        self.caller.settle()

    def ask_alike(self, *connections):
        """Ask as connections do on each of which requests with the same head come together."""
        self.asked = [body for bodies in connections for body in bodies]
        headers, numbers = {}, iter(range(len(self.asked)))
        for bodies in connections:
            mine = list(itertools.islice(numbers, len(bodies)))
            self.caller.take_alike(Alike(headers, mine, list(bodies), self))
        self.caller.settle()

    def answer(self, number, response):
        self.keep(self.asked[number], response.body)

    def answer_alike(self, numbers, headers, bodies):
        assert headers == {}
        for number, body in zip(numbers, bodies, strict=True):
            self.keep(self.asked[number], body)

    def keep(self, body, answer):
        self.answers.append((body, answer))
        self.came.set()

    async def wait_for(self, count):
        """Return the answers as soon as there are so many and nobody calls the model."""
        async with asyncio.timeout(20):
            while len(self.answers) < count:
                self.came.clear()
                await self.came.wait()
        await asyncio.to_thread(self.caller._calling.acquire)
        self.caller._calling.release()
        return self.answers


def play(story, *, is_ours=True):
    async def act():
        model = Model(is_ours=is_ours)
        await story(model, Asker(model))

    gc.disable()  # looking for garbage takes longer than what counts as quick
    try:
        asyncio.run(act())
    finally:
        gc.enable()


LOOP, THREAD = b"MainThread", b"model"


def test_a_quick_model_answers_before_settle_returns():
    async def story(_, asker):
        asker.ask(b"1", b"2")
        assert asker.answers == [(b"1", LOOP), (b"2", LOOP)]

    play(story)


def test_what_is_alike_is_answered_at_once_in_parts_that_the_model_takes():
    async def story(model, asker):
        model.max_batch = 3
        asker.ask_alike([b"all %d" % number for number in range(5)])
        assert asker.answers == [
            *((b"all %d" % number, b"3 at once") for number in (0, 1, 2)),
            *((b"all %d" % number, b"2 at once") for number in (3, 4)),
        ]

    play(story)


def test_what_is_alike_on_several_connections_is_answered_at_once():
    async def story(model, asker):
        model.max_batch = 4
        asker.ask_alike([b"all 1"], [b"all 2", b"all 3"], [b"all 4", b"all 5"])
        assert asker.answers == [
            *((b"all %d" % number, b"3 at once") for number in (1, 2, 3)),
            *((b"all %d" % number, b"2 at once") for number in (4, 5)),
        ]
        asker.answers.clear()
        asker.ask_alike([b"all 6"])
        assert asker.answers == [(b"all 6", LOOP)]

    play(story)


def test_what_is_alike_and_cannot_be_answered_at_once_is_answered_one_by_one():
    async def story(model, asker):
        asker.ask_alike([b"all 1"], [b"2"])
        assert asker.answers == [(b"all 1", LOOP), (b"2", LOOP)]
        asker.answers.clear()
        large = b"all" + b" " * QUICK_BYTES
        asker.ask_alike([large, b"all 2"])
        assert await asker.wait_for(2) == [(large, b"2 at once"), (b"all 2", b"2 at once")]

    play(story)


def test_the_users_code_has_a_thread_of_its_own():
    async def story(_, asker):
        asker.ask(b"1")
        assert asker.answers == []
        assert await asker.wait_for(1) == [(b"1", THREAD)]
        asker.ask(b"2")
        assert (await asker.wait_for(2))[1:] == [(b"2", THREAD)]

    play(story, is_ours=False)


def test_what_comes_while_the_thread_is_busy_waits_its_turn():
    large = b"wait" + b" " * QUICK_BYTES

    async def story(model, asker):
        model.hold.clear()
        asker.ask(large)
        asker.ask(b"1")
        assert asker.answers == []
        model.hold.set()
        assert await asker.wait_for(2) == [(large, THREAD), (b"1", THREAD)]
        asker.ask(b"2")
        assert asker.answers[2:] == [(b"2", LOOP)]

    play(story)


def test_what_took_long_goes_to_the_thread_until_it_is_quick_again():
    async def story(_, asker):
        asker.ask(b"work")
        asker.ask(b"work")
        assert await asker.wait_for(2) == [(b"work", LOOP), (b"work", THREAD)]
        asker.ask(b"1")
        await asker.wait_for(3)
        asker.ask(b"2")
        assert (await asker.wait_for(4))[2:] == [(b"1", THREAD), (b"2", LOOP)]

    play(story)


@pytest.mark.parametrize("is_ours", [True, False])
def test_whatever_comes_the_model_is_called_once_at_a_time_and_all_are_answered(is_ours):
    bodies = [(b"work", b" " * (QUICK_BYTES + 1), b"%d" % n)[n % 3] for n in range(60)]

    async def story(_, asker):
        for n, body in enumerate(bodies):
            asker.ask(body)
            if n % 7 == 0:
                await asyncio.sleep(0.001)
        answers = await asker.wait_for(len(bodies))
        assert sorted(body for body, _ in answers) == sorted(bodies)
        assert {name for _, name in answers} <= {LOOP, THREAD}

    play(story, is_ours=is_ours)
