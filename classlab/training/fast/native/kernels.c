/* The kernels of a training step: every size is an argument that step.c gives as a constant.
 *
 * step.c includes this file once for vectors of 16 numbers and once for vectors of 8, and calls, line by line, what one
 * network needs. All functions are inlined there, so that the compiler knows each size, unrolls the inner loops and
 * keeps the sums in registers.
 *
 * REAL is the type of weights, sums and losses, float or double. A `cell` is what maps of activations and their
 * gradients are kept in: a REAL, or with BF16 the upper half of a float; products of two bf16 numbers at a time are
 * added up in float. Maps lie channels-last: a pixel's channels side by side, filled up with zeros to a multiple of 8.
 *
 * Of what is kept of a layer: z, the sums of its convolution, before everything that is done to each number of it.
 * That is done anew wherever it is needed, forward and backward, because a map that is read once takes less time than
 * two that are written and read. It is, in this order and each only where the network has it:
 *
 *     u = max(z, 0);  v = u * scale + shift (batch norm);  y = max(v, 0);  dropout of y;  max or average pool
 */
#ifndef SHARED_PART
#define SHARED_PART

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

typedef REAL real;
#ifdef BF16
typedef uint16_t cell;
enum { PAIR = 2 }; /* how many numbers one instruction multiplies and adds in a lane */
#else
typedef real cell;
enum { PAIR = 1 };
#endif

#define INLINE static inline __attribute__((always_inline))
/* A function of one stage. It is not inlined, for one function of a whole network would take long to compile. Nor does
 * gcc look into it from outside: gcc 12 was seen to leave out a call whose stores it took for unread. */
#ifdef __clang__
#define APART static __attribute__((noinline))
#else
#define APART static __attribute__((noipa))
#endif
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 64")
#endif
#define JOIN_(name, lanes) name##_##lanes
#define JOIN(name, lanes) JOIN_(name, lanes)
#define V(name) JOIN(name, LANES)

enum { NO_POOL, MAX_POOL, AVERAGE_POOL };
enum { SGD, SGD_MOMENTUM, ADAM, ADAM_W };
enum { FEW = 8 };   /* images of a step so small that linear layers are updated in their backward pass */
enum { TILE = 32 }; /* at most so many vectors of sums at once: AVX-512 has as many registers */

/* What is done to each number of z; see above. lowest: of 16 random bits, the least number that dropout keeps. */
typedef struct {
    int height, width, stride; /* of the map z; stride: cells from a pixel to the next */
    int before, norm, after;   /* whether there is a ReLU before the norm, a norm, a ReLU after it */
    int dropout, channels, lowest;
    real factor;               /* of what dropout keeps */
    int pool, high, wide;      /* kind and window of the pool; 1 by 1 without one */
} After;

INLINE cell to_cell(real value)
{
#ifdef BF16
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (value != value)
        return 0x7fc0;
    return (cell)((bits + 0x7fff + (bits >> 16 & 1)) >> 16); /* to the nearest, halves to the even one */
#else
    return value;
#endif
}

/* ---- Products. A convolution: a sum over taps (ky, kx) and channels, for each pixel and output. A linear layer is
 * one too: its images are the pixels of one row. ---- */

typedef struct {
    int height, width;         /* of the map of outputs */
    int rows, columns;         /* so many pixels at once */
    int ky, kx, channels;      /* taps and inputs that are added up */
    int row, tap, pixel;       /* cells of the inputs from a row, a tap, a pixel to the next */
    int stride;                /* numbers of the weights from one pair of inputs to the next, divided by PAIR */
    int out_row, out_pixel;    /* numbers of the outputs from a row, a pixel to the next */
    int real_out, before;      /* whether outputs are kept as REAL; whether the sums are of max(output, 0) */
} Product;

/* ---- The gradient of the weights: for each tap and input a sum over pixels of input times output's gradient. ---- */

typedef struct {
    int height, width;          /* of the map of gradients */
    int ky, kx, channels;       /* taps and inputs of the weights */
    int rows, run;              /* at once: the inputs of a tap (1 row), or all taps of an input (ky rows of kx) */
    int row, pixel, step;       /* cells of the inputs from a row, a pixel, a channel to the next */
    int stride;                 /* numbers of the weights from one input to the next */
    int out_row, out_pixel;     /* cells of the gradients from a row, a pixel or pair to the next */
} Slope;

/* ---- Threads: each works on its share of the images; where one needs what all have added up, they meet. ---- */

enum { SPINS = 4000 }; /* some 70 µs: longer than a phase of a small step is late, far shorter than a time slice */

