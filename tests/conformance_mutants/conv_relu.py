"""conv_relu: wrong in the fused path alone, while the convolution itself is right."""

from __future__ import annotations

import dataclasses

import numpy as np

from conformance_mutants.conv_relu_base import Rectified, planted

bug = planted("conv_relu", Rectified)

# --- relu -----------------------------------------------------------------------------------


@bug("rectify")
def leaky(spec, value, z):
    """A hundredth of what is below 0 passes."""
    return np.where(z > 0, z, z * z.dtype.type(0.01))


@bug("rectify")
def ends_at_six(spec, value, z):
    """relu6 in place of relu."""
    return np.minimum(value, 6)


@bug("rectify")
def absolute(spec, value, z):
    """The sign bit is cleared in place of the number."""
    return np.abs(z)


@bug("rectify")
def loses_nan(spec, value, z):
    """max(NaN, 0) is 0 in the order that the vector instruction takes its operands."""
    return np.fmax(z, 0)


@bug("rectify")
def product_with_the_mask(spec, value, z):
    """z times (z > 0): an infinity below 0 becomes NaN."""
    with np.errstate(invalid="ignore"):
        return z * (z > 0)


@bug("rectify")
def small_ones_are_off(spec, value, z):
    """What is less than a hundredth counts as 0."""
    value[value < 0.01] = 0


@bug("rectify")
def filters_in_blocks_of_eight(spec, value, z):
    """An incomplete last block of 8 filters is not rectified."""
    whole = z.shape[1] // 8 * 8
    if z.shape[1] > 8:
        value[:, whole:] = z[:, whole:]


