"""ncnn's convolution and deconvolution as a convkit backend, one image at a time.

``CONVKIT_NCNN_WINOGRAD=1`` allows Winograd's transforms, which round intermediate values.
"""

import os
import tempfile

import ncnn
import numpy as np
from inference_only import InferenceOnly

WINOGRAD = os.environ.get("CONVKIT_NCNN_WINOGRAD") == "1"
OPTION = ncnn.Option()
OPTION.num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
OPTION.use_winograd_convolution = WINOGRAD
OPTION.use_fp16_storage = OPTION.use_fp16_arithmetic = OPTION.use_fp16_packed = False


def run(kind, numbers, weights, x):
    """A net of one layer, with its parameters (ncnn's numbers), on each image of x."""
    words = " ".join(f"{number}={int(value)}" for number, value in numbers.items())
    net = ncnn.Net()
    net.opt = OPTION
    net.load_param_mem(f"7767517\n2 2\nInput x 0 1 x\n{kind} layer 1 1 x y {words}\n")
    with tempfile.NamedTemporaryFile() as file:  # four zero bytes: the weights are plain float32
        file.write(b"".join([bytes(4), *(a.tobytes() for a in weights)]))
        file.flush()
        net.load_model(file.name)
    out = []
    for image in x:
        with net.create_extractor() as extractor:
            extractor.input("x", ncnn.Mat(image).clone())
            out.append(np.array(extractor.extract("y")[1]))
    return np.stack(out)


def numbers(filters, w, stride, dilation, groups):
    """What both layers call 0-3, 6, 7 and 11-13: sizes, width first."""
    found = {0: filters, 6: w.size, 7: groups}
    for number, (height, width) in enumerate((w.shape[2:], dilation, stride), 1):
        found |= {number: width, 10 + number: height}
    return found


class Backend(InferenceOnly):
    name = "ncnn"
    exact, error_factor = not WINOGRAD, 32 if WINOGRAD else 1

    def supports(self, spec):
        if spec.operation != "conv" or spec.axes != 2 or spec.dtype != np.float32:
            return "only ncnn's float32 convolutions of two axes are called here"
        return "ncnn's nets hold one image at least" if spec.x_shape[0] == 0 else None

    def convolution(self, x, w, b, stride, pad, dilation, groups):
        (top, bottom), (left, right) = pad
        values = numbers(len(w), w, stride, dilation, groups) | {5: b is not None}
        values |= {14: top, 16: bottom, 4: left, 15: right}
        kind = "Convolution" if groups == 1 else "ConvolutionDepthWise"
        return run(kind, values, [w] if b is None else [w, b], x)

    def transposed(self, x, w, stride, dilation, groups):
        # ncnn keeps these weights by the channels that come out, in each group.
        turned = w.reshape(groups, -1, *w.shape[1:]).swapaxes(1, 2)
        values = numbers(w.shape[1] * groups, w, stride, dilation, groups)
        kind = "Deconvolution" if groups == 1 else "DeconvolutionDepthWise"
        return run(kind, values, [turned], x)

    def pool_forward(self, spec, x):
        raise NotImplementedError
