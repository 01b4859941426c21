#include "common.h"

#define FLOAT float8
#define LANES 8
#include "rows_block.h"
#undef FLOAT
#undef LANES
#if SET == 4
#define FLOAT float16
#define LANES 16
#include "rows_block.h"
#undef FLOAT
#undef LANES
#endif

typedef void (*RowsBlock)(const dtrain_convolution_rows *, const float *, float *);
#define ROWS(NAME, P, LANES, V, PLAIN)                                                                                   \
    static void NAME##P(const dtrain_convolution_rows *work, const float *x, float *y) { rowsBlock##LANES(work, x, y, P, V, PLAIN); }
#define EIGHT(P) ROWS(eight, P, 8, 1, 0)
MORE(EIGHT)
static const RowsBlock eights[] = {MORE_NAMES(eight)};
#if SET == 3
#define SIXTEEN(P) ROWS(sixteen, P, 8, 2, 0)
#define PLAIN_SIXTEEN(P) ROWS(plainSixteen, P, 8, 2, 1)
MANY(SIXTEEN)
MANY(PLAIN_SIXTEEN)
static const RowsBlock sixteens[] = {NAMES(sixteen)}, plainSixteens[] = {NAMES(plainSixteen)};
#else
#define SIXTEEN(P) ROWS(sixteen, P, 16, 1, 0)
#define PLAIN_SIXTEEN(P) ROWS(plainSixteen, P, 16, 1, 1)
#define THIRTY(P) ROWS(thirty, P, 16, 2, 0)
#define PLAIN_THIRTY(P) ROWS(plainThirty, P, 16, 2, 1)
MORE(SIXTEEN)
MORE(PLAIN_SIXTEEN)
MORE(THIRTY)
MORE(PLAIN_THIRTY)
static const RowsBlock sixteens[] = {MORE_NAMES(sixteen)}, plainSixteens[] = {MORE_NAMES(plainSixteen)};
static const RowsBlock thirties[] = {MORE_NAMES(thirty)}, plainThirties[] = {MORE_NAMES(plainThirty)};
#endif

// Cuts each row into blocks of nearly equal length, at most `longest`.
static void convolve(const dtrain_convolution_rows *work, const RowsBlock *blocks, long longest) {
    long rows = work->rows, columns = work->columns;
    if (work->xRow == columns * work->xStep && work->yRow == columns * work->yStep) columns *= rows, rows = 1;
    const long count = (columns + longest - 1) / longest, length = columns / count, longer = columns % count;
    for (long row = 0; row < rows; row++) {
        const float *x = work->x + row * work->xRow;
        float *y = work->y + row * work->yRow;
        for (long block = 0; block < count; block++) {
            const long positions = length + (block < longer);
            blocks[positions - 1](work, x, y);
            x += positions * work->xStep;
            y += positions * work->yStep;
        }
    }
}

void NAMED(dtrain_convolve_rows_)(const dtrain_convolution_rows *work) {
    if (work->width == 8) return convolve(work, eights, 12);
    const int isPlain = work->taps == 1;
#if SET == 3
    const RowsBlock *const blocks = isPlain ? plainSixteens : sixteens;
    if (work->width == 16) return convolve(work, blocks, 6);
    dtrain_convolution_rows half = *work;
    half.width = 16;
    half.channels = work->channels < 16 ? work->channels : 16;
    convolve(&half, blocks, 6);
    half.channels = work->channels - half.channels;
    if (half.channels == 0) return;
    half.w += 16;
    half.y += 16;
    if (half.bias) half.bias += 16;
    convolve(&half, blocks, 6);
#else
    if (work->width == 16) return convolve(work, isPlain ? plainSixteens : sixteens, 12);
    convolve(work, isPlain ? plainThirties : thirties, 12);
#endif
}
