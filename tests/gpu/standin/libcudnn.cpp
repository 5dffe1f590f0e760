// A stand-in for libcudnn on the host: the functions that impl/cudnn calls, as NVIDIA's manual describes them, for contiguous
// float and double arrays. Plain loops; nothing is shared with impl/cupy_cuda.
#include <math.h>
#include <stdlib.h>

#include <algorithm>

struct Tensor { int type, n, c, h, w; size_t size() const { return (size_t)n * c * h * w; } };
struct Pooling { int mode, nan, window[2], pad[2], stride[2]; };
struct Norm { unsigned n; double alpha, beta, k; };
enum { OK = 0, BAD_PARAM = 2000, NOT_SUPPORTED = 3000 };
typedef void* Handle;
static bool good(Handle h) { return h == (Handle)4242; }

// Runs f with a null pointer of the arrays' type.
template <typename F> static int with_type(const Tensor* t, F f) {
    if (t->type == 0) return f((float*)0);
    if (t->type == 1) return f((double*)0);
    return NOT_SUPPORTED;
}
template <typename T> static bool plain(const void* alpha, const void* beta) { return *(const T*)alpha == 1 && *(const T*)beta == 0; }
#define AS(name) auto name = (T*)name##_
#define TYPE typedef typename std::remove_pointer<decltype(type)>::type T

