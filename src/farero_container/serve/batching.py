"""Who calls the model, one at a time: it takes what arrived while it was busy and predicts like requests together.

It waits for nobody: there is no timer and no window. A lone request is predicted at once, and a batch is what came
while the last one ran, of at most `max_batch` rows (a request with more rows than that goes alone). Requests are put
together only if the model says that they are alike, and each gets the rows of the result that are its own. If
predicting together fails, each is predicted alone, so that nobody fails for a neighbour. Nothing is ever refused here.

The user's code and all that takes long has a thread of its own, so that the event loop answers pings and takes in what
comes. A quick model of ours is called in the event loop itself: waking a thread, and waiting for the interpreter's lock
on the way there and back, costs more than small trees do.
"""

from __future__ import annotations

import asyncio
import collections
import os
import queue
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from farero_container.serve.messages import Response
from farero_container.serve.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Mapping, Sequence

    from farero_container.serve.messages import Alike, Reply, Request

VARIABLE = "FARERO_MAX_BATCH"
#: CPU time that may be spent in the event loop at once, and bytes of bodies that may come to be read there.
QUICK_S = 0.005
QUICK_BYTES = 32 * 1024
#: To whom an answer goes.
To = TypeVar("To")
T = TypeVar("T")
P = ParamSpec("P")


@dataclass(slots=True)
class Work:
    """A request that was read: what the model is to predict, and what its answer needs."""

    #: What the model takes; its first dimension is rows.
    data: Any
    rows: int
    #: Works with equal keys may be predicted together; None for one that may not.
    key: Hashable
    #: Whatever `answer` needs of the request.
    asked: Any = None


class Apart(Exception):  # noqa: N818 - an answer
    """Works that were to be predicted together must be predicted one by one."""


class Served(Protocol):
    """A loaded model. All methods are called by one thread at a time."""

    #: Rows that are predicted together at most; 1 for never.
    max_batch: int
    #: Whether it never waits for anything and none of the user's code runs in it.
    is_ours: bool

    def describe(self) -> str:
        """Say what is served."""
        ...

    def warm_up(self) -> None:
        """Predict once."""
        ...

    def read(self, body: bytes, headers: Mapping[str, str]) -> Work | Response:
        """Decode one request, or answer it."""
        ...

    def predict(self, works: Sequence[Work]) -> Sequence[Any]:
        """Predict works of one key together; return each one's own. Raises Apart, or whatever the model raises."""
        ...

    def answer(self, work: Work, prediction: Any) -> Response:
        """Encode what was predicted for one request."""
        ...

    def failed(self, work: Work, error: Exception) -> Response:
        """Say why one request, alone, could not be predicted."""
        ...

    def answer_alike(
        self, bodies: Sequence[bytes], headers: Mapping[str, str]
    ) -> tuple[dict[str, str], list[bytes]] | None:
        """Answer several requests of the same headers at once, as each would be alone: headers of all, each one's body.

        None to see them one by one.
        """
        ...


