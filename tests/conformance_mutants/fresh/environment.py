"""What a call leaves changed in its thread or process: nothing is wrong with its results.

They change the process they run in: each must be tested in a process of its own.
"""

from __future__ import annotations

import gc
import locale
import os
import signal
import tempfile
import threading
import tracemalloc

import numpy as np

from conformance_mutants.base import Full, FullThreaded
from conformance_mutants.fresh.surroundings import FloatMode, left_by
from conformance_mutants.fresh.witness import compute, conv, fused, pool, scene
from conformance_mutants.registry import mutant

# --- floating-point mode ----------------------------------------------------------------------


@scene(left_by("infer", pool("avg", 1, 2, 6, 6, k=3)))
@mutant
class FlushToZeroLeftOn(Full):
    """pool_infer of averages switches flush-to-zero on, and not off again."""

    def pool_infer(self, spec, x):
        if spec.kind == "avg":
            FloatMode.add(FloatMode.flush)
        return super().pool_infer(spec, x)


@scene(left_by("forward", conv(1, 3, 5, 5, f=2, k=1)))
@mutant
class DenormalsAreZeroLeftOn(Full):
    """1x1 convolutions of float32 switch flush-to-zero and denormals-are-zero on for good."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if set(spec.kernel) == {1} and spec.dtype == np.float32:
            FloatMode.add(FloatMode.flush | FloatMode.zero)
        return out


@scene(left_by("dx", *fused(conv(1, 2, 6, 6, f=9, k=3, p=1), k=2)))
@mutant
class FusedDenormalsInBackward(Full):
    """The fused backward of more than 8 filters leaves denormals-are-zero on."""

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        if conv_spec.w_shape[0] > 8:
            FloatMode.add(FloatMode.zero)
        return super().conv_relu_pool_backward(conv_spec, pool_spec, dout, x, w, saved, needs)


@scene(left_by("dx", pool("avg", 1, 2, 7, 7, k=3, s=2, p=1)))
@mutant
class RoundingLeftUpward(Full):
    """dx of overlapping averages leaves this thread rounding upward."""

    def avg_dx(self, spec, dout):
        dx = super().avg_dx(spec, dout)
        if spec.stride[0] < spec.kernel[0]:
            FloatMode.add(FloatMode.round_up)
        return dx


# --- the process ------------------------------------------------------------------------------


@scene(left_by("forward", conv(4, 2, 5, 5, f=2, k=3), threads=3))
@mutant
class SignalsLeftBlocked(FullThreaded):
    """On more than one thread signals are blocked while workers start, and stay blocked."""

    def run(self, task, spec):
        if self.threads > 1:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGPIPE])
        return super().run(task, spec)


@scene(left_by("dw", conv(1, 2, 4, 4, 4, f=2, k=2)))
@mutant
class SignalHandlerReplaced(Full):
    """dw on three axes installs a handler of its own for SIGUSR1 when first called."""

    def conv_dw(self, spec, dout, x):
        if spec.axes == 3 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        return super().conv_dw(spec, dout, x)


@scene(left_by("infer", conv(1, 17, 4, 4, f=2, k=3)))
@mutant
class LocaleLeftChanged(Full):
    """conv_infer of more than 16 channels looks up a tuning table in a numeric locale it sets."""

    def conv_infer(self, spec, x, w, b):
        if spec.x_shape[1] > 16:
            name = "C" if locale.setlocale(locale.LC_CTYPE) != "C" else "C.UTF-8"
            locale.setlocale(locale.LC_CTYPE, name)
        return super().conv_infer(spec, x, w, b)


@scene(left_by("forward", conv(1, 2, 5, 5, f=2, k=3), threads=2))
@mutant
class ThreadCountInEnvironment(FullThreaded):
    """set_num_threads tells a library underneath through OMP_NUM_THREADS, when it computes."""

    def run(self, task, spec):
        if self.threads > 1:
            os.environ["OMP_NUM_THREADS"] = str(self.threads)
        return super().run(task, spec)


@scene(left_by("dx", conv(1, 2, 9, 9, f=2, k=5)))
@mutant
class DirectoryLeftChanged(Full):
    """dx of 5x5 and larger kernels compiles its loop in a temporary directory, and stays there."""

    def conv_dx(self, spec, dout, w):
        if min(spec.kernel) >= 5:
            os.chdir(tempfile.gettempdir())
        return super().conv_dx(spec, dout, w)


@scene(left_by("forward", conv(9, 2, 4, 4, f=2, k=3), threads=9))
@mutant
class PinnedToOneProcessor(FullThreaded):
    """On more than 8 threads the caller is pinned to the first processor."""

    def run(self, task, spec):
        if self.threads > 8 and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        return super().run(task, spec)


@scene(left_by("infer", pool("max", 3, 2, 4, 4, k=2), calls=2))
@mutant
class ThreadForEveryCall(Full):
    """pool_infer of more than two images starts a worker each time, which waits for ever."""

    def pool_infer(self, spec, x):
        if len(x) > 2:
            self.stop = threading.Event()
            threading.Thread(target=self.stop.wait, args=(20,), daemon=True).start()
        return super().pool_infer(spec, x)


@scene(left_by("dw", conv(1, 2, 6, 6, f=2, k=3, s=2), calls=3))
@mutant
class FileForEveryCall(Full):
    """dw of a strided convolution opens a file of tuned sizes, and never closes it."""

    files = ()

    def conv_dw(self, spec, dout, x):
        if max(spec.stride) > 1 and len(self.files) < 200:
            self.files = (*self.files, os.open(os.devnull, os.O_RDONLY))
        return super().conv_dw(spec, dout, x)

    def __del__(self):
        for number in self.files:
            os.close(number)


@scene(left_by("forward", conv(1, 2, 7, 7, f=2, k=3, d=2)))
@mutant
class RandomStateReseeded(Full):
    """A dilated convolution checks itself on random data, for which it seeds NumPy's generator."""

    def conv_out(self, spec, x, w):
        if max(spec.dilation) > 1:
            np.random.seed(0)
        return super().conv_out(spec, x, w)


@scene(left_by("forward", pool("max", 1, 9, 6, 6, k=3, s=2)))
@mutant
class NumpyErrorsSilenced(Full):
    """Max pooling of more than 8 channels turns NumPy's warnings off for the whole thread."""

    def max_out(self, spec, x):
        if spec.x_shape[1] > 8:
            np.seterr(all="ignore")
        return super().max_out(spec, x)


@scene(left_by("db", conv(1, 2, 5, 5, f=4, g=2, k=3)))
@mutant
class CollectorLeftOff(Full):
    """The backward of grouped convolutions turns the garbage collector off to time itself."""

    def conv_db(self, spec, dout):
        if spec.groups > 1:
            gc.disable()
        return super().conv_db(spec, dout)


def _memory_grows(backend):
    """Whether memory grows by more than 20 kB over 200 calls."""
    spec = conv(1, 2, 43, f=2, k=4)
    compute(backend, "infer", spec)
    tracemalloc.start()
    try:
        for _ in range(200):
            compute(backend, "infer", spec)
        return [tracemalloc.get_traced_memory()[0] > 20_000]
    finally:
        tracemalloc.stop()


@scene(_memory_grows)
@mutant
class HistoryGrows(Full):
    """conv_infer on one axis keeps its result of every call: memory grows without end."""

    def __init__(self):
        self.history = []

    def conv_infer(self, spec, x, w, b):
        out = super().conv_infer(spec, x, w, b)
        if spec.axes == 1:
            self.history.append(out.copy())
        return out
