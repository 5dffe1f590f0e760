// Sums and maxima over the channels of each place (image and pixel). A block is blockDim.x places wide and blockDim.y lanes
// deep, 256 threads; the lanes of a place share its channels and meet in shared memory. See over_places in launch.py.

#define THREADS 256
#define PLACE ((offset)blockIdx.x * blockDim.x + threadIdx.x)

struct add { __device__ real operator()(real a, real b) const { return a + b; } };
struct larger { __device__ real operator()(real a, real b) const { return a > b || is_nan(a) ? a : b; } };

template <typename Merge> __device__ inline real over_lanes(real value, Merge merge) {
    __shared__ real values[THREADS];
    values[threadIdx.y * blockDim.x + threadIdx.x] = value;
    __syncthreads();
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        if (threadIdx.y < half)
            values[threadIdx.y * blockDim.x + threadIdx.x] =
                merge(values[threadIdx.y * blockDim.x + threadIdx.x], values[(threadIdx.y + half) * blockDim.x + threadIdx.x]);
        __syncthreads();
    }
    real result = values[threadIdx.x];
    __syncthreads();  // before the next call writes
    return result;
}

// Threads past the last place go along to the barriers, with an empty share of channels.
#define FOR_CHANNELS(c, channels) for (int c = threadIdx.y; c < (inside ? (channels) : 0); c += blockDim.y)
#define HERE(place, channels, pixels) ((place) / (pixels) * (channels) * (pixels) + (place) % (pixels))
