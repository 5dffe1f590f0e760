// Put before every kernel file. SCALAR is the dtype of the arrays: float, double, float16 or bfloat16.
//
// scalar is how a number lies in memory, real what is computed in: float for the 16-bit formats. Their conversions are
// written out here, so that no CUDA header is needed. Kernels are extern "C", one compilation per dtype.
//
// Kernels that walk maps see x as planes (one channel of one image) of pixels: see over_maps in launch.py. There, plane and
// pixel are what this thread handles. Offsets into arrays are 64-bit; planes and the pixels of one are fewer than 2^31.

struct float16 { unsigned short bits; };
struct bfloat16 { unsigned short bits; };

template <typename T> struct arithmetic { typedef T type; };
template <> struct arithmetic<float16> { typedef float type; };
template <> struct arithmetic<bfloat16> { typedef float type; };

typedef SCALAR scalar;
typedef arithmetic<scalar>::type real;
typedef long long offset;

__device__ inline float load(float x) { return x; }
__device__ inline double load(double x) { return x; }

__device__ inline float load(bfloat16 x) {
    union { unsigned int bits; float value; } wide = {(unsigned int)x.bits << 16};
    return wide.value;
}

__device__ inline float load(float16 x) {
#ifdef __CUDA_ARCH__
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
    return value;
#else
    return host_half_to_float(x.bits);
#endif
}

__device__ inline void store(float& at, float value) { at = value; }
__device__ inline void store(double& at, double value) { at = value; }

// Rounds to the nearest, ties to even; a NaN stays a NaN.
__device__ inline void store(bfloat16& at, float value) {
    union { float value; unsigned int bits; } wide = {value};
    at.bits = value != value ? 0x7fc0 : (wide.bits + 0x7fff + ((wide.bits >> 16) & 1)) >> 16;
}

__device__ inline void store(float16& at, float value) {
#ifdef __CUDA_ARCH__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(at.bits) : "f"(value));
#else
    at.bits = host_float_to_half(value);
#endif
}

__device__ inline bool is_nan(real x) { return x != x; }

// The loops over planes and elements: a grid may be smaller than what it covers.
#define FOR_PLANES(planes)                                                                                          \
    for (int plane = blockIdx.y * blockDim.y + threadIdx.y; plane < (planes); plane += gridDim.y * blockDim.y)
#define FOR_ELEMENTS(i, size)                                                                                       \
    for (offset i = (offset)blockIdx.x * blockDim.x + threadIdx.x; i < (size); i += (offset)gridDim.x * blockDim.x)
#define PIXEL ((int)(blockIdx.x * blockDim.x + threadIdx.x))

// The first output whose window of taps starting at output * stride - before reaches the input i, and one past the last.
__device__ inline int first_window(int i, int taps, int stride, int before) {
    int reach = i + before - taps + 1;
    return reach <= 0 ? 0 : (reach + stride - 1) / stride;
}
__device__ inline int end_window(int i, int stride, int before, int outputs) {
    int last = (i + before) / stride + 1;
    return last < outputs ? last : outputs;
}
__device__ inline int at_least(int a, int least) { return a < least ? least : a; }
__device__ inline int at_most(int a, int most) { return a > most ? most : a; }
