// Recurrent cells: one step, in memory that the caller holds.
//
//     input, hidden       sizes
//     states              vectors (hidden) that are kept from step to step, the output first
//     memory              entries of the working memory, which starts on a 64-byte line
//     operands, packed, pack(parts, w)       as in matvec.hpp: the gates' operands, then the biases'
//     x(m), state(m, k)   where the step's input is to be written, where the states are
//     step(w, m)          the next states
//
// x lies right before h, so that [x; h] is one vector, with h on a 64-byte line.
#pragma once

#include "activations.hpp"
#include "matvec.hpp"

namespace kplib {

// Runs body(first, lanes) over a vector of H: whole vectors, and a narrower one for what is left.
template <class T, int H, class Body>
KPLIB_INLINE void vectors(Body&& body) {
    constexpr int L = lanes<T>;
    constexpr Cut<T> cut(H);
    for (int i = 0; i < cut.full * L; i += L) body(i, std::integral_constant<int, L>{});
    if constexpr (cut.tail > 0) body(cut.full * L, std::integral_constant<int, cut.tail>{});
}

// What all cells share: the memory, and the biases behind the gates' weights.
template <class F, int I, int H, int States, class Bias>
struct CellMemory {
    using T = number<F>;
    using S = stored<F>;
    static constexpr int input = I, hidden = H, states = States;
    static constexpr int padded = int(round_up(H, lanes<T>));
    static constexpr long at_h = aligned<T>(I), memory = at_h + long(States) * aligned<T>(padded);
    static KPLIB_INLINE T* x(T* m) { return m + at_h - I; }
    static KPLIB_INLINE T* state(T* m, int k) { return m + at_h + k * aligned<T>(padded); }
    // Lanes i, i + 1, ... of gate g, its bias added; y is (gates, H), and room for a vector.
    template <int Width>
    static KPLIB_INLINE vec<T, Width> gate(const T* y, const S* bias, int g, int i) {
        return Bias::template add<Width>(load<T, Width>(y + g * H + i), bias, g, i);
    }
};

// Gates in PyTorch's order i, f, g, o:
//     i, f, o = sigmoid(W [x; h] + b),  g = tanh(W [x; h] + b),  c = f c + i g,  h = o tanh(c)
template <class F, int I, int H, class Gates, int Summands = 1>
struct Lstm : CellMemory<F, I, H, 2, Biases<F, 4, H, Summands>> {
    using T = number<F>;
    using S = stored<F>;
    using Bias = Biases<F, 4, H, Summands>;
    using Base = CellMemory<F, I, H, 2, Bias>;
    static_assert(Gates::rows == 4 * H && Gates::columns == I + H, "four gates of [x; h]");
    static constexpr int operands = Gates::operands + Bias::operands;
    static constexpr long at_bias = aligned<T>(Gates::packed), packed = at_bias + Bias::packed;
    static void pack(const T* const* parts, S* w) {
        Gates::pack(parts, w);
        Bias::pack(parts + Gates::operands, w + at_bias);
    }
    static KPLIB_INLINE void step(const S* w, T* m) {
        Scratch<T, 4 * H + lanes<T>> y;
        Gates::run(w, Base::x(m), y.data);
        T *const h = Base::state(m, 0), *const c = Base::state(m, 1);
        vectors<T, H>([&](int i, auto width) KPLIB_LAMBDA {
            constexpr int L = width;
            const auto gate = [&](int g) KPLIB_LAMBDA { return Base::template gate<L>(y.data, w + at_bias, g, i); };
            const vec<T, L> cell = sigmoid_times<T, L>(gate(1), load<T, L>(c + i))
                                 + sigmoid_times_tanh<T, L>(gate(0), gate(2));
            store<T, L>(c + i, cell);
            store<T, L>(h + i, sigmoid_times_tanh<T, L>(gate(3), cell));
        });
    }
};

// r, z = sigmoid(W [x; h] + b),  n = tanh(W_n [x; r h] + b_n),  h = n + z (h - n)
template <class F, int I, int H, class ResetUpdate, class Candidate, int Summands = 1>
struct GruBefore : CellMemory<F, I, H, 1, Biases<F, 3, H, Summands>> {
    using T = number<F>;
    using S = stored<F>;
    using Bias = Biases<F, 3, H, Summands>;
    using Base = CellMemory<F, I, H, 1, Bias>;
    static_assert(ResetUpdate::rows == 2 * H && Candidate::rows == H, "two gates, and the candidate");
    static_assert(ResetUpdate::columns == I + H && Candidate::columns == I + H, "of [x; h]");
    static constexpr int operands = ResetUpdate::operands + Candidate::operands + Bias::operands;
    static constexpr long at_candidate = aligned<T>(ResetUpdate::packed);
    static constexpr long at_bias = at_candidate + aligned<T>(Candidate::packed), packed = at_bias + Bias::packed;
    static void pack(const T* const* parts, S* w) {
        ResetUpdate::pack(parts, w);
        Candidate::pack(parts + ResetUpdate::operands, w + at_candidate);
        Bias::pack(parts + operands - Bias::operands, w + at_bias);
    }
    static KPLIB_INLINE void step(const S* w, T* m) {
        Scratch<T, 3 * H + lanes<T>> y;
        Scratch<T, Base::padded> kept;  // h, in whose place r h goes for the candidate
        ResetUpdate::run(w, Base::x(m), y.data);
        T* const h = Base::state(m, 0);
        vectors<T, H>([&](int i, auto width) KPLIB_LAMBDA {
            constexpr int L = width;
            const vec<T, L> before = load<T, L>(h + i);
            store<T, L>(kept.data + i, before);
            store<T, L>(h + i, sigmoid_times<T, L>(Base::template gate<L>(y.data, w + at_bias, 0, i), before));
        });
        Candidate::run(w + at_candidate, Base::x(m), y.data + 2 * H);
        vectors<T, H>([&](int i, auto width) KPLIB_LAMBDA {
            constexpr int L = width;
            const vec<T, L> n = tanh<T, L>(Base::template gate<L>(y.data, w + at_bias, 2, i));
            const vec<T, L> z = Base::template gate<L>(y.data, w + at_bias, 1, i);
            store<T, L>(h + i, n + sigmoid_times<T, L>(z, load<T, L>(kept.data + i) - n));
        });
    }
};

// r, z = sigmoid(W [x; h] + b),  n = tanh(W_n [x; 0] + b_n + r (W_n [0; h] + c_n)),  h = n + z (h - n)
template <class F, int I, int H, class Apart, int Summands = 1>
struct GruAfter : CellMemory<F, I, H, 1, Biases<F, 4, H, Summands>> {
    using T = number<F>;
    using S = stored<F>;
    using Bias = Biases<F, 4, H, Summands>;
    using Base = CellMemory<F, I, H, 1, Bias>;
    static_assert(Apart::rows == 4 * H && Apart::columns == I + H, "r, z, and both parts of n");
    static constexpr int operands = Apart::operands + Bias::operands;
    static constexpr long at_bias = aligned<T>(Apart::packed), packed = at_bias + Bias::packed;
    static void pack(const T* const* parts, S* w) {
        Apart::pack(parts, w);
        Bias::pack(parts + Apart::operands, w + at_bias);
    }
    static KPLIB_INLINE void step(const S* w, T* m) {
        Scratch<T, 4 * H + lanes<T>> y;
        Apart::run(w, Base::x(m), y.data);
        T* const h = Base::state(m, 0);
        vectors<T, H>([&](int i, auto width) KPLIB_LAMBDA {
            constexpr int L = width;
            const auto gate = [&](int g) KPLIB_LAMBDA { return Base::template gate<L>(y.data, w + at_bias, g, i); };
            const vec<T, L> n = tanh<T, L>(gate(2) + sigmoid_times<T, L>(gate(0), gate(3)));
            store<T, L>(h + i, n + sigmoid_times<T, L>(gate(1), load<T, L>(h + i) - n));
        });
    }
};

// h = phi(W [x; h] + b), with phi Tanh or Relu
template <class F, int I, int H, class Gates, class Phi, int Summands = 1>
struct Rnn : CellMemory<F, I, H, 1, Biases<F, 1, H, Summands>> {
    using T = number<F>;
    using S = stored<F>;
    using Bias = Biases<F, 1, H, Summands>;
    using Base = CellMemory<F, I, H, 1, Bias>;
    static_assert(Gates::rows == H && Gates::columns == I + H, "one gate of [x; h]");
    static constexpr int operands = Gates::operands + Bias::operands;
    static constexpr long at_bias = aligned<T>(Gates::packed), packed = at_bias + Bias::packed;
    static void pack(const T* const* parts, S* w) {
        Gates::pack(parts, w);
        Bias::pack(parts + Gates::operands, w + at_bias);
    }
    static KPLIB_INLINE void step(const S* w, T* m) {
        Scratch<T, H + lanes<T>> y;
        Gates::run(w, Base::x(m), y.data);
        T* const h = Base::state(m, 0);
        vectors<T, H>([&](int i, auto width) KPLIB_LAMBDA {
            constexpr int L = width;
            store<T, L>(h + i, Phi::template apply<T, L>(Base::template gate<L>(y.data, w + at_bias, 0, i)));
        });
    }
};

// h = alpha tanh(W [x; h] + b) + beta h; the last operand is (alpha, beta).
template <class F, int I, int H, class Gates, int Summands = 1>
struct FastRnn : CellMemory<F, I, H, 1, Biases<F, 1, H, Summands>> {
    using T = number<F>;
    using S = stored<F>;
    using Bias = Biases<F, 1, H, Summands>;
    using Base = CellMemory<F, I, H, 1, Bias>;
    static_assert(Gates::rows == H && Gates::columns == I + H, "one gate of [x; h]");
    static constexpr int operands = Gates::operands + Bias::operands + 1;
    static constexpr long at_bias = aligned<T>(Gates::packed), at_scalars = at_bias + Bias::packed, packed = at_scalars + entries_of<F>(2);
    static void pack(const T* const* parts, S* w) {
        Gates::pack(parts, w);
        Bias::pack(parts + Gates::operands, w + at_bias);
        put_numbers<F>(parts[operands - 1], 2, w + at_scalars);
    }
    static KPLIB_INLINE void step(const S* w, T* m) {
        Scratch<T, H + lanes<T>> y;
        Gates::run(w, Base::x(m), y.data);
        T* const h = Base::state(m, 0);
        const T alpha = number_at<F>(w + at_scalars, 0), beta = number_at<F>(w + at_scalars, 1);
        vectors<T, H>([&](int i, auto width) KPLIB_LAMBDA {
            constexpr int L = width;
            const vec<T, L> candidate = tanh<T, L>(Base::template gate<L>(y.data, w + at_bias, 0, i));
            store<T, L>(h + i, candidate * alpha + load<T, L>(h + i) * beta);
        });
    }
};

}  // namespace kplib
