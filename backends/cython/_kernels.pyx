# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The thin layer between the backend and its C kernels: pointers, sizes and the GIL.

A plan holds one problem's sizes in C and the kernels chosen for it, so that a call costs little
more than its kernel. Nothing here decides or checks anything: arrays come C-contiguous and of the
plan's dtype, and their shapes are the spec's. NumPy's own interface hands out their memory, because
the buffer protocol costs more than a small problem takes.
"""

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport strcpy

from math import prod

import numpy as np

cnp.import_array()


cdef extern from "kernels.h" nogil:
    ctypedef Py_ssize_t idx
    enum:
        CK_INTERFACE
        CK_KERNELS
        CK_conv_db_direct
        CK_relu_bits_flat
        CK_relu_backward_flat
        CK_MOST_TAPS
        CK_MOST_BLOCKS
        CK_MOST_ACROSS
        CK_MOST_PLANE_VECTORS
        CK_PRETRANSFORM_BYTES

    ctypedef struct ck_window:
        idx *k
        idx *s
        idx *d
        idx *p
        # "in" and "out" as C names
        idx *size_in "in"
        idx *size_out "out"

    ctypedef struct ck_conv:
        idx n, c, f, groups
        ck_window window

    ctypedef struct ck_pool:
        idx planes
        ck_window window
        const int32_t **counts

    ctypedef struct ck_norm:
        idx n, c, groups, size
        double eps
        int own, relu

    ctypedef union ck_kernel:
        int (*conv_forward)(const ck_conv *, const void *, const void *, const void *, void *,
                            int) noexcept nogil
        int (*conv_dx)(const ck_conv *, const void *, const void *, void *) noexcept nogil
        int (*conv_dw)(const ck_conv *, const void *, const void *, void *, void *) noexcept nogil
        int (*conv_db)(const ck_conv *, const void *, void *) noexcept nogil
        int (*max_pool_forward)(const ck_pool *, const void *, void *, void *,
                                int) noexcept nogil
        int (*max_pool_backward)(const ck_pool *, const void *, const void *, int,
                                 void *) noexcept nogil
        int (*avg_pool_forward)(const ck_pool *, const void *, void *) noexcept nogil
        int (*avg_pool_backward)(const ck_pool *, const void *, void *) noexcept nogil
        int (*conv_relu_pool_dw)(const ck_conv *, const ck_pool *, const void *, const void *, int,
                                 const void *, void *, void *) noexcept nogil
        int (*relu_bits)(idx, const void *, uint8_t *) noexcept nogil
        int (*relu_backward)(idx, const void *, const uint8_t *, void *) noexcept nogil
        int (*norm_forward)(const ck_norm *, const void *, const void *, const void *,
                            const void *, double *, uint8_t *, void *) noexcept nogil
        int (*norm_backward)(const ck_norm *, const void *, const void *, const void *,
                             const double *, const uint8_t *, void *, void *, void *,
                             void *) noexcept nogil
        int (*norm_pool_forward)(const ck_norm *, const ck_pool *, const void *, const void *,
                                 const void *, const void *, double *, void *,
                                 uint8_t *) noexcept nogil
        int (*norm_pool_backward)(const ck_norm *, const ck_pool *, const void *, const uint8_t *,
                                  const void *, const void *, const double *, void *, void *,
                                  void *, void *) noexcept nogil

    ctypedef struct ck_kernels:
        const ck_kernel *kernel
        int (**rule)(const ck_conv *) noexcept nogil
        double (*peak)(idx) noexcept nogil
        void (*copy)(void *, const void *, idx) noexcept nogil

    ctypedef struct ck_isa:
        const char *name
        int vector_bytes, masked_loads
        const ck_kernels **of

    const char *ck_kernel_operation(int)
    const char *ck_kernel_name(int)
    const char *ck_rule_name(int)
    const ck_isa *ck_active_isa()
    const ck_isa *ck_isa_at(int, int *)
    const char *ck_isa_wanted()
    void ck_set_isa(const ck_isa *)
    int ck_num_threads()
    void ck_set_num_threads(int)


cdef enum:
    MOST_PLANS = 1024


def _numbers():
    """Return the kernels of kernels.def: {(operation, name): number}."""
    return {
        (ck_kernel_operation(i).decode(), ck_kernel_name(i).decode()): i for i in range(CK_KERNELS)
    }


def _rules():
    numbers, i = {}, 0
    while ck_rule_name(i) != NULL:
        numbers[ck_rule_name(i).decode()] = i
        i += 1
    return numbers


INTERFACE = CK_INTERFACE
NUMBERS = _numbers()
RULES = _rules()


cdef class InstructionSet:
    """The instruction set in use: its vectors, the kernels' limits and cost models."""

    cdef const ck_isa *isa
    cdef readonly str name
    cdef readonly int vector_bytes
    cdef readonly bint masked_loads
    cdef readonly int most_taps, most_blocks, most_across, most_plane_vectors, pretransform_bytes

    def __init__(self):
        self.isa = ck_active_isa()
        if self.isa == NULL:
            usable = ", ".join(name for name, (_, fits) in isas().items() if fits)
            raise ImportError(
                f"CONVKIT_ISA (={ck_isa_wanted().decode()!r}) must be an instruction set that this "
                f"CPU has and convkit_cython is built for: {usable}"
            )
        self.name = self.isa.name.decode()
        self.vector_bytes = self.isa.vector_bytes
        self.masked_loads = self.isa.masked_loads
        self.most_taps = CK_MOST_TAPS
        self.most_blocks = CK_MOST_BLOCKS
        self.most_across = CK_MOST_ACROSS
        self.most_plane_vectors = CK_MOST_PLANE_VECTORS
        self.pretransform_bytes = CK_PRETRANSFORM_BYTES

    def rule(self, str name, spec):
        """Ask a cost model: 0 for never, 1 for always, 2 for in some phases of depth."""
        cdef ck_conv g
        describe(&g, spec)
        return self.isa.of[spec.dtype.itemsize == 8].rule[<int>RULES[name]](&g)

    def __eq__(self, other):
        return type(other) is InstructionSet and self.isa == (<InstructionSet>other).isa

    def __hash__(self):
        return <Py_hash_t><size_t>self.isa


