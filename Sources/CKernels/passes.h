#include "common.h"

typedef int int8 __attribute__((ext_vector_type(8)));
typedef int int16 __attribute__((ext_vector_type(16)));
typedef unsigned char bytes8 __attribute__((ext_vector_type(8), aligned(1)));
typedef unsigned char bytes16 __attribute__((ext_vector_type(16), aligned(1)));
typedef double double8 __attribute__((ext_vector_type(8), aligned(8)));
typedef unsigned int words16 __attribute__((ext_vector_type(16)));
typedef unsigned long long longs8 __attribute__((ext_vector_type(8)));

#define FLOAT float8
#define INTEGER int8
#define BYTES bytes8
#define LANES 8
#include "passes_block.h"
#undef FLOAT
#undef INTEGER
#undef BYTES
#undef LANES
#if SET == 4
#define FLOAT float16
#define INTEGER int16
#define BYTES bytes16
#define LANES 16
#include "passes_block.h"
#undef FLOAT
#undef INTEGER
#undef BYTES
#undef LANES
// The statement for the channels from c, sixteen and then eight at a time.
#define CHANNELS(NAME, ...)                                                                                              \
    for (; c + 16 <= work->channels; c += 16) NAME##16(__VA_ARGS__);                                                     \
    for (; c + 8 <= work->channels; c += 8) NAME##8(__VA_ARGS__)
#else
#define CHANNELS(NAME, ...)                                                                                              \
    for (; c + 8 <= work->channels; c += 8) NAME##8(__VA_ARGS__)
#endif

// MARK: sums over rows, in double, in order

// Rows that are gone through for some channels before the next channels are: memory is read nearly in order, and the sums, which
// lie in the level-1 cache meanwhile, are loaded and stored once for so many rows.
#define ROWS_AT_ONCE 8
// Rows ahead whose memory is asked for: processors do not foresee this order well.
#define ROWS_AHEAD 16

INLINE void statisticsOf(const dtrain_normalization *work, const float *x, const long rows, const int groups, double *sums) {
    double8 sum[2], squares[2];
    UNROLL for (int g = 0; g < groups; g++) {
        sum[g] = *(double8 *)(sums + 8 * g);
        squares[g] = *(double8 *)(sums + work->channels + 8 * g);
    }
    for (long row = rows; row > 0; row--, x += work->channels) {
        __builtin_prefetch(x + ROWS_AHEAD * work->channels);
        UNROLL for (int g = 0; g < groups; g++) {
            const double8 value = __builtin_convertvector(*(const float8 *)(x + 8 * g), double8);
            sum[g] += value;
            squares[g] = __builtin_elementwise_fma(value, value, squares[g]);
        }
    }
    UNROLL for (int g = 0; g < groups; g++) {
        *(double8 *)(sums + 8 * g) = sum[g];
        *(double8 *)(sums + work->channels + 8 * g) = squares[g];
    }
}

void NAMED(dtrain_normalization_statistics_)(const dtrain_normalization *all) {
    // A copy that nothing can alias stays in registers, here and below.
    const dtrain_normalization copy = *all, *work = &copy;
    for (long c = 0; c < 2 * work->channels; c++) work->sums[c] = 0;
    for (long first = 0; first < work->rows; first += ROWS_AT_ONCE) {
        const long rows = work->rows - first < ROWS_AT_ONCE ? work->rows - first : ROWS_AT_ONCE;
        const float *x = work->x + first * work->channels;
        long c = 0;
        for (; c + 16 <= work->channels; c += 16) statisticsOf(work, x + c, rows, 2, work->sums + c);
        for (; c + 8 <= work->channels; c += 8) statisticsOf(work, x + c, rows, 1, work->sums + c);
        for (; c < work->channels; c++)
            for (long row = 0; row < rows; row++) {
                const double value = x[row * work->channels + c];
                work->sums[c] += value;
                work->sums[work->channels + c] = __builtin_fma(value, value, work->sums[work->channels + c]);
            }
    }
}

INLINE float maskedOne(const dtrain_normalization *work, float dy, long index, long c) {
    if (work->mask == 1) return __builtin_fmaf(work->scale[c], work->x[index], work->shift[c]) <= 0 ? 0 : dy;
    if (work->mask == 2) return work->result[index] <= 0 ? 0 : dy;
    return dy;
}