typedef struct {
    int threads;
    atomic_int arrived, round, waiting;
    pthread_mutex_t lock;
    pthread_cond_t moved;
} Team;

INLINE void rest(void)
{
#ifdef __x86_64__
    _mm_pause();
#endif
}

/* Wait until `round` is no longer what it was: first by looking, for to be woken takes longer, then asleep. */
static void await_round(Team *team, int round)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&team->round, memory_order_acquire) != round)
            return;
        rest();
    }
    pthread_mutex_lock(&team->lock);
    atomic_fetch_add(&team->waiting, 1);
    while (atomic_load(&team->round) == round)
        pthread_cond_wait(&team->moved, &team->lock);
    atomic_fetch_sub(&team->waiting, 1);
    pthread_mutex_unlock(&team->lock);
}

/* Return when every thread of the team has come here. */
static void meet(Team *team)
{
    if (team->threads == 1)
        return;
    int round = atomic_load_explicit(&team->round, memory_order_relaxed);
    if (atomic_fetch_add(&team->arrived, 1) + 1 < team->threads) {
        await_round(team, round);
        return;
    }
    atomic_store(&team->arrived, 0);
    atomic_store(&team->round, round + 1);
    /* Who went to sleep has said so before it looked for the last time, with the lock: nobody is missed. */
    if (atomic_load(&team->waiting)) {
        pthread_mutex_lock(&team->lock);
        pthread_cond_broadcast(&team->moved);
        pthread_mutex_unlock(&team->lock);
    }
}

/* ---- Batch norm (Ioffe and Szegedy, 2015): from sums over the batch to what each number is changed by. ---- */

typedef struct {
    real *gamma, *beta, *running_mean, *running_variance, *gamma_gradient, *beta_gradient;
    real *scale, *shift;              /* v = u * scale + shift */
    real *times_v, *times_u, *constant;     /* the gradient of u is that of v * times_v + u * times_u + constant */
    real *mean, *inverse;             /* of the batch: mean of u, 1 / its standard deviation */
} Norm;

/* sums: of each thread the sums of u, then of its squares, `stride` numbers each. count: of numbers a channel has. */
INLINE void norm_forward(Norm n, const double *sums, int threads, int channels, int stride, double count,
                         double epsilon, double momentum)
{
    for (int c = 0; c < channels; c++) {
        double sum = 0, squares = 0;
        for (int t = 0; t < threads; t++) {
            sum += sums[2 * t * stride + c];
            squares += sums[(2 * t + 1) * stride + c];
        }
        double mean = sum / count, variance = squares / count - mean * mean;
        variance = variance < 0 ? 0 : variance;
        n.mean[c] = (real)mean;
        n.inverse[c] = (real)(1 / sqrt(variance + epsilon));
        n.scale[c] = n.gamma[c] * n.inverse[c];
        n.shift[c] = n.beta[c] - n.mean[c] * n.scale[c];
        n.running_mean[c] += (real)(momentum * (mean - n.running_mean[c]));
        n.running_variance[c] += (real)(momentum * (variance * count / (count - 1) - n.running_variance[c]));
    }
}

/* sums: of each thread the sums of the gradient of v, then of that times u. */
INLINE void norm_backward(Norm n, const double *sums, int threads, int channels, int stride, double count)
{
    for (int c = 0; c < channels; c++) {
        double sum = 0, products = 0;
        for (int t = 0; t < threads; t++) {
            sum += sums[2 * t * stride + c];
            products += sums[(2 * t + 1) * stride + c];
        }
        double inverse = n.inverse[c], mean = n.mean[c], scale = n.gamma[c] * inverse;
        double gamma = (products - mean * sum) * inverse, times_u = -scale * inverse * gamma / count;
        n.beta_gradient[c] = (real)sum;
        n.gamma_gradient[c] = (real)gamma;
        n.times_v[c] = (real)scale;
        n.times_u[c] = (real)times_u;
        n.constant[c] = (real)(-scale * sum / count - times_u * mean);
    }
}

/* ---- Random numbers for dropout, 16 bits each: of a seed, a stage and an image, so that threads may draw them in any
 * order. A counter through the mixing function of splitmix64 (Steele, Lea and Flood, 2014). ---- */

