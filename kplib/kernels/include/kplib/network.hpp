// A whole recurrent classifier at batch 1: every step, the activations and the head in one call.
#pragma once

#include "activations.hpp"
#include "matvec.hpp"

namespace kplib {

// ---- the gate matrices of a layer: G matrices (H, N), stacked, times one vector --------------------
// operands: how many arrays they are packed from.
template <class T, int G, int H, int N>
struct DenseGates {
    static constexpr int operands = 1;  // W (G, H, N)
    using Stacked = Dense<T, G * H, N>;
    static constexpr long packed = Stacked::packed;
    static void pack(const T* const* parts, T* w) { Stacked::pack(parts, w); }
    static KPLIB_INLINE void run(const T* w, const T* x, T* y) { Stacked::run(w, x, y); }
};
template <class T, int G, int M1, int N1, int M2, int N2>
struct KronGates {
    static constexpr int operands = 2;  // A (G, M1, N1), B (G, M2, N2)
    using Gate = Kron<T, M1, N1, M2, N2>;
    static constexpr long packed = G * Gate::packed;
    static void pack(const T* const* parts, T* w) {
        for (int g = 0; g < G; ++g) {
            const T* factors[2] = {parts[0] + long(g) * M1 * N1, parts[1] + long(g) * M2 * N2};
            Gate::pack(factors, w + g * Gate::packed);
        }
    }
    static KPLIB_INLINE void run(const T* w, const T* x, T* y) {
        for (int g = 0; g < G; ++g) Gate::run(w + g * Gate::packed, x, y + g * Gate::rows);
    }
};

// ---- LSTM: gates in PyTorch's order i, f, g, o ------------------------------------------------------
//     i, f, o = sigmoid(W [x; h] + b),  g = tanh(W [x; h] + b),  c = f c + i g,  h = o tanh(c)
template <class T, int I, int H, class Gates>
struct Lstm {
    static constexpr int input = I, hidden = H, operands = Gates::operands + 1;
    static constexpr int L = lanes<T>;
    static constexpr int padded = int(round_up(H, L));
    static constexpr long packed = Gates::packed + 4 * padded;
    static void pack(const T* const* parts, T* w) {  // the gates' operands, then the biases (4, H)
        Gates::pack(parts, w);
        const T* bias = parts[Gates::operands];
        for (int g = 0; g < 4; ++g)
            for (int i = 0; i < padded; ++i)
                w[Gates::packed + g * padded + i] = i < H ? bias[g * H + i] : T(0);
    }
    // The hidden state (H) after `steps` rows of x, from states of zero.
    static KPLIB_INLINE void run(const T* w, const T* x, long steps, T* h) {
        Scratch<T, I + 6 * padded> scratch;
        T* const joined = scratch.data;                 // [x_t; h], and room for whole vectors
        T* const gates = joined + I + padded;           // (4, H), and room
        T* const c = gates + 4 * padded;
        for (long i = 0; i < I + 6 * padded; ++i) joined[i] = 0;
        const T* bias = w + Gates::packed;
        for (long t = 0; t < steps; ++t) {
            __builtin_memcpy(joined, x + t * I, I * sizeof(T));
            Gates::run(w, joined, gates);
            for (int i = 0; i < padded; i += L) {
                const auto gate = [&](int g) KPLIB_LAMBDA {
                    return load<T, L>(gates + g * H + i) + load<T, L>(bias + g * padded + i);
                };
                const vec<T, L> cell = sigmoid<T, L>(gate(1)) * load<T, L>(c + i)
                                     + sigmoid<T, L>(gate(0)) * tanh<T, L>(gate(2));
                store<T, L>(c + i, cell);
                store<T, L>(joined + I + i, sigmoid<T, L>(gate(3)) * tanh<T, L>(cell));
            }
        }
        __builtin_memcpy(h, joined + I, H * sizeof(T));
    }
};

// ---- classifier: a layer, then a dense head on its last hidden state --------------------------------
template <class T, int Classes, class Layer>
struct Classifier {
    static constexpr bool sequence = true;
    static constexpr int rows = Classes, columns = Layer::input;  // of one step
    using Head = Dense<T, Classes, Layer::hidden>;
    static constexpr long at_head = aligned<T>(Layer::packed);
    static constexpr long at_bias = at_head + Head::packed;
    static constexpr long packed = at_bias + Classes;
    static void pack(const T* const* parts, T* w) {  // the layer's operands, head weight, head bias
        Layer::pack(parts, w);
        Head::pack(parts + Layer::operands, w + at_head);
        for (int i = 0; i < Classes; ++i) w[at_bias + i] = parts[Layer::operands + 1][i];
    }
    static KPLIB_INLINE void run(const T* w, const T* x, T* logits, long steps) {
        Scratch<T, Layer::padded> h;
        Layer::run(w, x, steps, h.data);
        Head::run(w + at_head, h.data, logits);
        for (int i = 0; i < Classes; ++i) logits[i] += w[at_bias + i];
    }
};

}  // namespace kplib