def isas():
    """Return the instruction sets built in, best first: {name: (vector bytes, usable here)}."""
    cdef int i = 0, usable = 0
    cdef const ck_isa *isa = ck_isa_at(i, &usable)
    found = {}
    while isa != NULL:
        found[isa.name.decode()] = (isa.vector_bytes, bool(usable))
        i += 1
        isa = ck_isa_at(i, &usable)
    return found


def active_isa():
    """Return the name of the instruction set in use; ImportError if there is none."""
    return InstructionSet().name


def set_isa(str name):
    """Use the instruction set `name` from now on (for tests; plans made before keep their own)."""
    cdef int i = 0, usable = 0
    cdef const ck_isa *isa = ck_isa_at(i, &usable)
    while isa != NULL:
        if usable and isa.name.decode() == name:
            ck_set_isa(isa)
            return
        i += 1
        isa = ck_isa_at(i, &usable)
    raise ValueError(f"name (={name!r}) must be one of the instruction sets usable here")


def num_threads():
    """Return how many threads a large problem is given."""
    return ck_num_threads()


def set_num_threads(int n):
    """Give large problems `n` threads; results do not depend on it."""
    ck_set_num_threads(n)


cdef extern from "Python.h":
    ctypedef struct PyThreadState
    PyThreadState *PyEval_SaveThread()
    void PyEval_RestoreThread(PyThreadState *)


cdef enum:
    # multiply-adds that take less time than releasing and acquiring the GIL
    SMALL = 1 << 14


cdef inline PyThreadState *release(bint small) noexcept:
    """Release the GIL, unless the kernel to be run is so small that nobody waits for it."""
    return NULL if small else PyEval_SaveThread()


cdef inline void acquire(PyThreadState *state) noexcept:
    if state != NULL:
        PyEval_RestoreThread(state)


cdef int check(int status) except -1:
    if status:
        raise MemoryError("no memory for the kernel's scratch buffers")
    return 0


cdef inline void *at(cnp.ndarray array) noexcept:
    """Return an array's memory; a null pointer for None."""
    return NULL if array is None else cnp.PyArray_DATA(array)


