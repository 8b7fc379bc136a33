/* Times small loops on one core and prints CSV lines: kind,name,level,sparsity,cycles,ns.
 *
 * A window is some ten microseconds long, so that a scheduler seldom interrupts it; of many windows the least is taken
 * (instructions, loops out of L1) or the lowest decile (loops out of memory, which neighbours on the socket share). The
 * clock comes from chains of dependent additions, timed between the others: an addition takes one cycle.
 */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS 16
#define LANES 32
#define WINDOWS 3000
#define MOST 16384
#define REPEAT8(x) x x x x x x x x

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double cycle_s = 1.0;

static void find_clock(void) {
    for (int k = 0; k < 400; k++) {
        uint64_t x = 0;
        double start = now();
        for (int i = 0; i < 2000; i++) __asm__ volatile(REPEAT8("add $1,%0\n\t") : "+r"(x));
        double each = (now() - start) / 16000.0;
        if (each < cycle_s) cycle_s = each;
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const char *kind, const char *name, const char *level, double sparsity, double seconds) {
    printf("%s,%s,%s,%.3f,%.4f,%.5f\n", kind, name, level, sparsity, seconds / cycle_s, seconds * 1e9);
}

/* --- instructions --------------------------------------------------------------------------------- */

static uint16_t source[4096] __attribute__((aligned(64)));
static uint32_t masks[64] __attribute__((aligned(64)));
static char scratch[4096] __attribute__((aligned(64)));

#define TIMED(NAME, BODY, COUNT)                                             \
    do {                                                                     \
        double best = 1.0;                                                   \
        for (int k = 0; k < WINDOWS; k++) {                                  \
            double start = now();                                            \
            __asm__ volatile("kmovd %0,%%k1" ::"r"(0x5a5a3c3c) : "k1");      \
            for (int i = 0; i < 200; i++) { BODY; }                          \
            double spent = (now() - start) / (200.0 * (COUNT));              \
            if (spent < best) best = spent;                                  \
        }                                                                    \
        print("instruction", NAME, "l1", 0.0, best);                         \
        find_clock();                                                        \
    } while (0)

/* Each window sets the mask anew: between windows the compiler may use k1. */
static void instructions(void) {
    TIMED("expand",
          __asm__ volatile("vpexpandw (%0),%%zmm0%{%%k1%}%{z%}\n\tvpexpandw 32(%0),%%zmm1%{%%k1%}%{z%}\n\t"
                           "vpexpandw 66(%0),%%zmm2%{%%k1%}%{z%}\n\tvpexpandw 130(%0),%%zmm3%{%%k1%}%{z%}" ::"r"(source)),
          4);
    TIMED("mask",
          __asm__ volatile("kmovd (%0),%%k2\n\tkmovd 4(%0),%%k3\n\tkmovd 8(%0),%%k4\n\tkmovd 12(%0),%%k5" ::"r"(masks)), 4);
    TIMED("store",
          __asm__ volatile("vmovdqa64 %%zmm0,(%0)\n\tvmovdqa64 %%zmm0,64(%0)\n\tvmovdqa64 %%zmm0,128(%0)\n\t"
                           "vmovdqa64 %%zmm0,192(%0)" ::"r"(scratch)
                           : "memory"),
          4);
    TIMED("load",
          __asm__ volatile("vmovdqa64 (%0),%%zmm0\n\tvmovdqa64 64(%0),%%zmm1\n\tvmovdqa64 128(%0),%%zmm2\n\t"
                           "vmovdqa64 192(%0),%%zmm3" ::"r"(scratch)),
          4);
    TIMED("popcount", __asm__ volatile("vpopcntd %%zmm8,%%zmm0\n\tvpopcntd %%zmm8,%%zmm1\n\tvpopcntd %%zmm8,%%zmm2\n\t"
                                       "vpopcntd %%zmm8,%%zmm3" ::), 4);
    TIMED("align", __asm__ volatile("valignd $15,%%zmm8,%%zmm9,%%zmm0\n\tvalignd $14,%%zmm8,%%zmm9,%%zmm1\n\t"
                                    "valignd $12,%%zmm8,%%zmm9,%%zmm2\n\tvalignd $8,%%zmm8,%%zmm9,%%zmm3" ::), 4);
    TIMED("add", __asm__ volatile("vpaddd %%zmm8,%%zmm9,%%zmm0\n\tvpaddd %%zmm8,%%zmm9,%%zmm1\n\tvpaddd %%zmm8,%%zmm9,%%zmm2\n\t"
                                  "vpaddd %%zmm8,%%zmm9,%%zmm3" ::), 4);
    TIMED("convert", __asm__ volatile("vpmovzxbw %%ymm8,%%zmm0\n\tvpmovzxbw %%ymm8,%%zmm1\n\tvpmovzxbw %%ymm8,%%zmm2\n\t"
                                      "vpmovzxbw %%ymm8,%%zmm3" ::), 4);
    TIMED("fma", __asm__ volatile(
                     "vfmadd231ps %%zmm8,%%zmm9,%%zmm0\n\tvfmadd231ps %%zmm8,%%zmm9,%%zmm1\n\tvfmadd231ps %%zmm8,%%zmm9,%%zmm2\n\t"
                     "vfmadd231ps %%zmm8,%%zmm9,%%zmm3\n\tvfmadd231ps %%zmm8,%%zmm9,%%zmm4\n\tvfmadd231ps %%zmm8,%%zmm9,%%zmm5\n\t"
                     "vfmadd231ps %%zmm8,%%zmm9,%%zmm6\n\tvfmadd231ps %%zmm8,%%zmm9,%%zmm7" ::), 8);
#ifdef __AVX512BF16__
    TIMED("dot", __asm__ volatile(
                     "vdpbf16ps %%zmm8,%%zmm9,%%zmm0\n\tvdpbf16ps %%zmm8,%%zmm9,%%zmm1\n\tvdpbf16ps %%zmm8,%%zmm9,%%zmm2\n\t"
                     "vdpbf16ps %%zmm8,%%zmm9,%%zmm3\n\tvdpbf16ps %%zmm8,%%zmm9,%%zmm4\n\tvdpbf16ps %%zmm8,%%zmm9,%%zmm5\n\t"
                     "vdpbf16ps %%zmm8,%%zmm9,%%zmm6\n\tvdpbf16ps %%zmm8,%%zmm9,%%zmm7" ::), 8);
#endif
#ifdef __AVX512VNNI__
    TIMED("dot_int8", __asm__ volatile(
                          "vpdpbusd %%zmm8,%%zmm9,%%zmm0\n\tvpdpbusd %%zmm8,%%zmm9,%%zmm1\n\tvpdpbusd %%zmm8,%%zmm9,%%zmm2\n\t"
                          "vpdpbusd %%zmm8,%%zmm9,%%zmm3\n\tvpdpbusd %%zmm8,%%zmm9,%%zmm4\n\tvpdpbusd %%zmm8,%%zmm9,%%zmm5\n\t"
                          "vpdpbusd %%zmm8,%%zmm9,%%zmm6\n\tvpdpbusd %%zmm8,%%zmm9,%%zmm7" ::), 8);
#endif
}

/* --- loops over weight tiles ------------------------------------------------------------------------ */

enum loop { EXPAND, EXPAND_READ, SPARSE_GEMV, DENSE_GEMV, DENSE_READ, LOOPS };
static const char *const NAMES[] = {"expand", "expand_read", "sparse_gemv", "dense_gemv", "dense_read"};

typedef struct {
    const uint32_t *bitmap; /* 16 words for each tile */
    const uint16_t *values; /* non-zeros of all tiles */
    const size_t *starts;   /* non-zeros before each tile */
    const char *dense;      /* 1 KiB for each tile */
} weights;

static uint16_t buffers[2][ROWS * LANES] __attribute__((aligned(64)));
static uint32_t inputs[ROWS] __attribute__((aligned(64)));

static inline __attribute__((always_inline)) void keep(const __m512 *sums) {
    __asm__ volatile("" ::"v"(sums[0]), "v"(sums[1]), "v"(sums[2]), "v"(sums[3]));
}

static inline __attribute__((always_inline)) __m512 multiply(__m512 c, __m512i w, int row) {
#ifdef __AVX512BF16__
    return _mm512_dpbf16_ps(c, (__m512bh)_mm512_set1_epi32((int)inputs[row]), (__m512bh)w);
#else
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_set1_epi32((int)inputs[row])), _mm512_castsi512_ps(w), c);
#endif
}

