// Whole networks in Eigen, one sequence a call, with sizes that are known at run time only: each
// gate's product dense, or by the papers' Algorithm 1 to the letter. Everything else is the same
// code, so that the two differ in the product alone.
//
// x and all outputs are features x steps, column by column. The dense product of the inputs of all
// steps is one matrix product before the loop, as a runtime for recurrent networks does it.

#include <Eigen/Dense>

namespace {

using Eigen::Index;
using ColumnMajor = Eigen::MatrixXf;
using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::Map<Eigen::VectorXf>;
using ConstVector = Eigen::Map<const Eigen::VectorXf>;
using Matrix = Eigen::Map<ColumnMajor>;
using ConstMatrix = Eigen::Map<const ColumnMajor>;

enum Kind { kLstm, kGru, kFastRnn };

// As kplib.bench.eigen_network lays them out. The matrices W_x (gates h, inputs) and A, B of one
// gate after the other are column by column; W_h (gates h, h) is as the function's name says.
struct Cell {
    const float *W_x, *W_h, *A, *B, *bias;
    float alpha, beta;  // FastRNN: already through the logistic function
    int m1, n1, m2, n2;
};
struct Network {
    const Cell* cells;  // layer by layer, forward before reverse
    const float *head, *head_bias;
    float* work;
    int kind, gates, inputs, h, steps, classes, layers, directions;
};

template <class Storage>
class Dense {
public:
    Dense(const Network& net, const Cell& cell, const ConstMatrix& x, float* work)
        : of_inputs_(work, net.gates * net.h, x.cols()),
          W_h_(cell.W_h, net.gates * net.h, net.h),
          h_(net.h) {
        of_inputs_.noalias() = ConstMatrix(cell.W_x, of_inputs_.rows(), x.rows()) * x;
    }
    template <class State>
    void operator()(Index step, const State& state, int first, int count, Vector& y) const {
        const Index row = first * h_, rows = count * h_;
        y.segment(row, rows) = of_inputs_.col(step).segment(row, rows);
        y.segment(row, rows).noalias() += W_h_.middleRows(row, rows) * state;
    }

private:
    Matrix of_inputs_;
    Eigen::Map<const Storage> W_h_;
    Index h_;
};

// For every gate: X is [x_t; h] as n2 x n1, filled column by column; Y = B X A^T.
class Algorithm1 {
public:
    Algorithm1(const Network&, const Cell& cell, const ConstMatrix& x, float* work)
        : cell_(cell), x_(x), joined_(work, Index{cell.n1} * cell.n2) {}
    template <class State>
    void operator()(Index step, const State& state, int first, int count, Vector& y) {
        joined_.head(x_.rows()) = x_.col(step);
        joined_.tail(state.size()) = state;
        const ConstMatrix X(joined_.data(), cell_.n2, cell_.n1);
        const Index a = Index{cell_.m1} * cell_.n1, b = Index{cell_.m2} * cell_.n2;
        for (int gate = first; gate < first + count; ++gate) {
            const ConstMatrix A(cell_.A + gate * a, cell_.m1, cell_.n1);
            const ConstMatrix B(cell_.B + gate * b, cell_.m2, cell_.n2);
            Matrix Y(y.data() + gate * Index{cell_.m1} * cell_.m2, cell_.m2, cell_.m1);
            Y.noalias() = B * X * A.transpose();
        }
    }

private:
    const Cell& cell_;
    const ConstMatrix& x_;
    Vector joined_;
};

template <class Product>
void run_cell(const Network& net, const Cell& cell, const ConstMatrix& x, float* y, Index y_stride,
              bool reverse, float* work) {
    const Index h = net.h, steps = x.cols();
    Vector gates(work, net.gates * h), c(gates.data() + gates.size(), h), s(c.data() + h, h);
    const ConstVector bias(cell.bias, net.gates * h);
    Product product(net, cell, x, s.data() + h);
    c.setZero();
    s.setZero();
    for (Index k = 0; k < steps; ++k) {
        const Index step = reverse ? steps - 1 - k : k;
        if (net.kind == kLstm) {  // i, f, g, o
            product(step, s, 0, 4, gates);
            gates += bias;
            gates.head(2 * h) = gates.head(2 * h).array().logistic();
            gates.segment(2 * h, h) = gates.segment(2 * h, h).array().tanh();
            gates.tail(h) = gates.tail(h).array().logistic();
            c.array() = gates.segment(h, h).array() * c.array() +
                        gates.head(h).array() * gates.segment(2 * h, h).array();
            s.array() = gates.tail(h).array() * c.array().tanh();
        } else if (net.kind == kGru) {  // r, z, n
            product(step, s, 0, 2, gates);
            gates.head(2 * h) = (gates + bias).head(2 * h).array().logistic();
            c.array() = gates.head(h).array() * s.array();
            product(step, c, 2, 1, gates);
            gates.tail(h) = (gates + bias).tail(h).array().tanh();
            s.array() = gates.tail(h).array() +
                        gates.segment(h, h).array() * (s.array() - gates.tail(h).array());
        } else {
            product(step, s, 0, 1, gates);
            s.array() = cell.alpha * (gates + bias).array().tanh() + cell.beta * s.array();
        }
        Vector(y + step * y_stride, h) = s;
    }
}

template <class Product>
void run(const void* network, const void* x, void* logits) {
    const auto& net = *static_cast<const Network*>(network);
    const Index width = Index{net.directions} * net.h, size = width * net.steps;
    float* outputs[2] = {net.work, net.work + size};
    float* work = net.work + 2 * size;
    const float* input = static_cast<const float*>(x);
    Index rows = net.inputs;
    for (int layer = 0; layer < net.layers; ++layer) {
        float* output = outputs[layer % 2];
        for (int d = 0; d < net.directions; ++d) {
            run_cell<Product>(net, net.cells[layer * net.directions + d],
                              ConstMatrix(input, rows, net.steps), output + Index{d} * net.h, width,
                              d == 1, work);
        }
        input = output;
        rows = width;
    }
    // Both last states: the reverse cell's is at the first step. They take the outputs' free half.
    Vector last(outputs[net.layers % 2], width);
    last.head(net.h) = ConstVector(input + (net.steps - 1) * width, net.h);
    if (net.directions == 2) last.tail(net.h) = ConstVector(input + net.h, net.h);
    Vector y(static_cast<float*>(logits), net.classes);
    y = ConstVector(net.head_bias, net.classes);
    y.noalias() += ConstMatrix(net.head, net.classes, width) * last;
}

}  // namespace

extern "C" void bench_network_by_rows(const void* network, const void* x, void* y) {
    run<Dense<RowMajor>>(network, x, y);
}
extern "C" void bench_network_by_columns(const void* network, const void* x, void* y) {
    run<Dense<ColumnMajor>>(network, x, y);
}
extern "C" void bench_network_algorithm1(const void* network, const void* x, void* y) {
    run<Algorithm1>(network, x, y);
}
