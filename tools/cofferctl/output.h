#pragma once
// What a command says: plain lines for people, or one JSON object in Barman's shape (-f json).
//
// Messages are collected as Barman does: in JSON in the arrays _INFO, _WARNING and _ERROR, on a console as lines,
// warnings and errors on standard error. An error makes the exit status 1 and stops nothing: the other servers are
// still served.
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "lib/base/error.h"

namespace coffer::cofferctl {

enum class Format { console, json };

class Output {
  public:
    Output(Format format, bool quiet, bool colour);
    ~Output();
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    [[nodiscard]] bool json_wanted() const noexcept { return format_ == Format::json; }
    [[nodiscard]] bool colour() const noexcept { return colour_; }

    // Console only; quiet hides nothing of what was asked for.
    void line(std::string_view text);
    void info(std::string_view text);
    void warning(std::string_view text);
    void error(std::string_view text);
    void error(const Error& error, std::string_view context = {});

    // The JSON object; what is put here shows in JSON only.
    nlohmann::json& data() noexcept { return *data_; }

    void set_exit_status(int status) noexcept { status_ = status; }
    // Prints the JSON and returns the exit status.
    [[nodiscard]] int finish();

  private:
    void message(const char* array, std::string_view text, bool to_stderr, const char* prefix);

    Format format_;
    bool quiet_;
    bool colour_;
    int status_ = 0;
    std::unique_ptr<nlohmann::json> data_;
};

}  // namespace coffer::cofferctl
