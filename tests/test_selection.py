"""Who is chosen: levels, operations, threads, tasks, generators."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import convkit
from convkit import registry
from convkit.selection import scope

X = np.ones((1, 3, 8, 8), "f4")
W = np.ones((4, 3, 3, 3), "f4")


def who(**keywords):
    return convkit.conv_forward(X, W, **keywords)[1].backend


def pool(**keywords):
    return convkit.max_pool_forward(X, kernel=2, **keywords)[1].backend


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in ("BACKEND", "DISABLE", "TRACE", "VERIFY"):
        monkeypatch.delenv(f"CONVKIT_{name}", raising=False)
    convkit.reload()
    yield
    convkit.set_default_backend(None)
    monkeypatch.undo()
    convkit.reload()


def variable(monkeypatch, text):
    monkeypatch.setenv("CONVKIT_BACKEND", text)
    convkit.reload()


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


@pytest.mark.parametrize("text", ["", "  ", ",", ";", "conv=", "conv=;max_pool= , "])
def test_blank_is_unset(monkeypatch, text):
    variable(monkeypatch, text)
    assert convkit.explain(convkit.ConvSpec.of(X, W)).source == "auto"


@pytest.mark.parametrize("text", ["Im2col-NumPy", " IM2COL_NUMPY "])
def test_case_and_dashes_are_folded(monkeypatch, text):
    variable(monkeypatch, text)
    assert who() == "im2col_numpy"


def test_the_variable_is_read_at_first_use(monkeypatch):
    variable(monkeypatch, "naive")
    assert who() == "naive"
    monkeypatch.setenv("CONVKIT_BACKEND", "im2col_numpy")
    assert who() == "naive"


def test_a_typo_is_an_error_at_first_use_with_a_suggestion(monkeypatch):
    variable(monkeypatch, "navie")
    with pytest.raises(convkit.BackendNotFoundError, match="did you mean 'naive'") as caught:
        who()
    assert "chosen by CONVKIT_BACKEND" in str(caught.value)


@pytest.mark.parametrize("text", ["naive,navie", "conv=naive;max_pool=navie"])
@pytest.mark.parametrize("level", ["argument", "variable"])
def test_no_fallback_and_no_other_operation_hides_a_typo(monkeypatch, text, level):
    keywords = {"backend": text} if level == "argument" else {}
    if level == "variable":
        variable(monkeypatch, text)
    with pytest.raises(convkit.BackendNotFoundError, match="did you mean 'naive'") as caught:
        who(**keywords)
    assert caught.value.backend == "navie"
    assert caught.value.selection.winner is None
    assert caught.value.selection.rejected == (("navie", "is not installed"),)
    assert str(caught.value).endswith(str(caught.value.selection))


@pytest.mark.parametrize(
    "choice",
    [
        "conv=naive,im2col_numpy;max_pool=im2col_numpy",
        "CONV = naive ; max-pool = im2col_numpy",
        {"conv": "naive,im2col_numpy", "max_pool": ["im2col_numpy"]},
        "im2col_numpy;conv=naive",
        {"*": "im2col_numpy", "conv": "naive"},
    ],
)
def test_each_operation_has_its_own_choice(monkeypatch, choice):
    with convkit.use_backend(choice):
        assert (who(), pool()) == ("naive", "im2col_numpy")
    convkit.set_default_backend(choice)
    assert (who(), pool()) == ("naive", "im2col_numpy")
    convkit.set_default_backend(None)
    if isinstance(choice, str):
        variable(monkeypatch, choice)
        assert (who(), pool()) == ("naive", "im2col_numpy")


def test_what_one_level_does_not_name_falls_to_the_next(monkeypatch):
    variable(monkeypatch, "naive")
    convkit.set_default_backend("max_pool=im2col_numpy")
    with convkit.use_backend("conv=im2col_numpy"):
        assert (who(), pool()) == ("im2col_numpy", "im2col_numpy")
        with convkit.use_backend({"max_pool": "naive"}):
            assert (who(), pool()) == ("im2col_numpy", "naive")
        assert who(backend={"max_pool": "naive"}) == "im2col_numpy"
    assert (who(), pool()) == ("naive", "im2col_numpy")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("conw=naive", "names the operation 'conw'.*did you mean 'conv'"),
        ("naive;im2col_numpy", "chooses for all others twice"),
        ("conv=naive;conv=naive", "chooses for 'conv' twice"),
        ({1: "naive"}, "names the operation 1"),
        (3, "must be a backend's name"),
    ],
)
def test_a_choice_that_cannot_be_read_says_why(choice, message):
    with pytest.raises(convkit.ParameterError, match=message):
        convkit.use_backend(choice)


def test_a_list_is_the_one_way_to_allow_a_fallback(monkeypatch):
    backend = registry.load("naive").backend
    monkeypatch.setattr(type(backend), "supports", lambda self, spec: "it is tired")
    assert who(backend="naive,im2col_numpy") == "im2col_numpy"
    with pytest.raises(convkit.BackendUnsupportedError) as caught:
        who(backend="naive")
    assert str(caught.value).splitlines()[0] == (
        f"backend 'naive' does not support {convkit.ConvSpec.of(X, W)}: it is tired; name another "
        "one, or a comma list to allow a fallback"
    )
    assert caught.value.selection.rejected == (("naive", "it is tired"),)
    with pytest.raises(convkit.BackendNotFoundError, match="nowhere"):
        who(backend="im2col_numpy,nowhere")


NAMED = """
from convkit.contract import hookimpl
from convkit_im2col_numpy import Im2colNumpy

