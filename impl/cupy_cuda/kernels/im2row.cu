// im2row and its adjoint row2im, between maps (N, C, H, W) and the rows of a matrix product:
//
//   rows[c, r, s, n, p, q] = x[n, c, p * sv + r * dv - top, q * sh + s * dh - left],  0 outside the image.
//
// The filters (K, C R S) times this matrix (C R S, N P Q) is the convolution with axes (K, N, P Q); swap puts N first.
// One thread per (c, n, pixel): its writes, tap by tap, lie beside those of its neighbours. row2im gathers, so that no two
// threads add to one place and the sum has one order: same bits every time.

extern "C" __global__ void im2row(const scalar* x, scalar* rows, int images, int channels, int height, int width, int taps_v,
                                  int taps_h, int out_v, int out_h, int sv, int sh, int top, int left, int dv, int dh) {
    int pixel = PIXEL;
    if (pixel >= out_v * out_h) return;
    int h0 = pixel / out_h * sv - top, w0 = pixel % out_h * sh - left;
    offset step = (offset)images * out_v * out_h;
    FOR_PLANES(images * channels) {
        int c = plane / images, n = plane % images;
        const scalar* map = x + ((offset)n * channels + c) * height * width;
        scalar* at = rows + (offset)c * taps_v * taps_h * step + (offset)n * out_v * out_h + pixel;
        for (int r = 0; r < taps_v; r++) {
            int h = h0 + r * dv;
            for (int s = 0; s < taps_h; s++, at += step) {
                int w = w0 + s * dh;
                if (h >= 0 && h < height && w >= 0 && w < width) *at = map[(offset)h * width + w];
                else store(*at, real(0));
            }
        }
    }
}

extern "C" __global__ void row2im(const scalar* rows, scalar* x, int images, int channels, int height, int width, int taps_v,
                                  int taps_h, int out_v, int out_h, int sv, int sh, int top, int left, int dv, int dh) {
    int pixel = PIXEL;
    if (pixel >= height * width) return;
    int h = pixel / width + top, w = pixel % width + left;
    offset step = (offset)images * out_v * out_h;
    FOR_PLANES(images * channels) {
        int c = plane / images, n = plane % images;
        const scalar* from = rows + (offset)c * taps_v * taps_h * step + (offset)n * out_v * out_h;
        real sum = 0;
        for (int r = 0; r < taps_v; r++) {
            int p = h - r * dv;
            if (p < 0 || p % sv != 0 || p / sv >= out_v) continue;
            for (int s = 0; s < taps_h; s++) {
                int q = w - s * dh;
                if (q < 0 || q % sh != 0 || q / sh >= out_h) continue;
                sum += load(from[(offset)(r * taps_h + s) * step + (offset)(p / sv) * out_h + q / sh]);
            }
        }
        store(x[((offset)n * channels + c) * height * width + pixel], sum);
    }
}

// to[j, i, pixel] = from[i, j, pixel]: exchanges images and channels.
extern "C" __global__ void swap(const scalar* from, scalar* to, int size_i, int size_j, int pixels) {
    int pixel = PIXEL;
    if (pixel >= pixels) return;
    FOR_PLANES(size_i * size_j) {
        int i = plane / size_j, j = plane % size_j;
        to[((offset)j * size_i + i) * pixels + pixel] = from[(offset)plane * pixels + pixel];
    }
}

// The same from filters i to images j, with bias[i] on the way, where there is one, and the slope of relu (1: none).
extern "C" __global__ void finish(const scalar* from, scalar* to, const scalar* bias, int has_bias, real slope, int size_i,
                                  int size_j, int pixels) {
    int pixel = PIXEL;
    if (pixel >= pixels) return;
    FOR_PLANES(size_i * size_j) {
        int i = plane / size_j, j = plane % size_j;
        real value = load(from[(offset)plane * pixels + pixel]);
        if (has_bias) value += load(bias[i]);
        if (value <= 0 && slope != 1) value = slope == 0 ? real(0) : slope * value;
        store(to[((offset)j * size_i + i) * pixels + pixel], value);
    }
}
