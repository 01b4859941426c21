// Winograd's minimal filtering F(m x m, 3 x 3) with tiles of n = m + 2 (Lavin, Gray, "Fast algorithms for convolutional neural
// networks", 2015), m = 2 or 4, on LANES channels at once. The matrices are the paper's. One-dimensional transforms work on
// `from` and `to` values that lie `step` apart.

// B^T d: n values to n.
INLINE void JOIN(inputLine, LANES)(const int m, const FLOAT *d, FLOAT *v, const int step) {
    const FLOAT d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    if (m == 2) {
        v[0] = d0 - d2, v[step] = d1 + d2, v[2 * step] = d2 - d1, v[3 * step] = d1 - d3;
    } else {
        const FLOAT d4 = d[4 * step], d5 = d[5 * step];
        const FLOAT a = d4 - 4 * d2, b = d3 - 4 * d1, c = d4 - d2, e = 2 * (d3 - d1);
        v[0] = 4 * d0 - 5 * d2 + d4;
        v[step] = a + b, v[2 * step] = a - b, v[3 * step] = c + e, v[4 * step] = c - e;
        v[5 * step] = 4 * d1 - 5 * d3 + d5;
    }
}

// A^T m: n values to m.
INLINE void JOIN(outputLine, LANES)(const int m, const FLOAT *d, const int from, FLOAT *y, const int to) {
    const FLOAT d0 = d[0], d1 = d[from], d2 = d[2 * from], d3 = d[3 * from];
    if (m == 2) {
        y[0] = d0 + d1 + d2, y[to] = d1 - d2 - d3;
    } else {
        const FLOAT d4 = d[4 * from], d5 = d[5 * from];
        const FLOAT a = d1 + d2, b = d1 - d2, c = d3 + d4, e = d3 - d4;
        y[0] = d0 + a + c, y[to] = b + 2 * e, y[2 * to] = a + 4 * c, y[3 * to] = b + 8 * e + d5;
    }
}

// A y: m values to n.
INLINE void JOIN(gradientLine, LANES)(const int m, const FLOAT *y, const int from, FLOAT *w, const int to) {
    const FLOAT y0 = y[0], y1 = y[from];
    if (m == 2) {
        w[0] = y0, w[to] = y0 + y1, w[2 * to] = y0 - y1, w[3 * to] = -y1;
    } else {
        const FLOAT y2 = y[2 * from], y3 = y[3 * from];
        const FLOAT a = y0 + y2, b = y1 + y3, c = y0 + 4 * y2, e = 2 * y1 + 8 * y3;
        w[0] = y0, w[to] = a + b, w[2 * to] = a - b, w[3 * to] = c + e, w[4 * to] = c - e, w[5 * to] = y3;
    }
}

// All tiles of `work`, LANES channels from `channel`: B^T d B.
INLINE void JOIN(inputTiles, LANES)(const dtrain_winograd *work, const int m, const long channel) {
    const int n = m + 2;
    for (long row = 0; row < work->tileRows; row++)
        for (long column = 0; column < work->tileColumns; column++) {
            const float *x = work->image + row * m * work->rowStep + column * m * work->step + channel;
            float *v = work->tiles + (row * work->tileColumns + column) * work->channels + channel;
            FLOAT d[36], lines[36];
            UNROLL for (int j = 0; j < n; j++) {
                UNROLL for (int i = 0; i < n; i++) d[i * n + j] = *(const FLOAT *)(x + i * work->rowStep + j * work->step);
                JOIN(inputLine, LANES)(m, d + j, lines + j, n);
            }
            UNROLL for (int i = 0; i < n; i++) {
                JOIN(inputLine, LANES)(m, lines + i * n, d, 1);
                UNROLL for (int j = 0; j < n; j++) *(FLOAT *)(v + (i * n + j) * work->place) = d[j];
            }
        }
}

