// y = W x for a W that is dense, low-rank, a Kronecker product or a hybrid, at batch 1.
//
// Each operation is a struct of compile-time sizes with the same members:
//
//     rows, columns                  the shape of W
//     operands                       how many matrices it is packed from
//     packed                         entries of the packed weights, of the format's kind (format.hpp)
//     static void pack(parts, w)     the weights, once, into w (aligned to 64 bytes); parts: row-major matrices
//     static void run(w, x, y)       y (rows) = W x (columns); x and y need no alignment, must not overlap
#pragma once

#include "matmul.hpp"

namespace kplib {

template <class F, int M, int N>
struct Dense {
    using T = number<F>;
    using S = stored<F>;
    static constexpr int rows = M, columns = N, operands = 1;
    using Product = MultiplyNT<F, 1, M, N, N, false>;
    static constexpr long packed = aligned<T>(Product::packed);
    static constexpr double cost = Product::cost;
    static void pack(const T* const* parts, S* w) { Product::pack(parts[0], w); }  // W
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) { Product::run(w, x, y); }
};

// W = U V with U (M, R) and V (R, N).
template <class T, int M, int N, int R>
struct LowRank {
    static constexpr int rows = M, columns = N, operands = 2;
    using Left = Dense<T, M, R>;
    using Right = Dense<T, R, N>;
    static constexpr long packed = Left::packed + Right::packed;
    static void pack(const T* const* parts, T* w) {  // U, V
        Right::pack(parts + 1, w);
        Left::pack(parts, w + Right::packed);
    }
    static KPLIB_INLINE void run(const T* w, const T* x, T* y) {
        Scratch<T, R> t;
        Right::run(w, x, t.data);
        Left::run(w + Right::packed, t.data, y);
    }
};

// W = A (x) B with A (M1, N1), B (M2, N2):  Y = A X B^T, X = x as (N1, N2), Y = y as (M1, M2).
// Two orders: T = X B^T, Y = A T  (the papers' B X first), or Z = A X, Y = Z B^T.
template <class T, int M1, int N1, int M2, int N2>
struct KronBFirst {
    static constexpr int rows = M1 * M2, columns = N1 * N2;
    using First = MultiplyNT<T, N1, M2, N2, N2, true>;
    using Second = MultiplyNN<T, M1, M2, N1, First::row, false, false>;
    static constexpr long at_a = aligned<T>(First::packed);
    static constexpr long packed = at_a + aligned<T>(Second::packed);
    static constexpr double cost = First::cost + Second::cost;
    static void pack(const T* const* parts, T* w) {
        First::pack(parts[1], w);
        Second::pack(parts[0], w + at_a);
    }
    static KPLIB_INLINE void run(const T* w, const T* x, T* y) {
        Scratch<T, N1 * First::row + lanes<T>> t;
        First::run(w, x, t.data);
        Second::run(w + at_a, t.data, y);
    }
};
template <class T, int M1, int N1, int M2, int N2>
struct KronAFirst {
    static constexpr int rows = M1 * M2, columns = N1 * N2;
    using First = MultiplyNN<T, M1, N2, N1, N2, true, true>;
    using Second = MultiplyNT<T, M1, M2, N2, First::row, false>;
    static constexpr long at_b = aligned<T>(First::packed);
    static constexpr long packed = at_b + aligned<T>(Second::packed);
    static constexpr double cost = First::cost + Second::cost;
    static void pack(const T* const* parts, T* w) {
        First::pack(parts[0], w);
        Second::pack(parts[1], w + at_b);
    }
    static KPLIB_INLINE void run(const T* w, const T* x, T* y) {
        Scratch<T, M1 * First::row + lanes<T>> z;
        First::run(w, x, z.data);
        Second::run(w + at_b, z.data, y);
    }
};
template <class T, int M1, int N1, int M2, int N2>
struct Kron {
    static constexpr int rows = M1 * M2, columns = N1 * N2, operands = 2;
    using BFirst = KronBFirst<T, M1, N1, M2, N2>;
    using AFirst = KronAFirst<T, M1, N1, M2, N2>;
    using Order = std::conditional_t<(BFirst::cost <= AFirst::cost), BFirst, AFirst>;
    static constexpr long packed = Order::packed;
    static void pack(const T* const* parts, T* w) { Order::pack(parts, w); }  // A, B
    static KPLIB_INLINE void run(const T* w, const T* x, T* y) { Order::run(w, x, y); }
};

// W = [D; A (x) B], D with R dense upper rows.
template <class T, int R, int M1, int N1, int M2, int N2>
struct Hybrid {
    static constexpr int rows = R + M1 * M2, columns = N1 * N2, operands = 3;
    using Upper = Dense<T, R, N1 * N2>;
    using Lower = Kron<T, M1, N1, M2, N2>;
    static constexpr long packed = Upper::packed + Lower::packed;
    static void pack(const T* const* parts, T* w) {  // D, A, B
        Upper::pack(parts, w);
        Lower::pack(parts + 1, w + Upper::packed);
    }
    static KPLIB_INLINE void run(const T* w, const T* x, T* y) {
        Upper::run(w, x, y);
        Lower::run(w + Upper::packed, x, y + R);
    }
};

}  // namespace kplib
