// tanh and sigmoid on vectors, from one exponential: no table, no branch, no call.
//
// e^x - 1 = 2^n (e^r - 1) + (2^n - 1) with x = n ln 2 + r, |r| <= ln(2)/2, and e^r - 1 by its Taylor series.
// Kept as e^x - 1, nothing cancels near 0. Infinities saturate, NaN stays NaN.
#pragma once

#include <cstdint>

#include "simd.hpp"

namespace kplib {

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
    using Int = std::int32_t;
    static constexpr int mantissa = 23, bias = 127, terms = 7;
    static constexpr float round = 12582912.0f;            // 1.5 * 2^23: adding it rounds to an integer
    static constexpr float ln2_high = 0.693145751953125f;  // few bits, so that n * ln2_high is exact
    static constexpr float ln2_low = 1.42860682030941723e-6f;
    static constexpr float least = -87.0f, most = 88.0f;   // where 2^n and e^x are still normal
    static constexpr float tanh_most = 9.1f;               // tanh rounds to 1 from here on
};
template <>
struct ExpConstants<double> {
    using Int = std::int64_t;
    static constexpr int mantissa = 52, bias = 1023, terms = 13;
    static constexpr double round = 6755399441055744.0;    // 1.5 * 2^52
    static constexpr double ln2_high = 0.693147180369123816490;
    static constexpr double ln2_low = 1.90821492927058770002e-10;
    static constexpr double least = -707.0, most = 709.0;
    static constexpr double tanh_most = 19.1;
};

template <class T>
constexpr T inverse_factorial(int k) {
    double product = 1;
    for (int i = 2; i <= k; ++i) product *= i;
    return T(1 / product);
}

template <class T, int L>
KPLIB_INLINE vec<T, L> clamp(vec<T, L> x, T low, T high) {
    const vec<T, L> lows = vec<T, L>{} + low, highs = vec<T, L>{} + high;
    x = x < lows ? lows : x;
    return x > highs ? highs : x;
}

// e^x - 1 for x in [least, most].
template <class T, int L>
KPLIB_INLINE vec<T, L> expm1_reduced(vec<T, L> x) {
    using C = ExpConstants<T>;
    using Ints = vec<typename C::Int, L>;
    const vec<T, L> shifted = x * T(1.44269504088896340736) + C::round;
    const vec<T, L> n = shifted - C::round;
    const vec<T, L> r = (x - n * C::ln2_high) - n * C::ln2_low;
    vec<T, L> series = vec<T, L>{} + inverse_factorial<T>(C::terms);
    unroll<C::terms - 1>([&](auto i) KPLIB_LAMBDA {
        series = series * r + inverse_factorial<T>(C::terms - 1 - i);
    });
    Ints bits;
    __builtin_memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + typename C::Int(C::bias)) << C::mantissa;  // the low bits of `shifted` are n
    vec<T, L> power;
    __builtin_memcpy(&power, &bits, sizeof power);
    return power * (series * r) + (power - T(1));
}

template <class T, int L>
KPLIB_INLINE vec<T, L> sigmoid(vec<T, L> x) {
    using C = ExpConstants<T>;
    return T(1) / (expm1_reduced<T, L>(clamp<T, L>(-x, C::least, C::most)) + T(2));
}
template <class T, int L>
KPLIB_INLINE vec<T, L> tanh(vec<T, L> x) {
    using C = ExpConstants<T>;
    const vec<T, L> e = expm1_reduced<T, L>(clamp<T, L>(x, -C::tanh_most, C::tanh_most) * T(2));
    return e / (e + T(2));
}

}  // namespace kplib
