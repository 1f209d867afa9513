// Compiled by test_hardening.py with several compilers, instruction sets and sanitizers; exits with the number of
// failures. Every network runs in float and in double, whose vectors, cuts and layouts differ: the logits must
// agree. So must those of weights in 8 bits and of what they stand for in double. All buffers are exactly as large as
// they have to be.
#include <cmath>
#include <cstdio>
#include <initializer_list>
#include <vector>

#include "kplib/network.hpp"

using namespace kplib;

static unsigned state = 1;
static double uniform() {
    state = state * 1664525u + 1013904223u;
    return double(state >> 8) / (1 << 23) - 1;  // -1 to 1
}

template <class T>
struct Exactly {  // `count` entries on a 64-byte line, and not one more
    T* data;
    explicit Exactly(long count) : data(static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64)))) {}
    ~Exactly() { ::operator delete(data, std::align_val_t(64)); }
    Exactly(const Exactly&) = delete;
};

template <class F, class Net>
std::vector<number<F>> run(const std::vector<std::vector<double>>& operands, const std::vector<double>& x, long steps) {
    using T = number<F>;
    std::vector<std::vector<T>> parts;
    std::vector<const T*> pointers;
    for (const auto& operand : operands) parts.emplace_back(operand.begin(), operand.end());
    for (const auto& part : parts) pointers.push_back(part.data());
    Exactly<stored<F>> w(Net::packed);
    Net::pack(pointers.data(), w.data);
    const std::vector<T> sequence(x.begin(), x.end());
    std::vector<T> logits(Net::rows);
    Net::run(w.data, sequence.data(), logits.data(), steps);
    return logits;
}

static int failures = 0;

static void compare(const char* name, const std::vector<float>& found, const std::vector<double>& expected) {
    double worst = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const double difference = std::fabs(found[i] - expected[i]);
        worst = difference <= worst ? worst : difference;  // NaN counts as the worst
    }
    const bool wrong = !(worst < 1e-4);
    if (wrong) std::printf("%s: off by %g\n", name, worst);
    failures += wrong;
}

// sizes: of the operands, the head's weight and bias last
template <template <class> class Net>
void check(const char* name, std::initializer_list<long> sizes, long steps = 7) {
    std::vector<std::vector<double>> operands;
    for (long size : sizes) {
        operands.emplace_back(size);
        for (double& value : operands.back()) value = 0.5 * uniform();
    }
    std::vector<double> x(steps * Net<double>::columns);
    for (double& value : x) value = 2 * uniform();
    const auto single = run<float, Net<float>>(operands, x, steps);
    const auto twice = run<double, Net<double>>(operands, x, steps);
    compare(name, single, twice);
}

struct Rounded {  // some operands, the levels of matrices that share scales; 0 scales: numbers as they are
    std::vector<long> sizes;
    long scales;
};
template <template <class> class Net>
void check_rounded(const char* name, std::initializer_list<Rounded> weights, long steps = 7) {
    std::vector<std::vector<double>> levels, numbers;
    for (const Rounded& some : weights) {
        for (long size : some.sizes) {
            levels.emplace_back(size);
            for (double& value : levels.back())
                value = some.scales == 0 ? 0.5 * uniform() : std::floor(128 * uniform() * 0.99);
            numbers.push_back(levels.back());
        }
        if (some.scales == 0) continue;
        std::vector<double>& first = numbers[numbers.size() - some.sizes.size()];
        levels.emplace_back(some.scales);
        for (long s = 0; s < some.scales; ++s) {
            const double all = std::pow(0.004, double(some.sizes.size()));
            const float scale = float(all * (1.5 + uniform()));
            levels.back()[s] = scale;
            const long each = long(first.size()) / some.scales;
            for (long i = 0; i < each; ++i) first[s * each + i] *= scale;
        }
    }
    std::vector<double> x(steps * Net<double>::columns);
    for (double& value : x) value = float(2 * uniform());
    compare(name, run<Int8, Net<Int8>>(levels, x, steps), run<double, Net<double>>(numbers, x, steps));
}

template <class T>
using Tall = Classifier<T, 3, Stack<T, Lstm<T, 4, 22, KronGates<T, 4, 1, 11, 13, 2, 2>>>>;
template <class T>
using One = Classifier<T, 1, Stack<T, Lstm<T, 1, 1, Dense<T, 4, 2>>>>;
template <class T>
using Terms = Classifier<T, 3, Stack<T, Lstm<T, 6, 13, KronGates<T, 4, 2, 1, 19, 13, 1>>>>;
template <class T>
using Both = Classifier<T, 7, BidirectionalStack<T,
    BothWays<T, Lstm<T, 5, 7, HybridGates<T, 4, 3, 2, 6, 2, 2>>, Lstm<T, 5, 7, HybridGates<T, 4, 3, 2, 6, 2, 2>>>,
    BothWays<T, Rnn<T, 14, 7, Dense<T, 7, 21>, Relu>, Rnn<T, 14, 7, Dense<T, 7, 21>, Tanh>>>>;
template <class T>
using Before = Classifier<T, 5, Stack<T,
    GruBefore<T, 3, 11, LowRankGates<T, 1, 22, 14, 3>, LowRankGates<T, 1, 11, 14, 2>>,
    GruBefore<T, 11, 9, KronGates<T, 2, 1, 9, 4, 1, 5>, Dense<T, 9, 20>>>>;
