#include "services/scheduler/progress_message.h"

#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace coffer::scheduler {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_of(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

JobFailure failure_of(const json& object) {
    const auto found = object.find("error");
    JobFailure failure;
    if (found != object.end() && found->is_object()) {
        failure.name = text_of(*found, "name");
        failure.message = text_of(*found, "what");
        if (const std::string where = text_of(*found, "where"); !where.empty()) failure.message += ": " + where;
        failure.remedy = text_of(*found, "remedy");
    }
    if (failure.name.empty()) failure.name = bus_name_of(ErrorCode::internal);
    if (failure.message.empty()) failure.message = "the job gave no reason";
    return failure;
}

}  // namespace

std::optional<ProgressMessage> parse_progress(std::string_view datagram) {
    const json object = json::parse(datagram, nullptr, false);
    if (!object.is_object()) return std::nullopt;
    ProgressMessage message;
    message.job_id = text_of(object, "job");
    if (message.job_id.empty()) return std::nullopt;
    const std::string result = text_of(object, "result");
    if (result == "done") {
        message.result = JobResult::done;
        message.backup_id = text_of(object, "backup_id");
        message.warning = text_of(object, "warning");
    } else if (!result.empty()) {
        message.failure = failure_of(object);
        const bool canceled = result == "canceled" || message.failure.name == bus_name_of(ErrorCode::canceled);
        message.result = canceled ? JobResult::canceled : JobResult::failed;
    } else {
        message.phase = text_of(object, "phase");
        message.message = text_of(object, "message");
        message.done = number_of(object, "done");
        message.total = number_of(object, "total");
    }
    return message;
}

}  // namespace coffer::scheduler