extern "C" {

const char* cudnnGetErrorString(int status) { return status == BAD_PARAM ? "BAD_PARAM" : "NOT_SUPPORTED"; }
int cudnnCreateTensorDescriptor(Tensor** t) { return *t = new Tensor(), OK; }
int cudnnSetTensor4dDescriptorEx(Tensor* t, int type, int n, int c, int h, int w, int sn, int sc, int sh, int sw) {
    if (std::min({n, c, h, w}) < 1 || sw != 1 || sh != w || sc != h * w || sn != c * h * w) return BAD_PARAM;
    return *t = {type, n, c, h, w}, OK;
}
int cudnnCreatePoolingDescriptor(Pooling** p) { return *p = new Pooling(), OK; }
int cudnnSetPooling2dDescriptor(Pooling* p, int mode, int nan, int wv, int wh, int pv, int ph, int sv, int sh) {
    return *p = {mode, nan, {wv, wh}, {pv, ph}, {sv, sh}}, OK;
}
int cudnnCreateLRNDescriptor(Norm** n) { return *n = new Norm(), OK; }
int cudnnSetLRNDescriptor(Norm* d, unsigned n, double alpha, double beta, double k) {
    if (n < 1 || n > 16 || beta < 0.01 || k < 1e-5) return BAD_PARAM;
    return *d = {n, alpha, beta, k}, OK;
}

// f(image and channel, output, first row, end row, first column, end column, count of an average)
}
template <typename F> static int windows(const Pooling* p, const Tensor* x, const Tensor* y, F f) {
    int out[2] = {(x->h + 2 * p->pad[0] - p->window[0]) / p->stride[0] + 1, (x->w + 2 * p->pad[1] - p->window[1]) / p->stride[1] + 1};
    if (y->n != x->n || y->c != x->c || y->h != out[0] || y->w != out[1]) return BAD_PARAM;
    for (int plane = 0; plane < x->n * x->c; plane++)
        for (int i = 0; i < y->h * y->w; i++) {
            int h = i / y->w * p->stride[0] - p->pad[0], w = i % y->w * p->stride[1] - p->pad[1];
            int h1 = std::min(h + p->window[0], x->h), w1 = std::min(w + p->window[1], x->w);
            int h0 = std::max(h, 0), w0 = std::max(w, 0);
            f(plane, i, h0, h1, w0, w1, p->mode == 1 ? p->window[0] * p->window[1] : (h1 - h0) * (w1 - w0));
        }
    return OK;
}
extern "C" {

int cudnnPoolingForward(Handle handle, Pooling* p, const void* a, const Tensor* xd, void* x_, const void* b, const Tensor* yd, void* y_) {
    return with_type(xd, [&](auto* type) -> int {
        TYPE; AS(x); AS(y);
        if (!good(handle) || !plain<T>(a, b)) return BAD_PARAM;
        return windows(p, xd, yd, [&](int plane, int i, int h0, int h1, int w0, int w1, int count) {
            T* map = x + (size_t)plane * xd->h * xd->w;
            T most = -INFINITY, sum = 0;
            for (int h = h0; h < h1; h++)
                for (int w = w0; w < w1; w++) {
                    T v = map[h * xd->w + w];
                    sum += v;
                    if (v > most || (p->nan && v != v)) most = v;
                }
            y[(size_t)plane * yd->h * yd->w + i] = p->mode == 1 || p->mode == 2 ? sum / count : most;
        });
    });
}

int cudnnPoolingBackward(Handle handle, Pooling* p, const void* a, const Tensor* yd, void* y_, const Tensor* dyd, void* dy_, const Tensor* xd,
                         void* x_, const void* b, const Tensor* dxd, void* dx_) {
    return with_type(xd, [&](auto* type) -> int {
        TYPE; AS(x); AS(y); AS(dy); AS(dx);
        if (!good(handle) || !plain<T>(a, b) || dyd->size() != yd->size() || dxd->size() != xd->size()) return BAD_PARAM;
        std::fill(dx, dx + xd->size(), T(0));
        return windows(p, xd, yd, [&](int plane, int i, int h0, int h1, int w0, int w1, int count) {
            size_t from = (size_t)plane * xd->h * xd->w, out = (size_t)plane * yd->h * yd->w + i;
            for (int h = h0; h < h1; h++)
                for (int w = w0; w < w1; w++) {
                    size_t at = from + h * xd->w + w;
                    if (p->mode == 1 || p->mode == 2) dx[at] += dy[out] / count;
                    else if (x[at] == y[out] || (x[at] != x[at] && y[out] != y[out])) { dx[at] += dy[out]; return; }
                }
        });
    });
}

int cudnnLRNCrossChannelForward(Handle handle, Norm* d, int mode, const void* a, const Tensor* xd, void* x_, const void* b, const Tensor* yd, void* y_) {
    return with_type(xd, [&](auto* type) -> int {
        TYPE; AS(x); AS(y);
        if (!good(handle) || !plain<T>(a, b) || mode || yd->size() != xd->size()) return BAD_PARAM;
        int low = (d->n - 1) / 2, high = d->n - 1 - low, hw = xd->h * xd->w;
        for (size_t i = 0; i < xd->size(); i++) {
            int c = i / hw % xd->c;
            double sum = 0;
            for (int j = std::max(c - low, 0); j <= std::min(c + high, xd->c - 1); j++) sum += pow(x[i + (long)(j - c) * hw], 2);
            y[i] = x[i] * pow(d->k + d->alpha / d->n * sum, -d->beta);
        }
        return OK;
    });
}

int cudnnLRNCrossChannelBackward(Handle handle, Norm* d, int mode, const void* a, const Tensor* yd, void* y_, const Tensor* dyd, void* dy_,
                                 const Tensor* xd, void* x_, const void* b, const Tensor* dxd, void* dx_) {
    return with_type(xd, [&](auto* type) -> int {
        TYPE; AS(x); AS(dy); AS(dx);
        if (!good(handle) || !plain<T>(a, b) || mode || dyd->size() != xd->size() || dxd->size() != xd->size()) return BAD_PARAM;
        int low = (d->n - 1) / 2, high = d->n - 1 - low, hw = xd->h * xd->w;
        std::fill(dx, dx + xd->size(), T(0));
        double* total = (double*)calloc(xd->size(), sizeof(double));
        for (size_t i = 0; i < xd->size(); i++) {
            int c = i / hw % xd->c, first = std::max(c - low, 0), last = std::min(c + high, xd->c - 1);
            double sum = 0;
            for (int j = first; j <= last; j++) sum += pow(x[i + (long)(j - c) * hw], 2);
            double base = d->k + d->alpha / d->n * sum;
            total[i] += dy[i] * pow(base, -d->beta);
            for (int j = first; j <= last; j++) {
                size_t at = i + (long)(j - c) * hw;
                total[at] -= 2 * d->alpha / d->n * d->beta * dy[i] * x[i] * pow(base, -d->beta - 1) * x[at];
            }
        }
        for (size_t i = 0; i < xd->size(); i++) dx[i] = total[i];
        free(total);
        return OK;
    });
}

int cudnnSoftmaxForward(Handle handle, int algorithm, int mode, const void* a, const Tensor* xd, void* x_, const void* b, const Tensor* yd, void* y_) {
    return with_type(xd, [&](auto* type) -> int {
        TYPE; AS(x); AS(y);
        if (!good(handle) || !plain<T>(a, b) || algorithm != 1 || mode != 1 || yd->size() != xd->size()) return BAD_PARAM;
        int hw = xd->h * xd->w;
        for (int place = 0; place < xd->n * hw; place++) {
            size_t at = (size_t)(place / hw) * xd->c * hw + place % hw;
            double most = -INFINITY, sum = 0;
            for (int c = 0; c < xd->c; c++) most = std::max<double>(most, x[at + (size_t)c * hw]);
            for (int c = 0; c < xd->c; c++) sum += exp(x[at + (size_t)c * hw] - most);
            for (int c = 0; c < xd->c; c++) y[at + (size_t)c * hw] = exp(x[at + (size_t)c * hw] - most) / sum;
        }
        return OK;
    });
}

int cudnnSoftmaxBackward(Handle handle, int algorithm, int mode, const void* a, const Tensor* yd, void* y_, const Tensor* dyd, void* dy_,
                         const void* b, const Tensor* dxd, void* dx_) {
    return with_type(yd, [&](auto* type) -> int {
        TYPE; AS(y); AS(dy); AS(dx);
        if (!good(handle) || !plain<T>(a, b) || algorithm != 1 || mode != 1 || dyd->size() != yd->size() || dxd->size() != yd->size()) return BAD_PARAM;
        int hw = yd->h * yd->w;
        for (int place = 0; place < yd->n * hw; place++) {
            size_t at = (size_t)(place / hw) * yd->c * hw + place % hw;
            double sum = 0;
            for (int c = 0; c < yd->c; c++) sum += (double)y[at + (size_t)c * hw] * dy[at + (size_t)c * hw];
            for (int c = 0; c < yd->c; c++) dx[at + (size_t)c * hw] = y[at + (size_t)c * hw] * (dy[at + (size_t)c * hw] - sum);
        }
        return OK;
    });
}

int cudnnBatchNormalizationForwardTraining(Handle handle, int mode, const void* a, const void* b, const Tensor* xd, void* x_, const Tensor* yd,
                                           void* y_, const Tensor* cd, void* scale_, void* bias_, double factor, void* run_mean,
                                           void* run_variance, double epsilon, void* mean_, void* inverse_) {
    return with_type(xd, [&](auto* type) -> int {
        TYPE; AS(x); AS(y); AS(scale); AS(bias); AS(mean); AS(inverse);
        if (!good(handle) || !plain<T>(a, b) || mode != 1 || (int)cd->size() != xd->c || cd->type != xd->type || run_mean || run_variance || factor != 1)
            return BAD_PARAM;
        int hw = xd->h * xd->w, count = xd->n * hw;
        for (int c = 0; c < xd->c; c++) {
            auto at = [&](int i) { return ((size_t)(i / hw) * xd->c + c) * hw + i % hw; };
            double sum = 0, squares = 0;
            for (int i = 0; i < count; i++) sum += x[at(i)];
            for (int i = 0; i < count; i++) squares += pow(x[at(i)] - sum / count, 2);
            double m = sum / count, r = 1 / sqrt(squares / count + epsilon);
            for (int i = 0; i < count; i++) y[at(i)] = scale[c] * ((x[at(i)] - m) * r) + bias[c];
            mean[c] = m, inverse[c] = r;
        }
        return OK;
    });
}

int cudnnBatchNormalizationBackward(Handle handle, int mode, const void* a, const void* b, const void* pa, const void* pb, const Tensor* xd, void* x_,
                                    const Tensor* dyd, void* dy_, const Tensor* dxd, void* dx_, const Tensor* cd, void* scale_, void* dscale_,
                                    void* dbias_, double epsilon, void* mean_, void* inverse_) {
    return with_type(xd, [&](auto* type) -> int {
        TYPE; AS(x); AS(dy); AS(dx); AS(scale); AS(dscale); AS(dbias); AS(mean); AS(inverse);
        if (!good(handle) || !plain<T>(a, b) || !plain<T>(pa, pb) || mode != 1 || (int)cd->size() != xd->c || epsilon < 0) return BAD_PARAM;
        int hw = xd->h * xd->w, count = xd->n * hw;
        for (int c = 0; c < xd->c; c++) {
            auto at = [&](int i) { return ((size_t)(i / hw) * xd->c + c) * hw + i % hw; };
            double sum = 0, products = 0;
            for (int i = 0; i < count; i++) sum += dy[at(i)], products += (double)dy[at(i)] * ((x[at(i)] - mean[c]) * inverse[c]);
            for (int i = 0; i < count; i++)
                dx[at(i)] = scale[c] * inverse[c] * (dy[at(i)] - sum / count - (x[at(i)] - mean[c]) * inverse[c] * products / count);
            dscale[c] = products, dbias[c] = sum;
        }
        return OK;
    });
}
}
