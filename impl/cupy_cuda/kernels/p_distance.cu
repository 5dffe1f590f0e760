// The p-distance over channels, y = (sum of |x - t|^p)^(1/p), or without root the sum itself, and its gradient
// dx = dy * y^(1-p) * sign(d) |d|^(p-1) (without root: dy * p * ...), d = x - t; 0 where d = 0.

__device__ inline real power(real base, real exponent) {
    if (exponent == 0) return 1;
    if (exponent == 1) return base;
    if (exponent == 2) return base * base;
    return pow(base, exponent);
}

// sums keeps the sum of |d|^p of each place for the gradient.
extern "C" __global__ void forward(const scalar* x, const scalar* target, scalar* y, scalar* sums, offset places, int channels,
                                   int pixels, real p, int root) {
    offset place = PLACE;
    bool inside = place < places;
    offset here = inside ? HERE(place, channels, pixels) : 0;
    real sum = 0;
    FOR_CHANNELS(c, channels) {
        offset at = here + (offset)c * pixels;
        sum += power(fabs(load(x[at]) - load(target[at])), p);
    }
    sum = over_lanes(sum, add());
    if (inside && threadIdx.y == 0) {
        store(sums[place], sum);
        store(y[place], root && p != 1 ? (p == 2 ? sqrt(sum) : pow(sum, 1 / p)) : sum);
    }
}

extern "C" __global__ void backward(const scalar* x, const scalar* target, const scalar* dy, const scalar* sums, scalar* dx,
                                    scalar* dtarget, offset places, int channels, int pixels, real p, int root) {
    offset place = PLACE;
    bool inside = place < places;
    offset here = inside ? HERE(place, channels, pixels) : 0;
    real factor = 0;
    if (inside) {
        real sum = load(sums[place]);
        factor = load(dy[place]);
        if (!root) factor *= p;
        else if (p == 2) factor /= sqrt(sum);
        else if (p != 1) factor *= pow(sum, 1 / p - 1);
    }
    FOR_CHANNELS(c, channels) {
        offset at = here + (offset)c * pixels;
        real d = load(x[at]) - load(target[at]);
        real slope = d == 0 ? real(0) : factor * power(fabs(d), p - 1);
        store(dx[at], d < 0 ? -slope : slope);
        store(dtarget[at], d < 0 ? slope : -slope);
    }
}