INLINE uint64_t mixed(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

INLINE void draw(int16_t *restrict words, int fours, uint64_t seed, int stage, int image)
{
    const uint64_t step = 0x9e3779b97f4a7c15u, first = mixed(seed + mixed(((uint64_t)stage << 32) + (uint64_t)image));
    for (int i = 0; i < fours; i++) {
        uint64_t four = mixed(first + (uint64_t)i * step);
        memcpy(words + 4 * i, &four, sizeof four);
    }
}

/* ---- Losses of one image: the gradient of its outputs, the loss, and whether the largest output is the label's. ---- */

INLINE int largest(const real *outputs, int classes)
{
    int best = 0;
    for (int k = 1; k < classes; k++)
        best = outputs[k] > outputs[best] ? k : best;
    return best;
}

/* -log softmax(outputs)[label], the target smoothed by the share `smoothing`; weight: 1 / the images of the batch. */
INLINE double cross_entropy(const real *outputs, cell *gradient, int64_t label, int classes, real smoothing,
                            real weight, double *right)
{
    int best = largest(outputs, classes);
    double sum = 0, spread = 0;
    for (int k = 0; k < classes; k++) {
        sum += exp((double)(outputs[k] - outputs[best]));
        spread += outputs[k];
    }
    double log_sum = outputs[best] + log(sum);
    for (int k = 0; k < classes; k++) {
        double target = (k == label ? 1 - smoothing : 0) + smoothing / classes;
        gradient[k] = to_cell((real)((exp(outputs[k] - log_sum) - target) * weight));
    }
    *right += best == label;
    return log_sum - (1 - smoothing) * outputs[label] - smoothing * spread / classes;
}

/* The squared distance of the outputs from 1 at the label and 0 elsewhere, mean over the classes. */
INLINE double squared_error(const real *outputs, cell *gradient, int64_t label, int classes, real smoothing,
                            real weight, double *right)
{
    (void)smoothing;
    double loss = 0;
    for (int k = 0; k < classes; k++) {
        double difference = outputs[k] - (k == label);
        loss += difference * difference / classes;
        gradient[k] = to_cell((real)(2 * difference / classes * weight));
    }
    *right += largest(outputs, classes) == label;
    return loss;
}

/* ---- Updates: numbers [from, to) of one array of weights. parts: the gradient as each thread has added it up. ---- */

typedef struct {
    real rate, decay, momentum;          /* SGD */
    real beta1, beta2, epsilon, size, root; /* Adam: size, rate / (1 - beta1^t); root, sqrt(1 - beta2^t) */
} Rates;

INLINE real added_up(const real *parts, int count, int threads, int i)
{
    real sum = parts[i];
    for (int t = 1; t < threads; t++)
        sum += parts[t * count + i];
    return sum;
}

INLINE void sgd(real *restrict weights, real *restrict momenta, const real *restrict parts, int count, int threads,
                int from, int to, Rates r, int has_momentum, int nesterov)
{
    for (int i = from; i < to; i++) {
        real change = added_up(parts, count, threads, i) + r.decay * weights[i];
        if (has_momentum) {
            momenta[i] = r.momentum * momenta[i] + change;
            change = nesterov ? change + r.momentum * momenta[i] : momenta[i];
        }
        weights[i] -= r.rate * change;
    }
}

/* Adam (Kingma and Ba, 2015); decoupled: the decay of AdamW, which does not pass through the gradient. */
INLINE void adam(real *restrict weights, real *restrict means, real *restrict squares, const real *restrict parts,
                 int count, int threads, int from, int to, Rates r, int decoupled)
{
    for (int i = from; i < to; i++) {
        real gradient = added_up(parts, count, threads, i);
        if (decoupled)
            weights[i] *= 1 - r.rate * r.decay;
        else
            gradient += r.decay * weights[i];
        means[i] = r.beta1 * means[i] + (1 - r.beta1) * gradient;
        squares[i] = r.beta2 * squares[i] + (1 - r.beta2) * gradient * gradient;
        weights[i] -= r.size * means[i] / ((real)sqrt(squares[i]) / r.root + r.epsilon);
    }
}

/* ---- Packing: weights as the products of this step read them. They are kept [tap][input][output]. ---- */

/* To cells, inputs in pairs: [tap][input / PAIR][output][PAIR]. Lines [from, to) of a line of outputs each. */
INLINE void pack(const real *restrict weights, cell *restrict packed, int taps, int inputs, int stride, int thread,
                 int threads)
{
    int pairs = (inputs + PAIR - 1) / PAIR, lines = taps * pairs;
    for (int line = lines * thread / threads; line < lines * (thread + 1) / threads; line++) {
        int first = line % pairs * PAIR;
        const real *from = weights + (line / pairs * inputs + first) * stride;
        for (int o = 0; o < stride; o++)
            for (int i = 0; i < PAIR; i++)
                packed[(line * stride + o) * PAIR + i] = first + i < inputs ? to_cell(from[i * stride + o]) : 0;
    }
}

/* For the gradient of the inputs, which are the outputs of a product with the weights the other way round:
 * [output / PAIR][input][PAIR] a tap, the taps from last to first. tap, line: numbers from a tap or an output's line
 * of inputs to the next. */
INLINE void pack_back(const real *restrict weights, cell *restrict packed, int taps, int inputs, int outputs,
                      int stride, int tap, int line, int thread, int threads)
{
    for (int t = taps * thread / threads; t < taps * (thread + 1) / threads; t++) {
        cell *to = packed + (taps - 1 - t) * tap * PAIR;
        for (int o = 0; o < outputs; o++)
            for (int c = 0; c < inputs; c++)
                to[(o / PAIR * line + c) * PAIR + o % PAIR] = to_cell(weights[(t * inputs + c) * stride + o]);
    }
}

#ifdef BF16
/* [pixel][channel] to [channel][pixel], eight by eight; channels a multiple of 8, pixels rounded up to one. */
INLINE void transpose(const cell *restrict in, cell *restrict out, int pixels, int channels, int stride, int plane)
{
    for (int p = 0; p < pixels; p += 8)
        for (int c = 0; c < channels; c += 8) {
            __m128i r[8], s[8];
            UNROLL for (int i = 0; i < 8; i++)
                r[i] = _mm_loadu_si128((const __m128i *)(in + (p + i) * stride + c));
            UNROLL for (int i = 0; i < 4; i++) {
                s[i] = _mm_unpacklo_epi16(r[2 * i], r[2 * i + 1]);
                s[i + 4] = _mm_unpackhi_epi16(r[2 * i], r[2 * i + 1]);
            }
            UNROLL for (int half = 0; half < 2; half++) {
                __m128i *t = s + 4 * half;
                __m128i a = _mm_unpacklo_epi32(t[0], t[1]), b = _mm_unpackhi_epi32(t[0], t[1]);
                __m128i d = _mm_unpacklo_epi32(t[2], t[3]), e = _mm_unpackhi_epi32(t[2], t[3]);
                r[4 * half] = _mm_unpacklo_epi64(a, d), r[4 * half + 1] = _mm_unpackhi_epi64(a, d);
                r[4 * half + 2] = _mm_unpacklo_epi64(b, e), r[4 * half + 3] = _mm_unpackhi_epi64(b, e);
            }
            UNROLL for (int i = 0; i < 8; i++)
                _mm_storeu_si128((__m128i *)(out + (c + i) * plane + p), r[i]);
        }
}
#endif
#endif /* SHARED_PART */

/* ======== From here on once for each width of vectors. ======== */

typedef real V(vector) __attribute__((vector_size(LANES * sizeof(real))));
typedef real V(anywhere) __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));
#define vector V(vector)
#define nothing ((vector){0})

