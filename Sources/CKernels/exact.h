#include "common.h"

// Blocks of rows of a product, each summed in floats, and added to sums in double of multiples of 2^-34.
#define EXACT_ROWS 32
#if SET == 4
#define EXACT_FLOAT float16
#define EXACT_LANES 16
#define EXACT_MOST 12
#define EXACT_EACH(DEFINE) MORE(DEFINE)
#define EXACT_NAMES(NAME) MORE_NAMES(NAME)
#else
#define EXACT_FLOAT float8
#define EXACT_LANES 8
#define EXACT_MOST 6
#define EXACT_EACH(DEFINE) MANY(DEFINE)
#define EXACT_NAMES(NAME) NAMES(NAME)
#endif
#define EXACT_STRIP (2 * EXACT_LANES)
// Columns that are packed at once.
#define EXACT_COLUMNS 64

typedef double exactDouble8 __attribute__((ext_vector_type(8), aligned(8)));

// Numbers below 2^17 are rounded by adding and taking off 1.5 · 2^18.
INLINE void exactAdd(double *sums, float8 values) {
    const exactDouble8 rounder = 393216.0;
    *(exactDouble8 *)sums += (__builtin_convertvector(values, exactDouble8) + rounder) - rounder;
}

// x: (samples, EXACT_ROWS). w: (depth, EXACT_STRIP). `groups` eights of columns exist.
INLINE void exactBlock(
    const float *x, const float *w, const long depth, double *sums, const long sumsStep, const long groups, const int samples)
{
    EXACT_FLOAT sum[EXACT_MOST][2];
    UNROLL for (int i = 0; i < samples; i++) sum[i][0] = sum[i][1] = 0;
    for (long k = depth; k > 0; k--, x++, w += EXACT_STRIP) {
        const EXACT_FLOAT first = *(const EXACT_FLOAT *)w, second = *(const EXACT_FLOAT *)(w + EXACT_LANES);
        UNROLL for (int i = 0; i < samples; i++) {
            const EXACT_FLOAT value = x[i * EXACT_ROWS];
            sum[i][0] = __builtin_elementwise_fma(value, first, sum[i][0]);
            sum[i][1] = __builtin_elementwise_fma(value, second, sum[i][1]);
        }
    }
    UNROLL for (int i = 0; i < samples; i++) {
        double *target = sums + i * sumsStep;
#if SET == 4
        exactAdd(target, __builtin_shufflevector(sum[i][0], sum[i][0], 0, 1, 2, 3, 4, 5, 6, 7));
        if (groups > 1) exactAdd(target + 8, __builtin_shufflevector(sum[i][0], sum[i][0], 8, 9, 10, 11, 12, 13, 14, 15));
        if (groups > 2) exactAdd(target + 16, __builtin_shufflevector(sum[i][1], sum[i][1], 0, 1, 2, 3, 4, 5, 6, 7));
        if (groups > 3) exactAdd(target + 24, __builtin_shufflevector(sum[i][1], sum[i][1], 8, 9, 10, 11, 12, 13, 14, 15));
#else
        exactAdd(target, sum[i][0]);
        if (groups > 1) exactAdd(target + 8, sum[i][1]);
#endif
    }
}

typedef void (*ExactBlock)(const float *, const float *, long, double *, long, long);
#define EXACT(SAMPLES)                                                                                                   \
    static void exact##SAMPLES(const float *x, const float *w, long depth, double *sums, long sumsStep, long groups) {    \
        exactBlock(x, w, depth, sums, sumsStep, groups, SAMPLES);                                                         \
    }
EXACT_EACH(EXACT)
static const ExactBlock exacts[] = {EXACT_NAMES(exact)};

// Some columns of some rows, in strips; zeros for columns that do not exist. The next rows are asked for meanwhile.
static void exactPack(const float *w, long step, long depth, long columns, long following, float *strips) {
    for (long k = 0; k < depth; k++, w += step) {
        for (long c = 0; c < columns; c += 16)
            if (k < following) __builtin_prefetch(w + EXACT_ROWS * step + c);
        for (long c = 0; c < columns; c += EXACT_LANES) {
            float *target = strips + (c / EXACT_STRIP * EXACT_ROWS + k) * EXACT_STRIP + c % EXACT_STRIP;
            if (c + EXACT_LANES <= columns) {
                *(EXACT_FLOAT *)target = *(const EXACT_FLOAT *)(w + c);
            } else {
                for (long i = 0; i < EXACT_LANES; i++) target[i] = c + i < columns ? w[c + i] : 0;
            }
        }
        if (columns % EXACT_STRIP && columns % EXACT_STRIP <= EXACT_LANES)
            *(EXACT_FLOAT *)(strips + (columns / EXACT_STRIP * EXACT_ROWS + k) * EXACT_STRIP + EXACT_LANES) = 0;
    }
}

