// Passes over rows of channels, LANES channels at once.

INLINE FLOAT JOIN(masked, LANES)(const dtrain_normalization *work, const int mask, FLOAT dy, FLOAT x, long index, long c) {
    if (mask == 1) {
        const FLOAT value = __builtin_elementwise_fma(*(const FLOAT *)(work->scale + c), x, *(const FLOAT *)(work->shift + c));
        return value <= 0 ? (FLOAT)0 : dy;
    }
    if (mask == 2) return *(const FLOAT *)(work->result + index) <= 0 ? (FLOAT)0 : dy;
    return dy;
}

// y = scale x + shift (+ summand), rectified or not: a row's channels from c.
INLINE void JOIN(normalizeLanes, LANES)(const dtrain_normalization *work, const int adds, const int rectifies, long start, long to, long c) {
    FLOAT value = __builtin_elementwise_fma(
        *(const FLOAT *)(work->scale + c), *(const FLOAT *)(work->x + start + c), *(const FLOAT *)(work->shift + c));
    if (adds) value += *(const FLOAT *)(work->summand + start + c);
    if (rectifies) value = value <= 0 ? (FLOAT)0 : value;
    *(FLOAT *)(work->y + to + c) = value;
}

// dx = scale dy + (slope x + offset), and the masked dy where it is wanted.
INLINE void JOIN(gradientLanes, LANES)(const dtrain_normalization *work, const int mask, long start, long from, long c) {
    const FLOAT x = *(const FLOAT *)(work->x + start + c);
    const FLOAT dy = JOIN(masked, LANES)(work, mask, *(const FLOAT *)(work->dy + from + c), x, start + c, c);
    const FLOAT rest = __builtin_elementwise_fma(*(const FLOAT *)(work->slope + c), x, *(const FLOAT *)(work->offset + c));
    if (work->masked) *(FLOAT *)(work->masked + start + c) = dy;
    *(FLOAT *)(work->y + start + c) = __builtin_elementwise_fma(*(const FLOAT *)(work->scale + c), dy, rest);
}

// The largest value of each window, and its place; of equal ones the first; NaN wins.
INLINE void JOIN(poolLanes, LANES)(const dtrain_pooling *work, const int window, const float *x, float *y, unsigned char *winners) {
    FLOAT best = *(const FLOAT *)x;
    INTEGER winner = 0;
    for (int i = 0; i < window; i++)
        for (int j = 0; j < window; j++) {
            const FLOAT value = *(const FLOAT *)(x + i * work->rowStep + j * work->channels);
            const INTEGER wins = (value > best) | (value != value);
            best = wins ? value : best;
            winner = wins ? (INTEGER)(i * window + j) : winner;
        }
    if (work->rectifies) best = best <= 0 ? (FLOAT)0 : best;
    *(FLOAT *)y = best;
    *(BYTES *)winners = __builtin_convertvector(winner, BYTES);
}

// Each window's gradient goes to its winner, zeros elsewhere.
INLINE void JOIN(unpoolLanes, LANES)(
    const dtrain_pooling *work, const int window, const float *dy, const float *y, const unsigned char *winners, float *dx)
{
    FLOAT gradient = *(const FLOAT *)dy;
    if (y) gradient = *(const FLOAT *)y <= 0 ? (FLOAT)0 : gradient;
    const INTEGER winner = __builtin_convertvector(*(const BYTES *)winners, INTEGER);
    for (int i = 0; i < window; i++)
        for (int j = 0; j < window; j++)
            *(FLOAT *)(dx + i * work->rowStep + j * work->channels) = winner == i * window + j ? gradient : (FLOAT)0;
}