cdef extern from "runtime/buffers.h" nogil:
    enum:
        CK_LEAST_BUFFER
    void *ck_buffer_malloc(void *, size_t)
    void *ck_buffer_calloc(void *, size_t, size_t)
    void *ck_buffer_realloc(void *, void *, size_t)
    void ck_buffer_free(void *, void *, size_t)
    size_t ck_buffer_limit()
    size_t ck_default_buffer_limit()
    void ck_set_buffers(size_t, double)
    void ck_empty_buffers()
    void ck_buffer_sizes(size_t *, size_t *)


cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyDataMemAllocator:
        void *ctx
        void *(*malloc)(void *, size_t) noexcept nogil
        void *(*calloc)(void *, size_t, size_t) noexcept nogil
        void *(*realloc)(void *, void *, size_t) noexcept nogil
        void (*free)(void *, void *, size_t) noexcept nogil

    ctypedef struct PyDataMem_Handler:
        char name[127]
        uint8_t version
        PyDataMemAllocator allocator

    PyObject *PyDataMem_DefaultHandler
    object PyDataMem_SetHandler(object)


# Arrays refer to it until they are freed, which may be after this module is gone: it is static.
cdef PyDataMem_Handler buffers
strcpy(buffers.name, b"convkit_buffer_pool")
buffers.version = 1
buffers.allocator = PyDataMemAllocator(
    NULL, ck_buffer_malloc, ck_buffer_calloc, ck_buffer_realloc, ck_buffer_free)
cdef object buffer_handler = PyCapsule_New(&buffers, "mem_handler", NULL)


def set_buffer_pool(limit=None, double idle_seconds=10):
    """Keep the memory of freed results for new ones: `limit` bytes of it, 0 for none.

    By default 512 MiB, or a sixteenth of the machine's memory if that is less. What has not been
    used for `idle_seconds` is given back to the system when the next result is made or freed.
    """
    ck_set_buffers(ck_default_buffer_limit() if limit is None else limit, idle_seconds)


def empty_buffer_pool():
    """Give back to the system what is kept."""
    ck_empty_buffers()


def buffer_pool():
    """Return the pool's limit, what it keeps, and what of its memory is in use, in bytes."""
    cdef size_t kept, used
    ck_buffer_sizes(&kept, &used)
    return {"limit": ck_buffer_limit(), "kept": kept, "used": used}


cdef struct layout:
    # a result's shape, NumPy's number of its dtype, and its size
    int axes, dtype
    size_t bytes
    cnp.npy_intp[64] shape  # NumPy allows no more axes


cdef int lay_out(layout *to, tuple shape, cnp.dtype dtype) except -1:
    to.axes = len(shape)
    to.dtype = dtype.type_num
    to.bytes = dtype.itemsize
    for i in range(to.axes):
        to.shape[i] = shape[i]
        to.bytes *= to.shape[i]
    return 0


cdef inline cnp.ndarray new(layout *of):
    return cnp.PyArray_EMPTY(of.axes, of.shape, of.dtype, 0)


cdef cnp.ndarray new_from_pool(layout *of):
    handler = PyDataMem_SetHandler(buffer_handler)
    try:
        # A handler that the user has set sees every array.
        if <PyObject *>handler != PyDataMem_DefaultHandler:
            PyDataMem_SetHandler(handler)
        return new(of)
    finally:
        PyDataMem_SetHandler(handler)


cdef inline cnp.ndarray empty_as(layout *of):
    """Return a new array, its contents undefined.

    All results are made here. Large ones get their memory from the pool, unless it is too small to
    keep them; either way, the array owns it.
    """
    if CK_LEAST_BUFFER <= of.bytes <= ck_buffer_limit():
        return new_from_pool(of)
    return new(of)


cdef void fill(idx *to, tuple values, idx missing):
    """Right-align one int per spatial axis in three."""
    cdef Py_ssize_t gap = 3 - len(values), i
    for i in range(3):
        to[i] = missing if i < gap else values[i - gap]


def multiply_adds(bint double_precision, idx rounds):
    """Run multiply-adds in registers alone, on all threads; return how many operations."""
    cdef const ck_kernels *kernels = ck_active_isa().of[double_precision]
    cdef double operations
    with nogil:
        operations = kernels.peak(rounds)
    return operations


def copy(cnp.ndarray to not None, cnp.ndarray source not None):
    """Copy one array's memory to another of the same size, on all threads."""
    cdef const ck_kernels *kernels = ck_active_isa().of[0]
    with nogil:
        kernels.copy(cnp.PyArray_DATA(to), cnp.PyArray_DATA(source), cnp.PyArray_NBYTES(to))