INLINE vector V(get)(const real *p) { return (vector)*(const V(anywhere) *)p; }
INLINE void V(put)(real *p, vector v) { *(V(anywhere) *)p = v; }

/* Masks, and the larger of two, the second where one is no number: what the compiler's own vectors express badly for AVX-512 is said by its name. */
#if defined(__AVX512VL__) && defined(__AVX512BW__) && !defined(REAL_IS_DOUBLE)
#if LANES == 16
typedef __mmask16 V(mask);
#define mask V(mask)
INLINE vector V(maximum)(vector a, vector b) { return (vector)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE mask V(above)(vector a, vector b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ); }
INLINE mask V(equal)(vector a, vector b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ); }
INLINE vector V(where)(mask m, vector a) { return (vector)_mm512_maskz_mov_ps(m, (__m512)a); }
INLINE real V(total)(vector a) { return _mm512_reduce_add_ps((__m512)a); }
INLINE mask V(kept)(const int16_t *words, int lowest)
{
    return _mm256_cmpge_epi16_mask(_mm256_loadu_si256((const __m256i *)words), _mm256_set1_epi16((short)lowest));
}
#else
typedef __mmask8 V(mask);
#define mask V(mask)
INLINE vector V(maximum)(vector a, vector b) { return (vector)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE mask V(above)(vector a, vector b) { return _mm256_cmp_ps_mask((__m256)a, (__m256)b, _CMP_GT_OQ); }
INLINE mask V(equal)(vector a, vector b) { return _mm256_cmp_ps_mask((__m256)a, (__m256)b, _CMP_EQ_OQ); }
INLINE vector V(where)(mask m, vector a) { return (vector)_mm256_maskz_mov_ps(m, (__m256)a); }
INLINE real V(total)(vector a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128((__m256)a), _mm256_extractf128_ps((__m256)a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE mask V(kept)(const int16_t *words, int lowest)
{
    return _mm_cmpge_epi16_mask(_mm_loadu_si128((const __m128i *)words), _mm_set1_epi16((short)lowest));
}
#endif
INLINE mask V(both)(mask a, mask b) { return a & b; }
INLINE mask V(without)(mask a, mask b) { return a & ~b; }
INLINE mask V(all)(void) { return (mask)~0; }
#else
#ifdef REAL_IS_DOUBLE
typedef int64_t V(mask) __attribute__((vector_size(LANES * 8)));
#else
typedef int32_t V(mask) __attribute__((vector_size(LANES * 4)));
#endif
#define mask V(mask)
INLINE mask V(above)(vector a, vector b) { return a > b; }
INLINE mask V(equal)(vector a, vector b) { return a == b; }
INLINE vector V(where)(mask m, vector a) { return (vector)((mask)a & m); }
INLINE vector V(maximum)(vector a, vector b) { return (vector)(((mask)a & (a > b)) | ((mask)b & ~(a > b))); }
INLINE mask V(both)(mask a, mask b) { return a & b; }
INLINE mask V(without)(mask a, mask b) { return a & ~b; }
INLINE mask V(all)(void) { return nothing == nothing; }
INLINE real V(total)(vector a)
{
    UNROLL for (int half = LANES / 2; half > 0; half /= 2)
        UNROLL for (int i = 0; i < half; i++)
            a[i] += a[i + half];
    return a[0];
}
INLINE mask V(kept)(const int16_t *words, int lowest)
{
    mask m;
    UNROLL for (int i = 0; i < LANES; i++)
        m[i] = -(words[i] >= lowest);
    return m;
}
#endif

/* Cells from and to vectors; `spread`: one cell, or a pair, in all lanes; `lanes`: one, or a pair, for each lane. */
#ifdef BF16
#if LANES == 16
typedef __m512bh V(packed);
INLINE vector V(load)(const cell *p)
{
    return (vector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16);
}
INLINE void V(store)(cell *p, vector v) { _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v)); }
INLINE V(packed) V(lanes)(const cell *p) { return (__m512bh)_mm512_loadu_si512(p); }
INLINE V(packed) V(spread)(const cell *p)
{
    int pair;
    memcpy(&pair, p, 4);
    return (__m512bh)_mm512_set1_epi32(pair);
}
INLINE vector V(multiply_add)(vector a, V(packed) x, V(packed) w) { return (vector)_mm512_dpbf16_ps((__m512)a, x, w); }
INLINE void V(put_pairs)(cell *p, const cell *a, const cell *b, int has_b)
{
    __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)a)), high = _mm512_setzero_si512();
    if (has_b)
        high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)b)), 16);
    _mm512_storeu_si512(p, _mm512_or_si512(low, high));
}
#else
typedef __m256bh V(packed);
INLINE vector V(load)(const cell *p)
{
    return (vector)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16);
}
INLINE void V(store)(cell *p, vector v) { _mm_storeu_si128((__m128i *)p, (__m128i)_mm256_cvtneps_pbh((__m256)v)); }
INLINE V(packed) V(lanes)(const cell *p) { return (__m256bh)_mm256_loadu_si256((const __m256i *)p); }
INLINE V(packed) V(spread)(const cell *p)
{
    int pair;
    memcpy(&pair, p, 4);
    return (__m256bh)_mm256_set1_epi32(pair);
}
INLINE vector V(multiply_add)(vector a, V(packed) x, V(packed) w) { return (vector)_mm256_dpbf16_ps((__m256)a, x, w); }
INLINE void V(put_pairs)(cell *p, const cell *a, const cell *b, int has_b)
{
    __m256i low = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)a)), high = _mm256_setzero_si256();
    if (has_b)
        high = _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)b)), 16);
    _mm256_storeu_si256((__m256i *)p, _mm256_or_si256(low, high));
}
#endif
/* A map's neighbours in a row as pairs, [row][pixel / 2][channel][2]: `width` pixels a row, `row` cells apart. */
INLINE void V(pair_up)(const cell *restrict map, cell *restrict pairs, int height, int width, int row, int stride)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x += 2) {
            const cell *p = map + y * row + x * stride;
            V(put_pairs)(pairs, p, p + stride, x + 1 < width);
            pairs += 2 * LANES;
        }
}
#else
typedef vector V(packed);
INLINE vector V(load)(const cell *p) { return V(get)(p); }
INLINE void V(store)(cell *p, vector v) { V(put)(p, v); }
INLINE V(packed) V(lanes)(const cell *p) { return V(get)(p); }
INLINE V(packed) V(spread)(const cell *p) { return *p - nothing; } /* minus zero changes no number, not even -0 */
INLINE vector V(multiply_add)(vector a, V(packed) x, V(packed) w) { return a + x * w; }
#endif

