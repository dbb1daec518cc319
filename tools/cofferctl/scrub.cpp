// cofferctl scrub: proves what servers hold, by coffer-job in the foreground; with --enqueue the scheduler runs it.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/cofferctl/bus_client.h"
#include "tools/cofferctl/commands.h"
#include "tools/cofferctl/job_program.h"

namespace coffer::cofferctl {
namespace {

using Kind = OptionSpec::Kind;

void enqueue(Context& context, const Arguments& arguments, const config::Server& server) {
    bus::Options options;
    if (arguments.flag("all")) options["all"] = true;
    if (const auto rate = arguments.text("rate")) options["rate"] = *rate;
    if (server.scrub_interval.count() == 0 && !arguments.flag("all"))
        return context.out.info("The scrub of server " + server.name + " is off");
    bus::Bus bus = open_bus();
    const bus::Target manager{"org.pgcoffer.Scheduler1", "/org/pgcoffer/Scheduler1", "org.pgcoffer.Scheduler1.Manager"};
    try {
        const auto [id, job] = bus.call_method<std::uint64_t, bus::ObjectPath>(manager, "Enqueue", server.name,
                                                                               std::string("scrub"), options);
        context.out.info(fmt::format("The scrub of server {} is queued (job {})", server.name, id));
    } catch (const Error& error) {
        // The one before has not ended: it goes on by itself. Whatever else is in the way must be told.
        const bool goes_on = std::string_view(error.what()).find("a scrub of this server is") != std::string_view::npos;
        if (error.code() != ErrorCode::busy || !goes_on) throw;
        context.out.info(std::string(error.what()));
    }
}

void scrub_now(Context& context, const Arguments& arguments, const config::Server& server) {
    std::vector<std::string> argv{"scrub", server.name, "--config",
                                  std::filesystem::absolute(context.config.main_file).string()};
    if (arguments.flag("all")) argv.emplace_back("--all");
    if (const auto rate = arguments.text("rate")) argv.insert(argv.end(), {"--rate", *rate});
    if (!context.out.json_wanted()) {
        const int status = run_job(std::move(argv), nullptr);
        if (status != 0) context.out.set_exit_status(status == 2 ? 0 : 1);
        return;
    }
    argv.emplace_back("--json");
    std::string text;
    const int status = run_job(std::move(argv), &text);
    if (status != 0 && status != 2) context.out.set_exit_status(1);
    const auto told = nlohmann::json::parse(text, nullptr, false);
    if (!told.is_object()) throw Error(ErrorCode::internal, "the job gave no result", server.name);
    for (const auto& [key, value] : told.items()) {
        if (key == "_ERROR") {
            for (const auto& each : value) context.out.error(each.get<std::string>());
        } else {
            context.out.data()[key] = value;
        }
    }
}

void run(Context& context, const Arguments& arguments) {
    for_each_server(context, arguments.positionals, Only::readable, [&](const config::Server& server) {
        arguments.flag("enqueue") ? enqueue(context, arguments, server) : scrub_now(context, arguments, server);
    });
}

}  // namespace

Command scrub_command() {
    return {"scrub",
            {},
            "prove what is held of servers, longest unproven first",
            "SERVER...",
            1,
            0,
            {{"--all", Kind::flag, "prove everything now, whenever it was proven last"},
             {"--rate", Kind::text, "read so much in a second: kB/s, or 100M; 0: no limit"},
             {"--enqueue", Kind::flag, "let the scheduler run it, and return"}},
            run};
}

}  // namespace coffer::cofferctl
