/* The inner loops of a photo at full size, which color/kernel.py calls: luminance, L* of blocks, and L*a*b* to sRGB.

Plain C99 without Python: callers check shapes and types. Each pixel is computed by itself and no product is contracted
(see setup.py), so that neither threads nor the sizes of tiles change a bit. What these compute is defined in lab.py,
srgb.py and fullsize.py, whose functions take their place where nothing was compiled. */

#include <stddef.h>
#include <stdint.h>

#define CHROMASCAPE_VERSION 1 /* of the functions' parameters: VERSION of kernel.py */
#define SPAN 512              /* pixels at a time, whose floats stay in the innermost cache */

#ifdef _MSC_VER
#define restrict __restrict
#endif

#ifdef _WIN32
#define PUBLIC __declspec(dllexport)
#else
#define PUBLIC __attribute__((visibility("default")))
#endif

/* GCC compiles these once more for processors with AVX2, and picks when it is loaded. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define VECTOR __attribute__((target_clones("avx2", "default")))
#else
#define VECTOR
#endif

/* Linear RGB of X, Y, Z relative to white, row by row; the range that fits into sRGB; CIE's f at its toe. */
typedef struct {
    float matrix[9], lowest, highest, toe;
} Space;

PUBLIC int chromascape_version(void) { return CHROMASCAPE_VERSION; }

/* Setuptools links a Python module, which has this; nobody imports it. */
PUBLIC void *PyInit__kernel(void) { return NULL; }

/* Luminance of `count` pixels of `bytes` bytes, R, G and B first, in steps; `table` is (3, 256). */
PUBLIC void chromascape_luminance(const uint8_t *restrict rgb, size_t count, size_t bytes,
                                  const uint16_t *restrict table, uint16_t *restrict out) {
    for (size_t i = 0; i < count; i++, rgb += bytes)
        out[i] = (uint16_t)(table[rgb[0]] + table[256 + rgb[1]] + table[512 + rgb[2]]);
}

/* L* of `count` values: of 1 or 2 bytes by a table, of 4 they are L* already. */
static void lightness(const void *values, size_t bytes, const float *restrict table, size_t count,
                      float *restrict out) {
    if (bytes == 1)
        for (size_t i = 0; i < count; i++) out[i] = table[((const uint8_t *)values)[i]];
    else if (bytes == 2)
        for (size_t i = 0; i < count; i++) out[i] = table[((const uint16_t *)values)[i]];
    else
        for (size_t i = 0; i < count; i++) out[i] = ((const float *)values)[i];
}

/* Mean L* of blocks of `side` x `side` values (height, width); the last of a row and of a column may be cut. */
PUBLIC void chromascape_block_means(const void *values, size_t bytes, const float *table, size_t height, size_t width,
                                    size_t side, float *restrict out) {
    const size_t across = (width + side - 1) / side;
    float light[SPAN], sums[SPAN];
    for (size_t top = 0; top < height; top += side, out += across) {
        const size_t bottom = top + side < height ? top + side : height;
        for (size_t block = 0; block < across; block++) out[block] = 0;
        for (size_t x = 0, block = 0, left = side; x < width; x += SPAN) {
            const size_t part = width - x < SPAN ? width - x : SPAN;
            for (size_t i = 0; i < part; i++) sums[i] = 0;
            for (size_t y = top; y < bottom; y++) {
                lightness((const char *)values + (y * width + x) * bytes, bytes, table, part, light);
                for (size_t i = 0; i < part; i++) sums[i] += light[i];
            }
            for (size_t i = 0; i < part; i++) {
                out[block] += sums[i];
                if (--left == 0) block++, left = side;
            }
        }
        for (size_t block = 0; block < across; block++) {
            const size_t wide = (block + 1) * side < width ? side : width - block * side;
            out[block] /= (float)((bottom - top) * wide);
        }
    }
}

/* Rows (count, short) interpolated to (count, width): `before` is the place to the left, `share` that of the right. */
PUBLIC void chromascape_widen(const float *restrict rows, size_t count, size_t small, const int32_t *restrict before,
                              const float *restrict share, size_t width, float *restrict out) {
    const size_t next = small > 1;
    for (; count > 0; count--, rows += small, out += width)
        for (size_t x = 0; x < width; x++) {
            const float *place = rows + before[x];
            out[x] = place[0] * (1 - share[x]) + place[next] * share[x];
        }
}

/* The inverse of CIE's f: a cube, and below the toe its tangent. */
static inline float cube(float f, float toe) {
    const float above = f > toe ? f : toe;
    return above * above * above + (f - above) * (3 * toe * toe);
}

/* How far linear light is outside sRGB; 0 or less is within. */
static inline float excess(float r, float g, float b, const Space *space) {
    float most = r > g ? r : g, least = r < g ? r : g;
    most = (most > b ? most : b) - space->highest;
    least = space->lowest - (least < b ? least : b);
    return most > least ? most : least;
}

/* L*, a* and b* to linear light; returns whether any is outside sRGB. */
VECTOR static int to_linear(const float *restrict light, const float *restrict a, const float *restrict b, size_t count,
                            const Space *space, float *restrict red, float *restrict green, float *restrict blue) {
    const Space s = *space;
    const float *m = s.matrix;
    int outside = 0;
    for (size_t i = 0; i < count; i++) {
        const float y = light[i] * (1.0f / 116) + 16.0f / 116;
        const float X = cube(y + a[i] * (1.0f / 500), s.toe), Y = cube(y, s.toe), Z = cube(y - b[i] * (1.0f / 200), s.toe);
        red[i] = m[0] * X + m[1] * Y + m[2] * Z;
        green[i] = m[3] * X + m[4] * Y + m[5] * Z;
        blue[i] = m[6] * X + m[7] * Y + m[8] * Z;
        outside |= excess(red[i], green[i], blue[i], &s) > 0;
    }
    return outside;
}

