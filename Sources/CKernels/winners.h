#include "common.h"

// The gradient of a convolution's weights from the winners of the max pooling behind it: the gradient of all other values is 0.
// Vectors are of 8 floats in every set, so that the sums are the same.

// Adds `count` winners of a channel to the sums of `taps` rows of the kernel x `vectors` vectors of their factors, g, rows `gTap`
// apart. The first row is at `first`, the others at `rest` + i xTap; the last vector is `tail` behind its row's begin.
INLINE void winnerBlock(
    const float *first, const float *rest, long xTap, long tail, const int *places, const float *gradients, long count, float *g,
    long gTap, const int taps, const int vectors)
{
    float8 sums[12];
    UNROLL for (int i = 0; i < taps; i++)
        UNROLL for (int v = 0; v < vectors; v++) sums[i * vectors + v] = *(const float8 *)(g + i * gTap + 8 * v);
    for (long k = 0; k < count; k++) {
        const long place = places[k];
        const float8 gradient = gradients[k];
        UNROLL for (int i = 0; i < taps; i++) {
            const float *x = (i == 0 ? first : rest + i * xTap) + place;
            UNROLL for (int v = 0; v < vectors; v++) {
                const float8 value = *(const float8 *)(x + (v == vectors - 1 ? tail : 8 * v));
                sums[i * vectors + v] = __builtin_elementwise_fma(value, gradient, sums[i * vectors + v]);
            }
        }
    }
    UNROLL for (int i = 0; i < taps; i++)
        UNROLL for (int v = 0; v < vectors; v++) *(float8 *)(g + i * gTap + 8 * v) = sums[i * vectors + v];
}

typedef void (*WinnerBlock)(
    const float *first, const float *rest, long xTap, long tail, const int *places, const float *gradients, long count, float *g, long gTap);
#define WINNERS(T, V)                                                                                                    \
    static void winners##T##x##V(                                                                                        \
        const float *first, const float *rest, long xTap, long tail, const int *places, const float *gradients, long count, \
        float *g, long gTap) {                                                                                           \
        winnerBlock(first, rest, xTap, tail, places, gradients, count, g, gTap, T, V);                                   \
    }
WINNERS(1, 1) WINNERS(2, 1) WINNERS(3, 1) WINNERS(4, 1) WINNERS(5, 1) WINNERS(6, 1) WINNERS(7, 1)
WINNERS(1, 2) WINNERS(2, 2) WINNERS(3, 2) WINNERS(4, 2) WINNERS(5, 2)
WINNERS(1, 3) WINNERS(2, 3) WINNERS(3, 3)
WINNERS(1, 4) WINNERS(2, 4) WINNERS(3, 4)
WINNERS(1, 5) WINNERS(2, 5)
WINNERS(1, 6) WINNERS(2, 6)
// By vectors, then rows of the kernel: as many as the sixteen registers of the smaller set hold.
static const int mostTaps[] = {7, 5, 3, 3, 2, 2};
static const WinnerBlock winnerBlocks[][7] = {
    {winners1x1, winners2x1, winners3x1, winners4x1, winners5x1, winners6x1, winners7x1},
    {winners1x2, winners2x2, winners3x2, winners4x2, winners5x2},
    {winners1x3, winners2x3, winners3x3},
    {winners1x4, winners2x4, winners3x4},
    {winners1x5, winners2x5},
    {winners1x6, winners2x6},
};

void NAMED(dtrain_winner_gradient_)(const dtrain_winner_gradient *work) {
    const long run = work->run, vectors = (run + 7) / 8, gTap = 8 * vectors;
    // A row shorter than a vector is read up to its end, but for the first: so nothing before the image or behind it is read.
    const long shift = run < 8 ? 8 - run : 0;
    for (long o = 0; o < work->channels; o++) {
        long count = 0;
        float bias = 0;
        for (long column = 0; column < work->columns; column++) {
            const long at = column * work->channels + o;
            const float gradient = work->y && work->y[at] <= 0 ? 0 : work->dy[at];
            work->kept[count] = gradient;
            work->keptPlaces[count] = (int)(column * work->xWindow) + work->places[work->winners[at]];
            count += gradient != 0; // NaN stays
            bias += gradient;
        }
        if (work->bias) work->bias[o] += bias;
        float *g = work->g + o * work->taps * gTap;
        for (long v = 0; v < vectors; v += 6) {
            const long wide = vectors - v < 6 ? vectors - v : 6;
            const long tail = v + wide == vectors && run >= 8 ? run - 8 - 8 * v : 8 * (wide - 1);
            for (long tap = 0; tap < work->taps;) {
                const long left = work->taps - tap, taps = left < mostTaps[wide - 1] ? left : mostTaps[wide - 1];
                const float *rest = work->x + tap * work->xTap - shift + 8 * v, *first = tap == 0 ? rest + shift : rest;
                winnerBlocks[wide - 1][taps - 1](
                    first, rest, work->xTap, tail, work->keptPlaces, work->kept, count, g + tap * gTap + 8 * v, gTap);
                tap += taps;
            }
        }
    }
}
