// cofferctl backup: enqueues a job at the scheduler and follows it. Without --wait it returns when the copy is
// complete; with it when the backup is DONE, which is when all the WAL it needs is durable here too.
#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>
#include <cstdio>

#include "tools/cofferctl/bus_client.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/text.h"

namespace coffer::cofferctl {
namespace {

using Kind = OptionSpec::Kind;

constexpr const char* scheduler_service = "org.pgcoffer.Scheduler1";

struct JobView {
    std::string state, phase, message, result, backup_id;
    std::uint64_t done = 0, total = 0;
};

template <typename T>
T value_of(const bus::Options& properties, const char* name) {
    const auto found = properties.find(name);
    if (found == properties.end()) return T{};
    const T* value = std::get_if<T>(&found->second);
    return value == nullptr ? T{} : *value;
}

class JobFollower {
  public:
    JobFollower(Context& context, bus::Bus& bus, std::string server, const bus::ObjectPath& job)
        : context_(context),
          bus_(bus),
          server_(std::move(server)),
          target_{scheduler_service, job.value, "org.pgcoffer.Job1"},
          bar_(!context.out.json_wanted() && !context.quiet && ::isatty(STDERR_FILENO) == 1) {}

    // Until the job ends or, without wait, until only WAL is missing. Throws what the job failed with.
    void follow(bool wait) {
        for (;;) {
            const bus::Options properties = bus_.get_properties(target_);
            const JobView view{
                value_of<std::string>(properties, "State"),       value_of<std::string>(properties, "Phase"),
                value_of<std::string>(properties, "Message"),     value_of<std::string>(properties, "Result"),
                value_of<std::string>(properties, "BackupId"),    value_of<std::uint64_t>(properties, "BytesDone"),
                value_of<std::uint64_t>(properties, "BytesTotal")};
            show(view);
            if (view.state == "finished") return end(view, properties);
            if (!wait && view.phase == "wait") {
                clear();
                return context_.out.info("The copy is complete; the backup is DONE as soon as its WAL is here");
            }
            pause();
        }
    }

  private:
    // A signal of the job ends the pause; half a second is how often the bar moves.
    void pause() {
        sd_bus* raw = bus_.get();
        while (sd_bus_process(raw, nullptr) > 0) {
        }
        (void)sd_bus_wait(raw, 500000);
        while (sd_bus_process(raw, nullptr) > 0) {
        }
    }

    void show(const JobView& view) {
        if (view.phase != phase_ && !view.phase.empty()) {
            clear();
            phase_ = view.phase;
            context_.out.info(server_ + ": " + (view.message.empty() ? view.phase : view.message));
        }
        if (!bar_ || view.total == 0) return;
        const double part = std::min(1.0, static_cast<double>(view.done) / static_cast<double>(view.total));
        const std::string filled(static_cast<std::size_t>(part * 30), '#');
        std::fprintf(stderr, "\r[%-30s] %3.0f %%  %s of %s ", filled.c_str(), part * 100,
                     pretty_size(static_cast<double>(view.done)).c_str(),
                     pretty_size(static_cast<double>(view.total)).c_str());
        drawn_ = true;
    }

    void clear() {
        if (drawn_) std::fputs("\r\033[K", stderr);
        drawn_ = false;
    }

    void end(const JobView& view, const bus::Options& properties) {
        clear();
        if (view.result == "done") {
            const auto warning = value_of<std::string>(properties, "Warning");
            if (!warning.empty()) context_.out.warning(warning);
            return context_.out.info("Backup completed: " + view.backup_id);
        }
        const auto message = value_of<std::string>(properties, "ErrorMessage");
        throw Error(code_of_bus_name(value_of<std::string>(properties, "ErrorName")),
                    "backup of server '" + server_ + "' " + (view.result == "canceled" ? "was canceled" : "failed") +
                        (message.empty() ? "" : ": " + message),
                    {}, value_of<std::string>(properties, "Remedy"));
    }

    Context& context_;
    bus::Bus& bus_;
    std::string server_;
    bus::Target target_;
    bool bar_;
    bool drawn_ = false;
    std::string phase_;
};

bus::Options options_of(const Arguments& arguments) {
    bus::Options options;
    if (const auto name = arguments.text("name")) options["name"] = *name;
    if (arguments.flag("immediate_checkpoint")) options["fast"] = true;
    if (const auto base = arguments.text("incremental")) options["incremental"] = *base;
    if (arguments.flag("full")) options["full"] = true;
    if (arguments.flag("no_immediate_checkpoint")) options["spread"] = true;
    if (arguments.number("wait_timeout", 1000000)) options["wait_timeout"] = *arguments.text("wait_timeout");
    return options;
}

void run(Context& context, const Arguments& arguments) {
    const bus::Options options = options_of(arguments);
    for_each_server(context, arguments.positionals, Only::active, [&](const config::Server& server) {
        bus::Bus bus = open_bus();
        const bus::Target manager{scheduler_service, "/org/pgcoffer/Scheduler1", "org.pgcoffer.Scheduler1.Manager"};
        const auto [id, job] = bus.call_method<std::uint64_t, bus::ObjectPath>(manager, "Enqueue", server.name,
                                                                               std::string("backup"), options);
        context.out.info(fmt::format("Starting backup of server {} (job {})", server.name, id));
        const auto wake = [](bus::Message&) {};
        const bus::Slot end = bus.on_signal({scheduler_service, job.value, "org.pgcoffer.Job1"}, "Finished", wake);
        const bus::Slot change =
            bus.on_signal({scheduler_service, job.value, "org.freedesktop.DBus.Properties"}, "PropertiesChanged", wake);
        JobFollower(context, bus, server.name, job).follow(arguments.flag("wait"));
    });
}

}  // namespace

Command backup_command() {
    return {"backup",
            {},
            "take a backup of servers",
            "SERVER...",
            1,
            0,
            {{"-w,--wait", Kind::flag, "wait until all WAL that the backup needs is here"},
             {"--wait-timeout", Kind::text, "seconds to wait for that WAL"},
             {"--name", Kind::text, "a name for the backup"},
             {"--immediate-checkpoint", Kind::flag, "let the server's checkpoint be fast"},
             {"--no-immediate-checkpoint", Kind::flag, "let the server take its time for the checkpoint"},
             {"--incremental", Kind::text, "let the server send what has changed since this backup, or fail"},
             {"--full", Kind::flag, "let the server send every page"},
             {"--reuse-backup", Kind::refused_text},
             {"-j,--jobs", Kind::refused_text},
             {"--jobs-start-batch-period", Kind::refused_text},
             {"--jobs-start-batch-size", Kind::refused_text},
             {"--bwlimit", Kind::refused_text},
             {"--retry-times", Kind::refused_text},
             {"--retry-sleep", Kind::refused_text},
             {"--no-retry", Kind::ignored},
             {"--keepalive-interval", Kind::refused_text},
             {"--manifest", Kind::ignored},
             {"--no-manifest", Kind::refused_flag},
             {"--check-timeout", Kind::refused_text}},
            run};
}

}  // namespace coffer::cofferctl