// The same: A^T m A, added to the bias, cut off at the image's end.
INLINE void JOIN(outputTiles, LANES)(const dtrain_winograd *work, const int m, const long channel) {
    const int n = m + 2;
    FLOAT bias = 0;
    if (work->bias) bias = *(const FLOAT *)(work->bias + channel);
    for (long row = 0; row < work->tileRows; row++)
        for (long column = 0; column < work->tileColumns; column++) {
            const float *v = work->tiles + (row * work->tileColumns + column) * work->channels + channel;
            float *y = work->result + row * m * work->rowStep + column * m * work->step + channel;
            const long rows = work->rows - row * m, columns = work->columns - column * m;
            FLOAT d[6], lines[24], sums[4];
            UNROLL for (int j = 0; j < n; j++) {
                UNROLL for (int i = 0; i < n; i++) d[i] = *(const FLOAT *)(v + (i * n + j) * work->place);
                JOIN(outputLine, LANES)(m, d, 1, lines + j, n);
            }
            UNROLL for (int i = 0; i < m; i++) {
                if (i >= rows) break;
                JOIN(outputLine, LANES)(m, lines + i * n, 1, sums, 1);
                UNROLL for (int j = 0; j < m; j++) {
                    if (j >= columns) break;
                    FLOAT *target = (FLOAT *)(y + i * work->rowStep + j * work->step), sum = sums[j] + bias;
                    if (work->accumulates) sum += *target;
                    if (work->rectifies) sum = sum <= 0 ? (FLOAT)0 : sum;
                    *target = sum;
                }
            }
        }
}

// The same: A dy A^T, with zeros past the image's end. The next rows of tiles are asked for meanwhile.
INLINE void JOIN(gradientTiles, LANES)(const dtrain_winograd *work, const int m, const long channel) {
    const int n = m + 2;
    const long ahead = work->tileRows * m * work->rowStep;
    for (long row = 0; row < work->tileRows; row++)
        for (long column = 0; column < work->tileColumns; column++) {
            const float *dy = work->image + row * m * work->rowStep + column * m * work->step + channel;
            float *w = work->tiles + (row * work->tileColumns + column) * work->channels + channel;
            const long rows = work->rows - row * m, columns = work->columns - column * m;
            FLOAT d[6], lines[24];
            UNROLL for (int j = 0; j < m; j++) {
                UNROLL for (int i = 0; i < m; i++) __builtin_prefetch(dy + ahead + i * work->rowStep + j * work->step, 0, 2);
                UNROLL for (int i = 0; i < m; i++)
                    if (i < rows && j < columns) d[i] = *(const FLOAT *)(dy + i * work->rowStep + j * work->step);
                    else d[i] = 0;
                JOIN(gradientLine, LANES)(m, d, 1, lines + j, m);
            }
            UNROLL for (int i = 0; i < n; i++) {
                JOIN(gradientLine, LANES)(m, lines + i * m, 1, d, 1);
                UNROLL for (int j = 0; j < n; j++) *(FLOAT *)(w + (i * n + j) * work->place) = d[j];
            }
        }
}

// G^T u: n values to three.
INLINE void JOIN(weightLineBack, LANES)(const int m, const FLOAT *u, const int from, FLOAT *g, const int to) {
    const FLOAT u0 = u[0], u1 = u[from], u2 = u[2 * from], u3 = u[3 * from];
    if (m == 2) {
        const FLOAT a = (u1 + u2) * 0.5f;
        g[0] = u0 + a, g[to] = (u1 - u2) * 0.5f, g[2 * to] = a + u3;
    } else {
        const FLOAT u4 = u[4 * from], u5 = u[5 * from];
        const FLOAT a = (u1 + u2) * (-1.0f / 6), b = (u2 - u1) * (1.0f / 6), c = (u3 + u4) * (1.0f / 6), e = (u3 - u4) * (1.0f / 12);
        g[0] = 0.25f * u0 + a + 0.25f * c, g[to] = b + e, g[2 * to] = a + c + u5;
    }
}

