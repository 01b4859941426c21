#pragma once

// The register blocks of the convolutions and the passes beside them, in C for one reason: each is compiled for AVX2 and again for AVX-512 within one
// program, which Swift cannot do (its -march holds for a module), and each comes in tens of block sizes, which Swift would
// have to spell out. Vectors are the compiler's own: other processors compile the first set for what they have.

// A convolution's result for a strip of output channels and some rows:
//   y[r, i, o] (+)= bias[o] + sum over tap, t of x[r·xRow + tap·xTap + i·xStep + t] · w[(tap·run + t)·wStep + o]
// Each sum starts at 0, in order of (tap, t), one fused multiply-add a term, on every set: they give the same bits.
typedef struct {
    const float *x;
    long xStep, xRow, xTap;
    const float *w; // floats past `channels` are read, up to `width`
    long wStep;
    const float *bias; // (channels) or null
    float *y;
    long yStep, yRow;
    long rows, columns, taps, run;
    int width;    // channels of the strip as packed: 8, 16 or 32
    int channels; // channels that exist, at most `width`
    int accumulates, rectifies;
} dtrain_convolution_rows;

// A convolution's weight gradient for a strip of output channels and some rows:
//   g[(tap·run + t)·gStep + o] += sum over r, i of x[r·xRow + tap·xTap + i·xStep + t] · dy[r·dyRow + i·dyStep + o]
// Each sum starts at 0, in order of (r, i), and is added to g at the end. Where `bias` is not null, it gains the sums of dy.
typedef struct {
    const float *x;
    long xStep, xRow, xTap;
    const float *dy;
    long dyStep, dyRow;
    float *g;
    long gStep;
    float *bias;
    long rows, columns, taps, run;
    int width, channels; // floats of dy past `channels` are not read
} dtrain_convolution_gradient;

// The sets of kernels: 3 for x86-64-v3 (AVX2, FMA), 4 for x86-64-v4 (AVX-512).
void dtrain_convolve_rows_3(const dtrain_convolution_rows *work);
void dtrain_convolve_rows_4(const dtrain_convolution_rows *work);
void dtrain_convolve_gradient_3(const dtrain_convolution_gradient *work);
void dtrain_convolve_gradient_4(const dtrain_convolution_gradient *work);

// Winograd's F(m x m, 3 x 3), m = 2 or 4: tiles of n = m + 2, `tileRows` x `tileColumns` of them, side by side at distance m.
// The n² places of a tile's transform lie `place` floats apart: (n², tiles, channels). Channels are a multiple of 8.
typedef struct {
    int m;
    const float *image;  // what is transformed: rows `rowStep` floats apart, columns `step`
    float *result;       // what comes out of the output's transform, laid out alike
    float *tiles;
    const float *bias;   // (channels) or null
    long step, rowStep, place, channels, tileRows, tileColumns;
    long rows, columns;  // of the result or the gradient, where the last tiles reach beyond
    int accumulates, rectifies;
} dtrain_winograd;

// tiles = B^T image B.
void dtrain_winograd_input_3(const dtrain_winograd *work);
void dtrain_winograd_input_4(const dtrain_winograd *work);
// result (+)= A^T tiles A + bias.
void dtrain_winograd_output_3(const dtrain_winograd *work);
void dtrain_winograd_output_4(const dtrain_winograd *work);
// tiles = A image A^T, zeros where the image has ended.
void dtrain_winograd_gradient_3(const dtrain_winograd *work);
void dtrain_winograd_gradient_4(const dtrain_winograd *work);
// u = G g G^T of the kernels of some inputs and outputs: g's nine taps `tapStep` floats apart, read backwards where `turned`, and
// inputs and outputs by their steps, of which one is 1. Kernels lie in u by inputs, `width` apart, then outputs; places `place` apart.
// `outputs` is a multiple of 8, and `inputs` where `outputStep` is not 1.
typedef struct {
    const float *w;
    long tapStep, inputStep, outputStep;
    float *u;
    long width, place;
    int m, turned, inputs, outputs;
} dtrain_winograd_kernels;
void dtrain_winograd_weights_3(const dtrain_winograd_kernels *work);
void dtrain_winograd_weights_4(const dtrain_winograd_kernels *work);
// result (9, kernels) = G^T u G of `channels` kernels, a multiple of 8; u is in `tiles` (n², kernels).
void dtrain_winograd_weights_back_3(const dtrain_winograd *work);
void dtrain_winograd_weights_back_4(const dtrain_winograd *work);

// Batch normalisation's passes over `rows` rows of `channels` floats, side by side but for dy and the y of a forward pass; BatchNormalization.swift has the formulas.
typedef struct {
    const float *x, *dy;
    const float *scale, *shift, *mean, *inverse, *slope, *offset; // (channels)
    const float *summand; // (rows, channels), added before y is rectified, or null
    const float *result;  // (rows, channels), for mask 2
    float *y;             // what is written: y or dx
    float *masked;        // where the masked dy is written, or null
    double *sums;         // (2, channels), overwritten
    long rows, channels;
    long dyStep, yStep;   // floats from a row to the next
    int rectifies;
    int mask; // dy passes: 0 everywhere; 1 where scale x + shift > 0 or NaN; 2 where `result` is
} dtrain_normalization;

