// The gate matrices of a layer, one above the other, times one vector: y (G * H) = W (G * H, N) x (N).
//
// The members are those of matvec.hpp, F the format of the packed weights (format.hpp); `Dense` itself is the dense form. G gates of H = M1 * M2 rows share x,
// and with it whatever acts on x first.
#pragma once

#include <vector>

#include "matvec.hpp"

namespace kplib {

// ---- sums of Kronecker products -------------------------------------------------------------------
// W_g = sum over t of A_gt (x) B_gt, from A (G, Terms, M1, N1) and B (G, Terms, M2, N2).
// Stride: distance of the gates in y, for a gate that has other rows above these.
// Where they are rounded, also from the products of their scales (G, Terms), which are multiplied where there is less
// to multiply: after the first product, and always there if terms are to be added.
//
// B first: T_t = X [B_1t; B_2t; ...]^T (N1, G * M2), one below the other; Y_g = [A_g1 A_g2 ...] T's columns of g.
template <class F, int G, int Terms, int M1, int N1, int M2, int N2, int Stride>
struct KronGatesBFirst {
    using T = number<F>;
    using S = stored<F>;
    using First = MultiplyNT<F, N1, G * M2, N2, N2, true>;
    using Second = MultiplyNN<F, M1, M2, Terms * N1, First::row, false, false>;
    static constexpr long each_b = aligned<T>(First::packed), each_a = aligned<T>(Second::packed);
    static constexpr long at_a = Terms * each_b;
    static constexpr long packed = at_a + G * each_a;
    static constexpr bool scaled_first = is_scaled<F> && Terms > 1;
    static constexpr double cost = Terms * First::cost + G * Second::cost;
    static void pack(const T* const* parts, S* w) {
        std::vector<T> part(1L * G * M2 * N2 + long(M1) * Terms * N1);
        for (int t = 0; t < Terms; ++t) {
            for (int g = 0; g < G; ++g)
                for (long i = 0; i < long(M2) * N2; ++i)
                    part[g * long(M2) * N2 + i] = parts[1][(long(g) * Terms + t) * M2 * N2 + i];
            First::pack(part.data(), w + t * each_b);
        }
        for (int g = 0; g < G; ++g) {
            for (int t = 0; t < Terms; ++t)
                for (int i = 0; i < M1; ++i)
                    for (int k = 0; k < N1; ++k)
                        part[long(i) * Terms * N1 + t * N1 + k] = parts[0][((long(g) * Terms + t) * M1 + i) * N1 + k];
            Second::pack(part.data(), w + at_a + g * each_a);
        }
    }
    static KPLIB_INLINE void run(const S* w, const S* scales, const T* x, T* y) {
        Scratch<T, long(Terms) * N1 * First::row + lanes<T>> t;
        for (int k = 0; k < Terms; ++k) First::run(w + k * each_b, x, t.data + long(k) * N1 * First::row);
        if constexpr (scaled_first)
            for (int k = 0; k < Terms; ++k)
                scale_groups<T, N1, First::row, G, M2>(
                    t.data + long(k) * N1 * First::row,
                    [&](int g) KPLIB_LAMBDA { return number_at<F>(scales, g * Terms + k); });
        for (int g = 0; g < G; ++g) Second::run(w + at_a + g * each_a, t.data + g * M2, y + long(g) * Stride);
    }
};
// A first: Z = [the A of all gates, rows and terms] X, so that (G * M1, Terms * N2) is another view of it;
// Y_g = Z_g [B_g1 B_g2 ...]^T.
template <class F, int G, int Terms, int M1, int N1, int M2, int N2, int Stride>
struct KronGatesAFirst {
    using T = number<F>;
    using S = stored<F>;
    using First = MultiplyNN<F, G * M1 * Terms, N2, N1, N2, true, Terms == 1>;
    static constexpr long z_row = Terms == 1 ? First::row : Terms * N2;
    using Second = MultiplyNT<F, M1, M2, Terms * N2, z_row, false>;
    static constexpr long at_b = aligned<T>(First::packed), each_b = aligned<T>(Second::packed);
    static constexpr long packed = at_b + G * each_b;
    static constexpr bool scaled_first = is_scaled<F> && Terms > 1;
    static constexpr double cost = First::cost + G * Second::cost;
    static void pack(const T* const* parts, S* w) {
        std::vector<T> part(1L * G * M1 * Terms * N1 + long(M2) * Terms * N2);
        for (int g = 0; g < G; ++g)
            for (int t = 0; t < Terms; ++t)
                for (int i = 0; i < M1; ++i)
                    for (int k = 0; k < N1; ++k)
                        part[((long(g) * M1 + i) * Terms + t) * N1 + k] = parts[0][((long(g) * Terms + t) * M1 + i) * N1 + k];
        First::pack(part.data(), w);
        for (int g = 0; g < G; ++g) {
            for (int t = 0; t < Terms; ++t)
                for (int j = 0; j < M2; ++j)
                    for (int k = 0; k < N2; ++k)
                        part[(long(j) * Terms + t) * N2 + k] = parts[1][((long(g) * Terms + t) * M2 + j) * N2 + k];
            Second::pack(part.data(), w + at_b + g * each_b);
        }
    }
    static KPLIB_INLINE void run(const S* w, const S* scales, const T* x, T* y) {
        Scratch<T, long(G) * M1 * z_row + lanes<T>> z;
        First::run(w, x, z.data);
        if constexpr (scaled_first)
            for (int row = 0; row < G * M1 * Terms; ++row)
                scale<T, N2>(z.data + long(row) * N2, number_at<F>(scales, row / (M1 * Terms) * Terms + row % Terms));
        for (int g = 0; g < G; ++g) Second::run(w + at_b + g * each_b, z.data + g * M1 * z_row, y + long(g) * Stride);
    }
};
template <class F, int G, int Terms, int M1, int N1, int M2, int N2, int Stride = M1 * M2>
struct KronGates {
    using T = number<F>;
    using S = stored<F>;
    static constexpr int rows = G * Stride, columns = N1 * N2, operands = 2 + is_scaled<F>;
    using BFirst = KronGatesBFirst<F, G, Terms, M1, N1, M2, N2, Stride>;
    using AFirst = KronGatesAFirst<F, G, Terms, M1, N1, M2, N2, Stride>;
    using Order = std::conditional_t<(BFirst::cost <= AFirst::cost), BFirst, AFirst>;
    static constexpr long at_scales = aligned<T>(Order::packed);
    static constexpr long packed = is_scaled<F> ? at_scales + aligned<T>(entries_of<F>(G * Terms)) : Order::packed;
    static void pack(const T* const* parts, S* w) {  // A, B, their scales
        Order::pack(parts, w);
        if constexpr (is_scaled<F>) put_numbers<F>(parts[2], G * Terms, w + at_scales);
    }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        Order::run(w, w + at_scales, x, y);
        if constexpr (is_scaled<F> && !Order::scaled_first)
            for (int g = 0; g < G; ++g) scale<T, M1 * M2>(y + long(g) * Stride, number_at<F>(w + at_scales, g));
    }
};

