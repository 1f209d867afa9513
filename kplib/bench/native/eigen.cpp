// Eigen as a peer, with sizes that are known at run time only: its dense product, and the paper's
// Algorithm 1 to the letter, which is what the papers timed.

#include <Eigen/Dense>

namespace {
using ConstVector = Eigen::Map<const Eigen::VectorXf>;
using Vector = Eigen::Map<Eigen::VectorXf>;
using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ColumnMajor = Eigen::MatrixXf;

// As kplib.bench.native lays them out.
struct Dense {
    const float* W;
    int m, n;
};
struct Factors {
    const float *A, *B;
    int m1, n1, m2, n2;
};

template <class Matrix>
void dense(const void* weights, const void* x, void* y) {
    const auto& [W, m, n] = *static_cast<const Dense*>(weights);
    Vector(static_cast<float*>(y), m).noalias() =
        Eigen::Map<const Matrix>(W, m, n) * ConstVector(static_cast<const float*>(x), n);
}
}  // namespace

extern "C" void bench_eigen_row_major(const void* weights, const void* x, void* y) {
    dense<RowMajor>(weights, x, y);
}

extern "C" void bench_eigen_column_major(const void* weights, const void* x, void* y) {
    dense<ColumnMajor>(weights, x, y);
}

// A (m1, n1) and B (m2, n2) column by column; X is n2 x n1, filled column by column; Y = B X A^T;
// y is Y read column by column.
extern "C" void bench_eigen_algorithm1(const void* weights, const void* x, void* y) {
    const auto& f = *static_cast<const Factors*>(weights);
    const Eigen::Map<const ColumnMajor> A(f.A, f.m1, f.n1), B(f.B, f.m2, f.n2);
    const Eigen::Map<const ColumnMajor> X(static_cast<const float*>(x), f.n2, f.n1);
    Eigen::Map<ColumnMajor> Y(static_cast<float*>(y), f.m2, f.m1);
    Y.noalias() = B * X * A.transpose();
}