cdef int describe_window(ck_window *window, spec) except -1:
    """Write the sizes that every spec has."""
    fill(window.size_in, spec.x_shape[2:], 1)
    fill(window.size_out, spec.out_shape[2:], 1)
    fill(window.k, spec.kernel, 1)
    fill(window.s, spec.stride, 1)
    fill(window.d, spec.dilation, 1)
    fill(window.p, tuple([begin for begin, _ in spec.pad]), 0)
    return 0


cdef int describe(ck_conv *g, spec) except -1:
    """Write a ConvSpec's sizes to g."""
    g.n, g.c = spec.x_shape[0], spec.x_shape[1]
    g.f = spec.w_shape[0]
    g.groups = spec.groups
    return describe_window(&g.window, spec)


cdef class Plan:
    """One problem of one dtype on one instruction set."""

    cdef const ck_isa *isa
    cdef const ck_kernels *kernels
    cdef layout result
    cdef bint small
    cdef readonly object spec

    def __init__(self, spec):
        self.spec = spec
        self.isa = ck_active_isa()
        self.kernels = self.isa.of[spec.dtype.itemsize == 8]

    cdef ck_kernel kernel(self, str operation, str name) except *:
        """Return the kernel of that name."""
        cdef ck_kernel found = self.kernels.kernel[<int>NUMBERS[operation, name]]
        if found.conv_forward == NULL:
            raise ValueError(
                f"{operation} (={name!r}) must be a kernel of the instruction set "
                f"{self.isa.name.decode()!r}, which has none of that name"
            )
        return found


cdef class ConvPlan(Plan):
    """A convolution's sizes and kernels, from a ConvSpec and a kernel's name per operation."""

    cdef ck_conv g
    cdef ck_kernel forward_kernel, dx_kernel, dw_kernel

    def __init__(self, spec, str forward, str dx, str dw):
        Plan.__init__(self, spec)
        lay_out(&self.result, spec.out_shape, spec.dtype)
        describe(&self.g, spec)
        self.forward_kernel = self.kernel("conv_forward", forward)
        self.dx_kernel = self.kernel("conv_dx", dx)
        self.dw_kernel = self.kernel("conv_dw", dw)
        self.small = prod(spec.out_shape) * prod(spec.w_shape[1:]) <= SMALL

    cdef cnp.ndarray infer(self, cnp.ndarray x, cnp.ndarray w, cnp.ndarray b):
        cdef cnp.ndarray out = empty_as(&self.result)
        self.run(x, w, b, out, False)
        return out

    cdef int run(self, cnp.ndarray x, cnp.ndarray w, cnp.ndarray b, cnp.ndarray out,
                 bint relu) except -1:
        cdef void *ax = at(x), *aw = at(w), *ab = at(b), *ao = at(out)
        cdef PyThreadState *state = release(self.small)
        cdef int status = self.forward_kernel.conv_forward(&self.g, ax, aw, ab, ao, relu)
        acquire(state)
        return check(status)

    def forward(self, cnp.ndarray x not None, cnp.ndarray w not None, cnp.ndarray b,
                cnp.ndarray out not None, bint relu=False):
        """Write conv(x, w) + b into out, through ReLU if asked."""
        self.run(x, w, b, out, relu)

    def backward_x(self, cnp.ndarray dout not None, cnp.ndarray w not None,
                   cnp.ndarray dx not None):
        """Write the gradient with respect to x into dx."""
        cdef void *ad = at(dout), *aw = at(w), *ax = at(dx)
        cdef PyThreadState *state = release(self.small)
        cdef int status = self.dx_kernel.conv_dx(&self.g, ad, aw, ax)
        acquire(state)
        check(status)

    def backward_w(self, cnp.ndarray dout not None, cnp.ndarray x not None, cnp.ndarray dw,
                   cnp.ndarray db):
        """Write the gradients with respect to w and b into dw and db; one of them may be None."""
        cdef void *ad = at(dout), *ax = at(x), *aw = at(dw), *ab = at(db)
        cdef PyThreadState *state = release(self.small)
        cdef int status
        if aw == NULL:
            status = self.kernels.kernel[CK_conv_db_direct].conv_db(&self.g, ad, ab)
        else:
            status = self.dw_kernel.conv_dw(&self.g, ad, ax, aw, ab)
        acquire(state)
        check(status)

    def positive(self, cnp.ndarray out not None, cnp.ndarray bits not None):
        """Write a bit for each element of out into bits: whether it is above 0."""
        cdef idx size = cnp.PyArray_SIZE(out)
        cdef void *ao = at(out)
        cdef uint8_t *ab = <uint8_t *>at(bits)
        cdef PyThreadState *state = release(self.small)
        cdef int status = self.kernels.kernel[CK_relu_bits_flat].relu_bits(size, ao, ab)
        acquire(state)
        check(status)

    def passed(self, cnp.ndarray dout not None, cnp.ndarray bits not None,
               cnp.ndarray dz not None):
        """Write dout, or 0 where its bit is not set, into dz."""
        cdef idx size = cnp.PyArray_SIZE(dout)
        cdef void *ad = at(dout), *az = at(dz)
        cdef uint8_t *ab = <uint8_t *>at(bits)
        cdef PyThreadState *state = release(self.small)
        cdef int status = self.kernels.kernel[CK_relu_backward_flat].relu_backward(
            size, ad, ab, az)
        acquire(state)
        check(status)


