"""A choice taken along: to threads, processes, generators, coroutines and files."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
from small_calls import pool, who

import convkit
from convkit import registry
from convkit.selection import scope


def test_a_new_thread_starts_unset_and_wrap_takes_the_choice_along():
    with convkit.use_backend("naive"), ThreadPoolExecutor(1) as executor:
        assert executor.submit(who).result() == registry.BUILTIN_ORDER[0]
        assert executor.submit(convkit.wrap(who)).result() == "naive"
        assert executor.submit(who).result() == registry.BUILTIN_ORDER[0]


def test_a_thread_that_inherits_its_context_starts_unset_too(monkeypatch):
    monkeypatch.setattr(scope, "INHERITS", True)
    seen = []
    with convkit.use_backend("naive"):
        inherited = contextvars.copy_context()
        work = lambda: seen.extend([who(), convkit.wrap(who)()])  # noqa: E731
        thread = threading.Thread(target=lambda: inherited.run(work))
        thread.start()
        thread.join()
        assert who() == "naive"
    assert seen == [registry.BUILTIN_ORDER[0]] * 2


def steps(name):
    with convkit.use_backend(name):
        yield who()
        yield who()


def test_wrap_keeps_a_generators_choice_inside_its_steps():
    def generator():
        got = yield who()
        yield [got, who()]

    with convkit.use_backend("naive"):
        wrapped = convkit.wrap(generator)
    running = wrapped()
    assert next(running) == "naive"
    assert who() == registry.BUILTIN_ORDER[0]
    assert running.send("hello") == ["hello", "naive"]
    assert list(running) == []


def test_a_wrapped_generators_own_blocks_stay_inside_too():
    def generator():
        yield who()
        with convkit.use_backend("im2col_numpy"):
            yield who()
            with convkit.use_backend("conv=naive"):
                yield who()
        yield who()

    with convkit.use_backend("naive"):
        wrapped = convkit.wrap(generator)
    first, seen = registry.BUILTIN_ORDER[0], []
    for inside in wrapped():
        seen.append((inside, who()))
    assert seen == [(n, first) for n in ("naive", "im2col_numpy", "naive", "naive")]
    with convkit.use_backend("im2col_numpy"):
        seen = [(inside, who()) for inside in wrapped()]
    assert seen == [(n, "im2col_numpy") for n in ("naive", "im2col_numpy", "naive", "naive")]


def test_a_wrapped_generator_may_be_consumed_in_another_thread(monkeypatch):
    monkeypatch.setattr(scope, "INHERITS", True)
    with convkit.use_backend("naive"):
        running = convkit.wrap(steps)("im2col_numpy")
    assert next(running) == "im2col_numpy"
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(next, running).result() == "im2col_numpy"
        assert executor.submit(who).result() == registry.BUILTIN_ORDER[0]


def test_wrap_holds_whatever_is_chosen_around_the_call():
    wrapped = convkit.wrap(who)
    with convkit.use_backend("naive"):
        assert (wrapped(), who()) == (registry.BUILTIN_ORDER[0], "naive")


def test_a_wrapped_generator_throws_closes_and_returns_as_the_generator_does():
    ended = []

    def generator():
        try:
            try:
                yield who()
            except KeyError:
                yield ["caught", who()]
            return "done"
        finally:
            ended.append(who())

    with convkit.use_backend("naive"):
        wrapped = convkit.wrap(generator)
    running = wrapped()
    next(running)
    assert running.throw(KeyError()) == ["caught", "naive"]
    with pytest.raises(StopIteration) as stop:
        next(running)
    assert stop.value.value == "done"
    running = wrapped()
    next(running)
    running.close()
    assert ended == ["naive", "naive"]
    assert who() == registry.BUILTIN_ORDER[0]


def test_a_wrapped_coroutine_that_is_closed_elsewhere_disturbs_nobody():
    async def coroutine():
        await asyncio.sleep(10)

    with convkit.use_backend("im2col_numpy"):
        running = convkit.wrap(coroutine)()
    with asyncio.Runner() as runner:
        runner.run(_start(running))
        with convkit.use_backend("naive"):
            running.close()
            assert who() == "naive"
        assert who() == registry.BUILTIN_ORDER[0]


async def _start(coroutine):
    coroutine.send(None)


def test_wrap_works_for_coroutines_and_asynchronous_generators():
    async def coroutine():
        await asyncio.sleep(0)
        return who()

    async def generator():
        yield who()

    with convkit.use_backend("naive"):
        one, many = convkit.wrap(coroutine), convkit.wrap(generator)

    async def main():
        return [await one(), [item async for item in many()], who()]

    assert asyncio.run(main()) == ["naive", ["naive"], registry.BUILTIN_ORDER[0]]


def test_a_wrapped_function_pickles_into_another_process():
    with convkit.use_backend("conv=naive"):
        wrapped = convkit.wrap(who)
    assert pickle.loads(pickle.dumps(wrapped))() == "naive"
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        assert executor.submit(wrapped).result() == "naive"


def test_snapshot_is_json_and_restores_here_and_in_another_process(site):
    import json

    with convkit.use_backend("conv=naive,im2col_numpy"), convkit.verify_with("im2col_numpy"):
        taken = json.loads(json.dumps(convkit.snapshot()))
    assert taken == {
        "choices": {"conv": ["naive", "im2col_numpy"]},
        "verify": "im2col_numpy",
        "versions": dict.fromkeys(["im2col_numpy", "naive"], convkit.__version__),
    }
    with convkit.restore(taken):
        assert (who(), pool()) == ("naive", registry.BUILTIN_ORDER[0])
    code = f"""
with convkit.restore(json.loads({json.dumps(taken)!r})):
    result = [who(), pool(), convkit.snapshot()]
"""
    assert site.value(code) == ["naive", registry.BUILTIN_ORDER[0], taken]
    taken["versions"]["naive"] = "9"
    with pytest.raises(convkit.BackendLoadError, match="snapshot was taken with '9'"):
        convkit.restore(taken)
    with pytest.raises(convkit.ParameterError, match=r"must be what convkit\.snapshot"):
        convkit.restore({})
    with (
        convkit.use_backend(registry.load("naive").backend),
        pytest.raises(convkit.ParameterError, match="cannot hold the backend object 'naive'"),
    ):
        convkit.snapshot()
