"""Promises to the registry and to the caller that are not kept."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np

from conformance_mutants.base import Fused, Taps
from conformance_mutants.registry import mutant, result


@mutant
class NoVersion(Taps):
    """api_version is missing."""

    api_version = None


@mutant
class LaterVersion(Taps):
    """Written for another version of the protocol."""

    api_version = 99


@mutant
class NoPoolBackward(Taps):
    """pool_backward is missing."""

    pool_backward = None


@mutant
class OldSignature(Taps):
    """conv_backward has no needs."""

    def conv_backward(self, spec, dout, x, w, saved):
        return super().conv_backward(spec, dout, x, w, saved, ("dx", "dw", "db"))


@mutant
class EmptyName(Taps):
    """name is empty."""

    name = ""


@mutant
class ImportFails(Taps):
    """The backend's constructor raises."""

    def __init__(self):
        raise OSError("libkernels.so: cannot open shared object file")


@mutant
class FusedForwardOnly(Fused):
    """conv_relu_pool_forward without its backward."""

    conv_relu_pool_backward = None


@mutant
class SupportsNothing(Taps):
    """supports() declines every problem: nothing fails because nothing runs."""

    def supports(self, spec):
        return "not today"


@mutant
class SupportsReturnsBool(Taps):
    """supports() returns False where it means no."""

    def supports(self, spec):
        return None if max(spec.dilation) == 1 else False

    def conv_out(self, spec, x, w):
        if max(spec.dilation) > 1:
            raise NotImplementedError("dilation")
        return super().conv_out(spec, x, w)


@mutant
class SupportsReturnsTrue(Taps):
    """supports() returns True where it means yes."""

    def supports(self, spec):
        return True


@mutant
class SupportsRaises(Taps):
    """supports() raises for three spatial axes."""

    def supports(self, spec):
        if spec.axes == 3:
            raise IndexError("tuple index out of range")


@mutant
class SupportsChangesItsMind(Taps):
    """supports() declines every third time it is asked."""

    asked = 0

    def supports(self, spec):
        self.asked += 1
        return "busy" if self.asked % 3 == 0 else None


@mutant
class ClaimsGroups(Taps):
    """supports() says yes to groups; the call raises."""

    def conv_out(self, spec, x, w):
        if spec.groups > 1:
            raise NotImplementedError("groups")
        return super().conv_out(spec, x, w)


@mutant
class ClaimsBackward(Taps):
    """Forward only; backward raises."""

    def conv_backward(self, spec, dout, x, w, saved, needs):
        raise NotImplementedError("backward")


@mutant
class ClaimsOneDimension(Taps):
    """1-D unpacks two sizes."""

    def conv_out(self, spec, x, w):
        _, _, *rest = x.shape
        _, _ = rest[:2]
        return super().conv_out(spec, x, w)


@result("conv_out")
def always_float64(spec, out, x, w):
    """float32 in, float64 out."""
    return out.astype(np.float64)


@result("conv_dw")
def dw_always_float32(spec, dw, dout, x):
    """float64 in, float32 gradients out."""
    return dw.astype(np.float32)


@result("conv_out")
def channels_last_result(spec, out, x, w):
    """out is a view of memory in NHWC order."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(out, 1, -1)), -1, 1)


@result("avg_out")
def read_only_result(spec, out, x):
    """out cannot be written to."""
    out.flags.writeable = False


@result("conv_db")
def db_as_row(spec, db, dout):
    """db is (1, F)."""
    return db[None]


@result("conv_dx")
def dx_keeps_padding(spec, dx, dout, w):
    """dx still has the padding around it."""
    return np.pad(dx, ((0, 0), (0, 0), *spec.pad))


@result("conv_out")
def flat_result(spec, out, x, w):
    """out has no batch axis for one image."""
    return out[0] if len(out) == 1 else out


@result("conv_forward")
def only_out(spec, pair, x, w, b):
    """forward returns out without saved."""
    return pair[0]


@result("conv_backward")
def list_of_gradients(spec, gradients, *inputs):
    """Gradients come as a list."""
    return list(gradients)


@mutant
class SubclassResult(Taps):
    """out is a subclass of ndarray."""

    def avg_out(self, spec, x):
        return super().avg_out(spec, x).view(np.ma.MaskedArray)


@mutant
class IdentityReturnsInput(Taps):
    """A 1x1 window with stride 1 is no work: x itself is returned."""

    def pool_forward(self, spec, x):
        if set(spec.kernel) == set(spec.stride) == {1} and x.shape == spec.out_shape:
            return x, super().pool_forward(spec, x)[1]
        return super().pool_forward(spec, x)


@mutant
class IdentityReturnsDout(Taps):
    """Backward of a 1x1 average is dout itself."""

    def avg_dx(self, spec, dout):
        if set(spec.kernel) == set(spec.stride) == {1} and dout.shape == spec.x_shape:
            return dout
        return super().avg_dx(spec, dout)


@mutant
class OtherByteOrder(Taps):
    """Results are in the other byte order."""

    def avg_out(self, spec, x):
        out = super().avg_out(spec, x)
        return out.astype(out.dtype.newbyteorder())


@mutant
class FactorBeyondLimit(Taps):
    """exact = False with an error_factor that lets anything pass."""

    exact = False
    error_factor = 1e6


@mutant
class ExactInWords(Taps):
    """exact is a text, and every text is true."""

    exact = "False"


@mutant
class ExactWithFactor(Taps):
    """A backend that rounds nothing beyond its sums asks for four times the bound."""

    error_factor = 4.0


@mutant
class InfoIsText(Taps):
    """info() returns a line of text where tables look up facts by name."""

    def info(self):
        return "float32 and float64"


@mutant
class ExpectsFailuresThatPass(Taps):
    """expected_failures names a check that passes; being wrong about oneself is a failure."""

    @property
    def expected_failures(self):
        from convkit.conformance import checks

        return {next(iter(sorted(checks.CHECKS))): "was broken once"}


@mutant
class ExpectsUnknownCheck(Taps):
    """expected_failures names a check that does not exist."""

    @property
    def expected_failures(self):
        return {"no_such_check": "a typing error"}


@mutant
class ExpectsFailureWithoutReason(Taps):
    """supports() declines 3-D with an empty reason."""

    def supports(self, spec):
        return "" if spec.axes == 3 else None


@mutant(child=True)
class Crashes(Taps):
    """Dilated convolution ends the process with a segmentation fault."""

    def conv_out(self, spec, x, w):
        if max(spec.dilation) > 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().conv_out(spec, x, w)


@mutant(child=True)
class Exits(Taps):
    """Depthwise convolution calls sys.exit."""

    def conv_out(self, spec, x, w):
        if spec.groups == x.shape[1] > 1:
            raise SystemExit(0)
        return super().conv_out(spec, x, w)


@mutant(child=True)
class ExitsAtOnce(Taps):
    """Ends the process with status 0 in the middle of the run."""

    def conv_out(self, spec, x, w):
        if max(spec.stride) > 1:
            os._exit(0)
        return super().conv_out(spec, x, w)


@mutant(child=True)
class Hangs(Taps):
    """A window that sees padding alone is waited for."""

    def conv_out(self, spec, x, w):
        if any(p[0] >= k for p, k in zip(spec.pad, spec.window, strict=True)):
            threading.Event().wait()
        return super().conv_out(spec, x, w)


@mutant
class LeavesErrorState(Taps):
    """NumPy's error handling is set to raise, and stays so for the caller."""

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        np.seterr(over="raise")
        return out
