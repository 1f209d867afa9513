// Behind a program's unit (kplib.kernels.program): functions for an emulator to call, and a main for a
// whole process. The unit's namespace comes as KPLIB_NAMESPACE, the operands' sizes in bytes as
// KPLIB_OPERANDS.
//
//     program INPUT OUTPUT LENGTH [CALLS]    INPUT has the operands' numbers, then x; OUTPUT gets y
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>

// An allocator without the C library behind it, so that a function runs in an emulator that has no system.
namespace {
alignas(64) unsigned char arena[std::size_t(64) << 20];
std::size_t arena_used = 0;
void* allocated(std::size_t bytes) {
    void* block = arena + arena_used;
    arena_used += (bytes + 63) / 64 * 64;
    if (arena_used > sizeof arena) std::abort();
    return block;
}
}  // namespace
void* operator new(std::size_t bytes) { return allocated(bytes); }
void* operator new(std::size_t bytes, std::align_val_t) { return allocated(bytes); }
void operator delete(void*) noexcept {}
void operator delete(void*, std::size_t) noexcept {}
void operator delete(void*, std::align_val_t) noexcept {}
void operator delete(void*, std::size_t, std::align_val_t) noexcept {}

extern "C" {
extern const long kplib_packed_bytes = long(KPLIB_NAMESPACE::Op::packed * sizeof(float));
int kplib_pack(const void* const* operands, void* weights) {
    return KPLIB_NAMESPACE::Entry::pack(operands, weights, nullptr, 0);
}
// What is counted: one call, from its first instruction to its return.
__attribute__((noinline)) void kplib_run(const void* weights, const void* x, void* y, long length) {
    KPLIB_NAMESPACE::Entry::run(weights, x, y, length);
}
}

int main(int count, char** words) {
    if (count < 4) return 2;
    const long length = std::atol(words[3]), calls = count > 4 ? std::atol(words[4]) : 1;
    constexpr long sizes[] = {KPLIB_OPERANDS};
    std::FILE* input = std::fopen(words[1], "rb");
    if (!input) return 3;
    const auto aligned = [](std::size_t bytes) { return ::operator new(bytes, std::align_val_t(64)); };
    std::vector<const void*> operands;
    const auto read = [&](long bytes) {
        void* block = aligned(std::size_t(bytes));
        if (std::fread(block, 1, std::size_t(bytes), input) != std::size_t(bytes)) std::exit(4);
        return block;
    };
    for (const long bytes : sizes) operands.push_back(read(bytes));
    const void* x = read(length * KPLIB_NAMESPACE::Op::columns * long(sizeof(float)));
    std::fclose(input);
    void* weights = aligned(std::size_t(kplib_packed_bytes));
    if (kplib_pack(operands.data(), weights) != 0) return 5;
    const std::size_t rows = KPLIB_NAMESPACE::Op::rows;
    void* y = aligned(rows * sizeof(float));
    for (long i = 0; i < calls; ++i) kplib_run(weights, x, y, length);
    std::FILE* output = std::fopen(words[2], "wb");
    if (!output || std::fwrite(y, sizeof(float), rows, output) != rows) return 6;
    return std::fclose(output) == 0 ? 0 : 7;
}
