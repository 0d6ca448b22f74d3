# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The thin layer between the backend and its C kernels: pointers, sizes and the GIL.

A plan holds one problem's sizes in C and the numbers of the kernels chosen for it, so that a call
costs little more than taking the arrays' buffers. Nothing here decides or checks anything: arrays
come C-contiguous and of the plan's dtype, and their shapes are the spec's.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc


cdef extern from "ck.h" nogil:
    ctypedef Py_ssize_t idx
    enum: CK_ABI

    ctypedef struct ck_conv:
        idx n, c, f, groups
        idx[3] k, s, d, p
        # "in" and "out" as C names
        idx size_in "in"[3]
        idx size_out "out"[3]

    ctypedef struct ck_pool:
        idx planes
        idx[3] k, s, d, p
        idx size_in "in"[3]
        idx size_out "out"[3]
        const int32_t *counts[3]

    ctypedef struct ck_kernels:
        int (*conv_forward[4])(const ck_conv *, const void *, const void *, const void *, void *,
                               int) noexcept nogil
        int (*conv_dx[4])(const ck_conv *, const void *, const void *, void *) noexcept nogil
        int (*conv_dw[4])(const ck_conv *, const void *, const void *, void *,
                          void *) noexcept nogil
        int (*conv_db)(const ck_conv *, const void *, void *) noexcept nogil
        int (*max_pool_forward[4])(const ck_pool *, const void *, void *, void *,
                                   int) noexcept nogil
        int (*max_pool_backward[4])(const ck_pool *, const void *, const void *, int,
                                    void *) noexcept nogil
        int (*avg_pool_forward[4])(const ck_pool *, const void *, void *) noexcept nogil
        int (*avg_pool_backward[4])(const ck_pool *, const void *, void *) noexcept nogil
        double (*peak)(idx) noexcept nogil
        void (*copy)(void *, const void *, idx) noexcept nogil

    ctypedef struct ck_isa:
        const char *name
        int vector_bytes
        const ck_kernels *of[2]

    const ck_isa *ck_active_isa()
    const ck_isa *ck_isa_at(int, int *)
    const char *ck_isa_wanted()
    void ck_set_isa(const ck_isa *)
    int ck_num_threads()
    void ck_set_num_threads(int)


ABI = CK_ABI


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
    """Return the name of the instruction set in use; ImportError where there is none."""
    cdef const ck_isa *isa = ck_active_isa()
    if isa == NULL:
        usable = ", ".join(name for name, (_, fits) in isas().items() if fits)
        raise ImportError(
            f"CONVKIT_ISA (={ck_isa_wanted().decode()!r}) must be an instruction set that this "
            f"CPU has and convkit_cython is built for: {usable}"
        )
    return isa.name.decode()


def set_isa(str name):
    """Use the instruction set `name` from now on (for tests; plans made before follow)."""
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


cdef int check(int status) except -1:
    if status:
        raise MemoryError("no memory for the kernel's scratch buffers")
    return 0


cdef class Buffer:
    """An array's memory; None gives a null pointer. Never copies."""

    cdef Py_buffer view
    cdef void *at
    cdef bint held

    @staticmethod
    cdef Buffer of(object array, bint writable=False):
        cdef Buffer self = Buffer.__new__(Buffer)
        self.at = NULL
        if array is not None:
            PyObject_GetBuffer(array, &self.view, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)
            self.held = True
            self.at = self.view.buf
        return self

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)


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


def copy(to, source):
    """Copy one array's memory to another of the same size, on all threads."""
    cdef Buffer bt = Buffer.of(to, True), bs = Buffer.of(source)
    cdef const ck_kernels *kernels = ck_active_isa().of[0]
    with nogil:
        kernels.copy(bt.at, bs.at, bt.view.len)