class ModelCaller:
    """Answers requests with one model, one call at a time; what comes first is read first."""

    def __init__(self, model: Served, watchdog: Watchdog | None = None) -> None:
        self._model = model
        self._watchdog = watchdog or Watchdog()
        self._arrived: queue.SimpleQueue[list[tuple[Request, Reply]]] = queue.SimpleQueue()
        self._arriving: list[tuple[Request, Reply]] = []
        self._alike: list[Alike] = []
        #: Requests that the thread has and has not answered.
        self._given = 0
        #: Whoever calls the model holds it.
        self._calling = threading.Lock()
        #: Whether the last call took little time.
        self._was_quick = model.is_ours
        self._loop = asyncio.get_running_loop()
        # A daemon: a model that hangs does not keep the process from its end.
        threading.Thread(target=self._run, name="model", daemon=True).start()

    def take(self, request: Request, reply: Reply) -> None:
        """Have a request answered; `settle` sends it on its way."""
        self._arriving.append((request, reply))

    def take_alike(self, alike: Alike) -> None:
        """Have requests with the same head answered, as `take` does one."""
        self._alike.append(alike)

    def settle(self) -> None:
        """Have answered what was taken, at once if that is quick."""
        arrived, self._arriving = self._arriving, []
        alike, self._alike = self._alike, []
        if not arrived and not alike:
            return
        is_quick = self._was_quick and not self._given and _are_small(arrived, alike)
        # If it is locked, the thread has given its last answer, and is about to let go.
        if is_quick and self._calling.acquire(blocking=False):
            try:
                for answers in self._answer(arrived, alike):
                    _deliver(answers)
            finally:
                self._calling.release()
        else:
            self._give([*arrived, *(entry for one in alike for entry in one.each())])

    def _give(self, arrived: list[tuple[Request, Reply]]) -> None:
        self._given += len(arrived)
        self._arrived.put(arrived)

    def _answer(
        self, taken: list[tuple[Request, Reply]], alike: Sequence[Alike] = ()
    ) -> Generator[list[tuple[Reply, Response]]]:
        """Answer requests, and give back the answers that are not given to `alike` themselves."""
        began = time.thread_time()
        self._watchdog.begin()
        for together in _sorted(alike, self._model.max_batch):
            if not self._is_answered(together):
                for one in together:
                    taken += one.each()
            self._watchdog.begin()
        for answers in answer_all(self._model, taken):
            yield answers
            self._watchdog.begin()
        self._watchdog.end()
        self._was_quick = self._model.is_ours and time.thread_time() - began < QUICK_S

    def _is_answered(self, together: Sequence[Alike]) -> bool:
        """Answer requests with the same headers at once, if there are several and the model can."""
        bodies = [body for one in together for body in one.bodies]
        if len(bodies) < 2:
            return False
        answered = _at_once(self._model, bodies, together[0].headers)
        if answered is None:
            return False
        headers, texts = answered
        start = 0
        for one in together:
            end = start + len(one.numbers)
            one.asker.answer_alike(one.numbers, headers, texts[start:end])
            start = end
        return True

    def _run(self) -> None:
        waiting: collections.deque[tuple[Request, Reply]] = collections.deque()
        try:
            while True:
                most = max(self._model.max_batch, 1)  # a model may learn that it is better alone
                if not waiting:
                    waiting.extend(self._arrived.get())
                while len(waiting) < most and not self._arrived.empty():
                    waiting.extend(self._arrived.get())
                taken = [waiting.popleft() for _ in range(min(most, len(waiting)))]
                with self._calling:
                    for answers in self._answer(taken):
                        self._loop.call_soon_threadsafe(self._take_back, answers)
        except BaseException as error:  # noqa: BLE001 - sys.exit() in the user's code ends the server, not its thread alone
            self._loop.call_soon_threadsafe(_end, error)

    def _take_back(self, answers: Sequence[tuple[Reply, Response]]) -> None:
        self._given -= len(answers)
        _deliver(answers)


def answer_all(
    model: Served, requests: Sequence[tuple[Request, To]]
) -> Generator[list[tuple[To, Response]]]:
    """Answer requests, like ones together; yield answers as soon as they are there."""
    if len(requests) > 1 and model.max_batch > 1:
        groups: dict[int, list[tuple[Request, To]]] = {}
        for entry in requests:  # whose heads were the same share their headers
            groups.setdefault(id(entry[0].headers), []).append(entry)
        requests = []
        for group in groups.values():
            for start in range(0, len(group), model.max_batch):
                part = group[start : start + model.max_batch]
                bodies, headers = [request.body for request, _ in part], part[0][0].headers
                answered = _at_once(model, bodies, headers) if len(part) > 1 else None
                if answered is None:
                    requests.extend(part)
                else:
                    answer_headers, texts = answered
                    yield [
                        (to, Response(200, answer_headers, text))
                        for (_, to), text in zip(part, texts, strict=True)
                    ]
    alike: dict[Hashable, list[tuple[Work, To]]] = {}
    for number, (request, to) in enumerate(requests):
        work = _guarded(model.read, request.body, request.headers)
        if isinstance(work, Response):
            yield [(to, work)]
            continue
        # who must be alone has a key of its own
        key = (number,) if work.key is None else work.key
        alike.setdefault(key, []).append((work, to))
    for works in alike.values():
        for batch in _batches(works, model.max_batch):
            responses = _together(model, [work for work, _ in batch])
            if responses is not None:
                yield [(to, response) for (_, to), response in zip(batch, responses, strict=True)]
                continue
            for work, to in batch:
                yield [(to, _alone(model, work))]