INLINE void gradientSumsOf(const dtrain_normalization *work, const int mask, long index, const float *from, const long rows, const int groups, long c) {
    double8 sum[2], products[2];
    float8 mean[2];
    UNROLL for (int g = 0; g < groups; g++) {
        sum[g] = *(double8 *)(work->sums + c + 8 * g);
        products[g] = *(double8 *)(work->sums + work->channels + c + 8 * g);
        mean[g] = *(const float8 *)(work->mean + c + 8 * g);
    }
    for (long row = rows; row > 0; row--, index += work->channels, from += work->dyStep) {
        __builtin_prefetch(work->x + index + ROWS_AHEAD * work->channels);
        __builtin_prefetch(from + ROWS_AHEAD * work->dyStep);
        UNROLL for (int g = 0; g < groups; g++) {
            const float8 x = *(const float8 *)(work->x + index + 8 * g);
            const float8 dy = masked8(work, mask, *(const float8 *)(from + 8 * g), x, index + 8 * g, c + 8 * g);
            const double8 wide = __builtin_convertvector(dy, double8);
            sum[g] += wide;
            products[g] = __builtin_elementwise_fma(wide, __builtin_convertvector(x - mean[g], double8), products[g]);
        }
    }
    UNROLL for (int g = 0; g < groups; g++) {
        *(double8 *)(work->sums + c + 8 * g) = sum[g];
        *(double8 *)(work->sums + work->channels + c + 8 * g) = products[g];
    }
}

INLINE void gradientSums(const dtrain_normalization *work, const int mask) {
    double *products = work->sums + work->channels;
    for (long c = 0; c < 2 * work->channels; c++) work->sums[c] = 0;
    for (long first = 0; first < work->rows; first += ROWS_AT_ONCE) {
        const long rows = work->rows - first < ROWS_AT_ONCE ? work->rows - first : ROWS_AT_ONCE;
        const long start = first * work->channels;
        const float *from = work->dy + first * work->dyStep;
        long c = 0;
        for (; c + 16 <= work->channels; c += 16) gradientSumsOf(work, mask, start + c, from + c, rows, 2, c);
        for (; c + 8 <= work->channels; c += 8) gradientSumsOf(work, mask, start + c, from + c, rows, 1, c);
        for (; c < work->channels; c++)
            for (long row = 0; row < rows; row++) {
                const long index = start + row * work->channels + c;
                const double dy = maskedOne(work, from[row * work->dyStep + c], index, c);
                work->sums[c] += dy;
                products[c] = __builtin_fma(dy, (double)(work->x[index] - work->mean[c]), products[c]);
            }
    }
    for (long c = 0; c < work->channels; c++) products[c] *= work->inverse[c];
}

void NAMED(dtrain_normalization_gradient_sums_)(const dtrain_normalization *all) {
    const dtrain_normalization copy = *all, *work = &copy;
    if (work->mask == 0) gradientSums(work, 0);
    else if (work->mask == 1) gradientSums(work, 1);
    else gradientSums(work, 2);
}

// MARK: row by row

INLINE void normalizeRows(const dtrain_normalization *work, const int adds, const int rectifies) {
    for (long row = 0; row < work->rows; row++) {
        const long start = row * work->channels, to = row * work->yStep;
        long c = 0;
        CHANNELS(normalizeLanes, work, adds, rectifies, start, to, c);
        for (; c < work->channels; c++) {
            float value = __builtin_fmaf(work->scale[c], work->x[start + c], work->shift[c]);
            if (adds) value += work->summand[start + c];
            work->y[to + c] = rectifies && value <= 0 ? 0 : value;
        }
    }
}

void NAMED(dtrain_normalize_)(const dtrain_normalization *all) {
    const dtrain_normalization copy = *all, *work = &copy;
    if (work->summand) {
        if (work->rectifies) normalizeRows(work, 1, 1);
        else normalizeRows(work, 1, 0);
    } else {
        if (work->rectifies) normalizeRows(work, 0, 1);
        else normalizeRows(work, 0, 0);
    }
}

INLINE void inputGradientRows(const dtrain_normalization *work, const int mask) {
    for (long row = 0; row < work->rows; row++) {
        const long start = row * work->channels, from = row * work->dyStep;
        long c = 0;
        CHANNELS(gradientLanes, work, mask, start, from, c);
        for (; c < work->channels; c++) {
            const float x = work->x[start + c], dy = maskedOne(work, work->dy[from + c], start + c, c);
            if (work->masked) work->masked[start + c] = dy;
            work->y[start + c] = __builtin_fmaf(work->scale[c], dy, __builtin_fmaf(work->slope[c], x, work->offset[c]));
        }
    }
}

void NAMED(dtrain_normalization_input_gradient_)(const dtrain_normalization *all) {
    const dtrain_normalization copy = *all, *work = &copy;
    if (work->mask == 0) inputGradientRows(work, 0);
    else if (work->mask == 1) inputGradientRows(work, 1);
    else inputGradientRows(work, 2);
}

// MARK: rows of other widths

// Neither rows nor lines follow each other where maps are concatenated or taken apart, so memory is asked for here too.
INLINE void moveRows(const float *x, const long xStep, float *y, const long yStep, const long rows, const long channels, const int accumulates) {
    for (long row = 0; row < rows; row++, x += xStep, y += yStep) {
        long c = 0;
        for (; c + 16 <= channels; c += 16) {
            __builtin_prefetch(x + ROWS_AHEAD * xStep + c);
            __builtin_prefetch(y + ROWS_AHEAD * yStep + c, 1);
            const float16 value = *(const float16 *)(x + c);
            *(float16 *)(y + c) = accumulates ? *(const float16 *)(y + c) + value : value;
        }
        for (; c < channels; c++) y[c] = accumulates ? y[c] + x[c] : x[c];
    }
}

