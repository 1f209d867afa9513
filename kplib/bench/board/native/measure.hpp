// The procedure: warm up, take turns, samples of a millisecond and more, counters where they are allowed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <linux/perf_event.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "machine.hpp"

namespace board {

using Vector = void (*)(const void* weights, const void* x, void* y);
using Sequence = void (*)(const void* weights, const void* x, void* y, std::ptrdiff_t length);

struct Work {
    void* run;  // a Sequence, or a Vector if length is 0
    const void* weights;
    const void* x;
    void* y;
    std::int64_t length;
};
struct Result {  // of one call; counters NaN where there are none
    double median, min, p90, cycles, instructions, shortest_sample;
    std::int64_t calls;
};

// Cycles and retired instructions of this thread in user mode.
class Counters {
   public:
    explicit Counters(int cpu) {
        unsigned type = PERF_TYPE_HARDWARE;
        std::uint64_t cycles = PERF_COUNT_HW_CPU_CYCLES, instructions = PERF_COUNT_HW_INSTRUCTIONS;
        // A chip with two sorts of core has a counter unit for each, and the general name means one of them.
        const std::string devices = "/sys/bus/event_source/devices/";
        for (const std::string& unit : entries(devices))
            if (starts(unit, "arm") && listed(line(read_file(devices + unit + "/cpus")), cpu)) {
                type = unsigned(to_number(line(read_file(devices + unit + "/type"))));
                cycles = 0x11, instructions = 0x08;  // CPU_CYCLES, INST_RETIRED: the same on every Armv8
            }
        leader_ = open(type, cycles, -1);
        if (leader_ >= 0) second_ = open(type, instructions, leader_);
    }
    Counters(const Counters&) = delete;
    Counters& operator=(const Counters&) = delete;
    ~Counters() {
        if (second_ >= 0) close(second_);
        if (leader_ >= 0) close(leader_);
    }
    void start() const {
        if (second_ < 0) return;
        ioctl(leader_, PERF_EVENT_IOC_RESET, PERF_IOC_FLAG_GROUP);
        ioctl(leader_, PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP);
    }
    void stop(double& cycles, double& instructions) const {
        cycles = instructions = NAN;
        if (second_ < 0) return;
        ioctl(leader_, PERF_EVENT_IOC_DISABLE, PERF_IOC_FLAG_GROUP);
        std::uint64_t values[3] = {};  // how many, and the two
        if (read(leader_, values, sizeof values) != sizeof values || values[1] == 0 || values[2] == 0) return;
        cycles = double(values[1]), instructions = double(values[2]);
    }

   private:
    static bool listed(const std::string& cpus, int cpu) {  // "0-3,6"
        for (const char* at = cpus.c_str(); *at;) {
            char* end;
            const long first = std::strtol(at, &end, 10), last = *end == '-' ? std::strtol(end + 1, &end, 10) : first;
            if (end == at) return false;
            if (first <= cpu && cpu <= last) return true;
            at = *end == ',' ? end + 1 : end;
        }
        return false;
    }
    static int open(unsigned type, std::uint64_t config, int group) {
        perf_event_attr attributes{};
        attributes.size = sizeof attributes;
        attributes.type = type;
        attributes.config = config;
        attributes.disabled = group < 0;
        attributes.exclude_kernel = attributes.exclude_hv = 1;
        attributes.read_format = PERF_FORMAT_GROUP;
        return int(syscall(SYS_perf_event_open, &attributes, 0, -1, group, 0));
    }
    int leader_ = -1, second_ = -1;
};

inline double seconds(const Work& work, std::int64_t calls) {
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t i = 0; i < calls; ++i) {
        if (work.length) reinterpret_cast<Sequence>(work.run)(work.weights, work.x, work.y, work.length);
        else reinterpret_cast<Vector>(work.run)(work.weights, work.x, work.y);
        asm volatile("" ::: "memory");  // the call happens in every turn, and its result is read
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}
inline std::int64_t calibrated(const Work& work, double least) {
    std::int64_t calls = 1;
    for (double took; (took = seconds(work, calls)) < 1.1 * least;) {
        const double wanted = took > 0 ? 1.25 * double(calls) * least / took : INFINITY;
        calls = std::int64_t(std::ceil(std::min(std::max(wanted, double(calls) + 1), 10.0 * double(calls))));
    }
    return calls;
}
// As numpy.percentile: linear between neighbours.
inline double percentile(std::vector<double> values, double percent) {
    std::sort(values.begin(), values.end());
    const double at = percent / 100 * double(values.size() - 1);
    const std::size_t low = std::size_t(at), high = std::min(low + 1, values.size() - 1);
    return values[low] + (at - double(low)) * (values[high] - values[low]);
}

// `least` seconds is the shortest sample; works take turns, in an order that rotates from round to round.
inline std::vector<Result> measure(const std::vector<Work>& works, int cpu, int rounds, double least, double warm_up) {
    const std::size_t count = works.size();
    if (count == 0) return {};
    const Counters counters(cpu);
    for (double spent = 0; spent < warm_up;)
        for (const Work& work : works) spent += seconds(work, 1);
    std::vector<std::int64_t> calls;
    for (const Work& work : works) calls.push_back(calibrated(work, least));
    std::vector<std::vector<double>> times(count), cycles(count), instructions(count);
    std::vector<double> shortest(count, INFINITY);
    for (int round = 0; round < rounds; ++round)
        for (std::size_t turn = 0; turn < count; ++turn) {
            const std::size_t i = (turn + std::size_t(round)) % count;
            double took, c, n;
            for (;;) {
                seconds(works[i], (calls[i] + 9) / 10);  // its own data into the cache
                counters.start();
                took = seconds(works[i], calls[i]);
                counters.stop(c, n);
                if (took >= least) break;
                calls[i] += calls[i] / 4 + 1;  // the clock has risen since: a longer sample
            }
            shortest[i] = std::min(shortest[i], took);
            times[i].push_back(took / double(calls[i]));
            if (c > 0) cycles[i].push_back(c / double(calls[i])), instructions[i].push_back(n / double(calls[i]));
        }
    std::vector<Result> results;
    for (std::size_t i = 0; i < count; ++i) {
        const bool counted = cycles[i].size() == times[i].size();
        results.push_back({percentile(times[i], 50), percentile(times[i], 0), percentile(times[i], 90),
            counted ? percentile(cycles[i], 50) : NAN, counted ? percentile(instructions[i], 50) : NAN, shortest[i], calls[i]});
    }
    return results;
}

}  // namespace board