// W_g = [D_g; A_g (x) B_g], from D (G, R, N1 * N2), A (G, M1, N1) and B (G, M2, N2); where they are rounded, the
// scales (G) come after D, and after B.
template <class F, int G, int R, int M1, int N1, int M2, int N2>
struct HybridGates {
    using T = number<F>;
    using S = stored<F>;
    using Upper = std::conditional_t<is_scaled<F>, Scaled<F, G, Dense<F, G * R, N1 * N2>>, Dense<F, G * R, N1 * N2>>;
    static constexpr int each = R + M1 * M2, rows = G * each, columns = N1 * N2;
    using Lower = KronGates<F, G, 1, M1, N1, M2, N2, each>;
    static constexpr int operands = Upper::operands + Lower::operands;
    static constexpr long packed = Upper::packed + Lower::packed;
    static void pack(const T* const* parts, S* w) {
        Upper::pack(parts, w);
        Lower::pack(parts + Upper::operands, w + Upper::packed);
    }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        Scratch<T, G * R> upper;
        Upper::run(w, x, upper.data);
        for (int g = 0; g < G; ++g) __builtin_memcpy(y + long(g) * each, upper.data + g * R, R * sizeof(T));
        Lower::run(w + Upper::packed, x, y + R);
    }
};

// Stacks of M rows: W_s = U_s V_s, from U (Stacks, M, R) and V (Stacks, R, N).
template <class F, int Stacks, int M, int N, int R>
struct LowRankGates {
    using T = number<F>;
    using S = stored<F>;
    static constexpr int rows = Stacks * M, columns = N, operands = 2;
    using Left = Dense<F, M, R>;
    using Right = Dense<F, Stacks * R, N>;
    static constexpr long packed = Right::packed + Stacks * Left::packed;
    static void pack(const T* const* parts, S* w) {
        Right::pack(parts + 1, w);
        for (int s = 0; s < Stacks; ++s) {
            const T* left = parts[0] + long(s) * M * R;
            Left::pack(&left, w + Right::packed + s * Left::packed);
        }
    }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        Scratch<T, Stacks * R> t;
        Right::run(w, x, t.data);
        for (int s = 0; s < Stacks; ++s) Left::run(w + Right::packed + s * Left::packed, t.data + s * R, y + long(s) * M);
    }
};