cdef class PoolPlan(Plan):
    """A pooling's sizes and kernels, from a PoolSpec and a kernel's name per direction."""

    cdef ck_pool g
    cdef layout indices
    cdef int maximum
    cdef ck_kernel forward_kernel, backward_kernel
    cdef int32_t *counts
    cdef readonly int arg_bytes

    def __init__(self, spec, str forward, str backward):
        Plan.__init__(self, spec)
        lay_out(&self.result, spec.out_shape, spec.dtype)
        self.g.planes = spec.x_shape[0] * spec.x_shape[1]
        describe_window(&self.g.window, spec)
        self.maximum = spec.kind == "max"
        self.forward_kernel = self.kernel(f"{spec.kind}_pool_forward", forward)
        self.backward_kernel = self.kernel(f"{spec.kind}_pool_backward", backward)
        window = prod(spec.kernel)
        # One value more than a window has indices: it means that there is no argmax.
        self.arg_bytes = 1 if window < 256 else 2 if window < 65536 else 4
        self.small = prod(spec.out_shape) * window <= SMALL
        self.indices = self.result
        dtypes = {1: cnp.NPY_UINT8, 2: cnp.NPY_UINT16, 4: cnp.NPY_UINT32}
        self.indices.dtype = dtypes[self.arg_bytes]
        if not self.maximum:
            self.copy_counts(((1,),) * (3 - len(spec.kernel)) + spec.counts)

    cdef copy_counts(self, tuple counts):
        cdef Py_ssize_t total = sum([len(axis) for axis in counts]), i = 0
        self.counts = <int32_t *>malloc(total * sizeof(int32_t))
        if self.counts == NULL:
            raise MemoryError("no memory for the pooling windows' sizes")
        for a, axis in enumerate(counts):
            self.g.counts[<int>a] = self.counts + i
            for count in axis:
                self.counts[i] = count
                i += 1

    def __dealloc__(self):
        free(self.counts)

    cdef int run(self, cnp.ndarray x, cnp.ndarray out, cnp.ndarray arg) except -1:
        cdef void *ax = at(x), *ao = at(out), *aa = at(arg)
        cdef PyThreadState *state = release(self.small)
        cdef int status
        if self.maximum:
            status = self.forward_kernel.max_pool_forward(&self.g, ax, ao, aa, self.arg_bytes)
        else:
            status = self.forward_kernel.avg_pool_forward(&self.g, ax, ao)
        acquire(state)
        return check(status)

    def forward(self, cnp.ndarray x not None, cnp.ndarray out not None, cnp.ndarray arg):
        """Write the pooled x into out, and the argmax indices of a maximum into arg (or None)."""
        self.run(x, out, arg)

    def backward(self, cnp.ndarray dout not None, cnp.ndarray arg, cnp.ndarray dx not None):
        """Write the gradient with respect to x into dx."""
        cdef void *ad = at(dout), *aa = at(arg), *ax = at(dx)
        cdef PyThreadState *state = release(self.small)
        cdef int status
        if self.maximum:
            status = self.backward_kernel.max_pool_backward(&self.g, ad, aa, self.arg_bytes, ax)
        else:
            status = self.backward_kernel.avg_pool_backward(&self.g, ad, ax)
        acquire(state)
        check(status)


