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

// Groups of eight channels whose sums are held in registers at once.
#if SET == 3
#define GROUPS 2
#else
#define GROUPS 4
#endif

// MARK: sums over rows, in double, in order

INLINE void statisticsOf(const dtrain_normalization *work, const int groups, long c) {
    double8 sums[4], squares[4];
    UNROLL for (int g = 0; g < groups; g++) sums[g] = squares[g] = 0;
    const float *x = work->x + c;
    for (long row = work->rows; row > 0; row--, x += work->channels)
        UNROLL for (int g = 0; g < groups; g++) {
            const double8 value = __builtin_convertvector(*(const float8 *)(x + 8 * g), double8);
            sums[g] += value;
            squares[g] = __builtin_elementwise_fma(value, value, squares[g]);
        }
    UNROLL for (int g = 0; g < groups; g++) {
        *(double8 *)(work->sums + c + 8 * g) = sums[g];
        *(double8 *)(work->sums + work->channels + c + 8 * g) = squares[g];
    }
}

void NAMED(dtrain_normalization_statistics_)(const dtrain_normalization *all) {
    // A copy that nothing can alias stays in registers, here and below.
    const dtrain_normalization copy = *all, *work = &copy;
    long c = 0;
    for (; c + 8 * GROUPS <= work->channels; c += 8 * GROUPS) statisticsOf(work, GROUPS, c);
    for (; c + 8 <= work->channels; c += 8) statisticsOf(work, 1, c);
    for (; c < work->channels; c++) {
        double sum = 0, square = 0;
        for (long row = 0; row < work->rows; row++) {
            const double value = work->x[row * work->channels + c];
            sum += value;
            square = __builtin_fma(value, value, square);
        }
        work->sums[c] = sum, work->sums[work->channels + c] = square;
    }
}

INLINE float maskedOne(const dtrain_normalization *work, float dy, long index, long c) {
    if (work->mask == 1) return __builtin_fmaf(work->scale[c], work->x[index], work->shift[c]) <= 0 ? 0 : dy;
    if (work->mask == 2) return work->result[index] <= 0 ? 0 : dy;
    return dy;
}

INLINE void gradientSumsOf(const dtrain_normalization *work, const int mask, const int groups, long c) {
    double8 sums[4], products[4];
    UNROLL for (int g = 0; g < groups; g++) sums[g] = products[g] = 0;
    long index = c;
    for (long row = work->rows; row > 0; row--, index += work->channels)
        UNROLL for (int g = 0; g < groups; g++) {
            const long at = c + 8 * g;
            const float8 x = *(const float8 *)(work->x + index + 8 * g);
            const float8 dy = masked8(work, mask, *(const float8 *)(work->dy + index + 8 * g), x, index + 8 * g, at);
            const float8 normal = (x - *(const float8 *)(work->mean + at)) * *(const float8 *)(work->inverse + at);
            const double8 wide = __builtin_convertvector(dy, double8);
            sums[g] += wide;
            products[g] = __builtin_elementwise_fma(wide, __builtin_convertvector(normal, double8), products[g]);
        }
    UNROLL for (int g = 0; g < groups; g++) {
        *(double8 *)(work->sums + c + 8 * g) = sums[g];
        *(double8 *)(work->sums + work->channels + c + 8 * g) = products[g];
    }
}

INLINE void gradientSums(const dtrain_normalization *work, const int mask) {
    long c = 0;
    for (; c + 16 <= work->channels; c += 16) gradientSumsOf(work, mask, 2, c);
    for (; c + 8 <= work->channels; c += 8) gradientSumsOf(work, mask, 1, c);
    for (; c < work->channels; c++) {
        double sum = 0, product = 0;
        for (long row = 0; row < work->rows; row++) {
            const long index = row * work->channels + c;
            const double dy = maskedOne(work, work->dy[index], index, c);
            sum += dy;
            product = __builtin_fma(dy, (double)((work->x[index] - work->mean[c]) * work->inverse[c]), product);
        }
        work->sums[c] = sum, work->sums[work->channels + c] = product;
    }
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
        const long start = row * work->channels;
        long c = 0;
        CHANNELS(normalizeLanes, work, adds, rectifies, start, c);
        for (; c < work->channels; c++) {
            float value = __builtin_fmaf(work->scale[c], work->x[start + c], work->shift[c]);
            if (adds) value += work->summand[start + c];
            work->y[start + c] = rectifies && value <= 0 ? 0 : value;
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
        const long start = row * work->channels;
        long c = 0;
        CHANNELS(gradientLanes, work, mask, start, c);
        for (; c < work->channels; c++) {
            const float x = work->x[start + c], dy = maskedOne(work, work->dy[start + c], start + c, c);
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
