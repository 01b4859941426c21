#include "common.h"

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
