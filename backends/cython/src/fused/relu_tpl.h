static void FN(relu_bits_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const relu_job *j = context;
    idx from = task * RELU_TASK_ELEMENTS, size = CK_MIN(RELU_TASK_ELEMENTS, j->size - from);
    const REAL *x = (const REAL *)j->in + from;
    uint8_t *bits = j->positive_out + from / 8;
#define CK_STEP(i, whole) \
    FN(put_bits)(bits, i, FN(positive_bits)(FN(some)(x + (i), size - (i), whole)));
    EACH_VECTOR(size, CK_STEP)
#undef CK_STEP
}

static void FN(relu_backward_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const relu_job *j = context;
    idx from = task * RELU_TASK_ELEMENTS;
    FN(pass_gradient)((const REAL *)j->in + from, j->positive + from / 8, (REAL *)j->out + from,
                      CK_MIN(RELU_TASK_ELEMENTS, j->size - from));
}

int FN(ck_relu_bits_flat)(idx size, const void *out, uint8_t *positive)
{
    relu_job j = {.size = size, .in = out, .positive_out = positive};
    return ck_parallel(blocks_of(size, RELU_TASK_ELEMENTS), FN(relu_bits_task), &j, 0,
                       (double)size);
}

int FN(ck_relu_backward_flat)(idx size, const void *dout, const uint8_t *positive, void *dz)
{
    relu_job j = {.size = size, .in = dout, .positive = positive, .out = dz};
    return ck_parallel(blocks_of(size, RELU_TASK_ELEMENTS), FN(relu_backward_task), &j, 0,
                       2.0 * (double)size);
}