INLINE void V(product_tile)(const cell *restrict in, const cell *restrict weights, const real *bias, void *restrict out,
                            vector *sum, vector *squares, Product p, int rows, int columns)
{
    vector a[TILE];
    UNROLL for (int i = 0; i < rows * columns; i++)
        a[i] = bias ? V(get)(bias) : nothing;
    for (int ky = 0; ky < p.ky; ky++)
        for (int kx = 0; kx < p.kx; kx++)
            for (int c = 0; c < p.channels; c += PAIR) {
                const cell *x = in + ky * p.row + kx * p.tap + c;
                V(packed) w = V(lanes)(weights);
                weights += p.stride * PAIR;
                UNROLL for (int i = 0; i < rows * columns; i++)
                    a[i] = V(multiply_add)(a[i], V(spread)(x + i / columns * p.row + i % columns * p.pixel), w);
            }
    UNROLL for (int i = 0; i < rows * columns; i++) {
        int at = i / columns * p.out_row + i % columns * p.out_pixel;
        if (sum) {
            vector u = p.before ? V(maximum)(nothing, a[i]) : a[i];
            *sum += u;
            *squares += u * u;
        }
        if (p.real_out)
            V(put)((real *)out + at, a[i]);
        else
            V(store)((cell *)out + at, a[i]);
    }
}