def _at_once(
    model: Served, bodies: Sequence[bytes], headers: Mapping[str, str]
) -> tuple[dict[str, str], list[bytes]] | None:
    """Return what `answer_alike` does, if that is an answer for each."""
    try:
        answered = model.answer_alike(bodies, headers)
    except Exception:  # noqa: BLE001 - whoever is at fault is told when it is alone
        return None
    return answered if answered is not None and len(answered[1]) == len(bodies) else None


def most_rows(default: int) -> int:
    """Return how many rows are predicted together at most: FARERO_MAX_BATCH, or the framework's default."""
    given = os.environ.get(VARIABLE, "").strip()
    if given.isdecimal() and int(given) > 0:
        return int(given)
    if given:
        print(
            f"farero: warning: {VARIABLE}={given!r} is not a number from 1; {default} is used",
            flush=True,
        )
    return default


def _sorted(alike: Sequence[Alike], most: int) -> Generator[list[Alike]]:
    """Put together what has the same headers, of whichever connection, to at most `most` requests."""
    groups: dict[int, list[Alike]] = {}
    for one in alike:
        groups.setdefault(id(one.headers), []).append(one)
    for group in groups.values():
        together: list[Alike] = []
        room = most
        for part in (part for one in group for part in one.parts(most)):
            if together and len(part.numbers) > room:
                yield together
                together, room = [], most
            together.append(part)
            room -= len(part.numbers)
        yield together


def _batches(works: Sequence[tuple[Work, To]], most: int) -> Generator[list[tuple[Work, To]]]:
    """Cut works into runs of at most `most` rows; one with more goes alone."""
    batch: list[tuple[Work, To]] = []
    rows = 0
    for entry in works:
        if batch and rows + entry[0].rows > most:
            yield batch
            batch, rows = [], 0
        batch.append(entry)
        rows += entry[0].rows
    if batch:
        yield batch


def _together(model: Served, works: Sequence[Work]) -> list[Response] | None:
    """Answer several works at once; None if there is one only, or if each must be tried alone."""
    if len(works) == 1:
        return None
    try:
        predictions = list(zip(works, model.predict(works), strict=True))
    except Exception:  # noqa: BLE001 - whoever is at fault is told when it is alone
        return None
    return [_guarded(model.answer, work, prediction) for work, prediction in predictions]


def _alone(model: Served, work: Work) -> Response:
    try:
        prediction = model.predict([work])[0]
    except Exception as error:  # noqa: BLE001 - the model's own words are the answer
        return _guarded(model.failed, work, error)
    return _guarded(model.answer, work, prediction)


def _guarded(step: Callable[P, T], *given: P.args, **named: P.kwargs) -> T | Response:
    try:
        return step(*given, **named)
    except Exception as error:  # noqa: BLE001 - one of three places: the container's request loop
        print(
            f"farero: internal error: {type(error).__name__}: {error}", file=sys.stderr, flush=True
        )
        return Response(
            500, {"content-type": "text/plain"}, b"the model server met an error of its own\n"
        )


def _are_small(requests: Sequence[tuple[Request, Reply]], alike: Sequence[Alike]) -> bool:
    size = sum([len(request.body) for request, _ in requests])
    return size + sum([sum(map(len, one.bodies)) for one in alike]) <= QUICK_BYTES


def _deliver(answers: Sequence[tuple[Reply, Response]]) -> None:
    for reply, response in answers:
        reply(response)


def _end(error: BaseException) -> None:
    raise error