cdef class NormPlan(Plan):
    """A normalisation's sizes and kernels, from a NormSpec and the name of both kernels."""

    cdef ck_norm g
    cdef ck_kernel forward_kernel, backward_kernel
    cdef readonly tuple statistics_shape
    cdef readonly Py_ssize_t positive_bytes

    def __init__(self, spec, str name):
        Plan.__init__(self, spec)
        n, c, *axes = spec.x_shape
        batch = spec.kind == "batch"
        groups = 0 if batch else spec.groups
        self.g.n, self.g.c, self.g.groups, self.g.size = n, c, groups, prod(axes)
        self.g.eps = spec.eps
        self.g.own = spec.training or not batch
        self.g.relu = spec.relu
        self.forward_kernel = self.kernel("norm_forward", name)
        self.backward_kernel = self.kernel("norm_backward", name)
        # A row for mean, variance and 1 / sqrt(variance + eps).
        self.statistics_shape = (3, c) if batch else (3, n, groups)
        row = self.g.size if name == "rows" else c // (groups or 1) * self.g.size
        self.positive_bytes = n * c * self.g.size // row * (-(-row // 16) * 2)
        self.small = 2 * prod(spec.x_shape) <= SMALL

    def forward(self, cnp.ndarray x not None, cnp.ndarray gamma not None,
                cnp.ndarray beta not None, cnp.ndarray residual, cnp.ndarray statistics not None,
                cnp.ndarray positive, cnp.ndarray out not None):
        """Write out; also the statistics, unless the spec takes them as given, and what is > 0."""
        cdef void *ax = at(x), *ag = at(gamma), *ab = at(beta), *ar = at(residual), *ao = at(out)
        cdef double *statistic = <double *>at(statistics)
        cdef uint8_t *ap = <uint8_t *>at(positive)
        cdef PyThreadState *state = release(self.small)
        cdef int status = self.forward_kernel.norm_forward(
            &self.g, ax, ag, ab, ar, statistic, ap, ao)
        acquire(state)
        check(status)

    def backward(self, cnp.ndarray dout not None, cnp.ndarray x not None,
                 cnp.ndarray gamma not None, cnp.ndarray statistics not None,
                 cnp.ndarray positive, cnp.ndarray dx, cnp.ndarray dgamma, cnp.ndarray dbeta,
                 cnp.ndarray dresidual):
        """Write those gradients that are not None."""
        cdef void *ad = at(dout), *ax = at(x), *ag = at(gamma)
        cdef void *to_x = at(dx), *to_gamma = at(dgamma), *to_beta = at(dbeta)
        cdef void *to_residual = at(dresidual)
        cdef double *statistic = <double *>at(statistics)
        cdef uint8_t *ap = <uint8_t *>at(positive)
        cdef PyThreadState *state = release(self.small)
        cdef int status = self.backward_kernel.norm_backward(
            &self.g, ad, ax, ag, statistic, ap, to_x, to_gamma, to_beta, to_residual)
        acquire(state)
        check(status)


def pooled_gradients(ConvPlan conv not None, PoolPlan pool not None, cnp.ndarray dout not None,
                     cnp.ndarray arg not None, cnp.ndarray x not None, cnp.ndarray dw not None,
                     cnp.ndarray db):
    """Write the gradients with respect to w and b of conv - relu - max pool into dw and db.

    Returns whether it did: not if x or dout is not finite.
    """
    cdef ck_kernel kernel = conv.kernel("conv_relu_pool_dw", "pooled")
    cdef void *ad = at(dout), *aa = at(arg), *ax = at(x), *aw = at(dw), *ab = at(db)
    cdef PyThreadState *state = release(conv.small)
    cdef int status = kernel.conv_relu_pool_dw(
        &conv.g, &pool.g, ad, aa, pool.arg_bytes, ax, aw, ab)
    acquire(state)
    if status < 0:
        check(status)
    return status == 0