// Columns of one sample whose sums stay in the level-1 cache.
#define EXACT_SINGLE 1024

// sums[c] = the product of four rows or one with the columns, added in order of the rows.
INLINE void exactRows(const float *x, const float *w, const long step, const long columns, float *sums, const int rows) {
    long c = 0;
    for (; c + EXACT_LANES <= columns; c += EXACT_LANES) {
        EXACT_FLOAT sum = *(EXACT_FLOAT *)(sums + c);
        UNROLL for (int k = 0; k < rows; k++)
            sum = __builtin_elementwise_fma((EXACT_FLOAT)x[k], *(const EXACT_FLOAT *)(w + k * step + c), sum);
        *(EXACT_FLOAT *)(sums + c) = sum;
    }
    for (; c < columns; c++) UNROLL for (int k = 0; k < rows; k++) sums[c] = __builtin_fmaf(x[k], w[k * step + c], sums[c]);
}

// One sample: each weight is used once, so nothing is packed, and rows are read from end to end, as memory is fastest.
static void exactSingle(const dtrain_exact_product *work) {
    float sums[EXACT_SINGLE];
    for (long column = 0; column < work->columns; column += EXACT_SINGLE) {
        const long columns = work->columns - column < EXACT_SINGLE ? work->columns - column : EXACT_SINGLE;
        for (long row = 0; row < work->rows; row += EXACT_ROWS) {
            const long left = work->rows - row, depth = left < EXACT_ROWS ? left : EXACT_ROWS;
            const float *x = work->x + row, *w = work->w + row * work->wStep + column;
            for (long c = 0; c < (columns + 7) / 8 * 8; c++) sums[c] = 0;
            long k = 0;
            for (; k + 4 <= depth; k += 4) exactRows(x + k, w + k * work->wStep, work->wStep, columns, sums, 4);
            for (; k < depth; k++) exactRows(x + k, w + k * work->wStep, work->wStep, columns, sums, 1);
            for (long c = 0; c < columns; c += 8) exactAdd(work->sums + column + c, *(const float8 *)(sums + c));
        }
    }
}

void NAMED(dtrain_exact_product_)(const dtrain_exact_product *all) {
    const dtrain_exact_product copy = *all, *work = &copy;
    if (work->samples == 1) return exactSingle(work);
    float strips[EXACT_COLUMNS * EXACT_ROWS], panel[EXACT_MOST * EXACT_ROWS];
    const long count = (work->samples + EXACT_MOST - 1) / EXACT_MOST;
    for (long column = 0; column < work->columns; column += EXACT_COLUMNS) {
        const long columns = work->columns - column < EXACT_COLUMNS ? work->columns - column : EXACT_COLUMNS;
        for (long row = 0; row < work->rows; row += EXACT_ROWS) {
            const long left = work->rows - row, depth = left < EXACT_ROWS ? left : EXACT_ROWS;
            exactPack(work->w + row * work->wStep + column, work->wStep, depth, columns, left - EXACT_ROWS, strips);
            // Panels of nearly equal numbers of samples.
            long sample = 0;
            for (long number = 0; number < count; number++) {
                const long samples = work->samples / count + (number < work->samples % count);
                for (long i = 0; i < samples; i++) {
                    const float *x = work->x + (sample + i) * work->xStep + row;
                    if (depth == EXACT_ROWS) {
                        __builtin_memcpy(panel + i * EXACT_ROWS, x, EXACT_ROWS * sizeof(float));
                    } else {
                        for (long k = 0; k < depth; k++) panel[i * EXACT_ROWS + k] = x[k];
                    }
                }
                for (long c = 0; c < columns; c += EXACT_STRIP) {
                    const long groups = (columns - c + 7) / 8;
                    exacts[samples - 1](
                        panel, strips + c * EXACT_ROWS, depth, work->sums + sample * work->sumsStep + column + c, work->sumsStep,
                        groups < EXACT_STRIP / 8 ? groups : EXACT_STRIP / 8);
                }
                sample += samples;
            }
        }
    }
}
