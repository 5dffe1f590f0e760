// Sums over images and pixels, per channel: the mean, the variance and the gradients of batch_norm, and db of conv2d.
// A block sums one share of a channel as a tree in shared memory; parts holds one value per channel and share, and fold
// adds the shares in order. No atomics: the same bits every time. 256 threads a block.

#define THREADS 256

__device__ inline real block_sum(real value) {
    __shared__ real sums[THREADS];
    sums[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    real sum = sums[0];
    __syncthreads();  // before the next call writes
    return sum;
}

// The elements of channel blockIdx.y, counted over images and pixels, that fall to share blockIdx.x; and their place in x.
#define FOR_SHARE(i, size) for (int i = blockIdx.x * THREADS + threadIdx.x; i < (size); i += gridDim.x * THREADS)
__device__ inline offset place_of(int i, int channels, int pixels) {
    return ((offset)(i / pixels) * channels + blockIdx.y) * pixels + i % pixels;
}

extern "C" __global__ void sum_values(const scalar* x, real* parts, int images, int channels, int pixels) {
    real sum = 0;
    FOR_SHARE(i, images * pixels) sum += load(x[place_of(i, channels, pixels)]);
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[(offset)blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// The sum of (x - mean)^2.
extern "C" __global__ void sum_squares(const scalar* x, const real* mean, real* parts, int images, int channels, int pixels) {
    real sum = 0;
    FOR_SHARE(i, images * pixels) {
        real d = load(x[place_of(i, channels, pixels)]) - mean[blockIdx.y];
        sum += d * d;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[(offset)blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// The sum of dy * (x - mean) * inverse, inverse being 1 / the standard deviation.
extern "C" __global__ void sum_products(const scalar* x, const scalar* dy, const real* mean, const real* inverse, real* parts,
                                        int images, int channels, int pixels) {
    real sum = 0;
    FOR_SHARE(i, images * pixels) {
        offset at = place_of(i, channels, pixels);
        sum += load(dy[at]) * ((load(x[at]) - mean[blockIdx.y]) * inverse[blockIdx.y]);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[(offset)blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

extern "C" __global__ void fold(const real* parts, scalar* sums, int channels, int shares, real divisor) {
    FOR_ELEMENTS(c, channels) {
        real sum = 0;
        for (int i = 0; i < shares; i++) sum += parts[c * shares + i];
        store(sums[c], sum / divisor);
    }
}