// Kernels `first` to `first` + LANES: G^T u G.
INLINE void JOIN(weightsBack, LANES)(const dtrain_winograd *work, const int m, const long first) {
    const int n = m + 2;
    FLOAT d[6], lines[18], taps[3];
    UNROLL for (int j = 0; j < n; j++) {
        UNROLL for (int i = 0; i < n; i++) d[i] = *(const FLOAT *)(work->tiles + (i * n + j) * work->place + first);
        JOIN(weightLineBack, LANES)(m, d, 1, lines + j, n);
    }
    UNROLL for (int i = 0; i < 3; i++) {
        JOIN(weightLineBack, LANES)(m, lines + n * i, 1, taps, 1);
        UNROLL for (int j = 0; j < 3; j++) *(FLOAT *)(work->result + (3 * i + j) * work->channels + first) = taps[j];
    }
}

// G g: three values to n.
INLINE void JOIN(weightLine, LANES)(const int m, const FLOAT *g, const int from, FLOAT *u, const int to) {
    const FLOAT g0 = g[0], g1 = g[from], g2 = g[2 * from];
    if (m == 2) {
        u[0] = g0, u[to] = 0.5f * (g0 + g1 + g2), u[2 * to] = 0.5f * (g0 - g1 + g2), u[3 * to] = g2;
    } else {
        const FLOAT a = g0 + g2, b = __builtin_elementwise_fma((FLOAT)0.25f, g0, g2), c = 0.5f * g1;
        u[0] = 0.25f * g0;
        u[to] = (a + g1) * (-1.0f / 6), u[2 * to] = (a - g1) * (-1.0f / 6);
        u[3 * to] = (b + c) * (1.0f / 6), u[4 * to] = (b - c) * (1.0f / 6);
        u[5 * to] = g2;
    }
}

// LANES kernels: G g G^T. Places are passed one row of a tile at a time: 36 addresses would fill the registers.
INLINE void JOIN(weightTiles, LANES)(const int m, const float *w, long tapStep, float *u, long place) {
    const int n = m + 2;
    FLOAT g[9], lines[18], tile[6];
    UNROLL for (int i = 0; i < 3; i++) {
        UNROLL for (int j = 0; j < 3; j++) g[3 * i + j] = *(const FLOAT *)(w + j * tapStep);
        w += 3 * tapStep;
        OPAQUE(w);
    }
    UNROLL for (int j = 0; j < 3; j++) JOIN(weightLine, LANES)(m, g + j, 3, lines + j, 3);
    UNROLL for (int i = 0; i < n; i++) {
        JOIN(weightLine, LANES)(m, lines + 3 * i, 1, tile, 1);
        UNROLL for (int j = 0; j < n; j++) *(FLOAT *)(u + j * place) = tile[j];
        u += n * place;
        OPAQUE(u);
    }
}

// LANES outputs of all inputs. Where outputs lie apart, the kernels of eight inputs are turned first.
INLINE void JOIN(weightStrip, LANES)(const dtrain_winograd_kernels *work, const int m, const int output) {
    const long tapStep = work->turned ? -work->tapStep : work->tapStep;
    const float *w = work->w + (work->turned ? 8 * work->tapStep : 0) + output * work->outputStep;
    float *u = work->u + output;
    if (work->outputStep == 1) {
        for (int input = 0; input < work->inputs; input++)
            JOIN(weightTiles, LANES)(m, w + input * work->inputStep, tapStep, u + input * work->width, work->place);
        return;
    }
    float turned[9 * 8 * LANES];
    for (int input = 0; input < work->inputs; input += 8) {
        for (int tap = 0; tap < 9; tap++)
            UNROLL for (int o = 0; o < LANES; o += 8)
                transpose8(w + input + tap * tapStep + o * work->outputStep, work->outputStep, turned + tap * 8 * LANES + o, LANES);
        for (int i = 0; i < 8; i++)
            JOIN(weightTiles, LANES)(m, turned + i * LANES, 8 * LANES, u + (input + i) * work->width, work->place);
    }
}
