// What a machine says of itself, and whether it is a board. One set of rules for `kplib board` (through
// ctypes) and for the bundle that runs where there is only a shell.
//
// All files are read below `root`, so that the rules can be tested on made-up machines. Nothing here looks
// at a clock: an emulator is known by what it cannot hide, not by being slow.
#pragma once

#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <map>
#include <sched.h>
#include <string>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <vector>

#include "json.hpp"

namespace board {

using Texts = std::vector<std::string>;

// ---- reading what the system shows ----------------------------------------------------------------------
inline std::string read_file(const std::string& path, std::size_t most = 1 << 20) {
    std::string out;
    if (std::FILE* file = std::fopen(path.c_str(), "rb")) {
        char part[4096];
        for (std::size_t n; out.size() < most && (n = std::fread(part, 1, sizeof part, file)) > 0;) out.append(part, n);
        std::fclose(file);
    }
    return out;
}
// One line for a record: separators and zeros (a device tree's strings end in one) become spaces.
inline std::string line(const std::string& text) {
    std::string out;
    for (const char c : text)
        if (c > ' ') out += c;
        else if (!out.empty() && out.back() != ' ') out += ' ';
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}
inline Texts entries(const std::string& folder) {
    Texts out;
    if (DIR* open = opendir(folder.c_str())) {
        while (const dirent* entry = readdir(open))
            if (entry->d_name[0] != '.') out.push_back(entry->d_name);
        closedir(open);
    }
    return out;
}
inline std::string target(const std::string& link) {
    char out[4096];
    const ssize_t length = readlink(link.c_str(), out, sizeof out);
    return length > 0 ? std::string(out, std::size_t(length)) : "";
}
inline std::string output(const char* command) {
    std::string out;
    if (std::FILE* pipe = popen(command, "r")) {
        char part[256];
        while (std::fgets(part, sizeof part, pipe)) out += part;
        pclose(pipe);
    }
    return line(out);
}
inline std::string lower(std::string text) {
    for (char& c : text) c = char(std::tolower(static_cast<unsigned char>(c)));
    return text;
}
inline bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
inline bool starts(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }
inline std::uint64_t to_number(const std::string& text) { return text.empty() ? 0 : std::strtoull(text.c_str(), nullptr, 0); }

using Fields = std::map<std::string, std::string>;

// /proc/cpuinfo, a map for each processor.
inline std::vector<Fields> cpuinfo(const std::string& root) {
    std::vector<Fields> out;
    std::string all = read_file(root + "/proc/cpuinfo"), one;
    for (std::size_t from = 0; from < all.size();) {
        const std::size_t end = std::min(all.find('\n', from), all.size());
        const std::string row = all.substr(from, end - from);
        from = end + 1;
        const std::size_t colon = row.find(':');
        if (colon == std::string::npos) continue;
        const std::string key = line(row.substr(0, colon));
        if (key == "processor" || out.empty()) out.emplace_back();
        out.back()[key] = line(row.substr(colon + 1));
    }
    return out;
}

// ---- cores ----------------------------------------------------------------------------------------------
struct Part {
    unsigned implementer, part;
    const char* name;
    bool server;
};
// Of Arm's and others' main ID registers; what is not here is shown by its numbers.
inline constexpr Part parts[] = {
    {0x41, 0xd03, "Cortex-A53", false}, {0x41, 0xd04, "Cortex-A35", false}, {0x41, 0xd05, "Cortex-A55", false},
    {0x41, 0xd07, "Cortex-A57", false}, {0x41, 0xd08, "Cortex-A72", false}, {0x41, 0xd09, "Cortex-A73", false},
    {0x41, 0xd0a, "Cortex-A75", false}, {0x41, 0xd0b, "Cortex-A76", false}, {0x41, 0xd0d, "Cortex-A77", false},
    {0x41, 0xd41, "Cortex-A78", false}, {0x41, 0xd42, "Cortex-A78AE", false}, {0x41, 0xd44, "Cortex-X1", false},
    {0x41, 0xd46, "Cortex-A510", false}, {0x41, 0xd47, "Cortex-A710", false}, {0x41, 0xd48, "Cortex-X2", false},
    {0x41, 0xd4d, "Cortex-A715", false}, {0x41, 0xd4e, "Cortex-X3", false}, {0x41, 0xd80, "Cortex-A520", false},
    {0x41, 0xd81, "Cortex-A720", false}, {0x41, 0xd82, "Cortex-X4", false},
    {0x41, 0xd0c, "Neoverse N1", true}, {0x41, 0xd40, "Neoverse V1", true}, {0x41, 0xd49, "Neoverse N2", true},
    {0x41, 0xd4a, "Neoverse E1", true}, {0x41, 0xd4f, "Neoverse V2", true}, {0x41, 0xd83, "Neoverse V3AE", true},
    {0x41, 0xd84, "Neoverse V3", true}, {0x41, 0xd8e, "Neoverse N3", true},
    {0xc0, 0xac3, "Ampere-1", true}, {0xc0, 0xac4, "Ampere-1A", true}, {0x48, 0xd01, "TaiShan v110", true},
    {0x42, 0x516, "ThunderX2", true}, {0x43, 0x0a1, "ThunderX", true}, {0x43, 0x0af, "ThunderX2", true},
    {0x46, 0x001, "A64FX", true}, {0x51, 0xc00, "Falkor", true}, {0x51, 0x001, "Oryon", false},
};

struct Core {
    int cpu;
    std::uint64_t midr;  // 0: unknown
    long max_khz;        // 0: unknown
    const Part* known() const {
        for (const Part& part : parts)
            if (part.implementer == (midr >> 24 & 0xff) && part.part == (midr >> 4 & 0xfff)) return &part;
        return nullptr;
    }
    std::string name() const {
        if (midr == 0) return "unknown";
        if (const Part* part = known()) return part->name;
        char out[48];
        std::snprintf(out, sizeof out, "implementer 0x%02x part 0x%03x", unsigned(midr >> 24 & 0xff), unsigned(midr >> 4 & 0xfff));
        return out;
    }
};

inline std::string hexadecimal(std::uint64_t value) {
    char out[24];
    std::snprintf(out, sizeof out, "0x%08llx", static_cast<unsigned long long>(value));
    return out;
}
inline std::string cpu_folder(const std::string& root, int cpu) {
    return root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
}
inline Core core(const std::string& root, int cpu, const Fields& info) {
    const auto field = [&](const char* key) {
        const auto found = info.find(key);
        return found == info.end() ? std::uint64_t(0) : to_number(found->second);
    };
    const std::string folder = cpu_folder(root, cpu);
    std::uint64_t midr = to_number(line(read_file(folder + "/regs/identification/midr_el1")));
    if (midr == 0 && field("CPU implementer"))
        midr = field("CPU implementer") << 24 | field("CPU variant") << 20 | 0xful << 16 | field("CPU part") << 4 | field("CPU revision");
    return {cpu, midr, long(to_number(line(read_file(folder + "/cpufreq/cpuinfo_max_freq"))))};
}

// The MIDR that the running core itself reports; 0 where user programs may not read it.
inline std::uint64_t midr_register() {
#if defined(__aarch64__)
    constexpr unsigned long cpuid = 1ul << 11;  // HWCAP_CPUID: the kernel answers for the register
    if (getauxval(AT_HWCAP) & cpuid) {
        std::uint64_t value;
        asm volatile("mrs %0, midr_el1" : "=r"(value));
        return value & 0xffffffff;
    }
#endif
    return 0;
}

// ---- is it a board? -------------------------------------------------------------------------------------
struct Machine {
    std::string architecture, system, model, kind;
    std::vector<Core> cores;
    Texts against;  // why it is no board; empty for a board
    int cpu = 0;    // to run on
    std::uint64_t confirmed_midr = 0;
};

// A program whose architecture is not the one it was told, in a system that knows no emulator's disguise.
inline Texts emulator_signs(const std::string& root, const std::string& architecture, const std::vector<Fields>& cpus) {
    Texts signs;
    // qemu-user answers for /proc/self/exe, but not for the thread's own link: that is qemu itself.
    std::string exe = read_file(root + "/proc/thread-self/exe", 64);
    if (exe.empty() && root.empty())
        exe = read_file("/proc/self/task/" + std::to_string(syscall(SYS_gettid)) + "/exe", 64);
    if (architecture == "aarch64" && exe.size() > 19 && starts(exe, "\x7f" "ELF")) {
        const int machine = static_cast<unsigned char>(exe[18]) | static_cast<unsigned char>(exe[19]) << 8;
        if (machine != 183 && machine != 40)  // EM_AARCH64, EM_ARM
            signs.push_back("the running executable is for ELF machine " + std::to_string(machine) + ", not for aarch64");
    }
    const std::string believed = target(root + "/proc/self/exe"), runs = target(root + "/proc/thread-self/exe");
    if (!believed.empty() && !runs.empty() && believed != runs)
        signs.push_back("the process runs another executable than its own link says");
    const std::string kernel = line(read_file(root + "/proc/sys/kernel/arch"));
    if (!kernel.empty() && kernel != architecture)
        signs.push_back("the kernel is for " + kernel + ", the program believes in " + architecture);
    if (architecture == "aarch64" && !cpus.empty()) {
        if (cpus[0].count("vendor_id") || cpus[0].count("cpu MHz") || cpus[0].count("microcode"))
            signs.push_back("the list of processors describes an x86 one");
        else if (!cpus[0].count("CPU implementer"))
            signs.push_back("the list of processors names no implementer of an Arm core");
    }
    const std::string auxv = read_file(root + "/proc/self/auxv");
    if (architecture == "aarch64" && auxv.size() >= 16) {
        bool vdso = false;
        for (std::size_t at = 0; at + 16 <= auxv.size(); at += 16) {
            std::uint64_t type;
            std::memcpy(&type, auxv.data() + at, sizeof type);
            vdso |= type == 33;  // AT_SYSINFO_EHDR, which every arm64 kernel gives
        }
        if (!vdso) signs.push_back("the process has no vDSO, which every arm64 kernel gives");
    }
    return signs;
}

inline Texts virtual_signs(const std::string& root, const std::vector<Fields>& cpus) {
    Texts signs;
    const auto flags = cpus.empty() ? Fields::const_iterator() : cpus[0].find("flags");
    if (!cpus.empty() && flags != cpus[0].end() && has(' ' + flags->second + ' ', " hypervisor "))
        signs.push_back("the CPU has the flag hypervisor");
    const std::string tree = root + "/proc/device-tree";
    const std::string hypervisor = line(read_file(tree + "/hypervisor/compatible"));
    if (!hypervisor.empty()) signs.push_back("the device tree names the hypervisor " + hypervisor);
    for (const std::string& entry : entries(tree))
        if (starts(entry, "fw-cfg@")) signs.push_back("the device tree has QEMU's fw-cfg");
    const std::string names = lower(line(read_file(tree + "/model") + ' ' + read_file(tree + "/compatible")));
    for (const char* name : {"dummy-virt", "qemu", "crosvm", "firecracker"})
        if (has(names, name)) signs.push_back("the device tree is of a virtual machine: " + names);
    for (const char* file : {"sys_vendor", "product_name", "board_vendor", "bios_vendor"}) {
        const std::string value = line(read_file(root + "/sys/class/dmi/id/" + file)), small = lower(value);
        for (const char* name : {"qemu", "kvm", "vmware", "virtualbox", "innotek", "xen", "amazon ec2", "google", "parallels",
                                 "virtual machine", "microsoft corporation", "openstack", "bochs", "bhyve", "alibaba",
                                 "digitalocean", "hetzner", "nutanix", "apple virtualization", "cloud"})
            if (has(small, name)) {
                signs.push_back(std::string("the firmware's ") + file + " is " + value);
                break;
            }
    }
    const std::string type = line(read_file(root + "/sys/hypervisor/type"));
    if (!type.empty()) signs.push_back("the kernel runs on the hypervisor " + type);
    if (!entries(root + "/sys/bus/virtio/devices").empty()) signs.push_back("it has virtio devices");
    // A board that QEMU plays in every other part still has its disks, cards and keyboards.
    for (const char* devices : {"/sys/block/", "/sys/bus/usb/devices/"})
        for (const std::string& entry : entries(root + devices))
            for (const char* file : {"/device/name", "/device/model", "/device/vendor", "/product", "/manufacturer"})
                if (has(lower(read_file(root + devices + entry + file)), "qemu"))
                    signs.push_back("the device " + entry + " is QEMU's");
    if (root.empty()) {
        const std::string found = output("systemd-detect-virt --vm 2>/dev/null");
        if (!found.empty() && found != "none") signs.push_back("systemd-detect-virt says " + found);
    }
    return signs;
}

// Which core to time on: the one asked for, else of those allowed the fastest, the last of equals.
inline int chosen_cpu(const std::vector<Core>& cores, int asked, bool live) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (!live || sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        for (const Core& core : cores) CPU_SET(core.cpu, &allowed);
    const Core* best = nullptr;
    for (const Core& core : cores) {
        if (core.cpu == asked) return asked;
        if (CPU_ISSET(core.cpu, &allowed) && (!best || core.max_khz >= best->max_khz)) best = &core;
    }
    return best ? best->cpu : 0;
}

// Signs are kept in the order in which they decide: emulated, of another architecture, virtual, a server's.
inline void judge(Machine& machine, const std::string& root, const std::vector<Fields>& cpus) {
    const auto decide = [&](const char* kind, const Texts& signs) {
        if (signs.empty()) return;
        if (machine.kind.empty()) machine.kind = kind;
        machine.against.insert(machine.against.end(), signs.begin(), signs.end());
    };
    decide("emulated", emulator_signs(root, machine.architecture, cpus));
    if (machine.architecture != "aarch64") decide("other", {"its architecture is " + machine.architecture + ", not aarch64"});
    decide("virtual", virtual_signs(root, cpus));
    for (const Core& core : machine.cores)
        if (const Part* part = core.known(); part && part->server) {
            decide("server", {std::string("its cores are a server's: ") + part->name});
            break;
        }
    if (machine.model.empty()) decide("unknown", {"nothing names the machine (a container hides its name: run outside of it)"});
    if (machine.kind.empty()) machine.kind = "board";
}

inline Machine look(const std::string& root, const std::string& architecture, int asked_cpu) {
    utsname name{};
    uname(&name);
    Machine machine;
    machine.architecture = architecture.empty() ? name.machine : architecture;
    machine.system = std::string(name.sysname) + ' ' + name.release;
    machine.model = line(read_file(root + "/proc/device-tree/model"));
    if (machine.model.empty())
        machine.model = line(read_file(root + "/sys/class/dmi/id/sys_vendor") + ' ' + read_file(root + "/sys/class/dmi/id/product_name"));
    const std::vector<Fields> cpus = cpuinfo(root);
    for (const Fields& info : cpus)
        machine.cores.push_back(core(root, info.count("processor") ? int(to_number(info.at("processor"))) : 0, info));
    judge(machine, root, cpus);
    machine.cpu = chosen_cpu(machine.cores, asked_cpu, root.empty());
    return machine;
}

// A label never makes a board: it lets a virtual or a server's core be timed, as what it is.
inline std::string kind_with_label(const std::string& kind, const std::string& label) {
    return !label.empty() && (kind == "board" || kind == "virtual" || kind == "server") ? "server" : kind;
}
inline std::string refusal(const Machine& machine) {
    std::string out = "this is no board:";
    for (const std::string& sign : machine.against) out += "\n  - " + sign;
    return out;
}

// Pin this thread to the chosen core; whether it worked. Reads the core's own MIDR there.
inline bool pin(Machine& machine) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(machine.cpu, &one);
    const bool pinned = sched_setaffinity(0, sizeof one, &one) == 0 && sched_getcpu() == machine.cpu;
    machine.confirmed_midr = pinned ? midr_register() : 0;
    return pinned;
}

