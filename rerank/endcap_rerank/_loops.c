/* The loops of a search that numpy makes slow: many steps over few numbers, and choices that depend on each other.
 *
 * _loops.pyi says what each function does, loops.py what is done where this could not be compiled. Arrays are buffers,
 * C-contiguous, of the types that _loops.pyi names; here their sizes are checked against each other.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000 /* one build for Python 3.11 and later */
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One build for all processors: the loader takes the variant for the one it finds. GCC knows these names from 12 on. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12
#define EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EACH_PROCESSOR
#endif

#define LANES 64

/* Inner product of two vectors. Sums run side by side, so that they fit in registers of any width. */
EACH_PROCESSOR static float product(const float *one, const float *other, Py_ssize_t size) {
    float sums[LANES] = {0};
    Py_ssize_t at = 0;
    for (; at + LANES <= size; at += LANES)
        for (int lane = 0; lane < LANES; ++lane) sums[lane] += one[at + lane] * other[at + lane];
    for (int lane = 0; at < size; ++at, ++lane) sums[lane] += one[at] * other[at];
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
    return sums[0];
}

/* Buffers --------------------------------------------------------------------------------------------------- */

/* The buffers of a call, released together. */
#define MOST_BUFFERS 10
typedef struct {
    Py_buffer views[MOST_BUFFERS];
    int held;
} buffers;

static void release(buffers *all) {
    while (all->held > 0) PyBuffer_Release(&all->views[--all->held]);
}

/* The numbers of an array of ``count`` items of ``width`` bytes; any count where it is negative. */
static void *numbers(buffers *all, PyObject *array, int width, Py_ssize_t count, int writable) {
    Py_buffer *view = &all->views[all->held];
    if (PyObject_GetBuffer(array, view, PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0)) < 0) return NULL;
    ++all->held;
    if (view->len % width != 0 || (count >= 0 && view->len != count * width)) {
        PyErr_Format(PyExc_ValueError, "an array of %zd bytes where %zd items of %d are expected", view->len,
                     count, width);
        return NULL;
    }
    return view->buf;
}

static Py_ssize_t length(const buffers *all, int width) { return all->views[all->held - 1].len / width; }

/* top ------------------------------------------------------------------------------------------------------- */

/* A score and its position as a number: the higher the score, the lower it is, and of equal scores, the lower the
 * position. */
static uint64_t key_of(float score, Py_ssize_t position) {
    uint32_t bits;
    score += 0.0f; /* -0 is 0 */
    memcpy(&bits, &score, sizeof bits);
    bits ^= (bits >> 31) ? UINT32_C(0xFFFFFFFF) : UINT32_C(0x80000000);
    if (isnan(score)) bits = 0;
    return ((uint64_t)~bits << 32) | (uint32_t)position;
}

/* Put the ``count`` lowest keys first, in any order (Hoare's quickselect). */
static void lowest_first(uint64_t *keys, Py_ssize_t size, Py_ssize_t count) {
    Py_ssize_t low = 0, high = size - 1;
    while (low < high) {
        uint64_t pivot = keys[low + (high - low) / 2];
        Py_ssize_t left = low, right = high;
        while (left <= right) {
            while (keys[left] < pivot) ++left;
            while (keys[right] > pivot) --right;
            if (left <= right) {
                uint64_t swapped = keys[left];
                keys[left++] = keys[right];
                keys[right--] = swapped;
            }
        }
        if (count - 1 <= right) high = right;
        else if (count - 1 >= left) low = left;
        else return;
    }
}

