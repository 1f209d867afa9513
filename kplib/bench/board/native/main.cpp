// The bundle's program: what `kplib board` does, where there is only a shell. Prints one record.
//
//     ./kplib-board > record.json              refuses what is no board
//     ./kplib-board --label "server core"      a virtual machine's or a server's core, recorded as one
//     ./kplib-board --results                  prints every result and times nothing
//
// --cpu N chooses the core, --rounds N the samples. --root DIR and --architecture NAME are for tests of
// the rules: the machine is then the one described below DIR, and nothing is timed.
#include <cstdlib>
#include <ctime>
#include <stdexcept>

#include "about.hpp"
#include "bundle.hpp"

#if defined(__clang__)
#define BOARD_COMPILER "clang " __clang_version__
#else
#define BOARD_COMPILER "gcc " __VERSION__
#endif

namespace {

using namespace board;

constexpr double tolerance = 1e-5, least_seconds = 1e-3, warm_up_seconds = 0.3;

struct Options {
    std::string label, root, architecture;
    int cpu = -1, rounds = 101;
    bool results = false;
};
Options parse(int count, char** words) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        if (word == "--results") {
            options.results = true;
            continue;
        }
        if (i + 1 == count) throw std::invalid_argument(word + " is unknown, or needs a value");
        const std::string value = words[++i];
        if (word == "--label") options.label = value;
        else if (word == "--root") options.root = value;
        else if (word == "--architecture") options.architecture = value;
        else if (word == "--cpu") options.cpu = std::atoi(value.c_str());
        else if (word == "--rounds") options.rounds = std::atoi(value.c_str());
        else throw std::invalid_argument(word + " is unknown");
    }
    if (options.rounds < 1) throw std::invalid_argument("--rounds must be at least 1");
    return options;
}

json::Value named(const Item& item, const std::string& reason) {
    return json::object({{"kind", json::text(item.kind)}, {"benchmark", json::text(item.benchmark)},
        {"name", json::text(item.name)}, {"reason", json::text(reason)}});
}
json::Value entry(const Loaded& loaded, const Result& result, int rounds, double error) {
    const Item& item = loaded.item;
    return json::object({{"kind", json::text(item.kind)}, {"benchmark", json::text(item.benchmark)},
        {"name", json::text(item.name)}, {"inputs", json::integer(item.inputs)}, {"outputs", json::integer(item.outputs)},
        {"steps", json::integer(item.steps)}, {"macs", json::integer(item.macs)},
        {"weight_bytes", json::integer((long long)loaded.weight_bytes)},
        {"nanoseconds", json::object({{"median", json::number(1e9 * result.median)}, {"min", json::number(1e9 * result.min)},
            {"p90", json::number(1e9 * result.p90)}})},
        {"rounds", json::integer(rounds)}, {"calls_per_sample", json::integer(result.calls)},
        {"shortest_sample_seconds", json::number(result.shortest_sample)}, {"cycles", json::number(result.cycles)},
        {"instructions", json::number(result.instructions)}, {"relative_error", json::number(error)}});
}

// Works of one kind and one benchmark take turns, so that their ratios come from the same moments.
void time_all(int cpu, int rounds, std::vector<json::Value>& works, std::vector<json::Value>& left_out) {
    for (std::size_t first = 0, last; first < items().size(); first = last) {
        std::vector<std::unique_ptr<Loaded>> group;
        std::vector<Work> ready;
        std::vector<double> errors;
        const Item& leader = items()[first];
        for (last = first; last < items().size(); ++last) {
            const Item& item = items()[last];
            if (std::string(item.kind) != leader.kind || std::string(item.benchmark) != leader.benchmark) break;
            auto loaded = std::make_unique<Loaded>(item);
            const double error = loaded->error();
            if (!(error <= tolerance)) {
                left_out.push_back(named(item, "wrong result: relative error " + json::number(error)));
                continue;
            }
            ready.push_back(loaded->work);
            errors.push_back(error);
            group.push_back(std::move(loaded));
        }
        std::fprintf(stderr, "%s, %s\n", leader.benchmark, leader.kind);
        const std::vector<Result> results = measure(ready, cpu, rounds, least_seconds, warm_up_seconds);
        for (std::size_t i = 0; i < group.size(); ++i) works.push_back(entry(*group[i], results[i], rounds, errors[i]));
    }
}

std::string now() {
    char out[32];
    const std::time_t seconds = std::time(nullptr);
    std::strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%S+00:00", std::gmtime(&seconds));
    return out;
}

void print_results() {
    for (const Item& item : items()) {
        const Loaded loaded(item);
        const double error = loaded.error();
        std::printf("%s/%s/%s/%.3g", item.kind, item.benchmark, item.name, error);
        for (long i = 0; i < item.outputs; ++i) std::printf("/%a", double(loaded.result()[i]));
        std::printf("\n");
    }
}

int run(const Options& options) {
    Machine machine = look(options.root, options.architecture, options.cpu);
    const std::string kind = kind_with_label(machine.kind, options.label);
    if (!options.root.empty()) {
        std::puts(machine_record(machine, false).c_str());
        return 0;
    }
    if (machine.kind != "board" && options.label.empty()) {
        std::fprintf(stderr, "kplib-board: %s\n", refusal(machine).c_str());
        return 2;
    }
    const bool pinned = pin(machine);
    const std::size_t cores = machine.cores.size();
    const Conditions before = conditions(options.root, machine.cpu);
    for (const std::string& warning : warnings(before, cores)) std::fprintf(stderr, "kplib-board: warning: %s\n", warning.c_str());
    std::vector<json::Value> works, left_out = {KPLIB_LEFT_OUT};
    time_all(machine.cpu, options.rounds, works, left_out);
    const Conditions after = conditions(options.root, machine.cpu);
    std::puts(json::object({{"benchmark", json::text("board")}, {"format", json::integer(KPLIB_FORMAT)},
        {"kind", json::text(kind)}, {"label", json::text(options.label)}, {"command", json::text("kplib-board")},
        {"date", json::text(now())}, {"kplib", KPLIB_VERSION}, {"path", json::text("bundle")},
        {"compiler", json::text(BOARD_COMPILER)}, {"flags", json::text(BOARD_FLAGS)},
        {"machine", machine_record(machine, pinned)},
        {"procedure", json::object({{"rounds", json::integer(options.rounds)},
            {"min_sample_seconds", json::number(least_seconds)}, {"warm_up_seconds", json::number(warm_up_seconds)}})},
        {"before", conditions_record(before, cores)}, {"after", conditions_record(after, cores)},
        {"works", json::list(works)}, {"left_out", json::list(left_out)}}).c_str());
    return 0;
}

}  // namespace

int main(int count, char** words) {
    try {
        const Options options = parse(count, words);
        if (options.results) print_results();
        else return run(options);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "kplib-board: %s\n", error.what());
        return 1;
    }
}
