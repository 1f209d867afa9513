// libxsmm as a peer: two small matrix products, whose code it generates at run time for the sizes.
//
// libxsmm is column-major: x is X (n2 x n1) column by column, y is Y = B X A^T. With B stored by
// columns and A by rows, neither product needs a transposition.

#include <libxsmm.h>

namespace {
// As kplib.bench.native lays it out. `first` and `second` are what bench_libxsmm_product gave.
struct Kron {
    const float *A, *B;
    float* between;
    libxsmm_smmfunction first, second;
    int b_first;
};
}  // namespace

// Null where libxsmm makes no code for these sizes or on this CPU.
extern "C" void* bench_libxsmm_product(int rows, int columns, int inner) {
    const float alpha = 1.0f, beta = 0.0f;
    libxsmm_init();
    return reinterpret_cast<void*>(libxsmm_smmdispatch(rows, columns, inner, nullptr, nullptr,
                                                       nullptr, &alpha, &beta, nullptr, nullptr));
}

extern "C" void bench_libxsmm_kron(const void* weights, const void* x, void* y) {
    const auto& kron = *static_cast<const Kron*>(weights);
    const auto* X = static_cast<const float*>(x);
    auto* Y = static_cast<float*>(y);
    if (kron.b_first) {
        kron.first(kron.B, X, kron.between);
        kron.second(kron.between, kron.A, Y);
    } else {
        kron.first(X, kron.A, kron.between);
        kron.second(kron.B, kron.between, Y);
    }
}