def norm_pool_forward(NormPlan norm not None, PoolPlan pool not None, cnp.ndarray x not None,
                      cnp.ndarray gamma not None, cnp.ndarray beta not None, cnp.ndarray residual,
                      cnp.ndarray statistics not None, cnp.ndarray out not None, cnp.ndarray arg):
    """Write the pooled results of a normalisation into out; arg and statistics as each plan does.

    An index of 255 stands for a result that relu let nothing through to.
    """
    cdef ck_kernel kernel = norm.kernel("norm_pool_forward", "rows")
    cdef void *ax = at(x), *ag = at(gamma), *ab = at(beta), *ar = at(residual), *ao = at(out)
    cdef double *statistic = <double *>at(statistics)
    cdef uint8_t *aa = <uint8_t *>at(arg)
    cdef PyThreadState *state = release(norm.small)
    cdef int status = kernel.norm_pool_forward(
        &norm.g, &pool.g, ax, ag, ab, ar, statistic, ao, aa)
    acquire(state)
    check(status)


def norm_pool_backward(NormPlan norm not None, PoolPlan pool not None, cnp.ndarray dout not None,
                       cnp.ndarray arg not None, cnp.ndarray x not None,
                       cnp.ndarray gamma not None, cnp.ndarray statistics not None,
                       cnp.ndarray dx, cnp.ndarray dgamma, cnp.ndarray dbeta,
                       cnp.ndarray dresidual):
    """Write those gradients that are not None, given that of the pooled result."""
    cdef ck_kernel kernel = norm.kernel("norm_pool_backward", "rows")
    cdef void *ad = at(dout), *ax = at(x), *ag = at(gamma)
    cdef void *to_x = at(dx), *to_gamma = at(dgamma), *to_beta = at(dbeta)
    cdef void *to_residual = at(dresidual)
    cdef double *statistic = <double *>at(statistics)
    cdef uint8_t *aa = <uint8_t *>at(arg)
    cdef PyThreadState *state = release(norm.small)
    cdef int status = kernel.norm_pool_backward(
        &norm.g, &pool.g, ad, aa, ax, ag, statistic, to_x, to_gamma, to_beta, to_residual)
    acquire(state)
    check(status)


cdef class Calls:
    """The backend's forward calls, compiled: their overhead is most of a small problem's time.

    Plans are found by the identity of their spec: convkit passes the same object for the same
    problem, and hashing one costs more than a small problem takes. A plan keeps its spec alive, so
    an id is not reused while its entry exists.
    """

    cdef dict plans
    cdef object make

    def __init__(self, make):
        """`make(spec)` returns a new plan."""
        self.plans = {}
        self.make = make

    def plan(self, spec):
        """Return the plan of a spec, made at the first call."""
        return self.known(spec)

    cdef object known(self, spec):
        key = <size_t><void *>spec
        plan = self.plans.get(key)
        if plan is None or (<Plan>plan).isa != ck_active_isa():
            if len(self.plans) >= MOST_PLANS:
                self.plans.clear()
            plan = self.plans[key] = self.make(spec)
        return plan

    def empty(self, tuple shape, dtype):
        """Return a new array for a result, its contents undefined."""
        cdef layout of
        lay_out(&of, shape, dtype if isinstance(dtype, cnp.dtype) else np.dtype(dtype))
        return empty_as(&of)

    def conv_forward(self, spec, cnp.ndarray x not None, cnp.ndarray w not None, cnp.ndarray b):
        """Return `out`; backward needs nothing more."""
        return (<ConvPlan?>self.known(spec)).infer(x, w, b), None

    def conv_infer(self, spec, cnp.ndarray x not None, cnp.ndarray w not None, cnp.ndarray b):
        """Return `out`."""
        return (<ConvPlan?>self.known(spec)).infer(x, w, b)

    def pool_forward(self, spec, cnp.ndarray x not None):
        """Return `out` and, for a maximum, the index of each one in its window."""
        cdef PoolPlan plan = self.known(spec)
        cdef cnp.ndarray out = empty_as(&plan.result)
        cdef cnp.ndarray arg = empty_as(&plan.indices) if plan.maximum else None
        plan.run(x, out, arg)
        return out, arg

    def pool_infer(self, spec, cnp.ndarray x not None):
        """Return `out`."""
        cdef PoolPlan plan = self.known(spec)
        cdef cnp.ndarray out = empty_as(&plan.result)
        plan.run(x, out, None)
        return out