INLINE void V(product_rows)(const cell *restrict in, const cell *restrict weights, const real *bias, void *restrict out,
                            vector *sum, vector *squares, Product p, int rows)
{
    int x = 0, size = p.real_out ? sizeof(real) : sizeof(cell);
    for (; x + p.columns <= p.width; x += p.columns)
        V(product_tile)(in + x * p.pixel, weights, bias, (char *)out + x * p.out_pixel * size, sum, squares, p, rows,
                        p.columns);
    if (p.width % p.columns)
        V(product_tile)(in + x * p.pixel, weights, bias, (char *)out + x * p.out_pixel * size, sum, squares, p, rows,
                        p.width % p.columns);
}

/* LANES outputs of every pixel. sums: null, or where their sums and, `apart` numbers on, their squares' are added. */
INLINE void V(product)(const cell *restrict in, const cell *restrict weights, const real *bias, void *restrict out,
                       double *sums, int apart, Product p)
{
    vector sum = nothing, squares = nothing, *s = sums ? &sum : 0, *q = sums ? &squares : 0;
    int y = 0, size = p.real_out ? sizeof(real) : sizeof(cell);
    for (; y + p.rows <= p.height; y += p.rows)
        V(product_rows)(in + y * p.row, weights, bias, (char *)out + y * p.out_row * size, s, q, p, p.rows);
    if (p.height % p.rows)
        V(product_rows)(in + y * p.row, weights, bias, (char *)out + y * p.out_row * size, s, q, p, p.height % p.rows);
    /* An image's sums are few enough numbers for floats; the batch's are added in double. */
    if (sums)
        for (int i = 0; i < LANES; i++) {
            sums[i] += sum[i];
            sums[apart + i] += squares[i];
        }
}

/* Sums j = 0 … rows * run - 1 at once, of inputs `near` cells apart in a row of the tile, whose weights lie `next`
 * lines apart. */
INLINE void V(slope_tile)(const cell *restrict in, const cell *restrict gradients, real *restrict out, Slope s,
                          int rows, int run, int near, int next)
{
    vector a[TILE];
    UNROLL for (int j = 0; j < rows * run; j++)
        a[j] = V(get)(out + (j / run * s.kx * s.channels + j % run * next) * s.stride);
    for (int y = 0; y < s.height; y++)
        for (int x = 0; x < s.width; x += PAIR) {
            V(packed) d = V(lanes)(gradients + y * s.out_row + x / PAIR * s.out_pixel);
            const cell *p = in + y * s.row + x * s.pixel;
            UNROLL for (int j = 0; j < rows * run; j++)
                a[j] = V(multiply_add)(a[j], V(spread)(p + j / run * s.row + j % run * near), d);
        }
    UNROLL for (int j = 0; j < rows * run; j++)
        V(put)(out + (j / run * s.kx * s.channels + j % run * next) * s.stride, a[j]);
}

