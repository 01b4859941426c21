#include "CKernels.h"

// G g: three values to n.
static inline void weightLine(const int m, const float *g, const int from, float *u, const int to) {
    const float g0 = g[0], g1 = g[from], g2 = g[2 * from];
    if (m == 2) {
        u[0] = g0, u[to] = 0.5f * (g0 + g1 + g2), u[2 * to] = 0.5f * (g0 - g1 + g2), u[3 * to] = g2;
    } else {
        const float a = g0 + g2, b = 0.25f * g0 + g2, c = 0.5f * g1;
        u[0] = 0.25f * g0;
        u[to] = (a + g1) * (-1.0f / 6), u[2 * to] = (a - g1) * (-1.0f / 6);
        u[3 * to] = (b + c) * (1.0f / 6), u[4 * to] = (b - c) * (1.0f / 6);
        u[5 * to] = g2;
    }
}

void dtrain_winograd_weights(int m, const float *w, long tapStep, long step, int turned, int count, float *u, long place) {
    const int n = m + 2;
    for (int o = 0; o < count; o++) {
        float g[9], lines[18], tile[36];
        for (int tap = 0; tap < 9; tap++) g[tap] = w[(turned ? 8 - tap : tap) * tapStep + o * step];
        for (int j = 0; j < 3; j++) weightLine(m, g + j, 3, lines + j, 3);
        for (int i = 0; i < n; i++) weightLine(m, lines + 3 * i, 1, tile + n * i, 1);
        for (int k = 0; k < n * n; k++) u[k * place + o] = tile[k];
    }
}
