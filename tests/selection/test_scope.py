"""The levels of choice, in threads, tasks and generators."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from small_calls import pool, variable, who

import convkit
from convkit import registry


def test_each_level_beats_the_next(monkeypatch):
    assert who() == registry.BUILTIN_ORDER[0]
    variable(monkeypatch, "naive")
    assert who() == "naive"
    convkit.set_default_backend("im2col_numpy")
    assert who() == "im2col_numpy"
    with convkit.use_backend("naive"):
        assert who() == "naive"
        assert who(backend="im2col_numpy") == "im2col_numpy"
    assert who() == "im2col_numpy"


def test_the_variable_is_read_at_first_use(monkeypatch):
    variable(monkeypatch, "naive")
    assert who() == "naive"
    monkeypatch.setenv("CONVKIT_BACKEND", "im2col_numpy")
    assert who() == "naive"


def test_what_one_level_does_not_name_falls_to_the_next(monkeypatch):
    variable(monkeypatch, "naive")
    convkit.set_default_backend("max_pool=im2col_numpy")
    with convkit.use_backend("conv=im2col_numpy"):
        assert (who(), pool()) == ("im2col_numpy", "im2col_numpy")
        with convkit.use_backend({"max_pool": "naive"}):
            assert (who(), pool()) == ("im2col_numpy", "naive")
        assert who(backend={"max_pool": "naive"}) == "im2col_numpy"
    assert (who(), pool()) == ("naive", "im2col_numpy")


def test_use_backend_raises_on_entry_for_a_name_that_does_not_exist():
    block = convkit.use_backend("nowhere")
    with pytest.raises(convkit.BackendNotFoundError), block:
        pytest.fail("entered")


def test_threads_do_not_see_each_other():
    barrier = threading.Barrier(4)

    def work(name):
        for _ in range(50):
            with convkit.use_backend(name):
                barrier.wait()
                assert who() == name
        return True

    with ThreadPoolExecutor(4) as executor:
        assert all(executor.map(work, ["naive", "im2col_numpy"] * 2))


def test_asyncio_tasks_keep_their_own_and_that_of_their_making():
    async def work(name):
        with convkit.use_backend(name):
            await asyncio.sleep(0)
            return who()

    async def plain():
        await asyncio.sleep(0.01)
        return who()

    async def main():
        with convkit.use_backend("naive"):
            task = asyncio.create_task(plain())
        both = await asyncio.gather(work("naive"), work("im2col_numpy"))
        return [*both, await task, who(), await asyncio.to_thread(who)]

    first = registry.BUILTIN_ORDER[0]
    assert asyncio.run(main()) == ["naive", "im2col_numpy", "naive", first, first]


def steps(name):
    with convkit.use_backend(name):
        yield who()
        yield who()


def test_a_with_across_a_yield_is_seen_by_the_consumer_and_ends_with_the_generator():
    generator = steps("naive")
    assert next(generator) == "naive"
    assert who() == "naive"
    generator.close()
    assert who() == registry.BUILTIN_ORDER[0]


def test_a_generator_that_is_closed_elsewhere_raises_nothing():
    generator = steps("naive")
    contextvars.copy_context().run(next, generator)
    thread = threading.Thread(target=generator.close)
    thread.start()
    thread.join()
    assert who() == registry.BUILTIN_ORDER[0]

    def consumer():
        generator = steps("naive")
        next(generator)
        contextvars.Context().run(generator.close)
        return who()  # nobody told this context that the generator is gone

    assert contextvars.copy_context().run(consumer) == "naive"
    assert who() == registry.BUILTIN_ORDER[0]


def test_blocks_may_end_out_of_order():
    def run():
        one, two = steps("naive"), steps("im2col_numpy")
        next(one), next(two)
        one.close()
        assert who() == "im2col_numpy"
        two.close()
        assert who() == registry.BUILTIN_ORDER[0]

    contextvars.copy_context().run(run)


def test_a_reference_is_one_backend():
    with pytest.raises(convkit.ParameterError, match="must name one backend"):
        convkit.verify_with("naive,cython")
    with pytest.raises(convkit.BackendNotFoundError), convkit.verify_with("nowhere"):
        pass