/* LANES outputs' weights: the sums over one image, or one row of images, are added to `out`. */
INLINE void V(slope)(const cell *restrict in, const cell *restrict gradients, real *restrict out, Slope s)
{
    if (s.rows > 1) {
        for (int c = 0; c < s.channels; c++)
            V(slope_tile)(in + c * s.step, gradients, out + c * s.stride, s, s.rows, s.run, s.pixel, s.channels);
        return;
    }
    for (int tap = 0; tap < s.ky * s.kx; tap++) {
        const cell *from = in + tap / s.kx * s.row + tap % s.kx * s.pixel;
        real *to = out + tap * s.channels * s.stride;
        int c = 0;
        for (; c + s.run <= s.channels; c += s.run)
            V(slope_tile)(from + c * s.step, gradients, to + c * s.stride, s, 1, s.run, s.step, 1);
        if (s.channels % s.run)
            V(slope_tile)(from + c * s.step, gradients, to + c * s.stride, s, 1, s.channels % s.run, s.step, 1);
    }
}

/* An image of REALs, channels-last, into the middle of a frame of zeros; planes: also channel by channel, for the
 * gradient of the first weights in bf16, whose products are of two neighbours in a row. */
INLINE void V(take_image)(const real *restrict image, cell *restrict out, cell *restrict planes, int height, int width,
                          int channels, int padding, int plane)
{
    int row = width + 2 * padding, long_row = width * channels, last = long_row / LANES * LANES;
    for (int y = 0; y < height; y++) {
        const real *from = image + y * long_row;
        int at = (y + padding) * row + padding;
        cell *to = out + at * channels;
        for (int i = 0; i < last; i += LANES)
            V(store)(to + i, V(get)(from + i));
        for (int i = last; i < long_row; i++)
            to[i] = to_cell(from[i]);
        if (planes)
            for (int c = 0; c < channels; c++)
                for (int x = 0; x < width; x++)
                    planes[c * plane + at + x] = to[x * channels + c];
    }
}

/* ---- A linear layer's backward pass and update in one, for a few images: to write its gradient, read it again, and
 * turn its weights round for the gradient of the inputs would each take longer than the arithmetic. ---- */

INLINE vector V(changed)(vector weights, vector gradient, real *first, real *second, Rates r, int update, int nesterov)
{
    if (update == ADAM_W)
        weights *= 1 - r.rate * r.decay;
    else
        gradient += r.decay * weights;
    if (update == SGD)
        return weights - r.rate * gradient;
    if (update == SGD_MOMENTUM) {
        vector momenta = r.momentum * V(get)(first) + gradient;
        V(put)(first, momenta);
        return weights - r.rate * (nesterov ? gradient + r.momentum * momenta : momenta);
    }
    vector means = r.beta1 * V(get)(first) + (1 - r.beta1) * gradient;
    vector squares = r.beta2 * V(get)(second) + (1 - r.beta2) * gradient * gradient, roots;
    V(put)(first, means);
    V(put)(second, squares);
    for (int i = 0; i < LANES; i++)
        roots[i] = (real)sqrt(squares[i]);
    return weights - r.size * means / (roots / r.root + r.epsilon);
}

/* in: of `images` images, `inputs` cells each; gradients: `stride` cells each. back: null, or where the gradient of the
 * inputs is written. */
INLINE void V(linear_step)(const cell *restrict in, const cell *restrict gradients, real *restrict weights,
                           real *restrict first, real *restrict second, cell *restrict back, int inputs, int stride,
                           int images, Rates r, int update, int nesterov)
{
    for (int c = 0; c < inputs; c++) {
        vector arriving[FEW];
        UNROLL for (int i = 0; i < images; i++)
            arriving[i] = nothing;
        for (int o = 0; o < stride; o += LANES) {
            int at = c * stride + o;
            vector w = V(get)(weights + at), slope = nothing;
            UNROLL for (int i = 0; i < images; i++) {
                vector d = V(load)(gradients + i * stride + o);
                arriving[i] += w * d;
                slope += in[i * inputs + c] * d;
            }
            V(put)(weights + at, V(changed)(w, slope, first + at, second + at, r, update, nesterov));
        }
        if (back)
            UNROLL for (int i = 0; i < images; i++)
                back[i * inputs + c] = to_cell(V(total)(arriving[i]));
    }
}

/* ---- What is done to each number of z, and its gradient. One block of LANES channels. ---- */

typedef struct {
    vector u, v, y; /* y: after dropout */
    mask kept;
} V(Value);

INLINE V(Value) V(value)(const cell *z, const int16_t *words, vector scale, vector shift, After a, int at)
{
    V(Value) r;
    r.u = V(load)(z + at * a.stride);
    r.u = a.before ? V(maximum)(nothing, r.u) : r.u;
    r.v = a.norm ? r.u * scale + shift : r.u;
    r.y = a.after ? V(maximum)(nothing, r.v) : r.v;
    r.kept = V(all)();
    if (a.dropout) {
        r.kept = V(kept)(words + at * a.channels, a.lowest);
        r.y = V(where)(r.kept, r.y * a.factor);
    }
    return r;
}

