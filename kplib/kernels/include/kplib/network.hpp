// A whole recurrent classifier at batch 1: every step, the activations and the head in one call.
#pragma once

#include "cells.hpp"
#include "chain.hpp"
#include "gates.hpp"
#include "sparse.hpp"

namespace kplib {

// ---- layers in one direction: each step goes through all of them, so that no outputs are kept ------------
template <class F, class... Cells>
struct Stack;
template <class F>
struct Stack<F> {  // no layer
    using T = number<F>;
    using S = stored<F>;
    static constexpr int operands = 0, state = 0;
    static constexpr long memory = 0, packed = 0;
    static void pack(const T* const*, S*) {}
    static KPLIB_INLINE void step(const S*, T*) {}
    static KPLIB_INLINE void load_states(const T*, T*) {}
    static KPLIB_INLINE void store_states(const T*, T*) {}
};
template <class F, class Cell, class... Above>
struct Stack<F, Cell, Above...> {
    using T = number<F>;
    using S = stored<F>;
    using Next = Stack<F, Above...>;
    static constexpr bool streams = true;
    static constexpr int input = Cell::input, operands = Cell::operands + Next::operands;
    static constexpr int state = Cell::states * Cell::hidden + Next::state;  // entries that go from step to step
    static constexpr long at_next = aligned<T>(Cell::memory), memory = at_next + Next::memory;
    static constexpr long above = aligned<T>(Cell::packed), packed = above + Next::packed;
    static constexpr int output() {
        if constexpr (sizeof...(Above) == 0) return Cell::hidden;
        else return Next::output();
    }
    static void pack(const T* const* parts, S* w) {
        Cell::pack(parts, w);
        Next::pack(parts + Cell::operands, w + above);
    }
    static KPLIB_INLINE T* x(T* m) { return Cell::x(m); }
    static KPLIB_INLINE const T* last(T* m) {  // the highest layer's h
        if constexpr (sizeof...(Above) == 0) return Cell::state(m, 0);
        else return Next::last(m + at_next);
    }
    static KPLIB_INLINE void step(const S* w, T* m) {
        Cell::step(w, m);
        if constexpr (sizeof...(Above) > 0)
            __builtin_memcpy(Next::x(m + at_next), Cell::state(m, 0), Cell::hidden * sizeof(T));
        Next::step(w + above, m + at_next);
    }
    static KPLIB_INLINE void load_states(const T* from, T* m) {
        for (int k = 0; k < Cell::states; ++k)
            __builtin_memcpy(Cell::state(m, k), from + k * Cell::hidden, Cell::hidden * sizeof(T));
        Next::load_states(from + Cell::states * Cell::hidden, m + at_next);
    }
    static KPLIB_INLINE void store_states(T* m, T* to) {
        for (int k = 0; k < Cell::states; ++k)
            __builtin_memcpy(to + k * Cell::hidden, Cell::state(m, k), Cell::hidden * sizeof(T));
        Next::store_states(m + at_next, to + Cell::states * Cell::hidden);
    }
    // The output after all steps of x, from states of zero.
    static KPLIB_INLINE void run(const S* w, const T* x_steps, long steps, T* h) {
        Scratch<T, memory> m;
        for (long i = 0; i < memory; ++i) m.data[i] = T(0);
        for (long t = 0; t < steps; ++t) {
            __builtin_memcpy(x(m.data), x_steps + t * input, input * sizeof(T));
            step(w, m.data);
        }
        __builtin_memcpy(h, last(m.data), output() * sizeof(T));
    }
};

// ---- layers in both directions: the outputs of each are kept for the next --------------------------------
template <class F, class Forward, class Backward>
struct BothWays {
    using T = number<F>;
    using S = stored<F>;
    static_assert(Forward::input == Backward::input && Forward::hidden == Backward::hidden, "two cells of one size");
    static constexpr int input = Forward::input, hidden = Forward::hidden, width = 2 * hidden;
    static constexpr int operands = Forward::operands + Backward::operands;
    static constexpr long at_backward = aligned<T>(Forward::packed), packed = at_backward + Backward::packed;
    static void pack(const T* const* parts, S* w) {
        Forward::pack(parts, w);
        Backward::pack(parts + Forward::operands, w + at_backward);
    }
    // From step `first` in steps of `by`; of every output (All) or the last one, h at to + row * width.
    template <class Cell, bool All>
    static KPLIB_INLINE void direction(const S* w, const T* x, long steps, long first, long by, T* to) {
        Scratch<T, Cell::memory> m;
        for (long i = 0; i < Cell::memory; ++i) m.data[i] = T(0);
        for (long t = 0; t < steps; ++t) {
            const long row = first + t * by;
            __builtin_memcpy(Cell::x(m.data), x + row * input, input * sizeof(T));
            Cell::step(w, m.data);
            if constexpr (All) __builtin_memcpy(to + row * width, Cell::state(m.data, 0), hidden * sizeof(T));
        }
        if constexpr (!All) __builtin_memcpy(to, Cell::state(m.data, 0), hidden * sizeof(T));
    }
    template <bool All>
    static KPLIB_INLINE void run(const S* w, const T* x, long steps, T* to) {
        direction<Forward, All>(w, x, steps, 0, 1, to);
        direction<Backward, All>(w + at_backward, x, steps, steps - 1, -1, to + hidden);
    }
};
template <class F, class Layer, class... Above>
struct BidirectionalStack {
    using T = number<F>;
    using S = stored<F>;
    static constexpr bool streams = false;
    static constexpr int input = Layer::input;
    static constexpr int operands = (Layer::operands + ... + Above::operands);
    static constexpr long above = aligned<T>(Layer::packed);
    static constexpr long packed = (aligned<T>(Layer::packed) + ... + aligned<T>(Above::packed));
    static constexpr int output() {
        if constexpr (sizeof...(Above) == 0) return Layer::width;
        else return BidirectionalStack<F, Above...>::output();
    }
    static void pack(const T* const* parts, S* w) {
        Layer::pack(parts, w);
        if constexpr (sizeof...(Above) > 0) BidirectionalStack<F, Above...>::pack(parts + Layer::operands, w + above);
    }
    static KPLIB_INLINE void run(const S* w, const T* x, long steps, T* h) {
        if constexpr (sizeof...(Above) == 0) {
            Layer::template run<false>(w, x, steps, h);
        } else {
            std::vector<T> outputs(std::size_t(steps) * Layer::width);
            Layer::template run<true>(w, x, steps, outputs.data());
            BidirectionalStack<F, Above...>::run(w + above, outputs.data(), steps, h);
        }
    }
};

// ---- classifier: a network, then a dense head on its last output ----------------------------------------
template <class F, int Classes, class Network>
struct Classifier {
    using T = number<F>;
    using S = stored<F>;
    static constexpr bool sequence = true;
    static constexpr int rows = Classes, columns = Network::input;  // of one step
    using Weight = Dense<F, Classes, Network::output()>;
    using Head = std::conditional_t<is_scaled<F>, Scaled<F, 1, Weight>, Weight>;
    using Bias = Biases<F, 1, Classes>;
    static constexpr long at_head = aligned<T>(Network::packed);
    static constexpr long at_bias = at_head + Head::packed;
    static constexpr long packed = at_bias + Bias::packed;
    static void pack(const T* const* parts, S* w) {  // the network's operands, the head's, its bias
        Network::pack(parts, w);
        Head::pack(parts + Network::operands, w + at_head);
        Bias::pack(parts + Network::operands + Head::operands, w + at_bias);
    }
    static KPLIB_INLINE void classify(const S* w, const T* h, T* logits) {
        Head::run(w + at_head, h, logits);
        for (int i = 0; i < Classes; ++i) logits[i] = Bias::template add<1>(logits[i], w + at_bias, 0, i);
    }
    static KPLIB_INLINE void run(const S* w, const T* x, T* logits, long steps) {
        Scratch<T, Network::output()> h;
        Network::run(w, x, steps, h.data);
        classify(w, h.data, logits);
    }
};

// One step of a classifier with its states outside: [x_t; states] becomes [logits; states].
template <class F, int Classes, class Network>
struct Streaming {
    using T = number<F>;
    using S = stored<F>;
    using Whole = Classifier<F, Classes, Network>;
    static constexpr int rows = Classes + Network::state, columns = Network::input + Network::state;
    static constexpr long packed = Whole::packed;
    static void pack(const T* const* parts, S* w) { Whole::pack(parts, w); }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        Scratch<T, Network::memory> m;
        for (long i = 0; i < Network::memory; ++i) m.data[i] = T(0);
        __builtin_memcpy(Network::x(m.data), x, Network::input * sizeof(T));
        Network::load_states(x + Network::input, m.data);
        Network::step(w, m.data);
        Whole::classify(w, Network::last(m.data), y);
        Network::store_states(m.data, y + Classes);
    }
};

}  // namespace kplib
