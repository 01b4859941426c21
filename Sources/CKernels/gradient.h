#include "common.h"

#define FLOAT float8
#define LANES 8
#include "gradient_block.h"
#undef FLOAT
#undef LANES
#if SET == 4
#define FLOAT float16
#define LANES 16
#include "gradient_block.h"
#undef FLOAT
#undef LANES
#endif

typedef void (*GradientBlock)(const dtrain_convolution_gradient *, const float *, float *);
typedef struct {
    long longest;
    const GradientBlock *blocks, *pairs; // pairs of rows of the kernel, of length 3, 5, 7
} GradientBlocks;

#define GRADIENT(NAME, T, R, LANES, V, PLAIN)                                                                            \
    static void NAME(const dtrain_convolution_gradient *work, const float *x, float *g) {                                \
        gradientBlock##LANES(work, x, g, T, R, V, PLAIN);                                                                \
    }
#define GRADIENT_EIGHT(R) GRADIENT(gradientEight##R, 1, R, 8, 1, 0)
MORE(GRADIENT_EIGHT)
GRADIENT(eightPair3, 2, 3, 8, 1, 0)
GRADIENT(eightPair5, 2, 5, 8, 1, 0)
GRADIENT(eightPair7, 2, 7, 8, 1, 0)
static const GradientBlock gradientEights[] = {MORE_NAMES(gradientEight)};
static const GradientBlock eightPairs[] = {eightPair3, eightPair5, eightPair7};
static const GradientBlocks blocksOfEight = {12, gradientEights, eightPairs};
#if SET == 3
#define GRADIENT_SIXTEEN(R) GRADIENT(gradientSixteen##R, 1, R, 8, 2, 0)
#define PLAIN_SIXTEEN_GRADIENT(R) GRADIENT(plainGradientSixteen##R, 1, R, 8, 2, 1)
MANY(GRADIENT_SIXTEEN)
MANY(PLAIN_SIXTEEN_GRADIENT)
GRADIENT(sixteenPair3, 2, 3, 8, 2, 0)
static const GradientBlock gradientSixteens[] = {NAMES(gradientSixteen)}, sixteenPairs[] = {sixteenPair3, NULL, NULL};
static const GradientBlock plainGradientSixteens[] = {NAMES(plainGradientSixteen)}, noPairs[] = {NULL, NULL, NULL};
static const GradientBlocks blocksOfSixteen = {6, gradientSixteens, sixteenPairs};
static const GradientBlocks plainBlocksOfSixteen = {6, plainGradientSixteens, noPairs};
#else
#define GRADIENT_SIXTEEN(R) GRADIENT(gradientSixteen##R, 1, R, 16, 1, 0)
#define GRADIENT_THIRTY(R) GRADIENT(gradientThirty##R, 1, R, 16, 2, 0)
MORE(GRADIENT_SIXTEEN)
MORE(GRADIENT_THIRTY)
#define PLAIN_SIXTEEN_GRADIENT(R) GRADIENT(plainGradientSixteen##R, 1, R, 16, 1, 1)
#define PLAIN_THIRTY_GRADIENT(R) GRADIENT(plainGradientThirty##R, 1, R, 16, 2, 1)
MORE(PLAIN_SIXTEEN_GRADIENT)
MORE(PLAIN_THIRTY_GRADIENT)
GRADIENT(sixteenPair3, 2, 3, 16, 1, 0)
GRADIENT(sixteenPair5, 2, 5, 16, 1, 0)
GRADIENT(sixteenPair7, 2, 7, 16, 1, 0)
GRADIENT(thirtyPair3, 2, 3, 16, 2, 0)
GRADIENT(thirtyPair5, 2, 5, 16, 2, 0)
GRADIENT(thirtyPair7, 2, 7, 16, 2, 0)
static const GradientBlock gradientSixteens[] = {MORE_NAMES(gradientSixteen)};
static const GradientBlock sixteenPairs[] = {sixteenPair3, sixteenPair5, sixteenPair7};
static const GradientBlock gradientThirties[] = {MORE_NAMES(gradientThirty)};
static const GradientBlock thirtyPairs[] = {thirtyPair3, thirtyPair5, thirtyPair7};
static const GradientBlocks blocksOfSixteen = {12, gradientSixteens, sixteenPairs};
static const GradientBlock plainGradientSixteens[] = {MORE_NAMES(plainGradientSixteen)};
static const GradientBlock plainGradientThirties[] = {MORE_NAMES(plainGradientThirty)}, noPairs[] = {NULL, NULL, NULL};
static const GradientBlocks plainBlocksOfSixteen = {12, plainGradientSixteens, noPairs};
static const GradientBlocks blocksOfThirty = {12, gradientThirties, thirtyPairs};
static const GradientBlocks plainBlocksOfThirty = {12, plainGradientThirties, noPairs};
#endif

