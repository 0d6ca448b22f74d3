# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The thin layer between the backend and its C kernels: pointers, sizes and the GIL.

A plan holds one problem's sizes in C and the numbers of the kernels chosen for it, so that a call
costs little more than its kernel. Nothing here decides or checks anything: arrays come C-contiguous
and of the plan's dtype, and their shapes are the spec's. NumPy's own interface hands out their
memory, because the buffer protocol costs more than a small problem takes.
"""

cimport numpy as cnp
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

from math import prod

cnp.import_array()


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
        int (*pooled_dw)(const ck_conv *, const ck_pool *, const void *, const void *, int,
                         const void *, void *, void *) noexcept nogil
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
cdef enum:
    MOST_PLANS = 1024


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


cdef extern from "Python.h":
    ctypedef struct PyThreadState
    PyThreadState *PyEval_SaveThread()
    void PyEval_RestoreThread(PyThreadState *)


cdef enum:
    # multiply-adds that are over sooner than the GIL is given up and taken again
    SMALL = 1 << 14


cdef inline PyThreadState *let_go(bint small) noexcept:
    """Give up the GIL, unless the kernel to be run is so small that nobody waits for it."""
    return NULL if small else PyEval_SaveThread()


cdef inline void take_back(PyThreadState *state) noexcept:
    if state != NULL:
        PyEval_RestoreThread(state)


cdef int check(int status) except -1:
    if status:
        raise MemoryError("no memory for the kernel's scratch buffers")
    return 0


cdef inline void *at(cnp.ndarray array) noexcept:
    """Return where an array's memory begins; a null pointer for None."""
    return NULL if array is None else cnp.PyArray_DATA(array)


cdef struct layout:
    # a result's shape and NumPy's number of its dtype
    int axes, dtype
    cnp.npy_intp[5] shape


cdef int lay_out(layout *to, tuple shape, dtype) except -1:
    to.axes = len(shape)
    to.dtype = dtype.num
    for i in range(to.axes):
        to.shape[i] = shape[i]
    return 0


cdef inline cnp.ndarray empty(layout *of):
    """Return a new array, its contents undefined."""
    return cnp.PyArray_EMPTY(of.axes, of.shape, of.dtype, 0)


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


cdef class ConvPlan:
    """A convolution's sizes and kernels, from a ConvSpec and a kernel number per operation."""

    cdef ck_conv g
    cdef layout result
    cdef bint small
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
        self.small = prod(spec.out_shape) * prod(spec.w_shape[1:]) <= SMALL
        lay_out(&self.result, spec.out_shape, spec.dtype)

    cdef cnp.ndarray infer(self, cnp.ndarray x, cnp.ndarray w, cnp.ndarray b):
        cdef cnp.ndarray out = empty(&self.result)
        self.run(x, w, b, out, False)
        return out

    cdef int run(self, cnp.ndarray x, cnp.ndarray w, cnp.ndarray b, cnp.ndarray out,
                 bint relu) except -1:
        cdef const ck_kernels *kernels = ck_active_isa().of[self.dtype]
        cdef void *ax = at(x), *aw = at(w), *ab = at(b), *ao = at(out)
        cdef PyThreadState *state = let_go(self.small)
        cdef int status = kernels.conv_forward[self.forward_kernel](&self.g, ax, aw, ab, ao, relu)
        take_back(state)
        return check(status)

    def forward(self, cnp.ndarray x not None, cnp.ndarray w not None, cnp.ndarray b,
                cnp.ndarray out not None, bint relu=False):
        """Write conv(x, w) + b into out, through ReLU where asked."""
        self.run(x, w, b, out, relu)

    def backward_x(self, cnp.ndarray dout not None, cnp.ndarray w not None,
                   cnp.ndarray dx not None):
        """Write the gradient with respect to x into dx."""
        cdef const ck_kernels *kernels = ck_active_isa().of[self.dtype]
        cdef void *ad = at(dout), *aw = at(w), *ax = at(dx)
        cdef PyThreadState *state = let_go(self.small)
        cdef int status = kernels.conv_dx[self.dx_kernel](&self.g, ad, aw, ax)
        take_back(state)
        check(status)

    def backward_w(self, cnp.ndarray dout not None, cnp.ndarray x not None, cnp.ndarray dw,
                   cnp.ndarray db):
        """Write the gradients with respect to w and b into dw and db; one of them may be None."""
        cdef const ck_kernels *kernels = ck_active_isa().of[self.dtype]
        cdef void *ad = at(dout), *ax = at(x), *aw = at(dw), *ab = at(db)
        cdef PyThreadState *state = let_go(self.small)
        cdef int status
        if aw == NULL:
            status = kernels.conv_db(&self.g, ad, ab)
        else:
            status = kernels.conv_dw[self.dw_kernel](&self.g, ad, ax, aw, ab)
        take_back(state)
        check(status)