static int ascending(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

#define BLOCK 32

/* Room for keys: twice as many as are kept, and a block more. */
typedef struct {
    uint64_t *keys;
    Py_ssize_t held, wanted;
    float limit; /* scores at or below it are not among the best; NaN while all may be */
} reservoir;

/* Keep the best of what is held, and tell from them what may follow. */
static void settle(reservoir *best, const float *scores) {
    lowest_first(best->keys, best->held, best->wanted);
    best->held = best->wanted;
    float lowest = INFINITY; /* a later one of the same score stands behind those */
    for (Py_ssize_t at = 0; at < best->held; ++at) {
        const float score = scores[(uint32_t)best->keys[at]];
        if (score < lowest) lowest = score;
    }
    if (!(lowest <= best->limit)) best->limit = lowest;
}

EACH_PROCESSOR static void collect(reservoir *best, const float *scores, const uint8_t *passing, Py_ssize_t size) {
    for (Py_ssize_t from = 0; from < size; from += BLOCK) {
        const Py_ssize_t to = from + BLOCK < size ? from + BLOCK : size;
        if (to == from + BLOCK) {
            const float limit = best->limit;
            int below = 0; /* counted, as that is done on many at once */
            for (int at = 0; at < BLOCK; ++at) below += scores[from + at] <= limit;
            if (below == BLOCK) continue;
        }
        for (Py_ssize_t at = from; at < to; ++at)
            if (!(scores[at] <= best->limit) && (passing == NULL || passing[at]))
                best->keys[best->held++] = key_of(scores[at], at);
        if (best->held >= 2 * best->wanted) settle(best, scores);
    }
}

static PyObject *top(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *of_scores, *of_passing, *of_found;
    Py_ssize_t count;
    double above;
    if (!PyArg_ParseTuple(args, "OndOO", &of_scores, &count, &above, &of_passing, &of_found)) return NULL;
    if (count < 0) {
        PyErr_Format(PyExc_ValueError, "a count of %zd", count);
        return NULL;
    }
    buffers all = {.held = 0};
    PyObject *result = NULL;
    const float *scores = numbers(&all, of_scores, 4, -1, 0);
    if (scores == NULL) goto done;
    const Py_ssize_t size = length(&all, 4);
    const uint8_t *passing = of_passing == Py_None ? NULL : numbers(&all, of_passing, 1, size, 0);
    if (of_passing != Py_None && passing == NULL) goto done;
    int64_t *found = numbers(&all, of_found, 8, count, 1);
    if (found == NULL) goto done;
    if (size > UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "more than 2^32 scores");
        goto done;
    }
    reservoir best = {malloc((2 * count + BLOCK) * sizeof(uint64_t)), 0, count, (float)above};
    if (best.keys == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    collect(&best, scores, passing, size);
    if (best.held > count) {
        lowest_first(best.keys, best.held, count);
        best.held = count;
    }
    qsort(best.keys, best.held, sizeof(uint64_t), ascending);
    for (Py_ssize_t place = 0; place < best.held; ++place) found[place] = (uint32_t)best.keys[place];
    free(best.keys);
    result = PyLong_FromSsize_t(best.held);
done:
    release(&all);
    return result;
}

/* add ------------------------------------------------------------------------------------------------------- */

static PyObject *add(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *of_total, *of_rows, *of_impacts;
    double weight;
    if (!PyArg_ParseTuple(args, "OOOd", &of_total, &of_rows, &of_impacts, &weight)) return NULL;
    buffers all = {.held = 0};
    PyObject *result = NULL;
    float *total = numbers(&all, of_total, 4, -1, 1);
    if (total == NULL) goto done;
    const Py_ssize_t size = length(&all, 4);
    const int32_t *rows = numbers(&all, of_rows, 4, -1, 0);
    if (rows == NULL) goto done;
    const Py_ssize_t count = length(&all, 4);
    const float *impacts = numbers(&all, of_impacts, 4, count, 0);
    if (impacts == NULL) goto done;
    const float factor = (float)weight;
    for (Py_ssize_t at = 0; at < count; ++at) {
        const int32_t row = rows[at];
        if (row < 0 || row >= size) {
            PyErr_Format(PyExc_IndexError, "row %d of %zd", row, size);
            goto done;
        }
        total[row] += impacts[at] * factor;
    }
    result = Py_NewRef(Py_None);
done:
    release(&all);
    return result;
}

/* dpp ------------------------------------------------------------------------------------------------------- */

#define CLOSED (-INFINITY)
#define TAKEN (INT32_C(1) << 30)

/* Where a selection stands. Of candidate i the first ``known[i]`` coordinates along the basis are computed. */
typedef struct {
    Py_ssize_t size, width, k, filled;
    Py_ssize_t groups, caps;
    const float *embeddings, *weights, *relevance;
    const int64_t *codes, *cap_codes, *limits;
    float cosine_weight, floor;
    float *base;        /* [n] relevance, or CLOSED */
    float *spread;      /* [n] log d², as of ``known`` */
    float *squared;     /* [n] d², as of ``known`` */
    float *coordinates; /* [n, k] */
    int32_t *known;     /* [n] */
    int32_t *excess;    /* [n] by how much taking a candidate would exceed the caps */
    float *factors;     /* [k] 1 / length of each basis vector, 0 where it is none */
    int64_t *taken;     /* [k] */
    uint8_t *exceeded;  /* [caps] */
} selection;

static float similarity(const selection *s, Py_ssize_t one, Py_ssize_t other) {
    float sum = s->cosine_weight * product(s->embeddings + one * s->width, s->embeddings + other * s->width, s->width);
    for (Py_ssize_t group = 0; group < s->groups; ++group) {
        const int64_t *codes = s->codes + group * s->size;
        if (codes[one] == codes[other]) sum += s->weights[group];
    }
    return sum;
}

/* Compute the coordinates of a candidate along what was selected since it was last looked at. */
static void look_at(selection *s, Py_ssize_t candidate) {
    float *own = s->coordinates + candidate * s->k;
    if (s->known[candidate] == s->filled) return;
    for (Py_ssize_t step = s->known[candidate]; step < s->filled; ++step) {
        own[step] = 0.0f;
        if (s->factors[step] == 0.0f) continue;
        const float *basis = s->coordinates + s->taken[step] * s->k;
        own[step] = (similarity(s, s->taken[step], candidate) - product(own, basis, step)) * s->factors[step];
        s->squared[candidate] -= own[step] * own[step];
    }
    s->known[candidate] = (int32_t)s->filled;
    s->spread[candidate] = logf(s->squared[candidate] > s->floor ? s->squared[candidate] : s->floor);
}

/* The candidate of the largest base + spread, the first of equals; -1 where all are CLOSED. What is selected only
 * takes from the spread of the others, so one need not be looked at again while its gain of earlier does not lead
 * (Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978). */
static Py_ssize_t leader(selection *s) {
    Py_ssize_t best = -1;
    float most = CLOSED;
    for (Py_ssize_t at = 0; at < s->size; ++at) {
        const float gain = s->base[at] + s->spread[at];
        if (gain > most) most = gain, best = at;
    }
    if (best < 0) return best;
    look_at(s, best);
    most = s->base[best] + s->spread[best];
    for (Py_ssize_t at = 0; at < s->size; ++at) {
        if (s->base[at] + s->spread[at] < most || at == best) continue;
        look_at(s, at);
        const float gain = s->base[at] + s->spread[at];
        if (gain > most || (gain == most && at < best)) most = gain, best = at;
    }
    return best;
}

/* The best of those that exceed the caps by the least. */
static Py_ssize_t least_excess(selection *s) {
    int32_t least = INT32_MAX;
    for (Py_ssize_t at = 0; at < s->size; ++at)
        if (s->excess[at] < least) least = s->excess[at];
    Py_ssize_t best = 0;
    float most = CLOSED;
    for (Py_ssize_t at = 0; at < s->size; ++at) {
        if (s->excess[at] != least) continue;
        look_at(s, at);
        if (s->relevance[at] + s->spread[at] > most) most = s->relevance[at] + s->spread[at], best = at;
    }
    return best;
}

/* Make a candidate that was looked at the next one of the list. */
static void take(selection *s, Py_ssize_t chosen) {
    s->base[chosen] = CLOSED;
    s->excess[chosen] += TAKEN;
    s->taken[s->filled] = chosen;
    for (Py_ssize_t cap = 0; cap < s->caps; ++cap) {
        const int64_t *codes = s->cap_codes + cap * s->size;
        const int64_t code = codes[chosen];
        if (code < 0) continue;
        int64_t count = 0;
        for (Py_ssize_t place = 0; place <= s->filled; ++place) count += codes[s->taken[place]] == code;
        if (count > s->limits[cap]) s->exceeded[cap] = 1;
        if (count < s->limits[cap]) continue;
        for (Py_ssize_t at = 0; at < s->size; ++at)
            if (codes[at] == code) s->excess[at] += 1, s->base[at] = CLOSED;
    }
    const float share = s->squared[chosen];
    s->factors[s->filled] = share > s->floor ? 1.0f / sqrtf(share) : 0.0f;
    ++s->filled;
    s->known[chosen] = (int32_t)s->filled;
}

static PyObject *dpp(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *of_embeddings, *of_codes, *of_weights, *of_relevance, *of_first, *of_cap_codes, *of_limits;
    PyObject *of_rows, *of_values, *of_exceeded;
    int strict;
    selection s = {0};
    if (!PyArg_ParseTuple(args, "OfOOOfOOOpOOO", &of_embeddings, &s.cosine_weight, &of_codes, &of_weights,
                          &of_relevance, &s.floor, &of_first, &of_cap_codes, &of_limits, &strict, &of_rows,
                          &of_values, &of_exceeded))
        return NULL;
    buffers all = {.held = 0};
    PyObject *result = NULL;
    void *room = NULL;
    if ((s.relevance = numbers(&all, of_relevance, 4, -1, 0)) == NULL) goto done;
    s.size = length(&all, 4);
    if ((s.embeddings = numbers(&all, of_embeddings, 4, -1, 0)) == NULL) goto done;
    s.width = s.size > 0 ? length(&all, 4) / s.size : 0;
    if (length(&all, 4) != s.size * s.width) {
        PyErr_SetString(PyExc_ValueError, "embeddings and relevance differ in length");
        goto done;
    }
    if ((s.weights = numbers(&all, of_weights, 4, -1, 0)) == NULL) goto done;
    s.groups = length(&all, 4);
    if ((s.codes = numbers(&all, of_codes, 8, s.groups * s.size, 0)) == NULL) goto done;
    const int64_t *first = numbers(&all, of_first, 8, -1, 0);
    if (first == NULL) goto done;
    const Py_ssize_t pinned = length(&all, 8);
    if ((s.limits = numbers(&all, of_limits, 8, -1, 0)) == NULL) goto done;
    s.caps = length(&all, 8);
    if ((s.cap_codes = numbers(&all, of_cap_codes, 8, s.caps * s.size, 0)) == NULL) goto done;
    if ((s.exceeded = numbers(&all, of_exceeded, 1, s.caps, 1)) == NULL) goto done;
    int64_t *rows = numbers(&all, of_rows, 8, -1, 1);
    if (rows == NULL) goto done;
    s.k = length(&all, 8);
    float *values = numbers(&all, of_values, 4, s.k, 1);
    if (values == NULL) goto done;
    if (s.k > s.size || pinned > s.k) {
        PyErr_SetString(PyExc_ValueError, "more are to be selected than there are");
        goto done;
    }
    for (Py_ssize_t at = 0; at < pinned; ++at)
        if (first[at] < 0 || first[at] >= s.size) {
            PyErr_SetString(PyExc_IndexError, "a position to take first is none of a candidate");
            goto done;
        }
    const size_t size = (size_t)s.size, k = (size_t)s.k;
    room = calloc(size * (3 * sizeof(float) + 2 * sizeof(int32_t)) + (size + 1) * k * sizeof(float) + 8, 1);
    if (room == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    s.base = room;
    s.spread = s.base + size;
    s.squared = s.spread + size;
    s.coordinates = s.squared + size;
    s.factors = s.coordinates + size * k;
    s.known = (int32_t *)(s.factors + k);
    s.excess = s.known + size;
    s.taken = rows;
    memcpy(s.base, s.relevance, size * sizeof(float));
    for (Py_ssize_t at = 0; at < s.size; ++at) s.squared[at] = 1.0f;

    while (s.filled < s.k) {
        const Py_ssize_t step = s.filled;
        Py_ssize_t best = step < pinned ? (Py_ssize_t)first[step] : leader(&s);
        if (best < 0 || s.base[best] == CLOSED) { /* a pin beyond a cap, or nothing fits the caps any more */
            if (strict) break;
            if (best < 0) best = least_excess(&s);
        }
        look_at(&s, best);
        values[step] = s.relevance[best] + s.spread[best];
        take(&s, best);
    }
    result = PyLong_FromSsize_t(s.filled);
done:
    free(room);
    release(&all);
    return result;
}

/* ----------------------------------------------------------------------------------------------------------- */

static PyMethodDef functions[] = {
    {"top", top, METH_VARARGS, NULL},
    {"add", add, METH_VARARGS, NULL},
    {"dpp", dpp, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "endcap_rerank._loops", NULL, 0, functions, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__loops(void) { return PyModuleDef_Init(&definition); }
