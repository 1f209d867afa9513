// The functions by which Python and C reach an operation: the same four for every operation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <type_traits>

namespace kplib {

#if defined(__clang__) && defined(__x86_64__)
// Compilers tuned for some Intel cores split 512-bit vectors in two unless a function says otherwise.
#define KPLIB_WIDE_VECTORS __attribute__((min_vector_width(512)))
#else
#define KPLIB_WIDE_VECTORS
#endif

enum Status { ok = 0, out_of_memory = 1, failed = 2 };

template <class Body>
int guarded(char* message, long size, Body&& body) {
    try {
        body();
        return ok;
    } catch (const std::bad_alloc&) {
        return out_of_memory;
    } catch (const std::exception& error) {
        if (size > 0) {
            std::strncpy(message, error.what(), std::size_t(size - 1));
            message[size - 1] = 0;
        }
        return failed;
    }
}

template <class Op, class = void>
struct is_sequence : std::false_type {};
template <class Op>
struct is_sequence<Op, std::enable_if_t<Op::sequence>> : std::true_type {};

// Of numbers T, packed as S.
template <class Op, class T, class S = T>
struct Entry {
    // One argument: a vector (length 1), or a sequence of `length` vectors. May throw.
    static KPLIB_WIDE_VECTORS void run(const void* w, const void* x, void* y, std::ptrdiff_t length) {
        if constexpr (is_sequence<Op>::value)
            Op::run(static_cast<const S*>(w), static_cast<const T*>(x), static_cast<T*>(y), length);
        else
            Op::run(static_cast<const S*>(w), static_cast<const T*>(x), static_cast<T*>(y));
    }
    // The same for C++ callers that hold one vector.
    static KPLIB_WIDE_VECTORS void run_vector(const void* w, const void* x, void* y) {
        if constexpr (!is_sequence<Op>::value)
            Op::run(static_cast<const S*>(w), static_cast<const T*>(x), static_cast<T*>(y));
    }
    // `count` arguments, one after the other; an exception becomes a status, and a message if size > 0.
    static int call(const void* w, const void* x, void* y, long count, long length, char* message, long size) {
        return guarded(message, size, [&] {
            for (long i = 0; i < count; ++i)
                run(w, static_cast<const T*>(x) + i * length * long(Op::columns), static_cast<T*>(y) + i * long(Op::rows), length);
        });
    }
    // The operands' entries into the packed weights.
    static int pack(const void* const* operands, void* w, char* message, long size) {
        return guarded(message, size, [&] { Op::pack(reinterpret_cast<const T* const*>(operands), static_cast<S*>(w)); });
    }
    // packed entries, and the addresses of run, run_vector (0 for sequences), call and pack
    static void table(std::intptr_t* out) {
        out[0] = std::intptr_t(Op::packed);
        out[1] = reinterpret_cast<std::intptr_t>(&run);
        out[2] = is_sequence<Op>::value ? 0 : reinterpret_cast<std::intptr_t>(&run_vector);
        out[3] = reinterpret_cast<std::intptr_t>(&call);
        out[4] = reinterpret_cast<std::intptr_t>(&pack);
    }
};

}  // namespace kplib