static inline __attribute__((always_inline)) void sparse(const weights *w, long first, long tiles, enum loop what) {
    const uint16_t *value = w->values + w->starts[first];
    const __m512i none = _mm512_setzero_si512();
    __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    __m512i read = none;
    for (long tile = first; tile < first + tiles; tile++) {
        const uint32_t *bits = w->bitmap + ROWS * tile;
        __m512i counts = _mm512_popcnt_epi32(_mm512_load_si512(bits));
        counts = _mm512_add_epi32(counts, _mm512_alignr_epi32(counts, none, 15));
        counts = _mm512_add_epi32(counts, _mm512_alignr_epi32(counts, none, 14));
        counts = _mm512_add_epi32(counts, _mm512_alignr_epi32(counts, none, 12));
        counts = _mm512_add_epi32(counts, _mm512_alignr_epi32(counts, none, 8));
        uint32_t before[ROWS] __attribute__((aligned(64)));
        _mm512_store_si512(before, counts);
        uint16_t *buffer = buffers[tile & 1];
#pragma GCC unroll 16
        for (int row = 0; row < ROWS; row++) {
            __mmask32 mask = _load_mask32((__mmask32 *)(bits + row));
            __m512i dense = _mm512_maskz_expandloadu_epi16(mask, value + (row ? before[row - 1] : 0));
            if (what == SPARSE_GEMV) sums[row & 3] = multiply(sums[row & 3], dense, row);
            else _mm512_store_si512(buffer + LANES * row, dense);
        }
        value += before[ROWS - 1];
        __asm__ volatile("" ::"r"(buffer) : "memory");
        if (what == EXPAND_READ) {
#pragma GCC unroll 16
            for (int row = 0; row < ROWS; row++) read = _mm512_xor_si512(read, _mm512_load_si512(buffer + LANES * row));
        }
    }
    keep(sums);
    __asm__ volatile("" ::"v"(read));
}

