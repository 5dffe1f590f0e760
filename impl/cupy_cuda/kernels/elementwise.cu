// Element by element: activations and their gradients, sums, products, the log-loss, the optimiser's step.

extern "C" __global__ void relu(const scalar* x, scalar* y, offset size, real slope) {
    FOR_ELEMENTS(i, size) {
        real value = load(x[i]);
        // A slope of 0 must not turn an infinite x into NaN; NaN itself goes through.
        if (value <= 0) value = slope == 0 ? real(0) : slope * value;
        store(y[i], value);
    }
}

extern "C" __global__ void relu_backward(const scalar* x, const scalar* dy, scalar* dx, offset size, real slope) {
    FOR_ELEMENTS(i, size) {
        real error = load(dy[i]);
        if (!(load(x[i]) > 0)) error = slope == 0 ? real(0) : slope * error;
        store(dx[i], error);
    }
}

extern "C" __global__ void sigmoid(const scalar* x, scalar* y, offset size) {
    FOR_ELEMENTS(i, size) {
        real value = load(x[i]), e = exp(-fabs(value));
        store(y[i], value >= 0 ? 1 / (1 + e) : e / (1 + e));
    }
}

extern "C" __global__ void sigmoid_backward(const scalar* y, const scalar* dy, scalar* dx, offset size) {
    FOR_ELEMENTS(i, size) {
        real value = load(y[i]);
        store(dx[i], load(dy[i]) * (value * (1 - value)));
    }
}

extern "C" __global__ void hyperbolic_tangent(const scalar* x, scalar* y, offset size) {
    FOR_ELEMENTS(i, size) store(y[i], tanh(load(x[i])));
}

extern "C" __global__ void hyperbolic_tangent_backward(const scalar* y, const scalar* dy, scalar* dx, offset size) {
    FOR_ELEMENTS(i, size) {
        real value = load(y[i]);
        store(dx[i], load(dy[i]) * (1 - value * value));
    }
}

extern "C" __global__ void multiply(const scalar* a, const scalar* b, scalar* y, offset size) {
    FOR_ELEMENTS(i, size) store(y[i], load(a[i]) * load(b[i]));
}

extern "C" __global__ void add(const scalar* a, const scalar* b, scalar* y, offset size) {
    FOR_ELEMENTS(i, size) store(y[i], load(a[i]) + load(b[i]));
}

// y[n, c, pixel] += bias[c]
extern "C" __global__ void add_bias(scalar* y, const scalar* bias, offset size, int channels, int pixels) {
    FOR_ELEMENTS(i, size) store(y[i], load(y[i]) + load(bias[i / pixels % channels]));
}

// The loss -log x at the label of each place (image and pixel); dx is dy times -1 / x there, 0 elsewhere.
extern "C" __global__ void log_loss(const scalar* x, const int* labels, scalar* losses, offset places, int channels,
                                    int pixels) {
    FOR_ELEMENTS(place, places)
        store(losses[place], -log(load(x[(place / pixels * channels + labels[place]) * pixels + place % pixels])));
}

extern "C" __global__ void log_loss_backward(const scalar* x, const int* labels, const scalar* dy, scalar* dx, offset size,
                                             int channels, int pixels) {
    FOR_ELEMENTS(i, size) {
        int c = i / pixels % channels;
        offset place = i / pixels / channels * pixels + i % pixels;
        store(dx[i], c == labels[place] ? -load(dy[0]) / load(x[i]) : real(0));
    }
}

// v = momentum v + (dw + decay w), w = w - lr v
extern "C" __global__ void sgd(scalar* w, scalar* v, const scalar* dw, offset size, real lr, real momentum, real decay) {
    FOR_ELEMENTS(i, size) {
        real velocity = momentum * load(v[i]) + (load(dw[i]) + decay * load(w[i]));
        store(v[i], velocity);
        store(w[i], load(w[i]) - lr * velocity);
    }
}
