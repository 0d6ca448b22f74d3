/* Copy what output rows `first` and following read of a plane, given by its number; -1: padding. */
CK_LOCAL void FN(fill_plane)(const strip_shape *s, const void *planes, idx number, idx first,
                             REAL *to)
{
    if (number < 0)
        FN(zero)(to, s->channel_size);
    else
        FN(fill_channel)(s, (const REAL *)planes + number * s->src_h * s->src_w, first, to);
}
