// A block of `positions` x `vectors` registers of FLOAT, which has LANES floats: both are constants once this is inlined.
INLINE void JOIN(rowsBlock, LANES)(
    const dtrain_convolution_rows *work, const float *x, float *y, const int positions, const int vectors, const int isPlain)
{
    FLOAT sums[12][2];
    UNROLL for (int i = 0; i < positions; i++)
        UNROLL for (int v = 0; v < vectors; v++) sums[i][v] = 0;
    const long step = work->xStep * 4, step3 = step * 3, wStep = work->wStep, run = work->run;
    const float *w = work->w;
    const char *row = (const char *)x;
    // A plain product (one tap) reads many rows at once, which the processor does not foresee: the next block's lines are asked for meanwhile,
    // and those that will be written.
    const char *ahead = row + positions * step;
    if (isPlain)
        UNROLL for (int i = 0; i < positions; i++)
            UNROLL for (int v = 0; v < vectors; v++) __builtin_prefetch(y + i * work->yStep + v * LANES, 1);
    for (long tap = work->taps; tap > 0; tap--, row += work->xTap * 4) {
        // Four positions a pointer: more pointers would not fit the registers.
        const char *four[3];
        UNROLL for (int g = 0; 4 * g < positions; g++) four[g] = row + 4 * g * step;
        for (long t = run; t > 0; t--) {
            FLOAT factors[2];
            UNROLL for (int v = 0; v < vectors; v++) factors[v] = *(const FLOAT *)(w + v * LANES);
            UNROLL for (int i = 0; i < positions; i++) {
                const char *p = four[i / 4];
                const FLOAT value = *(const float *)(i % 4 == 0 ? p : i % 4 == 1 ? p + step : i % 4 == 2 ? p + 2 * step : p + step3);
                UNROLL for (int v = 0; v < vectors; v++) sums[i][v] = __builtin_elementwise_fma(value, factors[v], sums[i][v]);
            }
            UNROLL for (int g = 0; 4 * g < positions; g++) {
                four[g] += 4;
                OPAQUE(four[g]);
            }
            w += wStep;
            if (isPlain) {
                __builtin_prefetch(ahead);
                ahead += 64;
            }
        }
    }
    if (work->channels == vectors * LANES) {
        UNROLL for (int i = 0; i < positions; i++)
            UNROLL for (int v = 0; v < vectors; v++) {
                FLOAT *target = (FLOAT *)(y + i * work->yStep + v * LANES);
                FLOAT sum = sums[i][v];
                if (work->bias) sum += *(const FLOAT *)(work->bias + v * LANES);
                if (work->accumulates) sum += *target;
                if (work->rectifies) sum = sum <= 0 ? (FLOAT)0 : sum;
                *target = sum;
            }
    } else {
        float kept[12][2 * LANES];
        UNROLL for (int i = 0; i < positions; i++)
            UNROLL for (int v = 0; v < vectors; v++) *(FLOAT *)(kept[i] + v * LANES) = sums[i][v];
        for (int i = 0; i < positions; i++)
            for (int o = 0; o < work->channels; o++) {
                float *target = y + i * work->yStep + o, sum = kept[i][o];
                if (work->bias) sum += work->bias[o];
                if (work->accumulates) sum += *target;
                *target = work->rectifies && sum <= 0 ? 0 : sum;
            }
    }
}