// sums of x and of x².
void dtrain_normalization_statistics_3(const dtrain_normalization *work);
void dtrain_normalization_statistics_4(const dtrain_normalization *work);
// sums of dy and of dy (x - mean) inverse.
void dtrain_normalization_gradient_sums_3(const dtrain_normalization *work);
void dtrain_normalization_gradient_sums_4(const dtrain_normalization *work);
// y = scale x + shift + summand.
void dtrain_normalize_3(const dtrain_normalization *work);
void dtrain_normalize_4(const dtrain_normalization *work);
// dx = scale dy + slope x + offset.
void dtrain_normalization_input_gradient_3(const dtrain_normalization *work);
void dtrain_normalization_input_gradient_4(const dtrain_normalization *work);

// A row of a crop: pixel i takes the frame's pixel at (x + i stepX, y + i stepY), fractions cut off, as (depth - centre) inverse within [-1, 1];
// 1 where there is no measurement (0), or no frame.
typedef struct {
    const unsigned short *frame; // (height, width)
    long width, height;
    float x, y, stepX, stepY, centre, inverse;
    float *crop;                 // (count)
    long count;
} dtrain_crop_row;

void dtrain_sample_crop_row_3(const dtrain_crop_row *work);
void dtrain_sample_crop_row_4(const dtrain_crop_row *work);

// y = x, or y += x: `rows` rows of `channels` floats, `xStep` and `yStep` floats apart.
void dtrain_move_rows_3(const float *x, long xStep, float *y, long yStep, long rows, long channels, int accumulates);
void dtrain_move_rows_4(const float *x, long xStep, float *y, long yStep, long rows, long channels, int accumulates);

// A row of `columns` windows of max pooling, of rows of x `rowStep` floats apart.
typedef struct {
    const float *x, *dy;
    float *y, *dx;
    unsigned char *winners; // (columns, channels): row x window + column
    long rowStep, channels, columns;
    int window, rectifies;
} dtrain_pooling;

void dtrain_max_pool_3(const dtrain_pooling *work);
void dtrain_max_pool_4(const dtrain_pooling *work);
// dx of all of the windows' places, zeros but for winners; where it was rectified, y tells which give none.
void dtrain_max_unpool_3(const dtrain_pooling *work);
void dtrain_max_unpool_4(const dtrain_pooling *work);

// What a row of `columns` windows of max pooling adds to the gradient of the convolution before it: of each of the `channels` it makes,
// the products of its winners' gradients with what they see, `taps` rows of `run` floats of x.
typedef struct {
    const float *x;               // what the first window's first place sees
    long xTap, xWindow;           // floats from a row of the kernel to the next; from what a window sees to the next
    const int *places;            // floats from what a window's first place sees to each, (window, window)
    const float *dy, *y;          // (columns, channels); y where it was rectified, which tells which winners give none, or null
    const unsigned char *winners; // (columns, channels)
    long columns, channels, taps, run;
    float *kept;                  // room for (columns)
    int *keptPlaces;              // room for (columns)
    float *g;                     // (channels, taps, run to the next multiple of 8), added to; see PooledConvolution.swift for the order
    float *bias;                  // (channels), added to, or null
} dtrain_winner_gradient;

void dtrain_winner_gradient_3(const dtrain_winner_gradient *work);
void dtrain_winner_gradient_4(const dtrain_winner_gradient *work);

// y[i] = x[i] factor, or 0 where 32 bits of a random number are below limit: number i / 2, its low half first. The numbers are
// SplitMix64's of key, key + step, ...
void dtrain_dropout_3(
    const float *x, float *y, long count, unsigned long long key, unsigned long long step, unsigned limit, float factor);
void dtrain_dropout_4(
    const float *x, float *y, long count, unsigned long long key, unsigned long long step, unsigned limit, float factor);

// A product whose sums are the same however its rows and samples are divided; ExactDense.swift explains it:
//   sums[s, o] += sum over blocks of 32 rows of rounded(sum over the block's rows k, in order, of x[s·xStep + k] · w[k·wStep + o])
typedef struct {
    const float *x; // (samples, rows)
    long xStep;
    const float *w; // (rows, columns)
    long wStep;
    double *sums;   // (samples, columns), room up to the next multiple of 8
    long sumsStep;
    long samples, rows, columns;
} dtrain_exact_product;

void dtrain_exact_product_3(const dtrain_exact_product *work);
void dtrain_exact_product_4(const dtrain_exact_product *work);

// Whether this processor has the fourth set's instructions.
int dtrain_has_set_4(void);
