// y = W x for a W with few entries that are not 0: sliced ELLPACK.
//
// The rows are sorted by how many entries they have, and cut into slices of `slice_rows`. A slice stores, for
// k = 0, 1, ..., the k-th entry of each of its rows with its column, so that one vector of sums goes through the
// slice; shorter rows are filled up with zeros. Where W is small or not sparse enough, the dense product is less
// work, and is taken.
//
// Measured against it: compressed rows, and blocks of 2 to 16 rows of one column stored as dense vectors. At the
// papers' densities (2 to 5 %) slices of 4 rows are the fastest of these, and the smallest.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "matvec.hpp"

namespace kplib {

inline constexpr int slice_rows = 4;

// Stored: entries of all slices, zeros that fill up included: the sum over the slices of 4 times the most entries
// of a row.
template <class F, int M, int N, int Stored>
struct SlicedRows {
    using T = number<F>;
    using S = stored<F>;
    using Index = std::conditional_t<(M < 65536 && N < 65536), std::uint16_t, std::int32_t>;
    static constexpr int rows = M, columns = N, operands = 1;
    static constexpr int R = slice_rows, slices = int(ceil_div(M, R));
    static constexpr int L = R < lanes<T> ? R : lanes<T>;
    // lengths of the slices, the row of each sum, the columns; then the values
    static constexpr long at_row = slices, at_column = at_row + long(slices) * R, indices = at_column + Stored;
    static constexpr long at_values = aligned<T>(ceil_div(indices * long(sizeof(Index)), sizeof(S)));
    static constexpr long packed = at_values + aligned<T>(Stored > 0 ? Stored : 1);
    static void pack(const T* const* parts, S* w) {  // W (M, N), zeros and all
        std::vector<std::vector<Index>> columns_of(slices * R);
        for (int i = 0; i < M; ++i)
            for (int j = 0; j < N; ++j)
                if (parts[0][long(i) * N + j] != T(0)) columns_of[i].push_back(Index(j));
        std::vector<Index> order(M), index(at_column);
        for (int i = 0; i < M; ++i) order[i] = Index(i);
        std::stable_sort(order.begin(), order.end(),
                         [&](Index a, Index b) { return columns_of[a].size() > columns_of[b].size(); });
        S* value = w + at_values;
        for (int s = 0; s < slices; ++s) {
            const std::size_t length = columns_of[order[s * R]].size();
            index[s] = Index(length);
            for (int r = 0; r < R; ++r) index[at_row + s * R + r] = s * R + r < M ? order[s * R + r] : Index(0);
            for (std::size_t k = 0; k < length; ++k)
                for (int r = 0; r < R; ++r) {
                    const bool there = s * R + r < M && k < columns_of[order[s * R + r]].size();
                    const int column = there ? columns_of[order[s * R + r]][k] : columns_of[order[s * R]][k];
                    index.push_back(Index(column));
                    *value++ = S(there ? parts[0][long(order[s * R + r]) * N + column] : T(0));
                }
        }
        __builtin_memcpy(static_cast<void*>(w), index.data(), index.size() * sizeof(Index));
    }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) {
        const char* const index = reinterpret_cast<const char*>(w);
        const auto at = [&](long k) KPLIB_LAMBDA {
            Index value;
            __builtin_memcpy(&value, index + k * long(sizeof(Index)), sizeof value);
            return value;
        };
        long column = at_column;
        const S* value = w + at_values;
        for (int s = 0; s < slices; ++s) {
            vec<T, L> sum[R / L]{};
            for (int k = at(s); k > 0; --k) {
                unroll<R / L>([&](auto part) KPLIB_LAMBDA {
                    vec<T, L> chosen;
                    unroll<L>([&](auto lane) KPLIB_LAMBDA {
                        constexpr int l = lane;
                        chosen[l] = x[at(column + part * L + l)];
                    });
                    sum[part] += load<T, L>(value + part * L) * chosen;
                });
                column += R;
                value += R;
            }
            unroll<R>([&](auto r) KPLIB_LAMBDA {
                constexpr int part = r / L, l = r % L;
                if (M % R == 0 || s * R + r < M) y[at(at_row + s * R + r)] = sum[part][l];
            });
        }
    }
};

template <class F, int M, int N, int Stored>
struct Sparse {
    using T = number<F>;
    using S = stored<F>;
    // In cycles, as measured: a stored entry 0.9; a vector of the dense matrix 0.6 from the first cache, and
    // what 50 bytes a cycle allow from the second; where it has to be widened from fewer bits first, 0.93.
    static constexpr double entries = double(M) * N;
    static constexpr bool fits = entries * sizeof(S) <= 49152, widened = sizeof(S) < sizeof(T);
    static constexpr double dense_cost = entries * (widened ? 0.93 / lanes<T> : fits ? 0.6 / lanes<T> : sizeof(S) / 50.0);
    using Form = std::conditional_t<(0.9 * Stored < dense_cost), SlicedRows<F, M, N, Stored>, Dense<F, M, N>>;
    static constexpr int rows = M, columns = N, operands = 1;
    static constexpr long packed = Form::packed;
    static void pack(const T* const* parts, S* w) { Form::pack(parts, w); }
    static KPLIB_INLINE void run(const S* w, const T* x, T* y) { Form::run(w, x, y); }
};

}  // namespace kplib
