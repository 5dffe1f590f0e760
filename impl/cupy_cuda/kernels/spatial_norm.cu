// Spatial normalisation: y = x D^-beta, D = 1 + alpha * mean of x^2 over the pixels of the window that are in the image.
// The window of pixel (h, w) starts at (h - before_v, w - before_h).

__device__ inline int extent(int i, int before, int taps, int size, int* first) {
    *first = at_least(i - before, 0);
    return at_most(i - before + taps, size) - *first;
}

// D at pixel (h, w) of a map; count: how many pixels of the window are in the image.
__device__ inline real denominator(const scalar* map, int h, int w, int height, int width, int taps_v, int taps_h, int before_v,
                                   int before_h, real alpha, int* count) {
    int h0, w0, rows = extent(h, before_v, taps_v, height, &h0), columns = extent(w, before_h, taps_h, width, &w0);
    real sum = 0;
    for (int i = h0; i < h0 + rows; i++)
        for (int j = w0; j < w0 + columns; j++) {
            real value = load(map[(offset)i * width + j]);
            sum += value * value;
        }
    *count = rows * columns;
    return 1 + alpha * (sum / *count);
}

extern "C" __global__ void forward(const scalar* x, scalar* y, int planes, int height, int width, int taps_v, int taps_h,
                                   int before_v, int before_h, real alpha, real beta) {
    int pixel = PIXEL, count;
    if (pixel >= height * width) return;
    FOR_PLANES(planes) {
        const scalar* map = x + (offset)plane * height * width;
        real d = denominator(map, pixel / width, pixel % width, height, width, taps_v, taps_h, before_v, before_h, alpha, &count);
        store(y[(offset)plane * height * width + pixel], load(map[pixel]) * pow(d, -beta));
    }
}

// dx_i = dy_i D_i^-beta - 2 alpha beta x_i * sum over the windows j that hold i of T_j;  T_j = dy_j x_j D_j^(-beta-1) / count_j.
extern "C" __global__ void backward_terms(const scalar* x, const scalar* dy, scalar* direct, scalar* terms, int planes,
                                          int height, int width, int taps_v, int taps_h, int before_v, int before_h, real alpha,
                                          real beta) {
    int pixel = PIXEL, count;
    if (pixel >= height * width) return;
    FOR_PLANES(planes) {
        const scalar* map = x + (offset)plane * height * width;
        offset at = (offset)plane * height * width + pixel;
        real d = denominator(map, pixel / width, pixel % width, height, width, taps_v, taps_h, before_v, before_h, alpha, &count);
        real share = load(dy[at]) * pow(d, -beta);
        store(direct[at], share);
        store(terms[at], share * load(map[pixel]) / d / count);
    }
}

extern "C" __global__ void backward_sum(const scalar* x, const scalar* terms, scalar* dx, int planes, int height, int width,
                                        int taps_v, int taps_h, int before_v, int before_h, real factor) {
    int pixel = PIXEL, h0, w0;
    if (pixel >= height * width) return;
    int rows = extent(pixel / width, taps_v - 1 - before_v, taps_v, height, &h0);
    int columns = extent(pixel % width, taps_h - 1 - before_h, taps_h, width, &w0);
    FOR_PLANES(planes) {
        const scalar* map = terms + (offset)plane * height * width;
        offset at = (offset)plane * height * width + pixel;
        real sum = 0;
        for (int i = h0; i < h0 + rows; i++)
            for (int j = w0; j < w0 + columns; j++) sum += load(map[(offset)i * width + j]);
        // dx holds dy D^-beta on the way in.
        store(dx[at], load(dx[at]) - factor * load(x[at]) * sum);
    }
}