static inline __attribute__((always_inline)) void dense(const weights *w, long first, long tiles, enum loop what) {
    __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    __m512i read[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    for (long tile = first; tile < first + tiles; tile++) {
        const char *from = w->dense + 1024 * tile;
#pragma GCC unroll 16
        for (int row = 0; row < ROWS; row++) {
            __m512i one = _mm512_load_si512(from + 64 * row);
            if (what == DENSE_GEMV) sums[row & 3] = multiply(sums[row & 3], one, row);
            else read[row & 3] = _mm512_xor_si512(read[row & 3], one);
        }
    }
    keep(sums);
    __asm__ volatile("" ::"v"(read[0]), "v"(read[1]), "v"(read[2]), "v"(read[3]));
}

static __attribute__((noinline)) void run(const weights *w, long first, long tiles, enum loop what) {
    switch (what) {
    case EXPAND: sparse(w, first, tiles, EXPAND); break;
    case EXPAND_READ: sparse(w, first, tiles, EXPAND_READ); break;
    case SPARSE_GEMV: sparse(w, first, tiles, SPARSE_GEMV); break;
    case DENSE_GEMV: dense(w, first, tiles, DENSE_GEMV); break;
    default: dense(w, first, tiles, DENSE_READ); break;
    }
}

static double spent[MOST];

static double decile(double *times, int count) {
    qsort(times, (size_t)count, sizeof *times, ascending);
    return times[count / 10];
}

static double out_of_cache(const weights *w, enum loop what) {
    double best = 1.0;
    for (int k = 0; k < WINDOWS; k++) {
        double start = now();
        for (int q = 0; q < 32; q++) run(w, 16 * (k % 8), 16, what);
        double each = (now() - start) / 512.0;
        if (each < best) best = each;
    }
    return best;
}

static int out_of_memory(const weights *w, long tiles, enum loop what, double *times, int count) {
    const long window = 256;
    for (long first = 0; first + window <= tiles && count < MOST; first += window) {
        double start = now();
        run(w, first, window, what);
        times[count++] = (now() - start) / (double)window;
    }
    return count;
}

static uint64_t state = 88172645463325252ull;

static uint64_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

#define SPARSITIES 21
static weights made[SPARSITIES];
static long made_tiles[SPARSITIES], dense_tiles;
static double times[SPARSITIES][LOOPS][MOST];
static int counts[SPARSITIES][LOOPS];

static void *room(size_t bytes) {
    void *found = aligned_alloc(4096, (bytes + 4095) & ~4095ul);
    if (!found) exit(3);
    memset(found, 1, (bytes + 4095) & ~4095ul);
    return found;
}

static void make(int at, double sparsity, long bytes) {
    long tiles = (long)((double)bytes / (64.0 + 1024.0 * (1.0 - sparsity))) + 256;
    uint32_t *bitmap = room((size_t)tiles * 64);
    size_t *starts = room(((size_t)tiles + 1) * sizeof *starts), total = 0;
    uint64_t threshold = (uint64_t)(sparsity * 4294967296.0);
    for (long tile = 0; tile < tiles; tile++) {
        starts[tile] = total;
        for (int row = 0; row < ROWS; row++) {
            uint32_t mask = 0;
            for (int lane = 0; lane < LANES; lane++) mask |= (uint32_t)((draw() >> 32) >= threshold) << lane;
            bitmap[tile * ROWS + row] = mask;
            total += (size_t)__builtin_popcount(mask);
        }
    }
    uint16_t *values = room(2 * total + 4096);
    made[at] = (weights){bitmap, values, starts, (const char *)values};
    made_tiles[at] = tiles;
    if (!at) dense_tiles = (long)(2 * total / 1024);
}

/* All sparsities in turn, pass after pass, so that a neighbour's traffic falls on all of them alike. */
static void loops(int steps, long bytes, int passes) {
    for (int at = 0; at <= steps; at++) make(at, (double)at / steps, bytes);
    for (int pass = 0; pass < passes; pass++)
        for (int at = 0; at <= steps; at++)
            for (int what = EXPAND; what < LOOPS; what++) {
                if (what >= DENSE_GEMV && at) continue;
                long tiles = what >= DENSE_GEMV ? dense_tiles : made_tiles[at];
                counts[at][what] = out_of_memory(&made[at], tiles, what, times[at][what], counts[at][what]);
            }
    for (int at = 0; at <= steps; at++)
        for (int what = EXPAND; what < LOOPS; what++) {
            if (what >= DENSE_GEMV && at) continue;
            find_clock();
            print("tile", NAMES[what], "l1", (double)at / steps, out_of_cache(&made[at], what));
            print("tile", NAMES[what], "memory", (double)at / steps, decile(times[at][what], counts[at][what]));
        }
}

/* --- latency ----------------------------------------------------------------------------------------- */

static void chase(long bytes) {
    long lines = bytes / 64;
    uint64_t *next = room((size_t)lines * 64);
    uint32_t *order = room((size_t)lines * sizeof *order);
    for (long i = 0; i < lines; i++) order[i] = (uint32_t)i;
    for (long i = lines - 1; i > 0; i--) {
        long j = (long)(draw() % (uint64_t)(i + 1));
        uint32_t t = order[i];
        order[i] = order[j], order[j] = t;
    }
    for (long i = 0; i < lines; i++) next[8ul * order[i]] = 8ul * order[(i + 1) % lines];
    uint64_t at = 0;
    int count = 0;
    for (; count < 2000; count++) {
        double start = now();
        for (int i = 0; i < 100; i++) at = next[at];
        spent[count] = (now() - start) / 100.0;
    }
    print("latency", at == 1 ? "never" : "chase", "memory", 0.0, decile(spent, count));
    free(next), free(order);
}

int main(int arguments, char **words) {
    long bytes = (arguments > 1 ? atol(words[1]) : 64) << 20;
    int passes = arguments > 2 ? atoi(words[2]) : 4;
    int steps = arguments > 3 ? atoi(words[3]) : 10;
    find_clock();
    for (int i = 0; i < ROWS; i++) inputs[i] = 0x3f803f80u;
    memset(source, 1, sizeof source); /* a masked load from a page that is not there takes the slow way each time */
    memset(scratch, 1, sizeof scratch);
    instructions();
    if (steps < 1 || steps >= SPARSITIES) return 2;
    loops(steps, bytes, passes);
    chase(bytes);
    find_clock();
    printf("clock,addition,l1,0.000,1.0000,%.6f\n", cycle_s * 1e9);
    return 0;
}
