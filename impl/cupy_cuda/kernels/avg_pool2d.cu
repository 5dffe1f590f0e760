// Average pooling: the sum over the window divided by the pixels inside the image, or with include_pad by the pixels inside
// the padded image (a window that ceil_mode lets hang over the padding loses what hangs over).

__device__ inline int covered(int start, int taps, int size, int before, int after, int include_pad) {
    int low = include_pad ? -before : 0, high = include_pad ? size + after : size;
    return at_most(start + taps, high) - at_least(start, low);
}

extern "C" __global__ void forward(const scalar* x, scalar* y, int planes, int height, int width, int taps_v, int taps_h,
                                   int out_v, int out_h, int sv, int sh, int top, int left, int bottom, int right,
                                   int include_pad) {
    int pixel = PIXEL;
    if (pixel >= out_v * out_h) return;
    int h0 = pixel / out_h * sv - top, w0 = pixel % out_h * sh - left;
    int count = covered(h0, taps_v, height, top, bottom, include_pad) * covered(w0, taps_h, width, left, right, include_pad);
    int h1 = at_most(h0 + taps_v, height), w1 = at_most(w0 + taps_h, width);
    h0 = at_least(h0, 0), w0 = at_least(w0, 0);
    FOR_PLANES(planes) {
        const scalar* map = x + (offset)plane * height * width;
        real sum = 0;
        for (int h = h0; h < h1; h++)
            for (int w = w0; w < w1; w++) sum += load(map[h * width + w]);
        store(y[(offset)plane * out_v * out_h + pixel], sum / count);
    }
}

extern "C" __global__ void backward(const scalar* dy, scalar* dx, int planes, int height, int width, int taps_v,
                                    int taps_h, int out_v, int out_h, int sv, int sh, int top, int left, int bottom, int right,
                                    int include_pad) {
    int pixel = PIXEL;
    if (pixel >= height * width) return;
    int h = pixel / width, w = pixel % width;
    int p0 = first_window(h, taps_v, sv, top), p1 = end_window(h, sv, top, out_v);
    int q0 = first_window(w, taps_h, sh, left), q1 = end_window(w, sh, left, out_h);
    FOR_PLANES(planes) {
        const scalar* errors = dy + (offset)plane * out_v * out_h;
        real sum = 0;
        for (int p = p0; p < p1; p++) {
            int rows = covered(p * sv - top, taps_v, height, top, bottom, include_pad);
            for (int q = q0; q < q1; q++)
                sum += load(errors[p * out_h + q]) /
                       (rows * covered(q * sh - left, taps_h, width, left, right, include_pad));
        }
        store(dx[(offset)plane * height * width + pixel], sum);
    }
}
