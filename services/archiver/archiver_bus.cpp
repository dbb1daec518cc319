#include "services/archiver/archiver_bus.h"

#include "lib/catalogue/completion.h"
#include "services/archiver/adoption.h"
#include "services/archiver/catalogue_calls.h"

namespace coffer::archiver {
namespace {

using bus::Access;
using bus::BusObject;
using bus::Emits;
using bus::Options;
using bus::Pending;

constexpr std::uint64_t flag_partial = 1;  // of OpenWal

void refuse_flags(std::uint64_t flags, std::uint64_t known = 0) {
    if ((flags & ~known) != 0) throw Error(ErrorCode::invalid_argument, "unknown flags");
}

// Work of a worker whose result is the answer to a call.
template <typename T>
void answer_with(Background& background, Pending pending, std::function<T()> work,
                 std::function<void(Pending&, const T&)> answer) {
    background.run<T>(std::move(work), [pending = std::move(pending), answer = std::move(answer)](
                                           T* value, const std::optional<Error>& error) mutable {
        if (error) return pending.fail(*error);
        answer(pending, *value);
    });
}

void declare_adoption(BusObject& object, const std::shared_ptr<ServerObject::View>& view) {
    object.later_method("AdoptBackup", {"backup", "options"}, "", {}, Access::act,
                        [view](Pending pending, const std::string& backup, const Options& options) {
                            bus::OptionReader(options).refuse_rest();
                            if (!catalogue::is_backup_id(backup))
                                throw Error(ErrorCode::invalid_argument, "this is no ID of a backup", backup);
                            ArchivedServer& server = view->get();
                            server.retention().in_turn<bool>(
                                [config = server.server(), open = server.archive_for_call(), backup] {
                                    adopt_backup(*config, *open(), backup);
                                    return true;
                                },
                                [view, pending = std::move(pending)](bool*, const std::optional<Error>& error) mutable {
                                    if (error) return pending.fail(*error);
                                    if (view->server != nullptr) view->server->look_after_backups();
                                    pending.answer();
                                });
                        });
}

void declare_index(BusObject& object, const std::shared_ptr<ServerObject::View>& view) {
    object.later_method(
        "RebuildIndex", {"options"}, "tta(ss)", {"files", "left_out", "first_left_out"}, Access::act,
        [view](Pending pending, const Options& options) {
            bus::OptionReader(options).refuse_rest();
            view->get().retention().in_turn<RebuiltIndex>(
                [open = view->get().archive_for_call()] { return rebuild_index(*open()); },
                [pending = std::move(pending)](RebuiltIndex* rebuilt, const std::optional<Error>& error) mutable {
                    if (error) return pending.fail(*error);
                    pending.answer(rebuilt->files, rebuilt->left_out, rebuilt->first_left_out);
                });
        });
}

void declare_backups(BusObject& object, const std::shared_ptr<ServerObject::View>& view) {
    object.later_method("ListBackups", {"filter", "offset", "limit"}, "aa{sv}u", {"backups", "total"}, Access::read,
                        [view](Pending pending, const Options& filter, std::uint32_t offset, std::uint32_t limit) {
                            answer_with<BackupPage>(
                                *view->background, std::move(pending),
                                [server = view->get().server(), archive = view->get().archive(), filter, offset,
                                 limit] { return list_backups(*server, archive.get(), filter, offset, limit); },
                                [](Pending& reply, const BackupPage& page) {
                                    reply.answer(page.backups, static_cast<std::uint32_t>(page.total));
                                });
                        });
    object.later_method("GetBackup", {"backup"}, "a{sv}", {"properties"}, Access::read,
                        [view](Pending pending, const std::string& backup) {
                            answer_with<Options>(
                                *view->background, std::move(pending),
                                [server = view->get().server(), archive = view->get().archive(), backup] {
                                    return get_backup(*server, archive.get(), backup);
                                },
                                [](Pending& reply, const Options& options) { reply.answer(options); });
                        });
    object.later_method("CheckBackup", {"backup", "options"}, "ss", {"status", "missing_wal"}, Access::act,
                        [view](Pending pending, const std::string& backup, const Options& options) {
                            bus::OptionReader(options).refuse_rest();
                            answer_with<catalogue::Checked>(
                                *view->background, std::move(pending),
                                [server = view->get().server(), backup] {
                                    return catalogue::check_backup(*server,
                                                                   catalogue::Catalogue(*server).get(backup).backup_id);
                                },
                                [](Pending& reply, const catalogue::Checked& checked) {
                                    reply.answer(std::string(name_of(checked.status)), checked.missing.value_or(""));
                                });
                        });
    object.later_method("DeleteBackup", {"backup", "flags"}, "t", {"wal_files_removed"}, Access::act,
                        [view](Pending pending, const std::string& backup, std::uint64_t flags) {
                            refuse_flags(flags);
                            view->get().retention().delete_backup(
                                backup, [pending = std::move(pending)](std::uint64_t* removed,
                                                                       const std::optional<Error>& error) mutable {
                                    if (error) return pending.fail(*error);
                                    pending.answer(*removed);
                                });
                        });
    object.later_method(
        "KeepBackup", {"backup", "target", "flags"}, "", {}, Access::act,
        [view](Pending pending, const std::string& backup, const std::string& target, std::uint64_t flags) {
            refuse_flags(flags);
            answer_with<bool>(
                *view->background, std::move(pending),
                [server = view->get().server(), backup, target] {
                    keep_backup(*server, backup, target);
                    return true;
                },
                [view](Pending& reply, const bool&) {
                    // What was seen of it while it was being noted found the backup locked.
                    if (view->server != nullptr) view->server->retention().apply();
                    reply.answer();
                });
        });
    object.later_method(
        "ApplyRetention", {"flags"}, "ast", {"backups", "wal_files_removed"}, Access::act,
        [view](Pending pending, std::uint64_t flags) {
            refuse_flags(flags);
            view->get().retention().apply_now(
                [pending = std::move(pending)](Expired* expired, const std::optional<Error>& error) mutable {
                    if (error) return pending.fail(*error);
                    pending.answer(expired->backups, expired->wal_files);
                });
        });
}

void declare_wal(BusObject& object, const std::shared_ptr<ServerObject::View>& view) {
    object.later_method("OpenWal", {"name", "flags"}, "h", {"content"}, Access::act,
                        [view](Pending pending, const std::string& name, std::uint64_t flags) {
                            refuse_flags(flags, flag_partial);
                            answer_with<UniqueFd>(
                                *view->background, std::move(pending),
                                [server = view->get().server(), name, partial = (flags & flag_partial) != 0] {
                                    return open_wal(*server, name, partial);
                                },
                                [](Pending& reply, const UniqueFd& fd) { reply.answer(fd); });
                        });
    object.later_method("RecheckWal", {"name", "flags"}, "sss", {"result", "fault", "moved_to"}, Access::act,
                        [view](Pending pending, const std::string& name, std::uint64_t flags) {
                            refuse_flags(flags);
                            using Found = std::tuple<std::string, std::string, std::string>;
                            answer_with<Found>(
                                *view->background, std::move(pending),
                                [archive = view->get().archive(), name] { return recheck_wal(archive.get(), name); },
                                [view](Pending& reply, const Found& found) {
                                    const auto& [result, fault, moved_to] = found;
                                    if (!moved_to.empty() && view->server != nullptr) view->server->set_one_aside();
                                    reply.answer(result, fault, moved_to);
                                });
                        });
    object.later_method(
        "StoreWal", {"name", "flags"}, "ss", {"result", "reason"}, Access::act,
        [view](Pending pending, const std::string& name, std::uint64_t flags) {
            refuse_flags(flags);
            using Stored = std::tuple<std::string, std::string>;
            answer_with<Stored>(
                *view->background, std::move(pending),
                [server = view->get().server(), archive = view->get().archive(), name] {
                    return store_wal(*server, archive.get(), name);
                },
                [](Pending& reply, const Stored& stored) { reply.answer(std::get<0>(stored), std::get<1>(stored)); });
        });
    const auto state = [view] {
        if (view->server == nullptr || !view->server->archive()) return wal::ArchiveState{};
        return view->server->archive()->state();
    };
    object.property("FirstWal", Emits::none, [state] { return state().first_wal.value_or(""); });
    object.property("LastWal", Emits::none, [state] { return state().last_wal.value_or(""); });
    object.property("WalCount", Emits::none, [state] { return state().wal_count; });
    object.property("StoredBytes", Emits::none, [state] { return state().stored_bytes; });
    object.property("QueueSegments", Emits::none,
                    [view] { return view->server != nullptr ? view->server->queued() : std::uint64_t{0}; });
    object.signal<std::string>("SegmentArchived", {"name"});
}

}  // namespace

ArchivedServer& ServerObject::View::get() const {
    if (server == nullptr) throw Error(ErrorCode::busy, "server is being set up anew", {}, "try again in a moment");
    return *server;
}

ServerObject::ServerObject(bus::Bus& bus, Background& background, const std::string& name)
    : object_(bus::encode_path(servers_path, name).value, "org.pgcoffer.Archiver1.Server") {
    view_->name = name;
    view_->background = &background;
    declare(object_, view_);
    object_.publish(bus);
}

void ServerObject::declare(BusObject& object, const std::shared_ptr<View>& view) {
    object.property("Name", Emits::constant, [view] { return view->name; });
    object.property("State", Emits::change,
                    [view] { return view->server != nullptr ? view->server->state() : std::string("starting"); });
    object.property("LastError", Emits::change,
                    [view] { return view->server != nullptr ? view->server->last_error() : std::string(); });
    object.property("ErrorFiles", Emits::change,
                    [view] { return view->server != nullptr ? view->server->error_files() : std::uint64_t{0}; });
    declare_wal(object, view);
    declare_backups(object, view);
    declare_index(object, view);
    declare_adoption(object, view);
}

void ServerObject::state_changed() noexcept {
    object_.changed({"State", "LastError", "ErrorFiles"});
}

void ServerObject::archived(const std::string& name) {
    object_.emit("SegmentArchived", name);
}

BusObject manager_object(const ManagerView& view) {
    BusObject object(root_path, "org.pgcoffer.Archiver1.Manager");
    object.method("ListServers", {"flags"}, {"servers"}, Access::read, [view](std::uint64_t flags) {
        refuse_flags(flags);
        std::vector<std::tuple<std::string, bus::ObjectPath, std::string>> list;
        for (const ServerEntry& entry : view.servers())
            list.emplace_back(entry.name, bus::ObjectPath{entry.path}, entry.state);
        return list;
    });
    object.method("Reload", {"flags"}, {}, Access::act, [view](std::uint64_t flags) {
        refuse_flags(flags);
        view.reload();
    });
    object.property("Version", Emits::constant, [] { return std::string(COFFER_VERSION); });
    object.property("ConfigErrors", Emits::change, [view] {
        std::vector<std::tuple<std::string, std::uint32_t, std::string>> list;
        for (const ConfigError& error : view.config_errors()) list.emplace_back(error.file, error.line, error.text);
        return list;
    });
    return object;
}

std::string introspection() {
    const BusObject manager = manager_object({});
    BusObject server(bus::encode_path(servers_path, "example").value, "org.pgcoffer.Archiver1.Server");
    ServerObject::declare(server, std::make_shared<ServerObject::View>());
    return bus::introspection_document({&manager, &server});
}

}  // namespace coffer::archiver