template <class T>
using After = Classifier<T, 2, Stack<T,
    GruAfter<T, 4, 6, ApartSplit<T, 4, Dense<T, 18, 4>,
        ChainGates<T, 3, 6, ModeProduct<T, 1, 2, 2, 3, 1>, ModeProduct<T, 0, 1, 3, 2, 2>>>>,
    GruAfter<T, 6, 10, ApartGates<T, 6, KronGates<T, 2, 1, 5, 4, 2, 4>, KronGates<T, 1, 1, 5, 4, 2, 4>>>>>;
template <class T>
using Fast = Classifier<T, 4, Stack<T, FastRnn<T, 16, 32, KronGates<T, 1, 1, 8, 4, 4, 12>>>>;
template <class T>
using Pruned = Classifier<T, 3, Stack<T, Rnn<T, 4, 37, SlicedRows<T, 37, 41, 40 * 41>, Tanh>>>;

// The same with weights in 8 bits, whose products of one factor or of several are scaled gate by gate.
template <class F, int G, class Product>
using Each = std::conditional_t<is_scaled<F>, Scaled<F, G, Product>, Product>;
template <class F>
using Whole = Classifier<F, 3, Stack<F,
    Lstm<F, 4, 22, KronGates<F, 4, 1, 11, 13, 2, 2>>,
    Rnn<F, 22, 13, KronGates<F, 1, 2, 1, 5, 13, 7>, Relu>,
    FastRnn<F, 13, 7, HybridGates<F, 1, 3, 2, 4, 2, 5>>>>;
template <class F>
using Sums = Classifier<F, 5, BidirectionalStack<F,
    BothWays<F, Lstm<F, 6, 26, KronGates<F, 4, 2, 13, 8, 2, 4>>, Lstm<F, 6, 26, KronGates<F, 4, 2, 2, 4, 13, 8>>>,
    BothWays<F, Rnn<F, 52, 7, Each<F, 1, SlicedRows<F, 7, 59, 8 * 59>>, Tanh>, Rnn<F, 52, 7, Each<F, 1, Dense<F, 7, 59>>, Tanh>>>>;
template <class F>
using Resets = Classifier<F, 2, Stack<F,
    GruAfter<F, 4, 6, ApartSplit<F, 4, Each<F, 3, Dense<F, 18, 4>>, Each<F, 3,
        ChainGates<F, 3, 6, ModeProduct<F, 1, 2, 2, 3, 1>, ModeProduct<F, 0, 1, 3, 2, 2>>>>>,
    GruBefore<F, 6, 11, Each<F, 2, LowRankGates<F, 1, 22, 17, 3>>, Each<F, 1, LowRankGates<F, 1, 11, 17, 2>>>>>;

int main() {
    check<One>("one", {8, 4, 1, 1});
    check<Terms>("terms", {4 * 2 * 19, 4 * 2 * 13, 4 * 13, 3 * 13, 3});
    check<Before>("before", {22 * 3, 3 * 14, 11 * 2, 2 * 14, 33, 2 * 9 * 4, 2 * 5, 9 * 20, 27, 5 * 9, 5});
    check<Pruned>("pruned", {37 * 41, 37, 3 * 37, 3});
    check_rounded<Whole>("whole, 8 bits", {{{4 * 11 * 13, 4 * 2 * 2}, 4}, {{4 * 22}, 4},
                                           {{2 * 5, 2 * 13 * 7}, 2}, {{13}, 1},
                                           {{3 * 20}, 1}, {{2 * 4, 2 * 5}, 1}, {{7}, 1}, {{2}, 0}, {{3 * 7}, 1}, {{3}, 1}});
#ifndef KPLIB_FEW  // sanitizers make the compiler slow
    check<Tall>("tall", {4 * 11 * 13, 4 * 2 * 2, 4 * 22, 3 * 22, 3});
    check<Both>("both", {4 * 3 * 12, 4 * 2 * 6, 4 * 2 * 2, 28, 4 * 3 * 12, 4 * 2 * 6, 4 * 2 * 2, 28,
                         7 * 21, 7, 7 * 21, 7, 7 * 14, 7});
    check<After>("after", {18 * 4, 3 * 3 * 2, 3 * 2 * 3, 4 * 6,
                           2 * 5 * 4, 2 * 2 * 4, 5 * 4, 2 * 4, 40, 20, 2});
    check<Fast>("fast", {8 * 4, 4 * 12, 32, 2, 4 * 32, 4});
    check_rounded<Sums>("sums, 8 bits", {{{8 * 13 * 8, 8 * 2 * 4}, 8}, {{4 * 26}, 4}, {{8 * 2 * 4, 8 * 13 * 8}, 8}, {{4 * 26}, 4},
                                         {{7 * 59}, 1}, {{7}, 1}, {{7 * 59}, 1}, {{7}, 1}, {{5 * 14}, 1}, {{5}, 1}});
    check_rounded<Resets>("resets, 8 bits", {{{18 * 4}, 3}, {{3 * 3 * 2, 3 * 2 * 3}, 3}, {{4 * 6}, 4},
                                             {{22 * 3, 3 * 17}, 2}, {{11 * 2, 2 * 17}, 1}, {{33}, 3}, {{2 * 11}, 1}, {{2}, 1}});
#endif
    std::printf("%d failures, vectors of %d bytes\n", failures, vector_bytes);
    return failures;
}
