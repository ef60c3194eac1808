"""When to reconcile: one worker a Bazaar, woken by events, by the peers' news, and by time.

Wakes while a pass runs make one more pass, however many they are. A pass that fails is repeated
after a pause that grows, and no event shortens it. The walk looks at every ring's peers, and its
heartbeat is what the liveness probe asks for: if the walk is stuck, the process is of no use.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import NamedTuple

from bazaar_operator.api import ApiError
from bazaar_operator.metrics import Metrics
from bazaar_operator.reconcile import AT_ONCE_S, Pass, Reconciler

logger = logging.getLogger(__name__)

WALK_S = 2.0
PASS_MAX_S = 30.0
"""Less than what is left of a Lease when it is renewed: nobody acts under one that has run out."""
STUCK_S = 60.0
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


class Key(NamedTuple):
    namespace: str
    name: str


class Worker:
    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.trigger = "timer"
        self.touched = False
        self.last = Pass()


class Loop:
    def __init__(self, reconciler: Reconciler, metrics: Metrics, walk_s: float = WALK_S) -> None:
        self.reconciler, self.metrics, self.walk_s = reconciler, metrics, walk_s
        self.workers: dict[Key, Worker] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._beat = time.monotonic()

    @property
    def age_s(self) -> float:
        """Since the walk last came round."""
        return time.monotonic() - self._beat

    def wake(self, key: Key, trigger: str, *, touched: bool = False) -> None:
        worker = self.workers.get(key)
        if worker is None:
            if self._tasks is None:
                return  # going down
            worker = self.workers[key] = Worker()
            self._tasks.create_task(self._work(key, worker))
        worker.trigger = trigger
        worker.touched |= touched
        worker.woken.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                while True:
                    self._beat = time.monotonic()
                    await asyncio.gather(*(self._look(*item) for item in self.workers.items()))
                    await asyncio.sleep(self.walk_s)
            finally:
                self._tasks = None

    async def _look(self, key: Key, worker: Worker) -> None:
        last = worker.last
        if last.pods and await self.reconciler.has_news(last.pods) and worker.last is last:
            self.wake(key, "timer")

    async def _work(self, key: Key, worker: Worker) -> None:
        failures = 0
        while True:
            trigger, worker.trigger = worker.trigger, "timer"
            touched, worker.touched = worker.touched, False
            worker.woken.clear()
            done = await self._once(key, trigger, touched)
            if done is None:
                worker.touched |= touched
                await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                failures += 1
                continue
            failures, worker.last = 0, done
            if done.gone and not worker.woken.is_set():
                del self.workers[key]
                return
            try:
                async with asyncio.timeout(done.again_s):
                    await worker.woken.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(AT_ONCE_S)  # events come in swarms

    async def _once(self, key: Key, trigger: str, touched: bool) -> Pass | None:
        """One pass; None if it failed, which is logged and counted here."""
        began, result = time.monotonic(), "error"
        try:
            async with asyncio.timeout(PASS_MAX_S):
                done = await self.reconciler.reconcile(*key, touched=touched)
        except ApiError as error:
            result = "requeue" if error.is_conflict else "error"
            logger.log(
                logging.INFO if error.is_conflict else logging.WARNING, "%s/%s: %s", *key, error
            )
        except TimeoutError:
            logger.warning("%s/%s: a pass took longer than %g s", *key, PASS_MAX_S)
        except Exception:
            logger.exception("%s/%s: a pass failed", *key)  # a bug; the other Bazaars go on
        else:
            result = "ok"
            if not done.gone:
                self.metrics.success.labels(*key).set_to_current_time()
            return done
        finally:
            self.metrics.reconciles.labels(result, trigger).inc()
            self.metrics.duration.labels(result, trigger).observe(time.monotonic() - began)
        return None
