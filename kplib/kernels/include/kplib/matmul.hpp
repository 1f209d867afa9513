// The two small products that every kernel here is made of, with all sizes known at compile time.
//
//     multiply_nt<M, N, K>   C (M, N) = X (M, K) B (N, K)^T      B constant, packed once
//     multiply_nn<M, N, K>   C (M, N) = A (M, K) X (K, N)        A constant, packed once
//
// X is the argument (or the result of the stage before), row-major. Each product has two methods, and
// the one that needs fewer vector instructions is chosen at compile time:
//
//     rows      lanes run along a row of C; the entries of the left matrix are broadcast
//     dots      (nt) lanes run along K; up to one vector's worth of dot products is summed at once
//     columns   (nn) lanes run down a column of C; columns are interleaved when they are stored
//     entries   (nn) lanes run through C as it lies in memory: each entry of A is stored once for every column
//
// Nothing is read behind the last entry of X or written behind the last of C. Lanes never mix rows of
// X, so that a NaN in one row cannot leak into another.
#pragma once

#include "format.hpp"

namespace kplib {

// How `count` consecutive entries are cut into vectors: panels of up to `Wide` full vectors, and at
// most one narrower tail. A last vector that is more than half full counts as full ("padded"); beside one or two
// others a quarter will do, for a tail, a panel of its own, would read all of the other matrix once more (measured:
// padded it is 1.1 to 1.2 times as fast).
template <class T>
struct Cut {
    int full;          // vectors of lanes<T> entries
    int tail;          // lanes of the narrower last vector; 0 if there is none
    int tail_valid;    // entries of the tail that count
    int last_valid;    // entries of the last full vector that count
    constexpr explicit Cut(int count)
        : full(count / lanes<T>), tail(0), tail_valid(0), last_valid(lanes<T>) {
        const int rest = count % lanes<T>;
        const int least = full == 1 || full == 2 ? lanes<T> / 4 : lanes<T> / 2;
        if (rest > least) {
            full += 1;
            last_valid = rest;
        } else if (rest > 0) {
            tail = ceil_power_of_2(rest);
            tail_valid = rest;
        }
    }
    constexpr int vectors() const { return full + (tail > 0); }
    constexpr int padded() const { return full * lanes<T> + tail; }
};

// The most accumulators that leave registers for the operands.
inline constexpr int max_accumulators = vector_registers == 32 ? 24 : 12;
// A vector of the right matrix is read once for so many rows: the more, the fewer loads.
inline constexpr int rows_in_tile = 14;
// Fewer chains of additions than this leave the adders idle (latency 4, two a cycle).
inline constexpr int min_chains = 8;

// ---- packing: the lanes of one constant matrix, panel by panel ------------------------------------
// entry(k, i) for k < K, i < count becomes [panel][k][vector lanes]; missing entries are zero.
// Panels of at most `most` vectors, all but the last equal, the last as near to them as can be.
constexpr int panel_vectors(int full, int most) {
    if (full <= most) return full;
    return int(ceil_div(full, ceil_div(full, most)));
}
// For one or two rows: narrow panels, read in order, where the matrix comes from the second cache (measured: 1.3 to
// 1.6 times as fast as wide ones; slower by a tenth in the first cache and in the third).
template <class F>
constexpr int rows_most(int rows, long n, long k) {
    const long bytes = n * k * long(sizeof(stored<F>));
    const bool second_cache = bytes > 49152 && bytes <= 1 << 20;
    return rows >= 6 ? 4 : rows >= 3 ? 6 : second_cache ? 4 : 8;
}
constexpr int columns_most(int columns) {
    const int most = max_accumulators / columns;
    return most > 8 ? 8 : most < 1 ? 1 : most;
}
template <class T>
constexpr long panels_size(int count, int k) { return long(Cut<T>(count).padded()) * k; }

template <class F, int Count, int K, int Most, class Entry>
void pack_panels(stored<F>* packed, Entry entry) {
    using T = number<F>;
    using S = stored<F>;
    constexpr Cut<T> cut(Count);
    constexpr int wide = panel_vectors(cut.full, Most) * lanes<T>;
    const auto pack = [&](int first, int width) {
        const int end = first + width < Count ? first + width : Count;
        for (int k = 0; k < K; ++k) {
            for (int i = first; i < end; ++i) *packed++ = S(entry(k, i));
            for (int i = end; i < first + width; ++i) *packed++ = S(0);
        }
    };
    int first = 0;
    for (; wide > 0 && first + wide <= cut.full * lanes<T>; first += wide) pack(first, wide);
    if (first < cut.full * lanes<T>) pack(first, cut.full * lanes<T> - first);
    if (cut.tail > 0) pack(cut.full * lanes<T>, cut.tail);
}

// ---- the tile: R rows by V vectors of L lanes, summed over K --------------------------------------
// sum[r][v] = sum over k of a[r * ARow + k * ACol] * b[k * BRow + v * L ...].
// BValid < L: only that many entries of the last vector may be read. B: numbers, or a packed table's entries.
template <class T, int L, int R, int V, int K, long ARow, long ACol, long BRow, int BValid = L, class B>
KPLIB_INLINE void tile(const T* a, const B* b, vec<T, L> (&sum)[R][V]) {
    constexpr int wanted = int(ceil_div(min_chains, R * V));
    constexpr int split = wanted < K ? wanted : K;           // independent sums over k
    constexpr int unrolled = split >= 4 ? split : R * V * 4 <= 64 ? 4 : 2;
    constexpr int step = unrolled - unrolled % split;
    vec<T, L> part[split][R][V];
    unroll<split * R * V>([&](auto i) KPLIB_LAMBDA { part[i / (R * V)][i / V % R][i % V] = vec<T, L>{}; });
    const auto add = [&](const T* ak, const B* bk, auto which) KPLIB_LAMBDA {
        constexpr int s = which;
        vec<T, L> row[V];
        unroll<V>([&](auto v) KPLIB_LAMBDA {
            if constexpr (v == V - 1 && BValid < L) row[v] = load_first<T, L, BValid>(bk + v * L);
            else row[v] = load<T, L>(bk + v * L);
        });
        unroll<R>([&](auto r) KPLIB_LAMBDA {
            const T scalar = ak[r * ARow];
            unroll<V>([&](auto v) KPLIB_LAMBDA { part[s][r][v] += row[v] * scalar; });
        });
    };
    if constexpr (K <= 16 && R * V * K <= 128) {
        unroll<K>([&](auto k) KPLIB_LAMBDA {
            add(a + k * ACol, b + k * BRow, std::integral_constant<int, k % split>{});
        });
    } else {
        constexpr int whole = K - K % step;
        const T* ak = a;
        const B* bk = b;
        for (int k = 0; k < whole; k += step) {
            unroll<step>([&](auto s) KPLIB_LAMBDA {
                add(ak + s * ACol, bk + s * BRow, std::integral_constant<int, s % split>{});
            });
            ak += step * ACol;
            bk += step * BRow;
        }
        unroll<K % step>([&](auto s) KPLIB_LAMBDA {
            add(ak + s * ACol, bk + s * BRow, std::integral_constant<int, s % split>{});
        });
    }
    unroll<R * V>([&](auto i) KPLIB_LAMBDA {
        constexpr int r = i / V, v = i % V;
        vec<T, L> total = part[0][r][v];
        unroll<split - 1>([&](auto s) KPLIB_LAMBDA { total += part[s + 1][r][v]; });
        sum[r][v] = total;
    });
}

// Runs body(first row, rows) over M rows in equal tiles of at most `most`; the last tile is compiled
// apart because only there may a store not run over the end of its row.
template <int M, int Most, class Body>
KPLIB_INLINE void row_tiles(Body&& body) {
    constexpr int tiles = int(ceil_div(M, Most));
    constexpr int rows = int(ceil_div(M, tiles));
    constexpr int before = M % rows == 0 ? M - rows : M - M % rows;
    if constexpr (before > 0)
        for (int i = 0; i < before; i += rows)
            body(i, std::integral_constant<int, rows>{}, std::false_type{});
    body(before, std::integral_constant<int, M - before>{}, std::true_type{});
}

// One panel of C by rows. Whole vectors are stored even where a row ends inside one: what runs over is
// the start of the next row, which is stored later; the last row is stored exactly.
template <class T, int L, int M, int V, int K, long ARow, long ACol, long BRow, int BValid, int CValid, long CRow, class B>
KPLIB_INLINE void rows_panel(const T* a, const B* b, T* c) {
    constexpr int most = max_accumulators / V > rows_in_tile ? rows_in_tile : max_accumulators / V > 0 ? max_accumulators / V : 1;
    row_tiles<M, most>([&](int i, auto rows, auto last) KPLIB_LAMBDA {
        constexpr int R = rows;
        constexpr bool at_end = last;
        vec<T, L> sum[R][V];
        tile<T, L, R, V, K, ARow, ACol, BRow, BValid>(a + i * ARow, b, sum);
        unroll<R>([&](auto r) KPLIB_LAMBDA {
            T* row = c + (i + r) * CRow;
            unroll<V>([&](auto v) KPLIB_LAMBDA {
                constexpr bool exact = v == V - 1 && CValid < L && at_end && r == R - 1;
                store_first<T, L, exact ? CValid : L>(row + v * L, sum[r][v]);
            });
        });
    });
}

// C by rows: the tail first, then the panels from right to left, so that what runs over a row's end
// (see above) is overwritten by the next row's proper entries.
//   BPacked: b is packed in panels; else row-major with row length BRow, to be read exactly.
//   CPadded: the rows of C have room for whole vectors (it is our own scratch).
template <class F, int M, int N, int K, long ARow, long ACol, bool BPacked, long BRow, bool BExact, long CRow, bool CPadded,
          class B>
KPLIB_INLINE void multiply_rows(const number<F>* a, const B* b, number<F>* c) {
    using T = number<F>;
    constexpr int L = lanes<T>;
    constexpr Cut<T> cut(N);
    constexpr int wide = panel_vectors(cut.full, rows_most<F>(M, N, K));
    constexpr int panels = wide > 0 ? cut.full / wide : 0;
    constexpr int rest = cut.full - panels * wide;  // vectors in a last, smaller panel
    if constexpr (cut.tail > 0) {
        constexpr int column = cut.full * L;
        rows_panel<T, cut.tail, M, 1, K, ARow, ACol, BPacked ? cut.tail : BRow,
                   BExact ? cut.tail_valid : cut.tail, CPadded ? cut.tail : cut.tail_valid, CRow>(
            a, b + (BPacked ? long(column) * K : column), c + column);
    }
    if constexpr (rest > 0) {
        constexpr int column = panels * wide * L;
        rows_panel<T, L, M, rest, K, ARow, ACol, BPacked ? rest * L : BRow,
                   BExact ? cut.last_valid : L, CPadded ? L : cut.last_valid, CRow>(
            a, b + (BPacked ? long(column) * K : column), c + column);
    }
    if constexpr (panels > 0) {
        constexpr bool ends = rest == 0;  // the last full vector is in the last panel
        constexpr int column = (panels - 1) * wide * L;
        rows_panel<T, L, M, wide, K, ARow, ACol, BPacked ? wide * L : BRow,
                   BExact && ends ? cut.last_valid : L, CPadded || !ends ? L : cut.last_valid, CRow>(
            a, b + (BPacked ? long(column) * K : column), c + column);
    }
    if constexpr (panels > 1)
        for (int p = panels - 2; p >= 0; --p)
            rows_panel<T, L, M, wide, K, ARow, ACol, BPacked ? wide * L : BRow, L, L, CRow>(
                a, b + (BPacked ? long(p) * wide * L * K : long(p) * wide * L), c + p * wide * L);
}

// ---- dots -----------------------------------------------------------------------------------------
// C (M, N) without gaps, N <= lanes: groups of whole rows whose dot products fill one vector.
// b is packed as N rows of `dots_row` entries, zeros behind K.
template <class T>
constexpr int dots_row(int k) { return int(round_up(k, lanes<T>)); }

template <class T, int M, int N, int K, long ARow, class B>
KPLIB_INLINE void multiply_dots(const T* a, const B* b, T* c) {
    constexpr int L = lanes<T>;
    constexpr int whole = K / L, rest = K % L;
    constexpr int most = L / N;
    row_tiles<M, most>([&](int i, auto rows, auto last) KPLIB_LAMBDA {
        constexpr int R = rows;
        constexpr bool at_end = last;
        vec<T, L> sum[R * N];
        const T* ai = a + i * ARow;
        const auto chunk = [&](long k, auto valid, auto first) KPLIB_LAMBDA {
            constexpr int Valid = valid;
            constexpr bool First = first;
            vec<T, L> bk[N];
            unroll<N>([&](auto j) KPLIB_LAMBDA { bk[j] = load<T, L>(b + j * dots_row<T>(K) + k); });
            unroll<R>([&](auto r) KPLIB_LAMBDA {
                const vec<T, L> ar = load_first<T, L, Valid>(ai + r * ARow + k);
                unroll<N>([&](auto j) KPLIB_LAMBDA {
                    if constexpr (First) sum[r * N + j] = ar * bk[j];
                    else sum[r * N + j] += ar * bk[j];
                });
            });
        };
        constexpr auto full = std::integral_constant<int, L>{};
        if constexpr (whole > 0) chunk(0, full, std::true_type{});
        if constexpr (whole > 1 && whole <= 4)
            unroll<whole - 1>([&](auto q) KPLIB_LAMBDA { chunk((q + 1) * L, full, std::false_type{}); });
        else if constexpr (whole > 4)
            for (long q = 1; q < whole; ++q) chunk(q * L, full, std::false_type{});
        if constexpr (rest > 0)
            chunk(whole * L, std::integral_constant<int, rest>{}, std::bool_constant<whole == 0>{});
        const vec<T, L> sums = sum_each<T, L, R * N>(sum);
        store_first<T, L, at_end || R * N == L ? R * N : L>(c + i * N, sums);
    });
}

// ---- columns --------------------------------------------------------------------------------------
// C (M, N) without gaps, N small: lanes run down the rows, A^T is packed in panels.
template <class T, int L, int V, int N, int K, long XRow, int Valid, class A>
KPLIB_INLINE void columns_panel(const A* a, const T* x, T* c) {
    vec<T, L> sum[N][V];
    tile<T, L, N, V, K, 1, XRow, V * L>(x, a, sum);
    unroll<V>([&](auto v) KPLIB_LAMBDA {
        vec<T, L> column[N], out[N];
        unroll<N>([&](auto j) KPLIB_LAMBDA { column[j] = sum[j][v]; });
        interleave<T, L, N>(column, out);
        constexpr int count = (v == V - 1 ? Valid : L) * N;
        unroll<N>([&](auto o) KPLIB_LAMBDA {
            constexpr int left = count - o * L;
            store_first<T, L, left >= L ? L : left < 0 ? 0 : left>(c + v * L * N + o * L, out[o]);
        });
    });
}
inline constexpr int interleaved_most = 8;  // columns that are interleaved in registers

template <class T, int M, int N, int K, long XRow, class A>
KPLIB_INLINE void multiply_columns(const A* a, const T* x, T* c) {
    constexpr int L = lanes<T>;
    constexpr Cut<T> cut(M);
    constexpr int wide = panel_vectors(cut.full, columns_most(N));
    constexpr int panels = wide > 0 ? cut.full / wide : 0;
    constexpr int rest = cut.full - panels * wide;
    constexpr int before = rest == 0 ? panels - 1 : panels;  // panels that are full for certain
    if constexpr (before > 0)
        for (int p = 0; p < before; ++p)
            columns_panel<T, L, wide, N, K, XRow, L>(a + long(p) * wide * L * K, x, c + long(p) * wide * L * N);
    if constexpr (cut.full > 0) {
        constexpr int first = before * wide;
        columns_panel<T, L, cut.full - first, N, K, XRow, cut.last_valid>(
            a + long(first) * L * K, x, c + long(first) * L * N);
    }
    if constexpr (cut.tail > 0)
        columns_panel<T, cut.tail, 1, N, K, XRow, cut.tail_valid>(
            a + long(cut.full) * L * K, x, c + long(cut.full) * L * N);
}

// ---- entries --------------------------------------------------------------------------------------
// C (M, N) without gaps, N a power of 2 below lanes: a vector holds whole rows of C, A is packed with each
// entry N times, and a row of X is repeated through the vector. Nothing has to be interleaved.
template <int N>
struct repeat_pattern {
    static constexpr int at(int i) { return i % N; }
};
template <class T, int L, int N>
KPLIB_INLINE vec<T, L> load_repeated(const T* p) {
    if constexpr (N == 1) return vec<T, L>{} + p[0];
    else return shuffle<repeat_pattern<N>, T, N, L>(load<T, N>(p), load<T, N>(p));
}
template <class T, int L, int V, int N, int K, long XRow, int Valid, class A>
KPLIB_INLINE void entries_panel(const A* a, const T* x, T* c) {
    constexpr int wanted = int(ceil_div(min_chains, V));
    constexpr int split = wanted < K ? wanted : K;  // independent sums over k
    vec<T, L> part[split][V];
    unroll<split * V>([&](auto i) KPLIB_LAMBDA { part[i / V][i % V] = vec<T, L>{}; });
    unroll<K>([&](auto k) KPLIB_LAMBDA {
        const vec<T, L> row = load_repeated<T, L, N>(x + k * XRow);
        unroll<V>([&](auto v) KPLIB_LAMBDA { part[k % split][v] += load<T, L>(a + (k * V + v) * L) * row; });
    });
    unroll<V>([&](auto v) KPLIB_LAMBDA {
        vec<T, L> total = part[0][v];
        unroll<split - 1>([&](auto s) KPLIB_LAMBDA { total += part[s + 1][v]; });
        store_first<T, L, v == V - 1 ? Valid : L>(c + v * L, total);
    });
}
template <class T, int M, int N, int K, long XRow, class A>
KPLIB_INLINE void multiply_entries(const A* a, const T* x, T* c) {
    constexpr int L = lanes<T>;
    constexpr Cut<T> cut(M * N);
    constexpr int wide = panel_vectors(cut.full, columns_most(1));
    constexpr int panels = wide > 0 ? int(ceil_div(cut.full, wide)) : 0;
    unroll<panels>([&](auto p) KPLIB_LAMBDA {
        constexpr int first = p * wide, V = p == panels - 1 ? cut.full - first : wide;
        constexpr int valid = p == panels - 1 ? cut.last_valid : L;
        entries_panel<T, L, V, N, K, XRow, valid>(a + long(first) * L * K, x, c + first * L);
    });
    if constexpr (cut.tail > 0)  // of a narrower vector, at least one row
        entries_panel<T, cut.tail, 1, N, K, XRow, cut.tail_valid>(a + long(cut.full) * L * K, x, c + cut.full * L);
}

// ---- the choice, by vector instructions ------------------------------------------------------------
template <class T>
constexpr double rows_cost(int m, int n, int k) { return double(m) * k * Cut<T>(n).vectors(); }
template <class T>
constexpr double dots_cost(int m, int n, int k) {
    if (n > lanes<T>) return 1e30;
    const int rest = k % lanes<T>;
    int pieces = 0;
    for (int r = rest; r > 0; r -= floor_power_of_2(r)) pieces += 2;
    return double(m) * n * (k / lanes<T> + (rest > 0) + 3) + double(m) * pieces;
}
template <class T>
constexpr double columns_cost(int m, int n, int k) {
    if (n > interleaved_most) return 1e30;
    const int shuffles = n == 1 ? 0 : (n & (n - 1)) == 0 ? n * (n == 2 ? 1 : n == 4 ? 2 : 3) : n * (n - 1);
    return double(Cut<T>(m).vectors()) * (double(k) * n + shuffles);
}
// Only where A stays small, N times as large as it is, and all of it can be unrolled.
template <class T>
constexpr double entries_cost(int m, int n, int k) {
    if (n >= lanes<T> || (n & (n - 1)) != 0 || k > 16 || long(m) * n * k * long(sizeof(T)) > 8192) return 1e30;
    if (Cut<T>(m * n).tail > 0 && Cut<T>(m * n).tail < n) return 1e30;
    return double(Cut<T>(m * n).vectors()) * k;
}

// C = X B^T. XRow: distance of the rows of X. CPadded: see multiply_rows; the distance of the rows
// of C is then `row`, else N.
template <class F, int M, int N, int K, long XRow, bool CPadded>
struct MultiplyNT {
    using T = number<F>;
    using S = stored<F>;
    static constexpr bool dots = dots_cost<T>(M, N, K) < rows_cost<T>(M, N, K);
    static constexpr double cost = dots ? dots_cost<T>(M, N, K) : rows_cost<T>(M, N, K);
    static constexpr Cut<T> cut{N};
    static constexpr long row = dots || !CPadded ? N : cut.full > 0 ? round_up(cut.padded(), lanes<T>) : cut.tail;
    static constexpr long packed = dots ? long(N) * dots_row<T>(K) : panels_size<T>(N, K);
    static void pack(const T* b, S* to) {
        if constexpr (dots) {
            for (int j = 0; j < N; ++j)
                for (int k = 0; k < dots_row<T>(K); ++k) *to++ = S(k < K ? b[long(j) * K + k] : T(0));
        } else {
            pack_panels<F, N, K, rows_most<F>(M, N, K)>(to, [b](int k, int j) { return b[long(j) * K + k]; });
        }
    }
    static KPLIB_INLINE void run(const S* b, const T* x, T* c) {
        if constexpr (dots) multiply_dots<T, M, N, K, XRow>(x, b, c);
        else multiply_rows<F, M, N, K, XRow, 1, true, 0, false, row, CPadded>(x, b, c);
    }
};

// C = A X. XRow: distance of the rows of X; XExact: X ends with its last entry, so read no further.
template <class F, int M, int N, int K, long XRow, bool XExact, bool CPadded>
struct MultiplyNN {
    using T = number<F>;
    using S = stored<F>;
    static constexpr double of_rows = rows_cost<T>(M, N, K), of_columns = columns_cost<T>(M, N, K);
    static constexpr double of_entries = entries_cost<T>(M, N, K);
    // its larger A has to pay
    static constexpr bool entries = 1.25 * of_entries < of_columns && 1.25 * of_entries < of_rows;
    static constexpr bool columns = !entries && of_columns < of_rows;
    static constexpr double cost = entries ? of_entries : columns ? of_columns : of_rows;
    static constexpr Cut<T> cut{N};
    static constexpr long row = entries || columns || !CPadded ? N : cut.full > 0 ? round_up(cut.padded(), lanes<T>) : cut.tail;
    static constexpr long packed = entries ? panels_size<T>(M * N, K) : columns ? panels_size<T>(M, K) : long(M) * K;
    static void pack(const T* a, S* to) {
        if constexpr (entries) {
            pack_panels<F, M * N, K, columns_most(1)>(to, [a](int k, int i) { return a[long(i / N) * K + k]; });
        } else if constexpr (columns) {
            pack_panels<F, M, K, columns_most(N)>(to, [a](int k, int i) { return a[long(i) * K + k]; });
        } else {
            for (long i = 0; i < long(M) * K; ++i) to[i] = S(a[i]);
        }
    }
    static KPLIB_INLINE void run(const S* a, const T* x, T* c) {
        if constexpr (entries) multiply_entries<T, M, N, K, XRow>(a, x, c);
        else if constexpr (columns) multiply_columns<T, M, N, K, XRow>(a, x, c);
        else if constexpr (is_scaled<F>) {  // entries that are broadcast are widened at once, not one by one
            Scratch<T, long(M) * K> wide;
            widen<T, M * K>(a, wide.data);
            multiply_rows<F, M, N, K, K, 1, false, XRow, XExact, row, CPadded>(wide.data, x, c);
        } else {
            multiply_rows<F, M, N, K, K, 1, false, XRow, XExact, row, CPadded>(a, x, c);
        }
    }
};

}  // namespace kplib
