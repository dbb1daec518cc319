#include "tools/cofferctl/output.h"

#include <cstdio>

#include <nlohmann/json.hpp>

namespace coffer::cofferctl {

Output::Output(Format format, bool quiet, bool colour)
    : format_(format),
      quiet_(quiet),
      colour_(colour),
      data_(std::make_unique<nlohmann::json>(nlohmann::json::object())) {}

Output::~Output() = default;

void Output::line(std::string_view text) {
    if (json_wanted()) return;
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputc('\n', stdout);
}

void Output::message(const char* array, std::string_view text, bool to_stderr, const char* prefix) {
    if (json_wanted()) {
        (*data_)[array].push_back(std::string(text));
        return;
    }
    if (quiet_ && !to_stderr) return;
    std::FILE* stream = to_stderr ? stderr : stdout;
    if (to_stderr) std::fflush(stdout);
    std::fprintf(stream, "%s%.*s\n", prefix, static_cast<int>(text.size()), text.data());
}

void Output::info(std::string_view text) {
    message("_INFO", text, false, "");
}

void Output::warning(std::string_view text) {
    message("_WARNING", text, true, "WARNING: ");
}

void Output::error(std::string_view text) {
    message("_ERROR", text, true, "ERROR: ");
    if (status_ == 0) status_ = 1;
}

void Output::error(const Error& error, std::string_view context) {
    Output::error(context.empty() ? error.full_text() : error.within(context).full_text());
}

int Output::finish() {
    if (json_wanted()) {
        const std::string text = data_->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        std::fprintf(stdout, "%s\n", text.c_str());
    }
    if (std::fflush(stdout) != 0 && status_ == 0) status_ = 1;
    return status_;
}

}  // namespace coffer::cofferctl