@bug("rectify")
def columns_in_blocks_of_eight(spec, value, z):
    """Rows of more than 16 results leave an incomplete last block as it is."""
    width = z.shape[-1]
    if width > 16 and width % 8:
        value[..., width // 8 * 8 :] = z[..., width // 8 * 8 :]


@bug("rectify")
def images_in_blocks_of_four(spec, value, z):
    """Of more than 32 images an incomplete last block of 4 is not rectified."""
    if len(z) > 32:
        value[len(z) // 4 * 4 :] = z[len(z) // 4 * 4 :]


@bug("rectify")
def last_result_of_a_signal(spec, value, z):
    """In one axis the last result is not rectified."""
    if spec.axes == 1:
        value[..., -1] = z[..., -1]


@bug("rectify")
def first_slice_of_a_volume(spec, value, z):
    """In three axes the first slice alone is rectified."""
    if spec.axes == 3:
        value[:, :, 1:] = z[:, :, 1:]


@bug("rectify")
def strided(spec, value, z):
    """With a stride the last column is 0."""
    if max(spec.stride) > 1:
        value[..., -1] = 0


@bug("rectify")
def first_row_over_padding(spec, value, z):
    """The first row of results, over padding, goes another way, without relu."""
    if spec.pad[0][0] and spec.axes == 2:
        value[:, :, 0] = z[:, :, 0]


@bug("rectify")
def one_by_one(spec, value, z):
    """The path for 1x1 kernels has no relu."""
    return z if max(spec.kernel) == 1 else None


@bug("rectify")
def grouped(spec, value, z):
    """Of several groups the first alone is rectified."""
    first = spec.w_shape[0] // spec.groups
    value[:, first:] = z[:, first:]


# --- the convolution as the fused path calls it ---------------------------------------------


@bug("z")
def bias_after_relu(backend, right, spec, x, w, b):
    """The bias is added behind relu: here before it, to what is above 0."""
    z = np.maximum(right(spec, x, w, None), 0)
    if b is not None:
        backend.add_bias(spec, z, b)
    return z


@bug("z")
def bias_of_sixteen_filters(backend, right, spec, x, w, b):
    """Filters beyond the 16th get no bias."""
    if b is not None and len(b) > 16:
        b = b.copy()
        b[16:] = 0
    return right(spec, x, w, b)


@bug("z")
def depthwise_bias_reversed(backend, right, spec, x, w, b):
    """The depthwise path takes biases in the order of channels from the end."""
    if b is not None and spec.groups == spec.x_shape[1] > 1:
        b = np.ascontiguousarray(b[::-1])
    return right(spec, x, w, b)


@bug("z")
def in_less_precision(spec, value, x, w, b):
    """float64 is computed in float32."""
    return value.astype(np.float32).astype(spec.dtype)


@bug("z")
def padding_of_zeros(backend, right, spec, x, w, b):
    """The fused path pads with zeros, whatever the mode."""
    return super(Rectified, backend).conv_forward(plain(spec), x, w, b)[0]


def plain(spec):
    """The same problem, padded with zeros."""
    return dataclasses.replace(spec, pad_mode="zeros")


@bug("z")
def dilated_rows_reversed(backend, right, spec, x, w, b):
    """With unequal dilations the kernel's rows are read from the last to the first."""
    if spec.axes == 2 and spec.dilation[0] != spec.dilation[1]:
        w = np.ascontiguousarray(w[:, :, ::-1])
    return right(spec, x, w, b)


@bug("conv_relu_forward")
def input_rectified(backend, right, spec, x, w, b):
    """relu works in the buffer of x where the kernel is 1x1."""
    found = right(spec, x, w, b)
    if max(spec.kernel) == 1 and x.size:
        np.maximum(x, 0, out=x)
    return found


# --- inference ------------------------------------------------------------------------------


@bug("conv_relu_infer")
def inference_without_bias(backend, right, spec, x, w, b):
    """Inference forgets the bias."""
    return right(spec, x, w, None)


@bug("conv_relu_infer")
def inference_without_relu(backend, right, spec, x, w, b):
    """Inference forgets relu."""
    return backend.z(spec, x, w, b)


@bug("conv_relu_infer")
def inference_loses_nan(spec, value, x, w, b):
    """Inference alone makes NaN 0."""
    return np.nan_to_num(value, nan=0.0, posinf=np.inf)


@bug("conv_relu_infer")
def inference_in_one_buffer(backend, right, spec, x, w, b):
    """Inference returns the same array each time, as large as it was last."""
    found = right(spec, x, w, b)
    kept = vars(backend).setdefault("kept", {}).setdefault(spec, found)
    kept[...] = found
    return kept


@bug("conv_relu_infer")
def inference_with_an_earlier_bias(backend, right, spec, x, w, b):
    """Without a bias, the last one of as many filters is used."""
    kept = vars(backend).setdefault("kept", {})
    key = (spec.w_shape[0], spec.dtype)
    if b is not None:
        kept[key] = b.copy()
    return right(spec, x, w, kept.get(key, b))


@bug("conv_relu_infer")
def inference_of_single_images(spec, value, x, w, b):
    """Inference of one image alone exchanges the first two filters."""
    if len(value) == 1 and value.shape[1] > 1:
        value[:, [0, 1]] = value[:, [1, 0]]


# --- backward -------------------------------------------------------------------------------


@bug("on")
def derivative_at_zero(spec, value, z):
    """The derivative at 0 is 1."""
    return z >= 0


@bug("on")
def nan_passes(spec, value, z):
    """The mask is not (z <= 0), which is true for NaN."""
    return ~(z <= 0)


@bug("on")
def mask_of_the_first_image(spec, value, z):
    """Every image gets the mask of the first."""
    return np.broadcast_to(value[:1], value.shape) if len(value) else value


@bug("on")
def mask_in_whole_bytes(spec, value, z):
    """Results behind the last whole byte of bits are taken to be off."""
    flat = value.reshape(-1)
    flat[flat.size // 8 * 8 :] = False


@bug("on")
def bits_reversed(spec, value, z):
    """Bits of a byte are read from the other end."""
    flat = value.reshape(-1)
    whole = flat.size // 8 * 8
    flat[:whole] = flat[:whole].reshape(-1, 8)[:, ::-1].reshape(-1)


@bug("on")
def mask_index_in_a_byte(spec, value, z):
    """The number of an image is kept in a byte."""
    if len(value) > 256:
        value[256:] = value[: len(value) - 256]


@bug("conv_relu_forward")
def mask_is_a_view_of_out(backend, right, spec, x, w, b):
    """What is saved is out itself, and read in backward."""
    out, _ = right(spec, x, w, b)
    return out, Above(out)


class Above:
    """Where an array is above 0, when it is asked."""

    def __init__(self, a):
        self.a = a

    def __array__(self, *_, **__):
        return self.a > 0


@bug("unpacked")
def mask_is_the_last_ones(backend, right, spec, on):
    """A mask is kept in the backend by the problem: the first one of each."""
    return vars(backend).setdefault("kept", {}).setdefault(spec, on)


@bug("masked")
def mask_forgotten(spec, value, dout, on):
    """Backward does not know that relu was there."""
    return dout.copy()


@bug("masked")
def mask_by_product(spec, value, dout, on):
    """An infinite gradient times 0 is NaN."""
    with np.errstate(invalid="ignore"):
        return (dout * np.asarray(on)).astype(dout.dtype)


@bug("masked")
def mask_of_strided_results(spec, value, dout, on):
    """With a stride in one axis alone, the last row passes everything."""
    if spec.axes == 2 and spec.stride[0] != spec.stride[1]:
        value[:, :, -1] = dout[:, :, -1]


def _unmasked(name, when=lambda spec, needs: True):
    """Return a bug: one gradient, or some, are those of dout itself."""

    def wrong(backend, right, spec, dout, dz, x, w, needs):
        found = list(right(spec, dout, dz, x, w, needs))
        other = right(spec, dout, dout, x, w, needs)
        for at, gradient in enumerate(("dx", "dw", "db")):
            if gradient in name and when(spec, needs):
                found[at] = other[at]
        return tuple(found)

    return wrong


def _add_unmasked(word, text, names, when=lambda spec, needs: True):
    function = _unmasked(names, when)
    function.__name__, function.__doc__ = word, text
    bug("gradients")(function)


_add_unmasked("dx_unmasked", "dx is that of dout.", ("dx",))
_add_unmasked("dw_unmasked", "dw is that of dout.", ("dw",))
_add_unmasked("db_unmasked", "db sums dout.", ("db",))
_add_unmasked("db_alone", "db alone is summed from dout.", ("db",), lambda s, n: n == ("db",))
_add_unmasked("dw_alone", "dw without dx is that of dout.", ("dw",), lambda s, n: "dx" not in n)
_add_unmasked(
    "groups_unmasked", "With groups dw is that of dout.", ("dw",), lambda s, n: s.groups > 1
)
_add_unmasked(
    "dilated_dx", "With a dilation dx is that of dout.", ("dx",), lambda s, n: max(s.dilation) > 1
)
