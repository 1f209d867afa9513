// Kronecker products of any number of factors, by one mode product a factor: no product is formed.
#pragma once

#include "matvec.hpp"

namespace kplib {

// A tensor (Left, Q, Right) becomes (Left, P, Right): its middle axis is multiplied by F (P, Q).
// Part: which of the operands F is.
template <class F, int Part, int Left, int P, int Q, int Right>
struct ModeProduct {
    using T = number<F>;
    using S = stored<F>;
    static constexpr int part = Part;
    static constexpr long count = long(Left) * P * Right;  // entries of the result
    static constexpr long factor = long(P) * Q;
    using Last = MultiplyNT<F, Left, P, Q, Q, false>;       // Right = 1: all rows of X at once
    using Inner = MultiplyNN<F, P, Right, Q, Right, true, false>;
    static constexpr long packed = aligned<T>(Right == 1 ? Last::packed : Inner::packed);
    static void pack(const T* f, S* w) {
        if constexpr (Right == 1) Last::pack(f, w);
        else Inner::pack(f, w);
    }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        if constexpr (Right == 1) Last::run(w, x, y);
        else
            for (int l = 0; l < Left; ++l) Inner::run(w, x + long(l) * Q * Right, y + long(l) * P * Right);
    }
};

// G chains of N columns; Modes in the order in which they are applied. Operands: each factor, (G, P, Q).
template <class F, int G, int N, class... Modes>
struct ChainGates {
    using T = number<F>;
    using S = stored<F>;
    static constexpr int operands = sizeof...(Modes), columns = N;
    static constexpr long last_count = (Modes::count, ...);
    static constexpr int each = int(last_count), rows = G * each;
    static constexpr long gate = (Modes::packed + ...);
    static constexpr long packed = G * gate;
    static constexpr long room = [] {  // for the largest tensor in between, and a vector
        long most = N;
        ((most = Modes::count > most ? Modes::count : most), ...);
        return aligned<T>(most + lanes<T>);
    }();
    static void pack(const T* const* parts, S* w) {
        for (int g = 0; g < G; ++g)
            ((Modes::pack(parts[Modes::part] + g * Modes::factor, w), w += Modes::packed), ...);
    }
    template <class Mode, class... Rest>
    static KPLIB_INLINE void apply(const S* w, const T* x, T* y, T* here, T* there) {
        if constexpr (sizeof...(Rest) == 0) {
            Mode::run(w, x, y);
        } else {
            Mode::run(w, x, here);
            apply<Rest...>(w + Mode::packed, here, y, there, here);
        }
    }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        Scratch<T, 2 * room> between;
        for (int g = 0; g < G; ++g)
            apply<Modes...>(w + g * gate, x, y + long(g) * each, between.data, between.data + room);
    }
};

}  // namespace kplib
