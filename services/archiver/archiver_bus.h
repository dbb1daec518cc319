#pragma once
// org.pgcoffer.Archiver1 on the bus: what is declared here is documented in units/dbus and docs/bus.md. Loop thread.
#include <memory>

#include "lib/bus/bus_object.h"
#include "services/archiver/archived_server.h"

namespace coffer::archiver {

inline constexpr char bus_name[] = "org.pgcoffer.Archiver1";
inline constexpr char root_path[] = "/org/pgcoffer/Archiver1";
inline constexpr char servers_path[] = "/org/pgcoffer/Archiver1/server";

// One server. The object outlives the ArchivedServer behind it when the configuration is read again.
class ServerObject {
  public:
    ServerObject(bus::Bus& bus, Background& background, const std::string& name);

    void attach(ArchivedServer* server) noexcept { view_->server = server; }
    void state_changed() noexcept;
    void archived(const std::string& name);
    [[nodiscard]] const std::string& path() const noexcept { return object_.path(); }

    // What the handlers reach. server is null while it is being set up anew.
    struct View {
        std::string name;
        ArchivedServer* server = nullptr;
        Background* background = nullptr;
        [[nodiscard]] ArchivedServer& get() const;
    };
    static void declare(bus::BusObject& object, const std::shared_ptr<View>& view);

  private:
    bus::BusObject object_;
    std::shared_ptr<View> view_ = std::make_shared<View>();
};

struct ServerEntry {
    std::string name;
    std::string path;
    std::string state;
};
struct ConfigError {
    std::string file;
    std::uint32_t line = 0;
    std::string text;
};
struct ManagerView {
    std::function<std::vector<ServerEntry>()> servers;
    std::function<std::vector<ConfigError>()> config_errors;
    std::function<void()> reload;
};
// The object at root_path.
bus::BusObject manager_object(const ManagerView& view);

// The document of --bus-introspect.
std::string introspection();

}  // namespace coffer::archiver
