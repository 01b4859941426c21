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

INLINE void weightStrip(const int m, const float *w, long tapStep, long step, int turned, int count, float *u, long place) {
    int o = 0;
#if SET == 4
    for (; o + 16 <= count; o += 16) weightTiles16(m, w + o * step, tapStep, step, turned, u + o, place);
#endif
    for (; o + 8 <= count; o += 8) weightTiles8(m, w + o * step, tapStep, step, turned, u + o, place);
}

void NAMED(dtrain_winograd_weights_)(
    int m, const float *w, long tapStep, long step, int turned, int count, float *u, long place)
{
    if (m == 2) weightStrip(2, w, tapStep, step, turned, count, u, place);
    else weightStrip(4, w, tapStep, step, turned, count, u, place);
}
