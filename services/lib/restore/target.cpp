#include "lib/restore/target.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "lib/base/error.h"

namespace coffer::restore {
namespace {

[[noreturn]] void refuse(std::string what, const std::string& where, std::string remedy) {
    throw Error(ErrorCode::invalid_argument, std::move(what), where, std::move(remedy));
}

TargetTimeline parse_timeline(const std::string& text) {
    if (text == "latest") return {};
    if (text == "current") return {TargetTimeline::Kind::current, 0};
    TimelineId number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 10);
    if (error != std::errc() || end != text.data() + text.size() || number == 0) {
        refuse("this is no timeline", text, "give a number (decimal), 'current' or 'latest'");
    }
    return {TargetTimeline::Kind::number, number};
}

// 64-bit identifiers (pg_current_xact_id) carry an epoch above the 32 bits that WAL records and PostgreSQL compare.
std::uint32_t parse_xid(const std::string& text) {
    std::uint64_t wide = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), wide, 10);
    const auto xid = static_cast<std::uint32_t>(wide);
    if (error != std::errc() || end != text.data() + text.size() || xid < 3) {
        refuse("this is no transaction ID", text,
               "give the decimal number that pg_current_xact_id() or txid_current() showed");
    }
    return xid;
}

TargetAction parse_action(const std::string& text) {
    for (const TargetAction action : {TargetAction::pause, TargetAction::shutdown, TargetAction::promote}) {
        if (text == name_of(action)) return action;
    }
    refuse("this is no target action", text, "give pause, shutdown or promote");
}

void take_time(const std::string& text, ParsedTarget& parsed) {
    const ParsedTime time = parse_time(text);
    parsed.target.kind = TargetKind::time;
    parsed.target.time = time.time;
    if (time.naive) {
        parsed.warnings.push_back(fmt::format("target time '{}' has no zone; taken in the zone of this machine: {}",
                                              text, format_utc(time.time)));
    }
    if (time.ambiguous) {
        parsed.warnings.push_back(fmt::format(
            "it was '{}' twice here, because the clock was put back; the later one is taken; give an offset to choose",
            text));
    }
}

void take_one_target(const TargetOptions& options, ParsedTarget& parsed) {
    RestoreTarget& target = parsed.target;
    if (options.time) take_time(*options.time, parsed);
    if (options.xid) {
        target.kind = TargetKind::xid;
        target.xid = parse_xid(*options.xid);
    }
    if (options.lsn) {
        const std::optional<Lsn> lsn = Lsn::parse(*options.lsn);
        if (!lsn || !lsn->valid()) refuse("this is no LSN", *options.lsn, "write it as PostgreSQL does: 16/B374D848");
        target.kind = TargetKind::lsn;
        target.lsn = *lsn;
    }
    if (options.name) {
        // PostgreSQL keeps names of restore points in 64 bytes with a final zero.
        if (options.name->empty() || options.name->size() > 63 ||
            options.name->find_first_of("\n\r") != std::string::npos) {
            refuse("this cannot be the name of a restore point", *options.name, "a name has 1 to 63 bytes on one line");
        }
        target.kind = TargetKind::name;
        target.name = *options.name;
    }
    if (options.immediate) target.kind = TargetKind::immediate;
}

}  // namespace

std::string_view name_of(TargetAction action) noexcept {
    switch (action) {
        case TargetAction::pause:
            return "pause";
        case TargetAction::shutdown:
            return "shutdown";
        case TargetAction::promote:
            return "promote";
    }
    return "pause";
}

ParsedTarget parse_target(const TargetOptions& options) {
    const int targets = int(options.time.has_value()) + int(options.xid.has_value()) + int(options.lsn.has_value()) +
                        int(options.name.has_value()) + int(options.immediate);
    if (targets > 1) {
        refuse("more than one target is given", "", "give one of the target time, xid, lsn, name and immediate");
    }
    ParsedTarget parsed;
    take_one_target(options, parsed);
    RestoreTarget& target = parsed.target;
    if (options.timeline) target.timeline = parse_timeline(*options.timeline);
    target.inclusive = !options.exclusive;
    if (options.exclusive && target.kind != TargetKind::time && target.kind != TargetKind::xid &&
        target.kind != TargetKind::lsn) {
        refuse("exclusive needs a target to stop before", "", "give a target time, xid or lsn with it");
    }
    if (options.action) {
        if (target.kind == TargetKind::end) {
            refuse("a target action needs a target", *options.action,
                   "give a target time, xid, lsn, name or immediate; without one the server is promoted at the end of "
                   "WAL");
        }
        target.action = parse_action(*options.action);
    }
    target.standby_mode = options.standby_mode;
    if (target.standby_mode && target.kind != TargetKind::end) {
        parsed.warnings.push_back("a standby with a target stops following its primary there");
    }
    return parsed;
}

std::string RestoreTarget::describe() const {
    std::string text;
    switch (kind) {
        case TargetKind::end:
            text = "to the end of all WAL held";
            break;
        case TargetKind::immediate:
            text = "to the first consistent moment";
            break;
        case TargetKind::time:
            text = "to time " + format_utc(time);
            break;
        case TargetKind::xid:
            text = fmt::format("to transaction {}", xid);
            break;
        case TargetKind::lsn:
            text = "to LSN " + lsn.to_string();
            break;
        case TargetKind::name:
            text = fmt::format("to restore point '{}'", name);
            break;
    }
    if (kind == TargetKind::time || kind == TargetKind::xid || kind == TargetKind::lsn) {
        text += inclusive ? " (inclusive)" : " (exclusive)";
    }
    return text;
}

}  // namespace coffer::restore