// ---- [W_x W_h], made apart -------------------------------------------------------------------------
template <class F, class Input, class Hidden>
struct SplitGates {
    using T = number<F>;
    using S = stored<F>;
    static_assert(Input::rows == Hidden::rows, "both make the same gates");
    static constexpr int rows = Input::rows, columns = Input::columns + Hidden::columns;
    static constexpr int operands = Input::operands + Hidden::operands;
    static constexpr long at_hidden = aligned<T>(Input::packed), packed = at_hidden + Hidden::packed;
    static void pack(const T* const* parts, S* w) {
        Input::pack(parts, w);
        Hidden::pack(parts + Input::operands, w + at_hidden);
    }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        Scratch<T, rows> of_x;
        Input::run(w, x, of_x.data);
        Hidden::run(w + at_hidden, x + Input::columns, y);
        for (int i = 0; i < rows; ++i) y[i] += of_x.data[i];
    }
};

// Some gates of a product that cannot be taken apart: Rows of its rows, from First on.
template <class F, int First, int Rows, class Whole>
struct SliceGates {
    using T = number<F>;
    using S = stored<F>;
    static constexpr int rows = Rows, columns = Whole::columns, operands = Whole::operands;
    static constexpr long packed = Whole::packed;
    static void pack(const T* const* parts, S* w) { Whole::pack(parts, w); }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        Scratch<T, Whole::rows> all;
        Whole::run(w, x, all.data);
        __builtin_memcpy(y, all.data + First, Rows * sizeof(T));
    }
};

// ---- for a GRU that resets after the product: r, z, W_n [x; 0] and W_n [0; h], four gates -------------
// I: entries of x in [x; h]. From W_x and W_h of all three gates:
template <class F, int I, class Input, class Hidden>
struct ApartSplit {
    using T = number<F>;
    using S = stored<F>;
    static constexpr int hidden = Input::rows / 3, rows = 4 * hidden, columns = Input::columns + Hidden::columns;
    static constexpr int operands = Input::operands + Hidden::operands;
    static constexpr long at_hidden = aligned<T>(Input::packed), packed = at_hidden + Hidden::packed;
    static void pack(const T* const* parts, S* w) {
        Input::pack(parts, w);
        Hidden::pack(parts + Input::operands, w + at_hidden);
    }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        Scratch<T, 3 * hidden> of_h;
        Input::run(w, x, y);
        Hidden::run(w + at_hidden, x + I, of_h.data);
        for (int i = 0; i < 2 * hidden; ++i) y[i] += of_h.data[i];
        __builtin_memcpy(y + 3 * hidden, of_h.data + 2 * hidden, hidden * sizeof(T));
    }
};
// [x; 0] and [0; h]
template <class T, int I, int N>
struct Halves {
    Scratch<T, N> x, h;
    KPLIB_INLINE explicit Halves(const T* joined) {
        for (int i = 0; i < N; ++i) {
            x.data[i] = i < I ? joined[i] : T(0);
            h.data[i] = i < I ? T(0) : joined[i];
        }
    }
};
// From one product for r and z, and one for n, which is taken twice:
template <class F, int I, class ResetUpdate, class Candidate>
struct ApartGates {
    using T = number<F>;
    using S = stored<F>;
    static constexpr int hidden = Candidate::rows, rows = 4 * hidden, columns = Candidate::columns;
    static constexpr int operands = ResetUpdate::operands + Candidate::operands;
    static constexpr long at_candidate = aligned<T>(ResetUpdate::packed), packed = at_candidate + Candidate::packed;
    static void pack(const T* const* parts, S* w) {
        ResetUpdate::pack(parts, w);
        Candidate::pack(parts + ResetUpdate::operands, w + at_candidate);
    }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        const Halves<T, I, columns> halves(x);
        ResetUpdate::run(w, x, y);
        const T* const vectors[2] = {halves.x.data, halves.h.data};
        for (int k = 0; k < 2; ++k) Candidate::run(w + at_candidate, vectors[k], y + (2 + k) * hidden);
    }
};
// From one product that cannot be taken apart, taken twice:
template <class F, int I, class Whole>
struct ApartWhole {
    using T = number<F>;
    using S = stored<F>;
    static constexpr int hidden = Whole::rows / 3, rows = 4 * hidden, columns = Whole::columns;
    static constexpr int operands = Whole::operands;
    static constexpr long packed = Whole::packed;
    static void pack(const T* const* parts, S* w) { Whole::pack(parts, w); }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        const Halves<T, I, columns> halves(x);
        Scratch<T, 6 * hidden> both;
        const T* const vectors[2] = {halves.x.data, halves.h.data};
        for (int k = 0; k < 2; ++k) Whole::run(w, vectors[k], both.data + 3 * k * hidden);
        for (int i = 0; i < 2 * hidden; ++i) y[i] = both.data[i] + both.data[3 * hidden + i];
        __builtin_memcpy(y + 2 * hidden, both.data + 2 * hidden, hidden * sizeof(T));
        __builtin_memcpy(y + 3 * hidden, both.data + 5 * hidden, hidden * sizeof(T));
    }
};

}  // namespace kplib
