// For Python, through ctypes: the machine, the conditions and the procedure.
#include "measure.hpp"

namespace {
int copied(const std::string& text, char* out, int size) {
    if (int(text.size()) < size) std::memcpy(out, text.c_str(), text.size() + 1);
    return int(text.size());
}
}  // namespace

// Each returns the length of the text; one that does not fit is not written.
extern "C" int board_machine(const char* root, const char* architecture, int cpu, int pin_it, char* out, int size) {
    board::Machine machine = board::look(root, architecture, cpu);
    const bool pinned = pin_it && board::pin(machine);
    return copied(board::machine_record(machine, pinned), out, size);
}
extern "C" int board_conditions(const char* root, int cpu, int cores, char* out, int size) {
    return copied(board::conditions_record(board::conditions(root, cpu), std::size_t(cores)), out, size);
}
extern "C" void board_measure(const board::Work* works, int count, int cpu, int rounds, double least, double warm_up,
                              board::Result* results) {
    const auto found = board::measure({works, works + count}, cpu, rounds, least, warm_up);
    std::copy(found.begin(), found.end(), results);
}