static void gradients(const dtrain_convolution_gradient *work, const GradientBlocks *set) {
    const long run = work->run, count = (run + set->longest - 1) / set->longest, length = run / count, longer = run % count;
    const GradientBlock pair = run == 3 || run == 5 || run == 7 ? set->pairs[(run - 3) / 2] : NULL;
    long tap = 0;
    if (pair)
        for (; tap + 2 <= work->taps; tap += 2) pair(work, work->x + tap * work->xTap, work->g + tap * run * work->gStep);
    for (; tap < work->taps; tap++) {
        const float *x = work->x + tap * work->xTap;
        float *g = work->g + tap * run * work->gStep;
        for (long block = 0; block < count; block++) {
            const long factors = length + (block < longer);
            set->blocks[factors - 1](work, x, g);
            x += factors;
            g += factors * work->gStep;
        }
    }
}

// Channels past the last whole vector, one at a time.
static void gradientOfFew(const dtrain_convolution_gradient *work) {
    for (long tap = 0; tap < work->taps; tap++)
        for (long t = 0; t < work->run; t++)
            for (int o = 0; o < work->channels; o++) {
                float sum = 0;
                for (long row = 0; row < work->rows; row++)
                    for (long i = 0; i < work->columns; i++)
                        sum += work->x[row * work->xRow + tap * work->xTap + i * work->xStep + t]
                            * work->dy[row * work->dyRow + i * work->dyStep + o];
                work->g[(tap * work->run + t) * work->gStep + o] += sum;
            }
}

static void biasGradient(const dtrain_convolution_gradient *work) {
    int o = 0;
    for (; o + 8 <= work->channels; o += 8) {
        float8 sums[4] = {{0}, {0}, {0}, {0}};
        for (long row = 0; row < work->rows; row++) {
            const float *dy = work->dy + row * work->dyRow + o;
            long i = 0;
            for (; i + 4 <= work->columns; i += 4, dy += 4 * work->dyStep)
                for (int k = 0; k < 4; k++) sums[k] += *(const float8 *)(dy + k * work->dyStep);
            for (; i < work->columns; i++, dy += work->dyStep) sums[0] += *(const float8 *)dy;
        }
        *(float8 *)(work->bias + o) += (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }
    for (; o < work->channels; o++) {
        float sum = 0;
        for (long row = 0; row < work->rows; row++)
            for (long i = 0; i < work->columns; i++) sum += work->dy[row * work->dyRow + i * work->dyStep + o];
        work->bias[o] += sum;
    }
}

void NAMED(dtrain_convolve_gradient_)(const dtrain_convolution_gradient *all) {
    dtrain_convolution_gradient work = *all;
    if (work.xRow == work.columns * work.xStep && work.dyRow == work.columns * work.dyStep) work.columns *= work.rows, work.rows = 1;
    if (work.bias) biasGradient(&work);
    if (work.taps == 0) return;
    const int isPlain = work.taps == 1;
    int left = work.channels;
    while (left > 0) {
        int taken = left >= 32 ? 32 : left >= 16 ? 16 : left >= 8 ? 8 : left;
#if SET == 3
        if (taken == 32) taken = 16;
        if (taken == 16) gradients(&work, isPlain ? &plainBlocksOfSixteen : &blocksOfSixteen);
#else
        if (taken == 32) gradients(&work, isPlain ? &plainBlocksOfThirty : &blocksOfThirty);
        if (taken == 16) gradients(&work, isPlain ? &plainBlocksOfSixteen : &blocksOfSixteen);
#endif
        if (taken == 8) gradients(&work, &blocksOfEight);
        work.channels = taken;
        if (taken < 8) gradientOfFew(&work);
        work.dy += taken;
        work.g += taken;
        left -= taken;
    }
}
