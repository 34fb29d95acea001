/* Refuse tensors whose shape promises more values than any request of Endcap's has.
 *
 * Loaded into tritonserver with LD_PRELOAD by `endcap serve`, where it is the server of the nvidia-pytriton wheel
 * (Triton 2.51). That version multiplies a shape's sizes without looking for an overflow, and makes room for what
 * the shape of a JSON tensor promises before it looks at the data: one request of a few bytes ends a Python
 * model's process, or the server. Every input of every protocol goes through the function below.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#define MOST_VALUES (INT64_C(1) << 22)
#define INVALID_ARG 3 /* TRITONSERVER_ERROR_INVALID_ARG of tritonserver.h */

typedef void *(*add_input)(void *, const char *, int, const int64_t *, uint64_t);
typedef void *(*error_new)(int, const char *);

/* Whether the sizes of a shape multiply to more than MOST_VALUES. A size of 0 counts as 1: numpy, too, takes the
 * product of the others. Negative ones are Triton's to refuse. */
static int promises_too_much(const int64_t *shape, uint64_t dim_count) {
    int64_t values = 1;
    for (uint64_t dim = 0; dim < dim_count; ++dim) {
        if (shape[dim] > 1 && __builtin_mul_overflow(values, shape[dim], &values)) return 1;
        if (values > MOST_VALUES) return 1;
    }
    return 0;
}

__attribute__((visibility("default"))) void *TRITONSERVER_InferenceRequestAddInput(
    void *request, const char *name, int datatype, const int64_t *shape, uint64_t dim_count) {
    if (shape != NULL && promises_too_much(shape, dim_count)) {
        error_new make = (error_new)dlsym(RTLD_DEFAULT, "TRITONSERVER_ErrorNew");
        char message[320];
        snprintf(message, sizeof message, "input '%.200s' has a shape of more than %" PRId64 " values",
                 name ? name : "", MOST_VALUES);
        return make(INVALID_ARG, message);
    }
    static add_input triton;
    if (!triton) triton = (add_input)dlsym(RTLD_NEXT, "TRITONSERVER_InferenceRequestAddInput");
    return triton(request, name, datatype, shape, dim_count);
}
