// Batch normalisation: y = gain_c h + bias_c, h = (x - mean_c) inverse_c, inverse = 1 / sqrt(variance + epsilon).
// The means, variances and sums over dy come from channel_sums.cu.

extern "C" __global__ void invert(const scalar* variance, scalar* inverse, int channels, real epsilon) {
    FOR_ELEMENTS(c, channels) store(inverse[c], 1 / sqrt(load(variance[c]) + epsilon));
}

extern "C" __global__ void forward(const scalar* x, const scalar* gain, const scalar* bias, const scalar* mean,
                                   const scalar* inverse, scalar* y, int images, int channels, int pixels) {
    int pixel = PIXEL;
    if (pixel >= pixels) return;
    FOR_PLANES(images * channels) {
        int c = plane % channels;
        offset at = (offset)plane * pixels + pixel;
        real h = (load(x[at]) - load(mean[c])) * load(inverse[c]);
        store(y[at], load(gain[c]) * h + load(bias[c]));
    }
}

// Training: dx = gain inverse (dy - mean of dy - h mean of dy h). With given moments (training 0) only gain inverse dy.
extern "C" __global__ void backward(const scalar* x, const scalar* dy, const scalar* gain, const scalar* mean,
                                    const scalar* inverse, const scalar* dgain, const scalar* dbias, scalar* dx, int training,
                                    int images, int channels, int pixels) {
    int pixel = PIXEL;
    if (pixel >= pixels) return;
    real count = (real)images * pixels;
    FOR_PLANES(images * channels) {
        int c = plane % channels;
        offset at = (offset)plane * pixels + pixel;
        real error = load(dy[at]);
        if (training) {
            real h = (load(x[at]) - load(mean[c])) * load(inverse[c]);
            error = error - load(dbias[c]) / count - h * (load(dgain[c]) / count);
        }
        store(dx[at], load(gain[c]) * load(inverse[c]) * error);
    }
}
