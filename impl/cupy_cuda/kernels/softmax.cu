// Softmax over channels, y_c = exp((x_c - m) / T) / sum, m the maximum; its gradient dx_c = y_c (dy_c - sum of y dy) / T; and
// the softmax log-loss of each place, log(sum) + m - x_label, with gradient y_c - [c = label]. T = 1 there.

#define LOWEST (-real(1) / real(0))

extern "C" __global__ void forward(const scalar* x, scalar* y, offset places, int channels, int pixels, real temperature) {
    offset place = PLACE;
    bool inside = place < places;
    offset here = inside ? HERE(place, channels, pixels) : 0;
    real most = LOWEST, sum = 0;
    FOR_CHANNELS(c, channels) most = larger()(most, load(x[here + (offset)c * pixels]) / temperature);
    most = over_lanes(most, larger());
    FOR_CHANNELS(c, channels) sum += exp(load(x[here + (offset)c * pixels]) / temperature - most);
    sum = over_lanes(sum, add());
    FOR_CHANNELS(c, channels)
        store(y[here + (offset)c * pixels], exp(load(x[here + (offset)c * pixels]) / temperature - most) / sum);
}

extern "C" __global__ void backward(const scalar* y, const scalar* dy, scalar* dx, offset places, int channels, int pixels,
                                    real temperature) {
    offset place = PLACE;
    bool inside = place < places;
    offset here = inside ? HERE(place, channels, pixels) : 0;
    real sum = 0;
    FOR_CHANNELS(c, channels) sum += load(y[here + (offset)c * pixels]) * load(dy[here + (offset)c * pixels]);
    sum = over_lanes(sum, add());
    FOR_CHANNELS(c, channels) {
        offset at = here + (offset)c * pixels;
        store(dx[at], load(y[at]) * (load(dy[at]) - sum) / temperature);
    }
}

extern "C" __global__ void log_loss_forward(const scalar* x, const int* labels, scalar* losses, scalar* maxima, scalar* sums,
                                            offset places, int channels, int pixels) {
    offset place = PLACE;
    bool inside = place < places;
    offset here = inside ? HERE(place, channels, pixels) : 0;
    real most = LOWEST, sum = 0;
    FOR_CHANNELS(c, channels) most = larger()(most, load(x[here + (offset)c * pixels]));
    most = over_lanes(most, larger());
    FOR_CHANNELS(c, channels) sum += exp(load(x[here + (offset)c * pixels]) - most);
    sum = over_lanes(sum, add());
    if (inside && threadIdx.y == 0) {
        store(losses[place], log(sum) + (most - load(x[here + (offset)labels[place] * pixels])));
        store(maxima[place], most);
        store(sums[place], sum);
    }
}

extern "C" __global__ void log_loss_backward(const scalar* x, const int* labels, const scalar* maxima, const scalar* sums,
                                             const scalar* dy, scalar* dx, offset places, int channels, int pixels) {
    offset place = PLACE;
    bool inside = place < places;
    offset here = inside ? HERE(place, channels, pixels) : 0;
    FOR_CHANNELS(c, channels) {
        offset at = here + (offset)c * pixels;
        real y = exp(load(x[at]) - load(maxima[place])) / load(sums[place]);
        store(dx[at], load(dy[0]) * (c == labels[place] ? y - 1 : y));
    }
}