cdef class ConvPlan:
    """A convolution's sizes and kernels, from a ConvSpec and a kernel number per operation."""

    cdef ck_conv g
    cdef int dtype, forward_kernel, dx_kernel, dw_kernel
    cdef readonly object spec

    def __init__(self, spec, int forward_kernel, int dx_kernel, int dw_kernel):
        self.spec = spec
        self.g.n, self.g.c = spec.x_shape[0], spec.x_shape[1]
        self.g.f = spec.w_shape[0]
        self.g.groups = spec.groups
        fill(self.g.size_in, spec.x_shape[2:], 1)
        fill(self.g.size_out, spec.out_shape[2:], 1)
        fill(self.g.k, spec.kernel, 1)
        fill(self.g.s, spec.stride, 1)
        fill(self.g.d, spec.dilation, 1)
        fill(self.g.p, tuple([begin for begin, _ in spec.pad]), 0)
        self.dtype = spec.dtype.itemsize == 8
        self.forward_kernel = forward_kernel
        self.dx_kernel = dx_kernel
        self.dw_kernel = dw_kernel

    def forward(self, x, w, b, out, bint relu=False):
        """Write conv(x, w) + b into out, through ReLU where asked."""
        cdef Buffer bx = Buffer.of(x), bw = Buffer.of(w), bb = Buffer.of(b)
        cdef Buffer bo = Buffer.of(out, True)
        cdef const ck_kernels *kernels = ck_active_isa().of[self.dtype]
        cdef int status
        with nogil:
            status = kernels.conv_forward[self.forward_kernel](
                &self.g, bx.at, bw.at, bb.at, bo.at, relu)
        check(status)

    def backward_x(self, dout, w, dx):
        """Write the gradient with respect to x into dx."""
        cdef Buffer bd = Buffer.of(dout), bw = Buffer.of(w), bo = Buffer.of(dx, True)
        cdef const ck_kernels *kernels = ck_active_isa().of[self.dtype]
        cdef int status
        with nogil:
            status = kernels.conv_dx[self.dx_kernel](&self.g, bd.at, bw.at, bo.at)
        check(status)

    def backward_w(self, dout, x, dw, db):
        """Write the gradients with respect to w and b into dw and db; one of them may be None."""
        cdef Buffer bd = Buffer.of(dout), bx = Buffer.of(x)
        cdef Buffer bw = Buffer.of(dw, True), bb = Buffer.of(db, True)
        cdef const ck_kernels *kernels = ck_active_isa().of[self.dtype]
        cdef int status
        with nogil:
            if bw.at == NULL:
                status = kernels.conv_db(&self.g, bd.at, bb.at)
            else:
                status = kernels.conv_dw[self.dw_kernel](&self.g, bd.at, bx.at, bw.at, bb.at)
        check(status)


cdef class PoolPlan:
    """A pooling's sizes and kernels, from a PoolSpec and a kernel number per direction."""

    cdef ck_pool g
    cdef int dtype, forward_kernel, backward_kernel, maximum
    cdef int32_t *counts
    cdef readonly int arg_bytes
    cdef readonly object spec

    def __init__(self, spec, int forward_kernel, int backward_kernel):
        self.spec = spec
        self.g.planes = spec.x_shape[0] * spec.x_shape[1]
        fill(self.g.size_in, spec.x_shape[2:], 1)
        fill(self.g.size_out, spec.out_shape[2:], 1)
        fill(self.g.k, spec.kernel, 1)
        fill(self.g.s, spec.stride, 1)
        fill(self.g.d, spec.dilation, 1)
        fill(self.g.p, tuple([begin for begin, _ in spec.pad]), 0)
        self.dtype = spec.dtype.itemsize == 8
        self.forward_kernel = forward_kernel
        self.backward_kernel = backward_kernel
        self.maximum = spec.kind == "max"
        window = self.g.k[0] * self.g.k[1] * self.g.k[2]
        self.arg_bytes = 1 if window <= 256 else 2 if window <= 65536 else 4
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

    def forward(self, x, out, arg):
        """Write the pooled x into out and, for a maximum, where it stood into arg (or None)."""
        cdef Buffer bx = Buffer.of(x), bo = Buffer.of(out, True), ba = Buffer.of(arg, True)
        cdef const ck_kernels *kernels = ck_active_isa().of[self.dtype]
        cdef int status
        with nogil:
            if self.maximum:
                status = kernels.max_pool_forward[self.forward_kernel](
                    &self.g, bx.at, bo.at, ba.at, self.arg_bytes)
            else:
                status = kernels.avg_pool_forward[self.forward_kernel](&self.g, bx.at, bo.at)
        check(status)

    def backward(self, dout, arg, dx):
        """Write the gradient with respect to x into dx."""
        cdef Buffer bd = Buffer.of(dout), ba = Buffer.of(arg), bo = Buffer.of(dx, True)
        cdef const ck_kernels *kernels = ck_active_isa().of[self.dtype]
        cdef int status
        with nogil:
            if self.maximum:
                status = kernels.max_pool_backward[self.backward_kernel](
                    &self.g, bd.at, ba.at, self.arg_bytes, bo.at)
            else:
                status = kernels.avg_pool_backward[self.backward_kernel](&self.g, bd.at, bo.at)
        check(status)