inline json::Value machine_record(const Machine& machine, bool pinned) {
    std::vector<json::Value> cores;
    for (const Core& core : machine.cores)
        cores.push_back(json::object({{"cpu", json::integer(core.cpu)}, {"core", json::text(core.name())},
            {"midr", core.midr ? json::text(hexadecimal(core.midr)) : "null"},
            {"max_khz", core.max_khz ? json::integer(core.max_khz) : "null"}}));
    return json::object({{"architecture", json::text(machine.architecture)}, {"model", json::optional_text(machine.model)},
        {"system", json::text(machine.system)}, {"found", json::text(machine.kind)}, {"against", json::texts(machine.against)},
        {"cores", json::list(cores)}, {"cpu", json::integer(machine.cpu)}, {"pinned", json::boolean(pinned)},
        {"midr_register", machine.confirmed_midr ? json::text(hexadecimal(machine.confirmed_midr)) : "null"}});
}

// What may change while it runs: asked for before and after.
struct Conditions {
    std::string governor, throttled;  // empty: the system does not say
    std::uint64_t khz;                // 0: the same
    double load[3];
};
inline Conditions conditions(const std::string& root, int cpu) {
    const std::string folder = cpu_folder(root, cpu) + "/cpufreq/";
    Conditions now{line(read_file(folder + "scaling_governor")),
        root.empty() ? output("vcgencmd get_throttled 2>/dev/null") : line(read_file(root + "/vcgencmd")),
        to_number(line(read_file(folder + "scaling_cur_freq"))), {NAN, NAN, NAN}};
    now.throttled = starts(now.throttled, "throttled=") ? now.throttled.substr(std::strlen("throttled=")) : "";
    std::sscanf(read_file(root + "/proc/loadavg").c_str(), "%lf %lf %lf", &now.load[0], &now.load[1], &now.load[2]);
    return now;
}
// What its owner should put right before times are taken.
inline Texts warnings(const Conditions& now, std::size_t cores) {
    Texts out;
    if (!now.governor.empty() && now.governor != "performance")
        out.push_back("the governor is " + now.governor + ": choose performance (cpupower frequency-set -g performance)");
    if (to_number(now.throttled) & 0xf)
        out.push_back("the board is throttled (" + now.throttled + "): cool it, or give it a stronger supply");
    if (now.load[0] > 0.5 * double(cores)) out.push_back("the machine is busy: its load is above half its cores");
    return out;
}
inline json::Value conditions_record(const Conditions& now, std::size_t cores) {
    return json::object({{"governor", json::optional_text(now.governor)}, {"khz", now.khz ? json::integer((long long)now.khz) : "null"},
        {"throttled", json::optional_text(now.throttled)},
        {"load", json::list({json::number(now.load[0]), json::number(now.load[1]), json::number(now.load[2])})},
        {"warnings", json::texts(warnings(now, cores))}});
}

}  // namespace board
