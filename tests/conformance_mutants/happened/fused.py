"""In the fused pass alone: the activation is ignored, refused, or reads another channel's bias."""

from __future__ import annotations

import numpy as np

from conformance_mutants.happened.base import Full, at
from conformance_mutants.registry import mutant


@mutant(**at("jax-ml/jax/issues/1049"))
class JaxGroupedRelu(Full):
    """relu after a convolution with groups: fused, the launch fails; each alone works.

    JAX, jax-ml/jax#1049.
    """

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        if conv_spec.groups > 1:
            raise RuntimeError("Unable to launch convolution with type forward with activation")
        return super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)


@mutant(**at("intel/webml-polyfill/issues/895"))
class WebmlActivationIgnored(Full):
    """An activation fused with max pooling: ignored.

    WebML on MPS, intel/webml-polyfill#895.
    """

    def relu(self, z):
        return z


@mutant(**at("openvinotoolkit/openvino/pull/9756"))
class OpenvinoFusedChannelBlock(Full):
    """What is fused with pooling, beyond 32 channels: read from the wrong place.

    Rebuilt: the bias of the first 32. Tests with one value for all channels passed.

    OpenVINO GPU, openvinotoolkit/openvino#9756.
    """

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        if b is not None:
            b = b[np.arange(len(b)) % 32]
        return super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
