// The works of a bundle: each comes from a file of its own, which `kplib board --bundle` has written.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "measure.hpp"

namespace board {

// `data` holds the operands' floats, x, then in doubles the exact result and what errors are divided by;
// each begins on a cache line.
struct Item {
    const char *kind, *benchmark, *name;
    long inputs, outputs, steps, macs;
    std::size_t stored;  // bytes of one packed number
    std::vector<std::size_t> operands;
    void (*table)(std::intptr_t*);  // kplib::Entry::table
    const unsigned char* data;
};

// Called by each file before main begins, in whatever order: `index` is the place.
inline std::vector<Item>& items() {
    static std::vector<Item> all;
    return all;
}
inline bool add(std::size_t index, Item item) {
    if (items().size() <= index) items().resize(index + 1);
    items()[index] = std::move(item);
    return true;
}

struct Freed {
    void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, Freed>;
inline Memory lines(std::size_t bytes) {
    void* memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!memory) throw std::bad_alloc();
    return Memory(memory);
}

// An item unpacked, its weights laid out as its kernel wants them.
class Loaded {
   public:
    explicit Loaded(const Item& item) : item(item), at_(item.data) {
        std::intptr_t table[5];
        item.table(table);
        const auto packed = table[0], run = table[1], vector = table[2], pack = table[4];
        std::vector<Memory> parts;
        std::vector<const void*> operands;
        for (const std::size_t size : item.operands) {
            parts.push_back(next(size * sizeof(float)));
            operands.push_back(parts.back().get());
        }
        weight_bytes = std::size_t(packed) * item.stored;
        weights_ = lines(weight_bytes);
        char message[256] = "out of memory";
        const auto pack_into = reinterpret_cast<int (*)(const void* const*, void*, char*, long)>(pack);
        if (pack_into(operands.data(), weights_.get(), message, sizeof message)) throw std::runtime_error(message);
        const std::size_t outputs = std::size_t(item.outputs);
        x_ = next(std::size_t(item.inputs * item.steps) * sizeof(float));
        exact_ = next(outputs * sizeof(double));
        scale_ = next(outputs * sizeof(double));
        y_ = lines(outputs * sizeof(float));
        work = {reinterpret_cast<void*>(vector ? vector : run), weights_.get(), x_.get(), y_.get(), vector ? 0 : item.steps};
    }
    // The largest error of one call, relative to what the record divides errors by.
    double error() const {
        seconds(work, 1);
        double largest = 0;
        for (long i = 0; i < item.outputs; ++i) {
            const double off = std::fabs(result()[i] - static_cast<double*>(exact_.get())[i]) / static_cast<double*>(scale_.get())[i];
            if (!(off <= largest)) largest = std::isnan(off) ? INFINITY : off;
        }
        return largest;
    }
    const float* result() const { return static_cast<const float*>(y_.get()); }
    const Item& item;
    Work work;
    std::size_t weight_bytes;

   private:
    Memory next(std::size_t bytes) {
        Memory out = lines(bytes);
        std::memcpy(out.get(), at_, bytes);
        at_ += (bytes + 63) / 64 * 64;
        return out;
    }
    const unsigned char* at_;
    Memory weights_, x_, exact_, scale_, y_;
};

}  // namespace board

// A file as bytes in the program, as `name`.
#define BOARD_DATA(name, file)                                                                              \
    asm(".pushsection .rodata\n.balign 64\n.global " #name "\n" #name ":\n.incbin \"" file "\"\n.popsection\n"); \
    extern "C" const unsigned char name[];
