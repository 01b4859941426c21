#include "common.h"

#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#define LOW_OF_PAIRS(a, b) SHUFFLED(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH_OF_PAIRS(a, b) SHUFFLED(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW_OF_FOURS(a, b) SHUFFLED(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH_OF_FOURS(a, b) SHUFFLED(a, b, 2, 3, 10, 11, 6, 7, 14, 15)

// Eight rows of eight floats, the rows `step` apart, into eight columns, `toStep` apart.
INLINE void transpose8(const float *from, long step, float *to, long toStep) {
    float8 a[8], b[8];
    UNROLL for (int i = 0; i < 8; i++) a[i] = *(const float8 *)(from + i * step);
    UNROLL for (int i = 0; i < 8; i += 2) b[i] = LOW_OF_PAIRS(a[i], a[i + 1]), b[i + 1] = HIGH_OF_PAIRS(a[i], a[i + 1]);
    UNROLL for (int i = 0; i < 8; i += 4) {
        a[i] = LOW_OF_FOURS(b[i], b[i + 2]), a[i + 1] = HIGH_OF_FOURS(b[i], b[i + 2]);
        a[i + 2] = LOW_OF_FOURS(b[i + 1], b[i + 3]), a[i + 3] = HIGH_OF_FOURS(b[i + 1], b[i + 3]);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        *(float8 *)(to + i * toStep) = SHUFFLED(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        *(float8 *)(to + (i + 4) * toStep) = SHUFFLED(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

#define FLOAT float8
#define LANES 8
#include "winograd_block.h"
#undef FLOAT
#undef LANES
#if SET == 4
#define FLOAT float16
#define LANES 16
#include "winograd_block.h"
#undef FLOAT
#undef LANES
#define WIDE(NAME, M) for (; channel + 16 <= work->channels; channel += 16) NAME##16(work, M, channel);
#else
#define WIDE(NAME, M)
#endif

#define ALL_CHANNELS(NAME, M)                                                                                            \
    do {                                                                                                                 \
        long channel = 0;                                                                                                \
        WIDE(NAME, M)                                                                                                    \
        for (; channel + 8 <= work->channels; channel += 8) NAME##8(work, M, channel);                                   \
    } while (0)
#define DEFINE_PASS(NAME, TILES)                                                                                         \
    void NAMED(NAME)(const dtrain_winograd *work) {                                                                      \
        if (work->m == 2) ALL_CHANNELS(TILES, 2);                                                                        \
        else ALL_CHANNELS(TILES, 4);                                                                                     \
    }
DEFINE_PASS(dtrain_winograd_input_, inputTiles)
DEFINE_PASS(dtrain_winograd_output_, outputTiles)
DEFINE_PASS(dtrain_winograd_gradient_, gradientTiles)
DEFINE_PASS(dtrain_winograd_weights_back_, weightsBack)

void NAMED(dtrain_winograd_weights_)(const dtrain_winograd_kernels *work) {
    int output = 0;
#if SET == 4
    for (; output + 16 <= work->outputs; output += 16) {
        if (work->m == 2) weightStrip16(work, 2, output);
        else weightStrip16(work, 4, output);
    }
#endif
    for (; output + 8 <= work->outputs; output += 8) {
        if (work->m == 2) weightStrip8(work, 2, output);
        else weightStrip8(work, 4, output);
    }
}
