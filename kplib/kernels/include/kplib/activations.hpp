// tanh and sigmoid on vectors, from one exponential: no table, no branch, no call.
//
// e^y = 2^n e^r with y = n ln 2 + r, |r| <= ln(2)/2. In single precision e^r is a polynomial of least
// relative error, in double precision its Taylor series. tanh uses e^y - 1 = 2^n (e^r - 1) + (2^n - 1), in
// which nothing cancels near 0. Infinities saturate exactly (sigmoid 0 and 1, tanh -1 and 1), NaN stays NaN.
//
// Largest errors, of all floats and of some million doubles (tests/engine/test_activations.py):
//
//                 float     double
//     sigmoid     1.0e-7    2.0e-16      absolute
//     tanh        1.5e-7    3.0e-16      absolute; near 0 relative
#pragma once

#include <cstdint>

#include "simd.hpp"

namespace kplib {

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
    using Bits = std::uint32_t;
    static constexpr int mantissa = 23, bias = 127;
    static constexpr float round = 12582912.0f;            // 1.5 * 2^23: adding it rounds to an integer
    static constexpr float least = -87.0f, most = 89.0f;   // 2^n is normal at the one, infinite at the other
    static constexpr float tanh_most = 9.1f;               // tanh rounds to 1 from here on
    static constexpr double ln2_high = 0.69314718055994530942, ln2_low = 0;  // n is small: one part will do
    // of e^r - 1 = c[0] r + c[1] r^2 + ...: least error relative to e^r, and relative to e^r - 1
    static constexpr int exp_terms = 5, expm1_terms = 6;
    static constexpr double exp(int k) {
        constexpr double c[] = {0.9999997019767761, 0.49999141693115234, 0.16667650640010834,
                                0.041898954659700394, 0.00828962679952383};
        return c[k];
    }
    static constexpr double expm1(int k) {
        constexpr double c[] = {1.0, 0.4999999701976776, 0.1666654497385025,
                                0.04166746139526367, 0.008366432040929794, 0.0013868435053154826};
        return c[k];
    }
};
template <>
struct ExpConstants<double> {
    using Bits = std::uint64_t;
    static constexpr int mantissa = 52, bias = 1023;
    static constexpr double round = 6755399441055744.0;    // 1.5 * 2^52
    static constexpr double least = -708.0, most = 709.9;
    static constexpr double tanh_most = 19.1;
    static constexpr double ln2_high = 0.693147180369123816490;  // few bits, so that n * ln2_high is exact
    static constexpr double ln2_low = 1.90821492927058770002e-10;
    static constexpr int exp_terms = 13, expm1_terms = 13;
    static constexpr double exp(int k) {
        double factorial = 1;
        for (int i = 2; i <= k + 1; ++i) factorial *= i;
        return 1 / factorial;
    }
    static constexpr double expm1(int k) { return exp(k); }
};

template <class T, int L>
KPLIB_INLINE vec<T, L> clamp(vec<T, L> x, T low, T high) {
    const vec<T, L> lows = vec<T, L>{} + low, highs = vec<T, L>{} + high;
    x = x < lows ? lows : x;
    return x > highs ? highs : x;
}

// y = Scale x as n ln 2 + Scale r, with Scale 1, -1, 2, ...: a power of 2 up to its sign.
template <class T, int L>
struct Reduced {
    vec<T, L> r, power;  // power = 2^n
};
template <class T, int L, int Scale>
KPLIB_INLINE Reduced<T, L> reduce(vec<T, L> x) {
    using C = ExpConstants<T>;
    const vec<T, L> shifted = x * T(Scale * 1.44269504088896340736) + C::round;
    const vec<T, L> n = shifted - C::round;
    vec<T, L> r = x - n * T(C::ln2_high / Scale);
    if constexpr (C::ln2_low != 0) r = r - n * T(C::ln2_low / Scale);
    vec<typename C::Bits, L> bits;
    __builtin_memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + typename C::Bits(C::bias)) << C::mantissa;  // the low bits of `shifted` are n
    vec<T, L> power;
    __builtin_memcpy(&power, &bits, sizeof power);
    return {r, power};
}
constexpr double to_power(int base, int exponent) { return exponent == 0 ? 1 : base * to_power(base, exponent - 1); }

