// Vectors of a compile-time number of lanes, in GNU/Clang vector extensions only.
//
// One source for Cling (cppyy), g++ >= 12 and clang >= 14, on x86-64 and aarch64: no intrinsics. Everything
// here is forced inline and every index is a compile-time constant, because Cling's optimiser, unlike
// g++ -O3, does not recover from a helper that stays a call or from an array that stays in memory.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#ifdef __FAST_MATH__
#error "kplib rounds and saturates by the rules of IEEE arithmetic: compile without -ffast-math"
#endif

#define KPLIB_INLINE inline __attribute__((always_inline))
#define KPLIB_LAMBDA __attribute__((always_inline))

namespace kplib {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
inline constexpr int vector_registers = 32;
#elif defined(__AVX__)
inline constexpr int vector_bytes = 32;
inline constexpr int vector_registers = 16;
#elif defined(__aarch64__)
inline constexpr int vector_bytes = 16;
inline constexpr int vector_registers = 32;
#else
inline constexpr int vector_bytes = 16;
inline constexpr int vector_registers = 16;
#endif

template <class T>
inline constexpr int lanes = vector_bytes / int(sizeof(T));

template <class T, int L>
struct vector_of {
    typedef T type __attribute__((vector_size(L * sizeof(T))));
};
template <class T>
struct vector_of<T, 1> {
    typedef T type;
};
template <class T, int L>
using vec = typename vector_of<T, L>::type;

constexpr long ceil_div(long a, long b) { return (a + b - 1) / b; }
constexpr long round_up(long a, long b) { return ceil_div(a, b) * b; }
constexpr int floor_power_of_2(int n) {
    int p = 1;
    while (2 * p <= n) p *= 2;
    return p;
}
constexpr int ceil_power_of_2(int n) {
    int p = 1;
    while (p < n) p *= 2;
    return p;
}

// unroll<N>(f): f(0), ..., f(N-1), each index an integral constant.
template <int... I, class F>
KPLIB_INLINE void unroll_sequence(std::integer_sequence<int, I...>, F&& f) {
    (f(std::integral_constant<int, I>{}), ...);
}
template <int N, class F>
KPLIB_INLINE void unroll(F&& f) {
    unroll_sequence(std::make_integer_sequence<int, N>{}, f);
}

template <class T, int L>
KPLIB_INLINE vec<T, L> load(const T* p) {
    vec<T, L> v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
template <class T, int L>
KPLIB_INLINE void store(T* p, vec<T, L> v) {
    __builtin_memcpy(p, &v, sizeof v);
}

// shuffle<Pattern>(a, b): lane i is lane Pattern::at(i) of the concatenation [a, b].
template <class Pattern, class T, int L, int... I>
KPLIB_INLINE auto shuffle_sequence(vec<T, L> a, vec<T, L> b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, Pattern::at(I)...);
}
template <class Pattern, class T, int L, int Out = L>
KPLIB_INLINE auto shuffle(vec<T, L> a, vec<T, L> b) {
    return shuffle_sequence<Pattern, T, L>(a, b, std::make_integer_sequence<int, Out>{});
}

// Lanes Offset, ..., Offset + Count - 1 of v.
template <int Offset>
struct slice_pattern {
    static constexpr int at(int i) { return Offset + i; }
};
template <class T, int L, int Offset, int Count>
KPLIB_INLINE vec<T, Count> slice(vec<T, L> v) {
    if constexpr (L == 1 || Count == L) {
        return v;
    } else if constexpr (Count == 1) {
        return v[Offset];
    } else {
        return shuffle<slice_pattern<Offset>, T, L, Count>(v, v);
    }
}

// The first Count lanes of v to p; nothing behind them is touched.
template <class T, int L, int Count, int From = 0>
KPLIB_INLINE void store_first(T* p, vec<T, L> v) {
    if constexpr (Count > 0) {
        constexpr int piece = floor_power_of_2(Count);
        store<T, piece>(p, slice<T, L, From, piece>(v));
        store_first<T, L, Count - piece, From + piece>(p + piece, v);
    }
}

// p[0], ..., p[Count - 1], then zeros; nothing behind them is read.
template <int Count, int L>
struct widen_pattern {  // Count lanes of a vector of Count lanes, then lane 0 of a zero vector
    static constexpr int at(int i) { return i < Count ? i : Count; }
};
template <int Head, int Rest, int L>
struct append_pattern {  // Head lanes of a, Rest lanes of b, zeros (lane Rest of b is one)
    static constexpr int at(int i) { return i < Head ? i : i < Head + Rest ? L + i - Head : L + Rest; }
};
template <class T, int L, int Count>
KPLIB_INLINE vec<T, L> load_first(const T* p) {
    if constexpr (Count == L) {
        return load<T, L>(p);
    } else {
        constexpr int head = floor_power_of_2(Count);
        vec<T, L> v{};
        if constexpr (head == 1) {
            v[0] = p[0];
        } else {
            v = shuffle<widen_pattern<head, L>, T, head, L>(load<T, head>(p), vec<T, head>{});
        }
        if constexpr (Count > head) {
            const vec<T, L> rest = load_first<T, L, Count - head>(p + head);
            v = shuffle<append_pattern<head, Count - head, L>, T, L>(v, rest);
        }
        return v;
    }
}

// ---- sums of many vectors at once ---------------------------------------------------------------
// add_pairs<level>(a, b) halves the number of partial sums that a and b each hold and puts both into one
// vector. The first levels shuffle inside 128-bit blocks (one cheap instruction everywhere), the
// last ones move whole blocks. After log2(L) levels lane i is the sum of the i-th vector.
template <class T, int L, int Level, int Half>
struct pair_pattern {
    static constexpr int block = L < 16 / int(sizeof(T)) ? L : 16 / int(sizeof(T));
    static constexpr int at(int i) {
        if ((1 << Level) < block) {
            const int chunk = 1 << Level;
            const int in_block = i % block;
            const int source = (in_block / chunk) % 2;  // chunks alternate between a and b
            const int lane = i / block * block + Half * (block / 2) + in_block / (2 * chunk) * chunk + in_block % chunk;
            return source * L + lane;
        }
        const int groups = (1 << Level) / block;        // groups of blocks that each of a and b holds
        const int size = L / groups;                    // lanes in a group
        const int source = i / (L / 2);
        const int j = i % (L / 2);
        return source * L + j / (size / 2) * size + Half * (size / 2) + j % (size / 2);
    }
};
template <class T, int L, int Level>
KPLIB_INLINE vec<T, L> add_pairs(vec<T, L> a, vec<T, L> b) {
    return shuffle<pair_pattern<T, L, Level, 0>, T, L>(a, b) + shuffle<pair_pattern<T, L, Level, 1>, T, L>(a, b);
}
// Lane i (i < Count) of the result is the sum of the lanes of v[i]; the other lanes hold copies.
template <class T, int L, int Count, int Level = 0>
KPLIB_INLINE vec<T, L> sum_each(const vec<T, L>* v) {
    if constexpr ((1 << Level) >= L) {
        return v[0];
    } else {
        constexpr int half = int(ceil_div(Count, 2));
        vec<T, L> w[half];
        unroll<half>([&](auto i) KPLIB_LAMBDA {
            constexpr int second = 2 * i + 1 < Count ? 2 * i + 1 : 2 * i;
            w[i] = add_pairs<T, L, Level>(v[2 * i], v[second]);
        });
        return sum_each<T, L, half, Level + 1>(w);
    }
}

// ---- columns to rows ----------------------------------------------------------------------------
// interleave: Count vectors c[j] of L lanes (lane i is row i) become the L * Count numbers in row order.
template <int L, int Half>
struct zip_pattern {
    static constexpr int at(int i) { return i % 2 * L + Half * (L / 2) + i / 2; }
};
template <int L, int Count, int Out, int Column>
struct merge_pattern {  // keep what is there, take the lanes of this column from b
    static constexpr int at(int i) {
        const int flat = Out * L + i;
        return flat % Count == Column ? L + flat / Count : i;
    }
};
template <int L, int Count, int Out>
struct first_pattern {
    static constexpr int at(int i) { return (Out * L + i) / Count; }
};
template <class T, int L, int Count>
KPLIB_INLINE void interleave(const vec<T, L>* c, vec<T, L>* out) {
    if constexpr (Count == 1) {
        out[0] = c[0];
    } else if constexpr (L == 1) {
        unroll<Count>([&](auto j) KPLIB_LAMBDA { out[j] = c[j]; });
    } else if constexpr (Count % 2 == 0) {  // even columns, odd columns, then zip the two
        constexpr int half = Count / 2;
        vec<T, L> columns[2][half], rows[2][half];
        unroll<half>([&](auto j) KPLIB_LAMBDA {
            columns[0][j] = c[2 * j];
            columns[1][j] = c[2 * j + 1];
        });
        interleave<T, L, half>(columns[0], rows[0]);
        interleave<T, L, half>(columns[1], rows[1]);
        unroll<half>([&](auto v) KPLIB_LAMBDA {
            out[2 * v] = shuffle<zip_pattern<L, 0>, T, L>(rows[0][v], rows[1][v]);
            out[2 * v + 1] = shuffle<zip_pattern<L, 1>, T, L>(rows[0][v], rows[1][v]);
        });
    } else {
        unroll<Count>([&](auto v) KPLIB_LAMBDA {
            vec<T, L> w = shuffle<first_pattern<L, Count, v>, T, L>(c[0], c[0]);
            unroll<Count - 1>([&](auto j) KPLIB_LAMBDA {
                w = shuffle<merge_pattern<L, Count, v, j + 1>, T, L>(w, c[j + 1]);
            });
            out[v] = w;
        });
    }
}

// Scratch memory of Count entries: on the stack while it is small, so that threads share nothing.
template <class T, long Count, bool OnStack = (Count * long(sizeof(T)) <= 65536)>
struct Scratch {
    alignas(64) T data[Count];
};
template <class T, long Count>
struct Scratch<T, Count, false> {
    T* data = static_cast<T*>(::operator new(Count * sizeof(T), std::align_val_t(64)));
    ~Scratch() { ::operator delete(data, std::align_val_t(64)); }
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
};

}  // namespace kplib