/* The largest factor of a* and b* that fits into sRGB, by bisection to 1/4096. */
VECTOR static void fit(const float *restrict light, const float *restrict a, const float *restrict b, size_t count,
                       const Space *space, float *restrict factor) {
    const Space s = *space;
    const float *m = s.matrix;
    for (size_t i = 0; i < count; i++) factor[i] = 0;
    for (float step = 0.5f; step > 1.0f / 8192; step /= 2)
        for (size_t i = 0; i < count; i++) {
            const float y = light[i] * (1.0f / 116) + 16.0f / 116, further = factor[i] + step;
            const float X = cube(y + further * a[i] * (1.0f / 500), s.toe), Y = cube(y, s.toe),
                        Z = cube(y - further * b[i] * (1.0f / 200), s.toe);
            const float over = excess(m[0] * X + m[1] * Y + m[2] * Z, m[3] * X + m[4] * Y + m[5] * Z,
                                      m[6] * X + m[7] * Y + m[8] * Z, &s);
            factor[i] = over > 0 ? factor[i] : further;
        }
}

/* Colors outside sRGB are put together, fitted, and put back. */
static void fit_outside(const float *light, const float *a, const float *b, size_t count, const Space *space,
                        float *red, float *green, float *blue) {
    float L[SPAN], A[SPAN], B[SPAN], factor[SPAN], fitted[3][SPAN];
    size_t place[SPAN], found = 0;
    for (size_t i = 0; i < count; i++) {
        place[found] = i, L[found] = light[i], A[found] = a[i], B[found] = b[i];
        found += excess(red[i], green[i], blue[i], space) > 0;
    }
    fit(L, A, B, found, space, factor);
    for (size_t i = 0; i < found; i++) A[i] *= factor[i], B[i] *= factor[i];
    to_linear(L, A, B, found, space, fitted[0], fitted[1], fitted[2]);
    for (size_t i = 0; i < found; i++)
        red[place[i]] = fitted[0][i], green[place[i]] = fitted[1][i], blue[place[i]] = fitted[2][i];
}

/* Linear light as places in a table of `steps` levels; what is no number becomes black. */
VECTOR static void to_steps(const float *restrict linear, size_t count, int32_t steps, int32_t *restrict out) {
    for (size_t i = 0; i < count; i++) {
        float step = linear[i] * (float)steps;
        step = step > 0 ? step : 0;
        out[i] = (int32_t)(step < (float)(steps - 1) ? step : (float)(steps - 1));
    }
}

/* a* and b* of a span: planes interpolated downwards, and their slopes along the L* that the grid lacks. */
VECTOR static void colors(const float *restrict up, const float *restrict low, size_t plane, float share,
                          const float *restrict light, size_t count, float *restrict a, float *restrict b) {
    const float *restrict up_a = up, *restrict up_b = up + plane, *restrict low_a = low, *restrict low_b = low + plane;
    const float *restrict up_sa = up + 2 * plane, *restrict up_sb = up + 3 * plane, *restrict up_light = up + 4 * plane;
    const float *restrict low_sa = low + 2 * plane, *restrict low_sb = low + 3 * plane;
    const float *restrict low_light = low + 4 * plane;
    const float rest = 1 - share;
    for (size_t i = 0; i < count; i++) {
        const float detail = light[i] - (up_light[i] * rest + low_light[i] * share);
        a[i] = up_a[i] * rest + low_a[i] * share + (up_sa[i] * rest + low_sa[i] * share) * detail;
        b[i] = up_b[i] * rest + low_b[i] * share + (up_sb[i] * rest + low_sb[i] * share) * detail;
    }
}

/* Rows of a photo as sRGB, R, G, B and 255.

values: (height, width), see `lightness`. planes: five of (tall, width) floats, see fullsize.FullSize, or two of ab.
before, share: of each row, the row of the planes above it, and the share of the one below. cover: (height, width),
factors of ab, or NULL. level: the level of each of `steps` steps of linear light. */
PUBLIC void chromascape_colors(const void *values, size_t bytes, const float *table, size_t height, size_t width,
                               const float *planes, size_t count, size_t tall, const int32_t *before,
                               const float *share, const float *cover, const Space *space, const uint8_t *level,
                               int32_t steps, uint8_t *restrict out) {
    float light[SPAN], a[SPAN], b[SPAN], linear[3][SPAN];
    int32_t step[3][SPAN];
    const size_t plane = tall * width;
    for (size_t y = 0; y < height; y++) {
        const float *up = planes + (size_t)before[y] * width, *low = up + (tall > 1 ? width : 0);
        for (size_t x = 0; x < width; x += SPAN) {
            const size_t part = width - x < SPAN ? width - x : SPAN;
            lightness((const char *)values + (y * width + x) * bytes, bytes, table, part, light);
            if (count == 5)
                colors(up + x, low + x, plane, share[y], light, part, a, b);
            else
                for (size_t i = 0; i < part; i++) a[i] = up[x + i], b[i] = up[plane + x + i];
            if (cover != NULL)
                for (size_t i = 0; i < part; i++) a[i] *= cover[y * width + x + i], b[i] *= cover[y * width + x + i];
            if (to_linear(light, a, b, part, space, linear[0], linear[1], linear[2]))
                fit_outside(light, a, b, part, space, linear[0], linear[1], linear[2]);
            for (int channel = 0; channel < 3; channel++) to_steps(linear[channel], part, steps, step[channel]);
            for (size_t i = 0; i < part; i++, out += 4) {
                out[0] = level[step[0][i]], out[1] = level[step[1][i]], out[2] = level[step[2][i]], out[3] = 255;
            }
        }
    }
}
