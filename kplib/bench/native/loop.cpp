// The C++ side of `kplib bench matvec`: one timing loop for every peer, so that a ratio compares
// kernels and nothing around them. Built by kplib.bench.native with the system's compiler.
//
// A peer has the signature of kplib's own kernels: weights, x and y by address.

#include <chrono>
#include <cstdint>

namespace {

using Clock = std::chrono::steady_clock;
using Matvec = void (*)(const void* weights, const void* x, void* y);
using Sgemv = void (*)(char* trans, int* m, int* n, float* alpha, float* a, int* lda, float* x,
                       int* incx, float* beta, float* y, int* incy);

// The call must happen in every turn, and its result must count as read.
inline void observe_memory() { asm volatile("" ::: "memory"); }

inline double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

extern "C" double bench_matvec(Matvec matvec, const void* weights, const void* x, void* y,
                                       std::int64_t loops) {
    const auto start = Clock::now();
    for (std::int64_t i = 0; i < loops; ++i) {
        matvec(weights, x, y);
        observe_memory();
    }
    return seconds_since(start);
}

// trans 'T': W is row-major, as NumPy stores it and as np.dot calls sgemv; 'N': column-major.
extern "C" double bench_sgemv(Sgemv sgemv, char trans, int rows, int columns, float* W,
                                      float* x, float* y, std::int64_t loops) {
    float one = 1.0f, zero = 0.0f;
    int stride = 1;
    int m = trans == 'T' ? columns : rows;
    int n = trans == 'T' ? rows : columns;
    const auto start = Clock::now();
    for (std::int64_t i = 0; i < loops; ++i) {
        sgemv(&trans, &m, &n, &one, W, &m, x, &stride, &zero, y, &stride);
        observe_memory();
    }
    return seconds_since(start);
}

// The core's peak: independent chains of fused multiply-adds that never leave the registers.
// Twelve chains cover a latency of four cycles at two (and, on Arm, three) a cycle, and leave
// room for the two constants in sixteen registers.
#if defined(__AVX512F__)
#define KPLIB_BENCH_VECTOR_BYTES 64
#elif defined(__AVX__)
#define KPLIB_BENCH_VECTOR_BYTES 32
#else
#define KPLIB_BENCH_VECTOR_BYTES 16
#endif
typedef float Vector __attribute__((vector_size(KPLIB_BENCH_VECTOR_BYTES)));

namespace {
constexpr int kChains = 12;
constexpr int kLanes = KPLIB_BENCH_VECTOR_BYTES / sizeof(float);
constexpr int kSteps = 64;  // multiply-adds of each chain in one "call"
volatile float peak_result;
}  // namespace

extern "C" double bench_fma_flops_per_call() { return 2.0 * kChains * kLanes * kSteps; }

extern "C" double bench_fma(std::int64_t loops) {
    Vector chain[kChains];
    for (int c = 0; c < kChains; ++c)
        for (int lane = 0; lane < kLanes; ++lane) chain[c][lane] = 1.0f + 0.01f * c + 0.001f * lane;
    // Read at run time, so that nothing is folded; every chain tends to offset / (1 - factor) = 1.
    volatile float read_factor = 0.5f, read_offset = 0.5f;
    Vector factor = {}, offset = {};
    for (int lane = 0; lane < kLanes; ++lane) {
        factor[lane] = read_factor;
        offset[lane] = read_offset;
    }
    const auto start = Clock::now();
    for (std::int64_t i = 0; i < loops * kSteps; ++i) {
#pragma GCC unroll 12
        for (int c = 0; c < kChains; ++c) chain[c] = chain[c] * factor + offset;
    }
    const double seconds = seconds_since(start);
    float sum = 0.0f;
    for (int c = 0; c < kChains; ++c)
        for (int lane = 0; lane < kLanes; ++lane) sum += chain[c][lane];
    peak_result = sum;
    return seconds;
}
