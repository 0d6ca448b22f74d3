/* Store n indices (all lanes if there is room, see put); `at` is the number of the first output. */
CK_INLINE void FN(put_args)(void *arg, int arg_bytes, idx at, IVEC args, idx n, idx room)
{
    if (arg_bytes == 1) {
        uint8_t *to = (uint8_t *)arg + at, some[LANES];
        if (room >= VL) {
            FN(to_bytes)(to, args);
        } else {
            FN(to_bytes)(some, args);
            memcpy(to, some, (size_t)CK_MIN(n, room));
        }
    } else {
        for (idx i = 0; i < CK_MIN(n, VL); i++)
            put_arg(arg, arg_bytes, at + i, (idx)args[i]);
    }
}

/* Each window's first real tap along the row. */
CK_LOCAL void FN(first_taps)(const ck_pool *g, LANE *first)
{
    idx begin, end;
    for (idx i = 0; i < g->out[2]; i++) {
        pool_taps(g, 2, i, &begin, &end);
        first[i] = (LANE)begin;
    }
}