class Named(Im2colNumpy):
    name = "named"

backend = Named()

class Plugin:
    @hookimpl
    def convkit_backend(self):
        return backend

plugin = Plugin()

class Outer:
    inner = backend

@hookimpl
def convkit_backend():
    return backend
"""


@pytest.mark.parametrize("path", ["backend", "Named", "plugin", "Outer.inner", ""])
def test_an_object_of_a_module_is_selected_without_an_entry_point(site, path):
    (site.folder / "somewhere.py").write_text(NAMED)
    chosen = f"somewhere:{path}"
    assert site.value("result = who(), pool()", CONVKIT_BACKEND=chosen) == [chosen, chosen]
    code = f"result = who(backend={chosen!r}), states()[{chosen!r}], who()"
    assert site.value(code) == [chosen, "loaded", "cython"]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("nowhere:x", "ModuleNotFoundError: No module named 'nowhere'"),
        ("somewhere:x", "AttributeError: module 'somewhere' has no attribute 'x'"),
        ("somewhere:hookimpl", "its name (=None) must be a non-empty str"),
    ],
)
def test_an_object_that_is_no_backend_is_refused_with_its_reason(site, chosen, said):
    (site.folder / "somewhere.py").write_text(NAMED)
    kind, text = site.value("result = error(who)", CONVKIT_BACKEND=chosen)
    assert kind == "BackendLoadError"
    assert text.startswith(f"backend {chosen!r} cannot be loaded: {said}")


def test_an_entry_point_may_be_an_object_with_the_hook(site):
    (site.folder / "somewhere.py").write_text(NAMED)
    site.install("named", "", entries="[convkit.backends]\nnamed = somewhere:plugin\n")
    assert site.value("result = who(backend='named')") == "named"


def test_module_object_and_objects_are_accepted():
    name = "convkit_naive:Naive"
    own = registry.load("naive").backend
    assert who(backend=f"{type(own).__module__}:{type(own).__name__}").startswith("convkit_naive:")
    assert who(backend=own) == "naive", name
    with convkit.use_backend([own, "im2col_numpy"]):
        assert who() == "naive"
    with convkit.use_backend({"conv": own}):
        assert who() == "naive"
    convkit.set_default_backend(own)
    assert who() == "naive"


def test_use_backend_raises_on_entry_for_a_name_that_does_not_exist():
    block = convkit.use_backend("nowhere")
    with pytest.raises(convkit.BackendNotFoundError), block:
        pytest.fail("entered")


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


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({"CONVKIT_ISA": "mmx"}, True),
        ({"CONVKIT_ISA": "mmx", "CONVKIT_BACKEND": "auto"}, True),
        ({"CONVKIT_ISA": "mmx", "CONVKIT_BACKEND": "cython,im2col_numpy"}, False),
        ({"CONVKIT_ISA": "mmx", "CONVKIT_BACKEND": "im2col_numpy"}, False),
        ({"CONVKIT_DISABLE": "cython"}, False),
    ],
)
def test_auto_says_once_that_it_had_to_go_past_a_broken_backend(site, variables, warned):
    pytest.importorskip("convkit_cython")
    found = site.value(
        """
import warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("default")
    used = [convkit.max_pool_forward(np.ones((n, 1, 2, 2)), kernel=2)[1].backend for n in (1, 2)]
result = used, [[w.category.__name__, str(w.message)] for w in seen]
""",
        **variables,
    )
    assert found[0] == ["im2col_numpy"] * 2
    assert len(found[1]) == warned
    for category, text in found[1]:
        assert category == "RuntimeWarning"
        assert text.startswith("auto takes backend 'im2col_numpy', for 'cython' cannot be loaded: ")
        assert "CONVKIT_ISA (='mmx')" in text
