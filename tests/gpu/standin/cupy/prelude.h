// CUDA for the host: a block's threads run one after another, each up to the next barrier, on stacks of their own.
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <utility>

#define __global__
#define __device__
#define __shared__ static

struct Index { int x, y, z; };
static Index threadIdx, blockIdx, blockDim, gridDim;

namespace host {

enum { MOST_THREADS = 1024, STACK = 1 << 16 };
struct Thread { jmp_buf at; Index index; bool started, done; char* stack; };
static Thread threads[MOST_THREADS];
static Thread* running;
static jmp_buf scheduler;
static void (*call)(void**);
static void** arguments;

static void run_thread() {
    call(arguments);
    running->done = true;
    _longjmp(scheduler, 1);
}

static void barrier() {
    if (_setjmp(running->at) == 0) _longjmp(scheduler, 1);
    threadIdx = running->index;
}

static void resume(Thread* thread) {
    running = thread;
    threadIdx = thread->index;
    if (_setjmp(scheduler)) return;
    if (thread->started) _longjmp(thread->at, 1);
    thread->started = true;
    if (!thread->stack) thread->stack = (char*)malloc(STACK);
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = thread->stack;
    context.uc_stack.ss_size = STACK;
    context.uc_link = 0;
    makecontext(&context, run_thread, 0);
    setcontext(&context);
}

// All threads of a block meet at every barrier; one that ends while others wait is what a GPU calls undefined.
static void run_block(bool reversed) {
    int count = blockDim.x * blockDim.y * blockDim.z;
    for (int i = 0; i < count; i++) {
        int x = i % blockDim.x, y = i / blockDim.x % blockDim.y, z = i / blockDim.x / blockDim.y;
        threads[i].index = {x, y, z}, threads[i].started = threads[i].done = false;
    }
    for (int done = 0; done < count;) {
        for (int i = 0; i < count; i++) resume(&threads[reversed ? count - 1 - i : i]);
        done = 0;
        for (int i = 0; i < count; i++) done += threads[i].done;
        if (done && done < count) fprintf(stderr, "a kernel's threads do not all reach the same barrier\n"), abort();
    }
}

template <typename... P, size_t... I> void unpack(void (*kernel)(P...), void** a, std::index_sequence<I...>) {
    kernel(*(P*)a[I]...);
}
template <typename... P> void apply(void (*kernel)(P...), void** a) { unpack(kernel, a, std::index_sequence_for<P...>()); }

// Threads and blocks are independent between barriers, so any order is right; every other launch takes the reverse one.
static void launch(void (*kernel)(void**), bool barriers, const int* grid, const int* block, void** a, bool reversed) {
    gridDim = {grid[0], grid[1], grid[2]}, blockDim = {block[0], block[1], block[2]};
    call = kernel, arguments = a;
    int blocks = grid[0] * grid[1] * grid[2], count = block[0] * block[1] * block[2];
    for (int b = 0; b < blocks; b++) {
        int at = reversed ? blocks - 1 - b : b;
        blockIdx = {at % grid[0], at / grid[0] % grid[1], at / grid[0] / grid[1]};
        if (barriers) run_block(reversed);
        else
            for (int i = 0; i < count; i++) {
                int t = reversed ? count - 1 - i : i;
                threadIdx = {t % block[0], t / block[0] % block[1], t / block[0] / block[1]};
                kernel(a);
            }
    }
}

// What a kernel takes, a word per parameter: r4 and w4 for arrays of 4-byte numbers read or written, i, l, f, d for numbers.
template <typename T> struct word { static void put(char*& s) { s += sprintf(s, "w%d ", (int)sizeof(T)); } };
template <typename T> struct word<T*> { static void put(char*& s) { s += sprintf(s, "w%d ", (int)sizeof(T)); } };
template <typename T> struct word<const T*> { static void put(char*& s) { s += sprintf(s, "r%d ", (int)sizeof(T)); } };
template <> struct word<int> { static void put(char*& s) { s += sprintf(s, "i "); } };
template <> struct word<long long> { static void put(char*& s) { s += sprintf(s, "l "); } };
template <> struct word<float> { static void put(char*& s) { s += sprintf(s, "f "); } };
template <> struct word<double> { static void put(char*& s) { s += sprintf(s, "d "); } };
template <typename... P> const char* words(void (*)(P...)) {
    static char text[512];
    char* s = text;
    (word<P>::put(s), ...);
    return text;
}

}  // namespace host

#define __syncthreads() host::barrier()

// IEEE 754 binary16 <-> binary32, rounding to the nearest, ties to even.
static float host_half_to_float(unsigned short bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float size = exponent == 31 ? (fraction ? NAN : INFINITY)
                 : exponent     ? ldexpf(1024 + fraction, exponent - 25)
                                : ldexpf(fraction, -24);
    return bits & 0x8000 ? -size : size;
}
static unsigned short host_float_to_half(float value) {
    unsigned short sign = signbit(value) ? 0x8000 : 0;
    float size = fabsf(value);
    if (value != value) return sign | 0x7e00;
    if (size >= 65520) return sign | 0x7c00;
    if (size < 6.103515625e-05f) return sign | (unsigned short)nearbyintf(ldexpf(size, 24));
    int exponent;
    float fraction = frexpf(size, &exponent);  // in [0.5, 1)
    return sign | (unsigned short)(((exponent + 13) << 10) + (int)nearbyintf(ldexpf(fraction, 11)));
}
