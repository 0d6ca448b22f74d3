"""TensorFlow's channels-last operators as a backend; TF_ENABLE_ONEDNN_OPTS=0 forbids oneDNN."""

import numpy as np
import tensorflow as tf

from convkit.contract import API_VERSION


def channels_last(array):
    return tf.constant(np.moveaxis(array, 1, -1))


def filters(w):
    return tf.constant(np.ascontiguousarray(np.moveaxis(w, (0, 1), (-1, -2))))


def channels_first(tensor):
    return np.array(np.moveaxis(tensor.numpy(), -1, 1), order="C")


class Backend:
    name = "tensorflow"
    api_version = API_VERSION

    def supports(self, spec):
        if spec.axes > 3:
            return "TensorFlow has no operator for more than three axes"
        if spec.x_shape[0] == 0:
            return "TensorFlow's kernels do not all take an empty batch"
        if spec.operation == "conv":
            if max(spec.stride) > 1 and max(spec.dilation) > 1:
                return "tf.nn.convolution takes a stride or a dilation, not both"
            depthwise = spec.axes == 2 and spec.w_shape[1] == 1 and len(set(spec.stride)) == 1
            if spec.groups > 1 and not depthwise:
                return "TensorFlow has grouped gradients in oneDNN alone; not asked here"
            undilated = spec.axes < 3 or max(spec.dilation) == 1
            return None if undilated else "TensorFlow's dilated 3-D convolutions are not asked here"
        plain = not spec.ceil_mode and max(spec.dilation) == 1 and not any(map(any, spec.pad))
        if not plain or spec.dtype != np.float32 or any(map(int.__gt__, spec.stride, spec.kernel)):
            return "TensorFlow's pools take float32 without ceil_mode, dilation, padding or gaps"
        if spec.axes == 3 and spec.kind == "max":
            return "TensorFlow's 3-D pool gives a maximum's gradient to all equal ones"
        return None

    def convolution(self, spec, x, w):
        x = tf.pad(x, [(0, 0), *spec.pad, (0, 0)]) if any(map(any, spec.pad)) else x
        if spec.groups == 1:
            layout = f"N{'DHW'[-spec.axes :]}C"
            return tf.nn.convolution(x, w, spec.stride, "VALID", layout, spec.dilation)
        w, strides = tf.reshape(w, (*spec.kernel, spec.groups, -1)), (1, *spec.stride, 1)
        return tf.nn.depthwise_conv2d(x, w, strides, "VALID", None, spec.dilation)

    def conv_forward(self, spec, x, w, b):
        out = self.convolution(spec, channels_last(x), filters(w))
        return channels_first(out if b is None else tf.nn.bias_add(out, b)), None

    def conv_backward(self, spec, dout, x, w, saved, needs):
        x, w, dout = channels_last(x), filters(w), channels_last(dout)
        wanted = [t for n, t in (("dx", x), ("dw", w)) if n in needs]
        with tf.GradientTape() as tape:
            tape.watch(wanted)
            out = self.convolution(spec, x, w)
        found = tape.gradient(out, wanted, dout) if wanted else []
        dw = found.pop().numpy() if "dw" in needs else None
        dw = dw if dw is None else np.array(np.moveaxis(dw, (-1, -2), (0, 1)), order="C")
        dx = channels_first(found.pop()) if "dx" in needs else None
        return dx, dw, tf.reduce_sum(dout, range(spec.axes + 1)).numpy() if "db" in needs else None

    def pool_forward(self, spec, x, dout=None):
        x = channels_last(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            out = tf.nn.pool(x, spec.kernel, spec.kind.upper(), spec.stride, "VALID")
        if dout is not None:
            return channels_first(tape.gradient(out, x, channels_last(dout)))
        return channels_first(out), np.moveaxis(x.numpy(), -1, 1)

    def pool_backward(self, spec, dout, saved):
        return self.pool_forward(spec, saved, dout)
