/* Over the rows of a channel, each of which has its set's inverse. */
static void FN(sum_rows)(const norm_job *j, idx channel, careful *dbeta, careful *dgamma)
{
    for (idx n = 0; n < j->g->n; n++) {
        idx row = n * j->g->c + channel;
        double inverse = j->inverse[set_of_row(j, row)];
        for (idx p = 0; p < j->parts; p++) {
            const norm_sums *s = j->sums + row * j->parts + p;
            add_careful(dbeta, s->first);
            add_careful(dgamma, s->second * inverse);
        }
    }
}

/* Over the columns of a channel; a group's sums have the inverse in them already. */
static void FN(sum_columns)(const norm_job *j, idx channel, careful *dbeta, careful *dgamma)
{
    for (idx block = 0; block < j->blocks; block++)
        for (idx pixel = 0; pixel < j->g->size; pixel++) {
            idx at = block * j->columns + channel * j->g->size + pixel;
            if (j->g->groups) {
                add_careful(dbeta, j->column_sums[at]);
                add_careful(dgamma, j->column_sums[j->blocks * j->columns + at]);
            } else {
                add_careful(dbeta, j->sums[at].first);
                add_careful(dgamma, j->sums[at].second * j->inverse[channel]);
            }
        }
}

static void FN(channels_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const norm_job *j = context;
    idx last = CK_MIN(j->g->c, (task + 1) * j->per_task);
    for (idx channel = task * j->per_task; channel < last; channel++) {
        careful dbeta = {0, 0}, dgamma = {0, 0};
        if (j->blocks)
            FN(sum_columns)(j, channel, &dbeta, &dgamma);
        else
            FN(sum_rows)(j, channel, &dbeta, &dgamma);
        if (j->dbeta)
            ((REAL *)j->dbeta)[channel] = (REAL)careful_sum(dbeta);
        if (j->dgamma)
            ((REAL *)j->dgamma)[channel] = (REAL)careful_sum(dgamma);
    }
}

CK_LOCAL int FN(sum_channels)(norm_job *j)
{
    idx sums = j->blocks ? j->blocks * j->g->size : j->g->n * j->parts;
    if (!j->dbeta && !j->dgamma)
        return 0;
    idx tasks = norm_tasks(j->g->c, 8 * sums, &j->per_task);
    return ck_parallel(tasks, FN(channels_task), j, 0, 8.0 * (double)sums * (double)j->g->c);
}
