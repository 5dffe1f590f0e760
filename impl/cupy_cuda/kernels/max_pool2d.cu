// Max pooling. best holds, for each output, the place in its plane of the first maximum in row-major order (of the first NaN
// where there is one). The gradient gathers: each input sums the dy of the windows that chose it.

extern "C" __global__ void forward(const scalar* x, scalar* y, int* best, int planes, int height, int width, int taps_v,
                                   int taps_h, int out_v, int out_h, int sv, int sh, int top, int left) {
    int pixel = PIXEL;
    if (pixel >= out_v * out_h) return;
    int h0 = pixel / out_h * sv - top, w0 = pixel % out_h * sh - left;
    int h1 = at_most(h0 + taps_v, height), w1 = at_most(w0 + taps_h, width);
    h0 = at_least(h0, 0), w0 = at_least(w0, 0);
    FOR_PLANES(planes) {
        const scalar* map = x + (offset)plane * height * width;
        int place = h0 * width + w0;
        real most = load(map[place]);
        for (int h = h0; h < h1; h++)
            for (int w = w0; w < w1; w++) {
                real value = load(map[h * width + w]);
                if (value > most || (is_nan(value) && !is_nan(most))) most = value, place = h * width + w;
            }
        y[(offset)plane * out_v * out_h + pixel] = map[place];
        best[(offset)plane * out_v * out_h + pixel] = place;
    }
}

extern "C" __global__ void backward(const scalar* dy, const int* best, scalar* dx, int planes, int height, int width,
                                    int taps_v, int taps_h, int out_v, int out_h, int sv, int sh, int top, int left) {
    int pixel = PIXEL;
    if (pixel >= height * width) return;
    int h = pixel / width, w = pixel % width;
    int p0 = first_window(h, taps_v, sv, top), p1 = end_window(h, sv, top, out_v);
    int q0 = first_window(w, taps_h, sh, left), q1 = end_window(w, sh, left, out_h);
    FOR_PLANES(planes) {
        offset out = (offset)plane * out_v * out_h;
        real sum = 0;
        for (int p = p0; p < p1; p++)
            for (int q = q0; q < q1; q++)
                if (best[out + p * out_h + q] == pixel) sum += load(dy[out + p * out_h + q]);
        store(dx[(offset)plane * height * width + pixel], sum);
    }
}
