// A block of `taps` rows of the kernel x `run` contiguous factors x `vectors` registers of FLOAT, over all positions. Of plain products,
// whose positions lie far apart, as many behind them are asked for meanwhile, which the next call is for: every block asks for its share.
INLINE void JOIN(gradientBlock, LANES)(
    const dtrain_convolution_gradient *work, const float *x, float *g, const int taps, const int run, const int vectors,
    const int isPlain)
{
    FLOAT sums[14][2];
    UNROLL for (int r = 0; r < taps * run; r++)
        UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = 0;
    const long xTap = work->xTap, xStep = work->xStep, dyStep = work->dyStep, xAhead = work->columns * xStep, dyAhead = work->columns * dyStep;
    for (long row = 0; row < work->rows; row++) {
        const float *dy = work->dy + row * work->dyRow, *from = x + row * work->xRow;
        for (long i = work->columns; i > 0; i--) {
            FLOAT factors[2];
            UNROLL for (int v = 0; v < vectors; v++) factors[v] = *(const FLOAT *)(dy + v * LANES);
            UNROLL for (int r = 0; r < taps * run; r++) {
                const FLOAT value = from[r / run * xTap + r % run];
                UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = __builtin_elementwise_fma(value, factors[v], sums[r][v]);
            }
            if (isPlain) {
                __builtin_prefetch(from + xAhead, 0, 2);
                UNROLL for (int v = 0; v < vectors; v++) __builtin_prefetch(dy + dyAhead + v * LANES, 0, 2);
            }
            from += xStep;
            dy += dyStep;
        }
    }
    UNROLL for (int r = 0; r < taps * run; r++)
        UNROLL for (int v = 0; v < vectors; v++)
            *(FLOAT *)(g + (r / run * work->run + r % run) * work->gStep + v * LANES) += sums[r][v];
}