cdef class PoolPlan:
    """A pooling's sizes and kernels, from a PoolSpec and a kernel number per direction."""

    cdef ck_pool g
    cdef layout result, places
    cdef bint small
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
        # One value more than there are places: it means that there is none.
        self.arg_bytes = 1 if window < 256 else 2 if window < 65536 else 4
        self.small = prod(spec.out_shape) * window <= SMALL
        lay_out(&self.result, spec.out_shape, spec.dtype)
        self.places = self.result
        self.places.dtype = {1: cnp.NPY_UINT8, 2: cnp.NPY_UINT16, 4: cnp.NPY_UINT32}[self.arg_bytes]
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
        cdef const ck_kernels *kernels = ck_active_isa().of[self.dtype]
        cdef void *ax = at(x), *ao = at(out), *aa = at(arg)
        cdef PyThreadState *state = let_go(self.small)
        cdef int status
        if self.maximum:
            status = kernels.max_pool_forward[self.forward_kernel](
                &self.g, ax, ao, aa, self.arg_bytes)
        else:
            status = kernels.avg_pool_forward[self.forward_kernel](&self.g, ax, ao)
        take_back(state)
        return check(status)

    def forward(self, cnp.ndarray x not None, cnp.ndarray out not None, cnp.ndarray arg):
        """Write the pooled x into out and, for a maximum, where it stood into arg (or None)."""
        self.run(x, out, arg)

    def backward(self, cnp.ndarray dout not None, cnp.ndarray arg, cnp.ndarray dx not None):
        """Write the gradient with respect to x into dx."""
        cdef const ck_kernels *kernels = ck_active_isa().of[self.dtype]
        cdef void *ad = at(dout), *aa = at(arg), *ax = at(dx)
        cdef PyThreadState *state = let_go(self.small)
        cdef int status
        if self.maximum:
            status = kernels.max_pool_backward[self.backward_kernel](
                &self.g, ad, aa, self.arg_bytes, ax)
        else:
            status = kernels.avg_pool_backward[self.backward_kernel](&self.g, ad, ax)
        take_back(state)
        check(status)


def pooled_gradients(ConvPlan conv not None, PoolPlan pool not None, cnp.ndarray dout not None,
                     cnp.ndarray arg not None, cnp.ndarray x not None, cnp.ndarray dw not None,
                     cnp.ndarray db):
    """Write the gradients with respect to w and b of conv - relu - max pool into dw and db.

    Returns whether it did: not where x or dout is not finite.
    """
    cdef const ck_kernels *kernels = ck_active_isa().of[conv.dtype]
    cdef void *ad = at(dout), *aa = at(arg), *ax = at(x), *aw = at(dw), *ab = at(db)
    cdef PyThreadState *state = let_go(conv.small)
    cdef int status = kernels.pooled_dw(&conv.g, &pool.g, ad, aa, pool.arg_bytes, ax, aw, ab)
    take_back(state)
    if status < 0:
        check(status)
    return status == 0


cdef class Calls:
    """The backend's forward calls, which a small problem would otherwise wait for.

    Plans are found by the identity of their spec: convkit passes the same object for the same
    problem, and hashing one costs more than a small problem takes. A plan keeps its spec alive, so
    an id is not reused while its entry stands.
    """

    cdef dict plans
    cdef object make

    def __init__(self, make):
        """`make(spec)` returns a new plan."""
        self.plans = {}
        self.make = make

    def plan(self, spec):
        """Return the plan of a spec, made when it is first met."""
        return self.known(spec)

    cdef object known(self, spec):
        key = <size_t><void *>spec
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) >= MOST_PLANS:
                self.plans.clear()
            plan = self.plans[key] = self.make(spec)
        return plan

    def conv_forward(self, spec, cnp.ndarray x not None, cnp.ndarray w not None, cnp.ndarray b):
        """Return `out`; backward needs nothing more."""
        return (<ConvPlan?>self.known(spec)).infer(x, w, b), None

    def conv_infer(self, spec, cnp.ndarray x not None, cnp.ndarray w not None, cnp.ndarray b):
        """Return `out`."""
        return (<ConvPlan?>self.known(spec)).infer(x, w, b)

    def pool_forward(self, spec, cnp.ndarray x not None):
        """Return `out` and, for a maximum, where in its window each one stood."""
        cdef PoolPlan plan = self.known(spec)
        cdef cnp.ndarray out = empty(&plan.result)
        cdef cnp.ndarray arg = empty(&plan.places) if plan.maximum else None
        plan.run(x, out, arg)
        return out, arg

    def pool_infer(self, spec, cnp.ndarray x not None):
        """Return `out`."""
        cdef PoolPlan plan = self.known(spec)
        cdef cnp.ndarray out = empty(&plan.result)
        plan.run(x, out, None)
        return out