void NAMED(dtrain_move_rows_)(const float *x, long xStep, float *y, long yStep, long rows, long channels, int accumulates) {
    if (accumulates) moveRows(x, xStep, y, yStep, rows, channels, 1);
    else moveRows(x, xStep, y, yStep, rows, channels, 0);
}

// MARK: crops

// Products and sums are rounded one by one, as in Swift: fused, a place may fall into the next pixel.
INLINE float16 cropLanes(const dtrain_crop_row *work, const float16 column) {
#pragma clang fp contract(off)
    const float16 x = work->x + column * work->stepX, y = work->y + column * work->stepY;
    const int16 inside = (x >= 0) & (y >= 0) & (x < (float)work->width) & (y < (float)work->height);
    const int16 row = __builtin_convertvector(inside ? y : (float16)0, int16), place = __builtin_convertvector(inside ? x : (float16)0, int16);
    const int16 index = row * (int)work->width + place;
    int16 depth;
    UNROLL for (int k = 0; k < 16; k++) depth[k] = work->frame[index[k]];
    const float16 offset = (__builtin_convertvector(depth, float16) - work->centre) * work->inverse;
    const float16 within = offset > 1 ? (float16)1 : offset < -1 ? (float16)-1 : offset;
    return (inside & (depth != 0)) ? within : (float16)1;
}

void NAMED(dtrain_sample_crop_row_)(const dtrain_crop_row *all) {
    const dtrain_crop_row copy = *all, *work = &copy;
    float16 column;
    for (int k = 0; k < 16; k++) column[k] = (float)k;
    long i = 0;
    for (; i + 16 <= work->count; i += 16, column += 16) *(float16 *)(work->crop + i) = cropLanes(work, column);
    if (i == work->count) return;
    const float16 last = cropLanes(work, column);
    for (long k = 0; i + k < work->count; k++) work->crop[i + k] = last[k];
}

// MARK: max pooling, a row of windows

INLINE void poolRow(const dtrain_pooling *work, const int window) {
    for (long column = 0; column < work->columns; column++) {
        const float *x = work->x + column * window * work->channels;
        float *y = work->y + column * work->channels;
        unsigned char *winners = work->winners + column * work->channels;
        long c = 0;
        CHANNELS(poolLanes, work, window, x + c, y + c, winners + c);
        for (; c < work->channels; c++) {
            float best = x[c];
            int winner = 0;
            for (int place = 0; place < window * window; place++) {
                const float value = x[place / window * work->rowStep + place % window * work->channels + c];
                if (value > best || value != value) best = value, winner = place;
            }
            y[c] = work->rectifies && best <= 0 ? 0 : best;
            winners[c] = (unsigned char)winner;
        }
    }
}

void NAMED(dtrain_max_pool_)(const dtrain_pooling *all) {
    const dtrain_pooling copy = *all, *work = &copy;
    if (work->window == 2) poolRow(work, 2);
    else if (work->window == 4) poolRow(work, 4);
    else poolRow(work, work->window);
}

INLINE void unpoolRow(const dtrain_pooling *work, const int window) {
    for (long column = 0; column < work->columns; column++) {
        float *dx = work->dx + column * window * work->channels;
        const long start = column * work->channels;
        const float *dy = work->dy + start, *y = work->rectifies ? work->y + start : NULL;
        const unsigned char *winners = work->winners + start;
        long c = 0;
        CHANNELS(unpoolLanes, work, window, dy + c, y ? y + c : NULL, winners + c, dx + c);
        for (; c < work->channels; c++) {
            const float gradient = y && y[c] <= 0 ? 0 : dy[c];
            for (int place = 0; place < window * window; place++)
                dx[place / window * work->rowStep + place % window * work->channels + c] = place == winners[c] ? gradient : 0;
        }
    }
}

void NAMED(dtrain_max_unpool_)(const dtrain_pooling *all) {
    const dtrain_pooling copy = *all, *work = &copy;
    if (work->window == 2) unpoolRow(work, 2);
    else if (work->window == 4) unpoolRow(work, 4);
    else unpoolRow(work, work->window);
}

// MARK: dropout

void NAMED(dtrain_dropout_)(
    const float *x, float *y, long count, unsigned long long key, unsigned long long step, unsigned limit, float factor)
{
    longs8 counter;
    for (int k = 0; k < 8; k++) counter[k] = key + (unsigned long long)k * step;
    for (long i = 0; i < count; i += 16, counter += 8 * step) {
        longs8 z = counter;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        const int16 drops = (words16)z < limit;
        if (i + 16 <= count) {
            const float16 value = *(const float16 *)(x + i) * factor;
            *(float16 *)(y + i) = drops ? (float16)0 : value;
        } else {
            for (long k = 0; i + k < count; k++) y[i + k] = drops[k] ? 0 : x[i + k] * factor;
        }
    }
}
