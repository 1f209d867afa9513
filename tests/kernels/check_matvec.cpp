// Compiled by test_headers.py with several compilers and instruction sets; exits with the number of failures.
// Integer values make every sum exact, so that results are compared for equality. What lies before and
// behind x and y is NaN, and must neither be read into a result nor be written over.
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "kplib/matvec.hpp"

static unsigned state = 1;
static int small_integer() {
    state = state * 1664525u + 1013904223u;
    return int(state >> 24) % 7 - 3;
}

template <class T>
std::vector<T> random_matrix(long count) {
    std::vector<T> values(count);
    for (T& value : values) value = T(small_integer());
    return values;
}

template <class T>
struct Aligned {
    std::vector<T> raw;
    T* data;
    explicit Aligned(long count) : raw(count + 64) {
        const auto address = reinterpret_cast<std::size_t>(raw.data());
        data = raw.data() + (64 - address % 64) % 64 / sizeof(T);
    }
};

static int failures = 0;

template <class Op, class T>
void check(const char* name, const std::vector<T>& w, const std::vector<const T*>& parts) {
    constexpr long m = Op::rows, n = Op::columns, margin = 64;
    Aligned<T> packed(Op::packed);
    Op::pack(parts.data(), packed.data);
    const T nan = std::numeric_limits<T>::quiet_NaN();
    std::vector<T> x(n + 2 * margin, nan), y(m + 2 * margin, nan);
    for (long j = 0; j < n; ++j) x[margin + j] = T(small_integer());
    Op::run(packed.data, x.data() + margin, y.data() + margin);
    int wrong = 0;
    for (long i = 0; i < m; ++i) {
        T sum = 0;
        for (long j = 0; j < n; ++j) sum += w[i * n + j] * x[margin + j];
        wrong += !(sum == y[margin + i]);
    }
    for (long i = 0; i < margin; ++i) wrong += !std::isnan(y[i]) + !std::isnan(y[margin + m + i]);
    if (wrong) std::printf("%s %ld x %ld: %d wrong\n", name, m, n, wrong);
    failures += wrong > 0;
}

template <class T, int M1, int N1, int M2, int N2>
std::vector<T> kron(const std::vector<T>& a, const std::vector<T>& b) {
    constexpr long m = long(M1) * M2, n = long(N1) * N2;
    std::vector<T> w(m * n);
    for (long i = 0; i < m; ++i)
        for (long j = 0; j < n; ++j) w[i * n + j] = a[i / M2 * N1 + j / N2] * b[i % M2 * N2 + j % N2];
    return w;
}

template <class T, int M1, int N1, int M2, int N2, class Op = kplib::Kron<T, M1, N1, M2, N2>>
void check_kron() {
    const auto a = random_matrix<T>(M1 * N1), b = random_matrix<T>(M2 * N2);
    check<Op, T>("kron", kron<T, M1, N1, M2, N2>(a, b), {a.data(), b.data()});
}
// Both orders, whichever is the cheaper.
template <class T, int M1, int N1, int M2, int N2>
void check_orders() {
    check_kron<T, M1, N1, M2, N2, kplib::KronBFirst<T, M1, N1, M2, N2>>();
    check_kron<T, M1, N1, M2, N2, kplib::KronAFirst<T, M1, N1, M2, N2>>();
}

template <class T, int R, int M1, int N1, int M2, int N2>
void check_hybrid() {
    const auto d = random_matrix<T>(long(R) * N1 * N2), a = random_matrix<T>(M1 * N1), b = random_matrix<T>(M2 * N2);
    auto w = d;
    for (T value : kron<T, M1, N1, M2, N2>(a, b)) w.push_back(value);
    check<kplib::Hybrid<T, R, M1, N1, M2, N2>, T>("hybrid", w, {d.data(), a.data(), b.data()});
}

template <class T, int M, int N>
void check_dense() {
    const auto w = random_matrix<T>(M * N);
    check<kplib::Dense<T, M, N>, T>("dense", w, {w.data()});
}

template <class T, int M, int N, int R>
void check_lowrank() {
    const auto u = random_matrix<T>(M * R), v = random_matrix<T>(R * N);
    std::vector<T> w(M * N, 0);
    for (int i = 0; i < M; ++i)
        for (int k = 0; k < R; ++k)
            for (int j = 0; j < N; ++j) w[i * N + j] += u[i * R + k] * v[k * N + j];
    check<kplib::LowRank<T, M, N, R>, T>("low rank", w, {u.data(), v.data()});
}

int main() {
    check_kron<float, 59, 8, 2, 16>();  // the papers' gates
    check_kron<float, 14, 4, 11, 41>();
    check_kron<float, 8, 4, 5, 17>();
    check_kron<float, 8, 4, 4, 12>();
    check_kron<float, 16, 16, 16, 16>();
    check_kron<float, 1, 1, 1, 1>();  // ones and primes
    check_kron<float, 1, 3, 37, 19>();
    check_kron<float, 67, 3, 1, 29>();
    check_kron<float, 13, 9, 3, 31>();  // columns that are interleaved
    check_kron<float, 37, 2, 6, 3>();
    check_kron<float, 19, 3, 7, 2>();
    check_kron<float, 21, 5, 8, 4>();
    check_kron<double, 59, 8, 2, 16>();
    check_kron<double, 11, 7, 5, 13>();
    check_orders<float, 5, 70, 33, 3>();  // several panels, both kinds of tail
    check_orders<float, 3, 5, 75, 21>();
    check_orders<double, 9, 4, 19, 3>();
    check_hybrid<float, 1, 8, 4, 5, 17>();
    check_hybrid<double, 19, 5, 3, 7, 4>();
    check_dense<float, 118, 43>();
    check_dense<double, 2, 131>();
    check_lowrank<float, 61, 53, 4>();
    std::printf("%d failures, vectors of %d bytes\n", failures, kplib::vector_bytes);
    return failures;
}
