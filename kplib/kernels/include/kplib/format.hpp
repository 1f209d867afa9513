// What packed weights are made of, and how they are read: the first argument of every operation.
//
//     float, double   numbers
//     Int8            whole numbers of 8 bits; one scale, a float, for each of the matrices that were rounded.
//                     They are widened where they are used, and multiplied by vectors of float.
#pragma once

#include <cstdint>

#include "simd.hpp"

namespace kplib {

struct Int8 {};

template <class F>
struct FormatOf {
    using Number = F;
    using Stored = F;
};
template <>
struct FormatOf<Int8> {
    using Number = float;
    using Stored = std::int8_t;
};
template <class F>
using number = typename FormatOf<F>::Number;  // of x and y, and of scales
template <class F>
using stored = typename FormatOf<F>::Stored;  // of an entry of the table
template <class F>
inline constexpr bool is_scaled = !std::is_same_v<number<F>, stored<F>>;

// Every part of the packed weights starts on a 64-byte line (of numbers; with narrower entries at least on what a
// vector of them takes).
template <class T>
constexpr long aligned(long count) { return round_up(count, 64 / long(sizeof(T))); }

// ---- reading ------------------------------------------------------------------------------------------
template <class T, int L>
KPLIB_INLINE vec<T, L> load(const std::int8_t* p) {
    if constexpr (L == 1) {
        return T(p[0]);
    } else if constexpr (L == 2) {
        return vec<T, L>{T(p[0]), T(p[1])};
    } else {  // in three steps, of which g++ makes vector instructions, and clang one of the first two
        vec<std::int8_t, L> bytes;
        __builtin_memcpy(&bytes, p, sizeof bytes);
        return __builtin_convertvector(
            __builtin_convertvector(__builtin_convertvector(bytes, vec<std::int16_t, L>), vec<std::int32_t, L>), vec<T, L>);
    }
}
template <class T, int Count>
KPLIB_INLINE void widen(const std::int8_t* from, T* to) {
    constexpr int L = lanes<T>, whole = Count - Count % L;
    for (int i = 0; i < whole; i += L) store<T, L>(to + i, load<T, L>(from + i));
    for (int i = whole; i < Count; ++i) to[i] = T(from[i]);
}

// ---- numbers among the entries: scales, and what is not rounded ------------------------------------------
template <class F>
constexpr long entries_of(long numbers) { return numbers * long(sizeof(number<F>) / sizeof(stored<F>)); }
template <class F>
void put_numbers(const number<F>* from, long count, stored<F>* w) {
    __builtin_memcpy(static_cast<void*>(w), from, count * sizeof(number<F>));
}
template <class F>
KPLIB_INLINE number<F> number_at(const stored<F>* w, long k) {
    number<F> value;
    __builtin_memcpy(&value, w + entries_of<F>(k), sizeof value);
    return value;
}

// ---- scales ----------------------------------------------------------------------------------------------
// y[i] times factors(i, lanes), for i < N.
template <class T, int N, class Factors>
KPLIB_INLINE void multiply_each(T* y, Factors&& factors) {
    constexpr int L = lanes<T>, rest = N % L, whole = N - rest;
    for (int i = 0; i < whole; i += L) store<T, L>(y + i, load<T, L>(y + i) * factors(i));
    if constexpr (rest > 0) store_first<T, L, rest>(y + whole, load_first<T, L, rest>(y + whole) * factors(whole));
}
template <class T, int N>
KPLIB_INLINE void scale(T* y, T by) {
    multiply_each<T, N>(y, [by](int) KPLIB_LAMBDA { return vec<T, lanes<T>>{} + by; });
}
// The rows y + i * Row, i < Rows, each of G groups of N entries, by one scale a group: by(g).
template <class T, int Rows, int Row, int G, int N, class By>
KPLIB_INLINE void scale_groups(T* y, By&& by) {
    constexpr int L = lanes<T>;
    alignas(64) T pattern[round_up(G * N, L) + round_up(N, L)];
    for (int g = 0; g < G; ++g)  // what runs over the end of a group is the next one's, stored later
        for (int i = 0; i < N; i += L) store<T, L>(pattern + g * N + i, vec<T, L>{} + by(g));
    for (int i = 0; i < Rows; ++i)
        multiply_each<T, G * N>(y + long(i) * Row, [&](int j) KPLIB_LAMBDA { return load<T, L>(pattern + j); });
}
// A product of whole numbers, then the scales of its Groups equal groups of rows. Operands: Product's, the scales.
template <class F, int Groups, class Product>
struct Scaled {
    using T = number<F>;
    using S = stored<F>;
    static_assert(is_scaled<F> && Product::rows % Groups == 0, "equal groups");
    static constexpr int rows = Product::rows, columns = Product::columns, operands = Product::operands + 1;
    static constexpr long at_scales = aligned<T>(Product::packed), packed = at_scales + aligned<T>(entries_of<F>(Groups));
    static void pack(const T* const* parts, S* w) {
        Product::pack(parts, w);
        put_numbers<F>(parts[Product::operands], Groups, w + at_scales);
    }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        constexpr int each = rows / Groups;
        Product::run(w, x, y);
        for (int g = 0; g < Groups; ++g) scale<T, each>(y + long(g) * each, number_at<F>(w + at_scales, g));
    }
};

// Biases of G gates, vectors of N, in room for whole vectors; each the sum of Summands, as they are if there is
// more than one vector of biases and each is rounded by itself. Operands: (Summands, G, N), scales (Summands, G).
template <class F, int G, int N, int Summands = 1>
struct Biases {
    using T = number<F>;
    using S = stored<F>;
    static constexpr int rows = Summands * G, operands = 1 + is_scaled<F>;
    static constexpr int padded = int(round_up(N, lanes<T>));
    static constexpr long at_scales = long(rows) * padded;
    static constexpr long packed = at_scales + (is_scaled<F> ? entries_of<F>(rows) : 0);
    static void pack(const T* const* parts, S* w) {
        for (int r = 0; r < rows; ++r)
            for (int i = 0; i < padded; ++i) w[long(r) * padded + i] = i < N ? S(parts[0][long(r) * N + i]) : S(0);
        if constexpr (is_scaled<F>) put_numbers<F>(parts[1], rows, w + at_scales);
    }
    // Lanes i, i + 1, ... of y, the biases of gate g added.
    template <int L>
    static KPLIB_INLINE vec<T, L> add(vec<T, L> y, const S* w, int g, int i) {
        unroll<Summands>([&](auto summand) KPLIB_LAMBDA {
            const int row = summand * G + g;
            const vec<T, L> bias = load<T, L>(w + long(row) * padded + i);
            if constexpr (is_scaled<F>) y += bias * number_at<F>(w + at_scales, row);
            else y += bias;
        });
        return y;
    }
};

}  // namespace kplib