/* From z to what the next layer is given, `row` cells from a row to the next. */
INLINE void V(activate)(const cell *restrict z, const int16_t *words, const real *scale, const real *shift,
                        cell *restrict out, int row, After a)
{
    vector by = a.norm ? V(get)(scale) : nothing, to = a.norm ? V(get)(shift) : nothing;
    for (int y = 0; y < a.height / a.high; y++)
        for (int x = 0; x < a.width / a.wide; x++) {
            int corner = y * a.high * a.width + x * a.wide;
            vector r = V(value)(z, words, by, to, a, corner).y;
            UNROLL for (int i = 1; i < a.high * a.wide; i++) {
                vector next = V(value)(z, words, by, to, a, corner + i / a.wide * a.width + i % a.wide).y;
                r = a.pool == MAX_POOL ? V(maximum)(next, r) : r + next;
            }
            r = a.pool == AVERAGE_POOL ? r * ((real)1 / (a.high * a.wide)) : r;
            V(store)(out + y * row + x * a.stride, r);
        }
}

/* From the gradient of the outputs of `activate` to that of v, added up with norm's sums (reducing), or to that of z,
 * `row` cells from a row to the next, its sum added to `bias` where that is not null. */
INLINE void V(differentiate)(const cell *restrict z, const int16_t *words, const cell *restrict arriving, Norm n, int c,
                             cell *restrict out, int row, double *sums, int apart, real *bias, int reducing, After a)
{
    vector by = nothing, to = nothing, times_v = nothing, times_u = nothing, constant = nothing;
    if (a.norm) {
        by = V(get)(n.scale + c), to = V(get)(n.shift + c);
        if (!reducing)
            times_v = V(get)(n.times_v + c), times_u = V(get)(n.times_u + c), constant = V(get)(n.constant + c);
    }
    vector sum = nothing, products = nothing;
    int high = a.height / a.high, wide = a.width / a.wide;
    for (int y = 0; y < high; y++)
        for (int x = 0; x < wide; x++) {
            int corner = y * a.high * a.width + x * a.wide;
            vector given = V(load)(arriving + (y * wide + x) * a.stride), best = nothing;
            mask open = V(all)(); /* channels whose largest number has not been met in this window */
            if (a.pool == AVERAGE_POOL)
                given *= (real)1 / (a.high * a.wide);
            if (a.pool == MAX_POOL) {
                best = V(value)(z, words, by, to, a, corner).y;
                UNROLL for (int i = 1; i < a.high * a.wide; i++)
                    best = V(maximum)(V(value)(z, words, by, to, a, corner + i / a.wide * a.width + i % a.wide).y, best);
            }
            UNROLL for (int i = 0; i < a.high * a.wide; i++) {
                V(Value) r = V(value)(z, words, by, to, a, corner + i / a.wide * a.width + i % a.wide);
                vector d = given;
                if (a.pool == MAX_POOL) {
                    mask here = V(both)(open, V(equal)(r.y, best));
                    open = V(without)(open, here);
                    d = V(where)(here, d);
                }
                if (a.dropout)
                    d = V(where)(r.kept, d * a.factor);
                if (a.after)
                    d = V(where)(V(above)(r.v, nothing), d);
                if (reducing) {
                    sum += d;
                    products += d * r.u;
                    continue;
                }
                if (a.norm)
                    d = d * times_v + (r.u * times_u + constant);
                if (a.before)
                    d = V(where)(V(above)(r.u, nothing), d);
                if (bias)
                    sum += d;
                V(store)(out + (y * a.high + i / a.wide) * row + (x * a.wide + i % a.wide) * a.stride, d);
            }
        }
    if (reducing)
        for (int i = 0; i < LANES; i++) {
            sums[i] += sum[i];
            sums[apart + i] += products[i];
        }
    /* Rows and columns that the pool's windows leave out still pass through the norm's mean and deviation. */
    if (!reducing && (a.height % a.high || a.width % a.wide))
        for (int y = 0; y < a.height; y++)
            for (int x = y < high * a.high ? wide * a.wide : 0; x < a.width; x++) {
                vector u = V(value)(z, words, by, to, a, y * a.width + x).u, d = nothing;
                if (a.norm)
                    d = u * times_u + constant;
                if (a.before)
                    d = V(where)(V(above)(u, nothing), d);
                if (bias)
                    sum += d;
                V(store)(out + y * row + x * a.stride, d);
            }
    if (bias)
        V(put)(bias, V(get)(bias) + sum);
}

#undef vector
#undef nothing
#undef mask
