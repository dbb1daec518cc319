// Introspection data of declared objects, in the form of the D-Bus specification, made without a bus.
#include <fmt/format.h>

#include <set>

#include "lib/bus/bus_object.h"
#include "lib/bus/bus_object_impl.h"

namespace coffer::bus {
namespace {

// The first complete type of a signature: a basic type, or an array or a bracket with what belongs to it.
std::string first_type(const std::string& signature) {
    std::size_t end = 0;
    while (end < signature.size() && signature[end] == 'a') ++end;
    int depth = 0;
    do {
        const char type = signature.at(end++);
        if (type == '(' || type == '{') ++depth;
        if (type == ')' || type == '}') --depth;
    } while (depth > 0);
    return signature.substr(0, end);
}

std::string arguments_xml(std::string signature, const std::vector<std::string>& names, const std::string& direction) {
    std::string xml;
    for (std::size_t i = 0; !signature.empty(); ++i) {
        const std::string type = first_type(signature);
        signature.erase(0, type.size());
        const std::string name = i < names.size() ? fmt::format(" name=\"{}\"", names[i]) : "";
        const std::string where = direction.empty() ? "" : fmt::format(" direction=\"{}\"", direction);
        xml += fmt::format("      <arg type=\"{}\"{}{}/>\n", type, name, where);
    }
    return xml;
}

std::string property_xml(const std::string& name, const Property& property) {
    const std::string head = fmt::format("    <property name=\"{}\" type=\"{}\" access=\"{}\"", name, property.type,
                                         property.set ? "readwrite" : "read");
    if (property.emits == Emits::change) return head + "/>\n";
    return head + fmt::format(
                      ">\n      <annotation name=\"org.freedesktop.DBus.Property.EmitsChangedSignal\" value=\"{}\"/>\n"
                      "    </property>\n",
                      property.emits == Emits::constant ? "const" : "false");
}

}  // namespace

std::string BusObject::interface_xml() const {
    std::string xml = fmt::format("  <interface name=\"{}\">\n", impl_->interface);
    for (const auto& [name, method] : impl_->methods) {
        const std::string arguments =
            arguments_xml(method.in, method.inputs, "in") + arguments_xml(method.out, method.outputs, "out");
        xml += arguments.empty() ? fmt::format("    <method name=\"{}\"/>\n", name)
                                 : fmt::format("    <method name=\"{}\">\n{}    </method>\n", name, arguments);
    }
    for (const auto& [name, signal] : impl_->signals) {
        xml += fmt::format("    <signal name=\"{}\">\n{}    </signal>\n", name,
                           arguments_xml(signal.signature, signal.arguments, ""));
    }
    for (const auto& [name, property] : impl_->properties) xml += property_xml(name, property);
    return xml + "  </interface>\n";
}

std::string introspection_document(const std::vector<const BusObject*>& objects) {
    std::string xml =
        "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n"
        "\"https://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n<node>\n";
    for (const BusObject* object : objects) xml += object->interface_xml();
    return xml + "</node>\n";
}

}  // namespace coffer::bus