// e^(Scale x) for Scale x in [least, most].
template <class T, int L, int Scale>
KPLIB_INLINE vec<T, L> exp_scaled(vec<T, L> x) {
    using C = ExpConstants<T>;
    const Reduced<T, L> y = reduce<T, L, Scale>(x);
    constexpr int terms = C::exp_terms;
    constexpr T highest = T(C::exp(terms - 1) * to_power(Scale, terms));
    vec<T, L> series = vec<T, L>{} + highest;
    unroll<terms - 1>([&](auto i) KPLIB_LAMBDA {
        constexpr int k = terms - 2 - i;
        constexpr T coefficient = T(C::exp(k) * to_power(Scale, k + 1));
        series = series * y.r + coefficient;
    });
    return (series * y.r + T(1)) * y.power;
}
// e^(Scale x) - 1 for Scale x in (least, most), where 2^n is finite.
template <class T, int L, int Scale>
KPLIB_INLINE vec<T, L> expm1_scaled(vec<T, L> x) {
    using C = ExpConstants<T>;
    const Reduced<T, L> y = reduce<T, L, Scale>(x);
    constexpr int terms = C::expm1_terms;
    constexpr T highest = T(C::expm1(terms - 1) * to_power(Scale, terms));
    vec<T, L> series = vec<T, L>{} + highest;
    unroll<terms - 1>([&](auto i) KPLIB_LAMBDA {
        constexpr int k = terms - 2 - i;
        constexpr T coefficient = T(C::expm1(k) * to_power(Scale, k + 1));
        series = series * y.r + coefficient;
    });
    return y.power * (series * y.r) + (y.power - T(1));
}

// 1 / sigmoid(x), from 1 to infinity
template <class T, int L>
KPLIB_INLINE vec<T, L> inverse_sigmoid(vec<T, L> x) {
    using C = ExpConstants<T>;
    return exp_scaled<T, L, -1>(clamp<T, L>(x, -C::most, -C::least)) + T(1);
}
// e^(2x) - 1, of which tanh(x) = e / (e + 2)
template <class T, int L>
KPLIB_INLINE vec<T, L> tanh_numerator(vec<T, L> x) {
    using C = ExpConstants<T>;
    return expm1_scaled<T, L, 2>(clamp<T, L>(x, -C::tanh_most, C::tanh_most));
}

template <class T, int L>
KPLIB_INLINE vec<T, L> sigmoid(vec<T, L> x) {
    return T(1) / inverse_sigmoid<T, L>(x);
}
template <class T, int L>
KPLIB_INLINE vec<T, L> tanh(vec<T, L> x) {
    const vec<T, L> e = tanh_numerator<T, L>(x);
    return e / (e + T(2));
}
// sigmoid(a) * y and sigmoid(a) * tanh(b), with one division each
template <class T, int L>
KPLIB_INLINE vec<T, L> sigmoid_times(vec<T, L> a, vec<T, L> y) {
    return y / inverse_sigmoid<T, L>(a);
}
template <class T, int L>
KPLIB_INLINE vec<T, L> sigmoid_times_tanh(vec<T, L> a, vec<T, L> b) {
    const vec<T, L> e = tanh_numerator<T, L>(b);
    return e / ((e + T(2)) * inverse_sigmoid<T, L>(a));
}
// max(x, 0), which leaves NaN as it is
template <class T, int L>
KPLIB_INLINE vec<T, L> relu(vec<T, L> x) {
    const vec<T, L> zero = vec<T, L>{};
    return x < zero ? zero : x;
}

// Functions as types: phi of a plain recurrent cell.
struct Sigmoid {
    template <class T, int L>
    static KPLIB_INLINE vec<T, L> apply(vec<T, L> x) { return sigmoid<T, L>(x); }
};
struct Tanh {
    template <class T, int L>
    static KPLIB_INLINE vec<T, L> apply(vec<T, L> x) { return tanh<T, L>(x); }
};
struct Relu {
    template <class T, int L>
    static KPLIB_INLINE vec<T, L> apply(vec<T, L> x) { return relu<T, L>(x); }
};

// phi of each of N numbers, with the members of an operation (matvec.hpp). N is a multiple of the lanes.
template <class T, int N, class Phi>
struct Elementwise {
    static constexpr int rows = N, columns = N, operands = 0;
    static constexpr long packed = 0;
    static_assert(N % lanes<T> == 0, "whole vectors");
    static void pack(const T* const*, T*) {}
    static KPLIB_INLINE void run(const T*, const T* x, T* y) {
        for (int i = 0; i < N; i += lanes<T>)
            store<T, lanes<T>>(y + i, Phi::template apply<T, lanes<T>>(load<T, lanes<T>>(x + i)));
    }
};

}  // namespace kplib
