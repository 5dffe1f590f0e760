// Local response normalisation over channels: y_i = x_i D_i^-beta, D_i = kappa + alpha * sum of x_j^2 over the window of i,
// i - below .. i + above. Each window is summed afresh: a sliding sum would lose small channels beside large ones.

__device__ inline real power(real base, real exponent) {
    // The usual exponent by two correctly rounded square roots.
    return exponent == real(-0.75) ? 1 / (sqrt(base) * sqrt(sqrt(base))) : pow(base, exponent);
}

// map points at this pixel in the first channel of the image.
__device__ inline real denominator(const scalar* map, int c, int channels, int pixels, int below, int above, real kappa,
                                   real alpha) {
    real sum = 0;
    for (int j = at_least(c - below, 0); j < at_most(c + above + 1, channels); j++) {
        real value = load(map[(offset)j * pixels]);
        sum += value * value;
    }
    return kappa + alpha * sum;
}

extern "C" __global__ void forward(const scalar* x, scalar* y, int images, int channels, int pixels, int below, int above,
                                   real kappa, real alpha, real beta) {
    int pixel = PIXEL;
    if (pixel >= pixels) return;
    FOR_PLANES(images * channels) {
        int c = plane % channels;
        offset at = (offset)plane * pixels + pixel;
        real d = denominator(x + at - (offset)c * pixels, c, channels, pixels, below, above, kappa, alpha);
        store(y[at], load(x[at]) * power(d, -beta));
    }
}

// dx_i = dy_i D_i^-beta - 2 alpha beta x_i * sum of T_j over the windows j that hold i;  T_j = dy_j x_j D_j^(-beta-1).
// First direct = dy D^-beta and T, then the sum: i - above .. i + below.
extern "C" __global__ void backward_terms(const scalar* x, const scalar* dy, scalar* direct, scalar* terms, int images,
                                          int channels, int pixels, int below, int above, real kappa, real alpha, real beta) {
    int pixel = PIXEL;
    if (pixel >= pixels) return;
    FOR_PLANES(images * channels) {
        int c = plane % channels;
        offset at = (offset)plane * pixels + pixel;
        real d = denominator(x + at - (offset)c * pixels, c, channels, pixels, below, above, kappa, alpha);
        real share = load(dy[at]) * power(d, -beta);
        store(direct[at], share);
        store(terms[at], share * load(x[at]) / d);
    }
}

extern "C" __global__ void backward_sum(const scalar* x, const scalar* terms, scalar* dx, int images, int channels, int pixels,
                                        int below, int above, real factor) {
    int pixel = PIXEL;
    if (pixel >= pixels) return;
    FOR_PLANES(images * channels) {
        int c = plane % channels;
        offset at = (offset)plane * pixels + pixel;
        const scalar* map = terms + at - (offset)c * pixels;
        real sum = 0;
        for (int j = at_least(c - above, 0); j < at_most(c + below + 1, channels); j++) sum += load(map[(offset)j * pixels]);
        // dx holds dy D^-beta on the way in.
        store(dx[at], load(dx[at]) - factor * load(x[at]) * sum);
    }
}
