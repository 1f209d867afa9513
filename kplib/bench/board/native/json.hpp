// Just enough JSON to print a record: every value is the text of one.
#pragma once

#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace board::json {

using Value = std::string;

inline Value text(const std::string& value) {
    Value out = "\"";
    for (const unsigned char c : value) {
        if (c == '"' || c == '\\') out += '\\';
        if (c < 0x20 || c >= 0x7f) {  // nothing that is measured here is anything but ASCII
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
            out += escaped;
        } else {
            out += char(c);
        }
    }
    return out + '"';
}
inline Value optional_text(const std::string& value) { return value.empty() ? "null" : text(value); }
inline Value number(double value, int digits = 6) {
    if (!std::isfinite(value)) return "null";
    char out[40];
    std::snprintf(out, sizeof out, "%.*g", digits, value);
    return out;
}
inline Value integer(long long value) { return std::to_string(value); }
inline Value boolean(bool value) { return value ? "true" : "false"; }
inline Value list(const std::vector<Value>& values) {
    Value out = "[";
    for (const Value& value : values) out += (out.size() > 1 ? ", " : "") + value;
    return out + "]";
}
inline Value texts(const std::vector<std::string>& values) {
    std::vector<Value> quoted;
    for (const std::string& value : values) quoted.push_back(text(value));
    return list(quoted);
}
inline Value object(const std::vector<std::pair<const char*, Value>>& fields) {
    Value out = "{";
    for (const auto& [name, value] : fields) out += (out.size() > 1 ? ", " : "") + text(name) + ": " + value;
    return out + "}";
}

}  // namespace board::json
