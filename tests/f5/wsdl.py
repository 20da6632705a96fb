# ruff: noqa: E501  # one line a signature
"""Small descriptions (WSDL) of the interfaces of iControl SOAP that a push uses, made from their signatures.

The signatures of nodes, monitors, pools, virtual servers and sessions are those of the recorded WSDLs, which a test
compares; the others are those of F5's .NET library and of the WSDLs of TMOS 16.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

PROFILE = """
    create(profile_names: Common.StringSequence)
    delete_profile(profile_names: Common.StringSequence)
    get_default_profile(profile_names: Common.StringSequence) -> Common.StringSequence
    get_description(profile_names: Common.StringSequence) -> Common.StringSequence
    get_list() -> Common.StringSequence
    set_default_profile(profile_names: Common.StringSequence, defaults: Common.StringSequence)
    set_description(profile_names: Common.StringSequence, descriptions: Common.StringSequence)
"""


def profile(**properties: str) -> str:
    """The signatures of a profile's interface: those of all, and `get_`/`set_` of its own properties."""
    lines = [PROFILE]
    for name, kind in properties.items():
        asked = {"peer_certificate_mode": "peer_certification_mode"}.get(name, name)
        lines.append(f"get_{asked}(profile_names: Common.StringSequence) -> {kind}Sequence")
        lines.append(f"set_{name}(profile_names: Common.StringSequence, values: {kind}Sequence)")
    return "\n".join(lines)


STRING, ULONG = "LocalLB.ProfileString", "LocalLB.ProfileULong"
SIGNATURES = {
    "LocalLB.VirtualServer": """
        add_persistence_profile(virtual_servers: Common.StringSequence, profiles: LocalLB.VirtualServer.VirtualServerPersistenceSequenceSequence)
        add_rule(virtual_servers: Common.StringSequence, rules: LocalLB.VirtualServer.VirtualServerRuleSequenceSequence)
        create(definitions: Common.VirtualServerSequence, wildmasks: Common.IPAddressSequence, resources: LocalLB.VirtualServer.VirtualServerResourceSequence, profiles: LocalLB.VirtualServer.VirtualServerProfileSequenceSequence)
        delete_virtual_server(virtual_servers: Common.StringSequence)
        get_default_pool_name(virtual_servers: Common.StringSequence) -> Common.StringSequence
        get_description(virtual_servers: Common.StringSequence) -> Common.StringSequence
        get_destination_v2(virtual_servers: Common.StringSequence) -> Common.AddressPortSequence
        get_list() -> Common.StringSequence
        get_persistence_profile(virtual_servers: Common.StringSequence) -> LocalLB.VirtualServer.VirtualServerPersistenceSequenceSequence
        get_profile(virtual_servers: Common.StringSequence) -> LocalLB.VirtualServer.VirtualServerProfileAttributeSequenceSequence
        get_rule(virtual_servers: Common.StringSequence) -> LocalLB.VirtualServer.VirtualServerRuleSequenceSequence
        get_snat_type(virtual_servers: Common.StringSequence) -> LocalLB.SnatTypeSequence
        remove_all_persistence_profiles(virtual_servers: Common.StringSequence)
        remove_all_rules(virtual_servers: Common.StringSequence)
        set_default_pool_name(virtual_servers: Common.StringSequence, default_pools: Common.StringSequence)
        set_description(virtual_servers: Common.StringSequence, descriptions: Common.StringSequence)
        set_snat_automap(virtual_servers: Common.StringSequence)
    """,
    "LocalLB.Monitor": """
        create_template(templates: LocalLB.Monitor.MonitorTemplateSequence, template_attributes: LocalLB.Monitor.CommonAttributesSequence)
        delete_template(template_names: Common.StringSequence)
        get_description(template_names: Common.StringSequence) -> Common.StringSequence
        get_template_integer_property(template_names: Common.StringSequence, property_types: LocalLB.Monitor.IntPropertyTypeSequence) -> LocalLB.Monitor.IntegerValueSequence
        get_template_list() -> LocalLB.Monitor.MonitorTemplateSequence
        get_template_string_property(template_names: Common.StringSequence, property_types: LocalLB.Monitor.StrPropertyTypeSequence) -> LocalLB.Monitor.StringValueSequence
        set_description(template_names: Common.StringSequence, descriptions: Common.StringSequence)
        set_template_integer_property(template_names: Common.StringSequence, values: LocalLB.Monitor.IntegerValueSequence)
        set_template_string_property(template_names: Common.StringSequence, values: LocalLB.Monitor.StringValueSequence)
    """,
    "LocalLB.Pool": """
        add_member_v2(pool_names: Common.StringSequence, members: Common.AddressPortSequenceSequence)
        create_v2(pool_names: Common.StringSequence, lb_methods: LocalLB.LBMethodSequence, members: Common.AddressPortSequenceSequence)
        delete_pool(pool_names: Common.StringSequence)
        get_action_on_service_down(pool_names: Common.StringSequence) -> LocalLB.ServiceDownActionSequence
        get_description(pool_names: Common.StringSequence) -> Common.StringSequence
        get_lb_method(pool_names: Common.StringSequence) -> LocalLB.LBMethodSequence
        get_list() -> Common.StringSequence
        get_member_monitor_status(pool_names: Common.StringSequence, members: Common.AddressPortSequenceSequence) -> LocalLB.MonitorStatusSequenceSequence
        get_member_priority(pool_names: Common.StringSequence, members: Common.AddressPortSequenceSequence) -> Common.ULongSequenceSequence
        get_member_ratio(pool_names: Common.StringSequence, members: Common.AddressPortSequenceSequence) -> Common.ULongSequenceSequence
        get_member_session_status(pool_names: Common.StringSequence, members: Common.AddressPortSequenceSequence) -> LocalLB.SessionStatusSequenceSequence
        get_member_v2(pool_names: Common.StringSequence) -> Common.AddressPortSequenceSequence
        get_minimum_active_member(pool_names: Common.StringSequence) -> Common.ULongSequence
        get_monitor_association(pool_names: Common.StringSequence) -> LocalLB.Pool.MonitorAssociationSequence
        get_slow_ramp_time(pool_names: Common.StringSequence) -> Common.ULongSequence
        remove_member_v2(pool_names: Common.StringSequence, members: Common.AddressPortSequenceSequence)
        set_action_on_service_down(pool_names: Common.StringSequence, actions: LocalLB.ServiceDownActionSequence)
        set_description(pool_names: Common.StringSequence, descriptions: Common.StringSequence)
        set_lb_method(pool_names: Common.StringSequence, lb_methods: LocalLB.LBMethodSequence)
        set_member_monitor_state(pool_names: Common.StringSequence, members: Common.AddressPortSequenceSequence, monitor_states: Common.EnabledStateSequenceSequence)
        set_member_priority(pool_names: Common.StringSequence, members: Common.AddressPortSequenceSequence, priorities: Common.ULongSequenceSequence)
        set_member_ratio(pool_names: Common.StringSequence, members: Common.AddressPortSequenceSequence, ratios: Common.ULongSequenceSequence)
        set_member_session_enabled_state(pool_names: Common.StringSequence, members: Common.AddressPortSequenceSequence, session_states: Common.EnabledStateSequenceSequence)
        set_minimum_active_member(pool_names: Common.StringSequence, values: Common.ULongSequence)
        set_monitor_association(monitor_associations: LocalLB.Pool.MonitorAssociationSequence)
        set_slow_ramp_time(pool_names: Common.StringSequence, values: Common.ULongSequence)
    """,
    "LocalLB.NodeAddressV2": """
        create(nodes: Common.StringSequence, addresses: Common.IPAddressSequence, limits: Common.ULongSequence)
        delete_node_address(nodes: Common.StringSequence)
        get_address(nodes: Common.StringSequence) -> Common.IPAddressSequence
        get_description(nodes: Common.StringSequence) -> Common.StringSequence
        get_list() -> Common.StringSequence
        set_description(nodes: Common.StringSequence, descriptions: Common.StringSequence)
    """,
    "LocalLB.ProfileHttp": profile(
        header_insert=STRING, insert_xforwarded_for_header_mode="LocalLB.ProfileProfileMode"
    ),
    "LocalLB.ProfileTCP": profile(idle_timeout=ULONG),
    "LocalLB.ProfileServerSSL": profile(
        authenticate_name=STRING,
        ca_file_v2=STRING,
        peer_certificate_mode="LocalLB.ProfileServerSSLCertificateMode",
        server_name=STRING,
        ssl_option="LocalLB.ProfileSSLOption",
    ),
    "LocalLB.ProfileClientSSL": profile(
        chain_file_v2=STRING, cipher_list="LocalLB.ProfileStringArray", ssl_option="LocalLB.ProfileSSLOption"
    )
    + """
        create_v2(profile_names: Common.StringSequence, keys: LocalLB.ProfileStringSequence, certs: LocalLB.ProfileStringSequence)
        get_certificate_file_v2(profile_names: Common.StringSequence) -> LocalLB.ProfileStringSequence
        get_key_file_v2(profile_names: Common.StringSequence) -> LocalLB.ProfileStringSequence
        set_key_certificate_file(profile_names: Common.StringSequence, keys: LocalLB.ProfileStringSequence, certs: LocalLB.ProfileStringSequence)
    """,
    "LocalLB.ProfilePersistence": profile(
        cookie_name=STRING, cookie_persistence_method="LocalLB.ProfileCookiePersistenceMethod"
    ).replace("create(profile_names: Common.StringSequence)", "")
    + """
        create(profile_names: Common.StringSequence, modes: LocalLB.PersistenceModeSequence)
        get_persistence_mode(profile_names: Common.StringSequence) -> LocalLB.ProfilePersistenceModeSequence
    """,
    "LocalLB.Rule": """
        create(rules: LocalLB.Rule.RuleDefinitionSequence)
        delete_rule(rule_names: Common.StringSequence)
        get_list() -> Common.StringSequence
        modify_rule(rules: LocalLB.Rule.RuleDefinitionSequence)
        query_rule(rule_names: Common.StringSequence) -> LocalLB.Rule.RuleDefinitionSequence
    """,
    "Management.KeyCertificate": """
        certificate_delete(mode: Management.KeyCertificate.ManagementModeType, cert_ids: Common.StringSequence)
        get_certificate_list(mode: Management.KeyCertificate.ManagementModeType) -> Management.KeyCertificate.CertificateInformationSequence
        get_key_list(mode: Management.KeyCertificate.ManagementModeType) -> Management.KeyCertificate.KeyInformationSequence
        certificate_import_from_pem(mode: Management.KeyCertificate.ManagementModeType, cert_ids: Common.StringSequence, pem_data: Common.StringSequence, overwrite: xsd:boolean)
        key_delete(mode: Management.KeyCertificate.ManagementModeType, key_ids: Common.StringSequence)
        key_import_from_pem(mode: Management.KeyCertificate.ManagementModeType, key_ids: Common.StringSequence, pem_data: Common.StringSequence, overwrite: xsd:boolean)
    """,
    "Management.Partition": """
        create_partition(partitions: Management.Partition.AuthZPartitionSequence)
        get_default_route_domain(partitions: Common.StringSequence) -> Common.ULongSequence
        get_partition_list() -> Management.Partition.AuthZPartitionSequence
    """,
    "System.ConfigSync": """
        save_configuration(filename: xsd:string, save_flag: System.ConfigSync.SaveMode)
        synchronize_to_group(group: xsd:string)
    """,
    "System.Failover": """
        get_failover_state() -> System.Failover.FailoverState
    """,
    "System.Session": """
        get_session_identifier() -> xsd:long
        rollback_transaction()
        set_active_folder(folder: xsd:string)
        set_recursive_query_state(state: Common.EnabledState)
        start_transaction() -> xsd:long
        submit_transaction()
    """,
    "System.SystemInfo": """
        get_version() -> xsd:string
    """,
}  # fmt: skip
STRUCTS = {
    "Common.AddressPort": "address: xsd:string, port: xsd:long",
    "Common.IPPortDefinition": "address: xsd:string, port: xsd:long",
    "Common.VirtualServerDefinition": "name: xsd:string, address: xsd:string, port: xsd:long, protocol: Common.ProtocolType",
    "LocalLB.Monitor.CommonAttributes": "parent_template: xsd:string, interval: xsd:long, timeout: xsd:long, dest_ipport: LocalLB.MonitorIPPort, is_read_only: xsd:boolean, is_directly_usable: xsd:boolean",
    "LocalLB.Monitor.IntegerValue": "type: LocalLB.Monitor.IntPropertyType, value: xsd:long",
    "LocalLB.Monitor.MonitorTemplate": "template_name: xsd:string, template_type: LocalLB.Monitor.TemplateType",
    "LocalLB.Monitor.StringValue": "type: LocalLB.Monitor.StrPropertyType, value: xsd:string",
    "LocalLB.MonitorIPPort": "address_type: LocalLB.AddressType, ipport: Common.IPPortDefinition",
    "LocalLB.MonitorRule": "type: LocalLB.MonitorRuleType, quorum: xsd:long, monitor_templates: Common.StringSequence",
    "LocalLB.Pool.MonitorAssociation": "pool_name: xsd:string, monitor_rule: LocalLB.MonitorRule",
    "LocalLB.ProfileCookiePersistenceMethod": "value: LocalLB.CookiePersistenceMethod, default_flag: xsd:boolean",
    "LocalLB.ProfilePersistenceMode": "value: LocalLB.PersistenceMode, default_flag: xsd:boolean",
    "LocalLB.ProfileProfileMode": "value: LocalLB.ProfileMode, default_flag: xsd:boolean",
    "LocalLB.ProfileSSLOption": "values: LocalLB.SSLOptionSequence, default_flag: xsd:boolean",
    "LocalLB.ProfileServerSSLCertificateMode": "value: LocalLB.ServerSSLCertificateMode, default_flag: xsd:boolean",
    "LocalLB.ProfileString": "value: xsd:string, default_flag: xsd:boolean",
    "LocalLB.ProfileStringArray": "values: Common.StringSequence, default_flag: xsd:boolean",
    "LocalLB.ProfileULong": "value: xsd:long, default_flag: xsd:boolean",
    "LocalLB.Rule.RuleDefinition": "rule_name: xsd:string, rule_definition: xsd:string",
    "LocalLB.VirtualServer.VirtualServerPersistence": "profile_name: xsd:string, default_profile: xsd:boolean",
    "LocalLB.VirtualServer.VirtualServerProfile": "profile_context: LocalLB.ProfileContextType, profile_name: xsd:string",
    "LocalLB.VirtualServer.VirtualServerProfileAttribute": "profile_type: LocalLB.ProfileType, profile_context: LocalLB.ProfileContextType, profile_name: xsd:string",
    "LocalLB.VirtualServer.VirtualServerResource": "type: LocalLB.VirtualServer.VirtualServerType, default_pool_name: xsd:string",
    "LocalLB.VirtualServer.VirtualServerRule": "rule_name: xsd:string, priority: xsd:long",
    "Management.KeyCertificate.Certificate": "id: xsd:string, email: xsd:string",
    "Management.KeyCertificate.CertificateDetail": "cert_info: Management.KeyCertificate.Certificate, version: xsd:long",
    "Management.KeyCertificate.CertificateInformation": "certificate: Management.KeyCertificate.CertificateDetail, is_bundled: xsd:boolean, file_name: xsd:string",
    "Management.KeyCertificate.Key": "id: xsd:string, bit_length: xsd:long",
    "Management.KeyCertificate.KeyInformation": "key_info: Management.KeyCertificate.Key, file_name: xsd:string, flags: xsd:long",
    "Management.Partition.AuthZPartition": "partition_name: xsd:string, description: xsd:string",
}
ENUMS = {
    "Common.EnabledState": "STATE_ DISABLED ENABLED",
    "Common.ProtocolType": "PROTOCOL_ ANY TCP UDP",
    "LocalLB.AddressType": "ATYPE_ UNSET STAR_ADDRESS_STAR_PORT STAR_ADDRESS_EXPLICIT_PORT",
    "LocalLB.CookiePersistenceMethod": "COOKIE_PERSISTENCE_METHOD_ NONE INSERT REWRITE PASSIVE HASH",
    "LocalLB.LBMethod": "LB_METHOD_ ROUND_ROBIN RATIO_MEMBER LEAST_CONNECTION_MEMBER RATIO_LEAST_CONNECTION_MEMBER",
    "LocalLB.Monitor.IntPropertyType": "ITYPE_ UNSET INTERVAL TIMEOUT TIME_UNTIL_UP UP_INTERVAL",
    "LocalLB.Monitor.StrPropertyType": "STYPE_ UNSET SEND RECEIVE",
    "LocalLB.Monitor.TemplateType": "TTYPE_ UNSET ICMP TCP HTTP HTTPS",
    "LocalLB.MonitorRuleType": "MONITOR_RULE_TYPE_ UNDEFINED NONE SINGLE AND_LIST M_OF_N",
    "LocalLB.MonitorStatus": "MONITOR_STATUS_ UNCHECKED CHECKING UP DOWN FORCED_DOWN",
    "LocalLB.PersistenceMode": "PERSISTENCE_MODE_ NONE SOURCE_ADDRESS_AFFINITY COOKIE HASH",
    "LocalLB.ProfileContextType": "PROFILE_CONTEXT_TYPE_ ALL CLIENT SERVER",
    "LocalLB.ProfileMode": "PROFILE_MODE_ DISABLED ENABLED UNKNOWN",
    "LocalLB.ProfileType": "PROFILE_TYPE_ TCP UDP HTTP SERVER_SSL CLIENT_SSL PERSISTENCE UNKNOWN",
    "LocalLB.SSLOption": "SSL_OPTION_ DONT_INSERT_EMPTY_FRAGMENTS NO_SSL_V3 NO_TLS_V1 NO_TLSv1_1 NO_TLSv1_2 NO_TLSv1_3",
    "LocalLB.ServerSSLCertificateMode": "SERVERSSL_CERTIFICATE_MODE_ REQUIRE IGNORE",
    "LocalLB.ServiceDownAction": "SERVICE_DOWN_ACTION_ NONE RESET DROP RESELECT",
    "LocalLB.SessionStatus": "SESSION_STATUS_ ENABLED DISABLED FORCED_DISABLED ADDRESS_DISABLED",
    "LocalLB.SnatType": "SNAT_TYPE_ NONE TRANSLATION_ADDRESS SNATPOOL AUTOMAP",
    "LocalLB.VirtualServer.VirtualServerType": "RESOURCE_TYPE_ POOL IP_FORWARDING REJECT",
    "Management.KeyCertificate.ManagementModeType": "MANAGEMENT_MODE_ DEFAULT WEBSERVER",
    "System.ConfigSync.SaveMode": "SAVE_ FULL HIGH_LEVEL_CONFIG BASE_LEVEL_CONFIG",
    "System.Failover.FailoverState": "FAILOVER_STATE_ STANDBY ACTIVE OFFLINE",
}
"""The common beginning of the values, and what follows it."""
ELEMENTS = {
    "Common.StringSequence": "xsd:string",
    "Common.IPAddressSequence": "xsd:string",
    "Common.ULongSequence": "xsd:long",
    "Common.VirtualServerSequence": "Common.VirtualServerDefinition",
}
"""Sequences whose names do not show the type of their items."""


class Method(NamedTuple):
    """A method's name, its arguments with their types, and the type of its answer (empty for none)."""

    name: str
    arguments: tuple[tuple[str, str], ...]
    answer: str


def methods(interface: str) -> Iterator[Method]:
    """The methods of an interface that a push uses."""
    for line in SIGNATURES[interface].split("\n"):
        if match := re.fullmatch(r"\s*(\w+)\((.*)\)(?: -> (\S+))?\s*", line):
            yield Method(match[1], fields(match[2]), match[3] or "")


def fields(text: str) -> tuple[tuple[str, str], ...]:
    """Names with their types."""
    return tuple((name, kind) for name, _, kind in (part.partition(": ") for part in text.split(", ") if part))


def element(sequence: str) -> str:
    """The type of what a sequence holds."""
    return ELEMENTS.get(sequence) or sequence.removesuffix("Sequence")


def needed(kind: str, found: set[str]) -> set[str]:
    """A type and every type that it is made of."""
    if kind and not kind.startswith("xsd:") and kind not in found:
        found.add(kind)
        inner = [one for _, one in fields(STRUCTS[kind])] if kind in STRUCTS else []
        for one in [element(kind)] if kind.endswith("Sequence") else inner:
            needed(one, found)
    return found


def named(kind: str) -> str:
    return kind if kind.startswith("xsd:") else f"tns:{kind}"


def type_of(kind: str) -> str:
    """A type's part of the description."""
    if kind.endswith("Sequence"):
        array = f"<xsd:attribute ref='SOAP-ENC:arrayType' wsdl:arrayType='{named(element(kind))}[]'/>"
        content = f"<xsd:restriction base='SOAP-ENC:Array'>{array}</xsd:restriction>"
        return f'<xsd:complexType name="{kind}"><xsd:complexContent>{content}</xsd:complexContent></xsd:complexType>'
    if kind in ENUMS:
        start, *values = ENUMS[kind].split()
        listed = "".join(f'<xsd:enumeration value="{start}{value}"/>' for value in values)
        return f'<xsd:simpleType name="{kind}"><xsd:restriction base="xsd:string">{listed}</xsd:restriction></xsd:simpleType>'
    listed = "".join(f'<xsd:element name="{name}" type="{named(one)}"/>' for name, one in fields(STRUCTS[kind]))
    return f'<xsd:complexType name="{kind}"><xsd:sequence>{listed}</xsd:sequence></xsd:complexType>'


@cache
def description(name: str) -> str | None:
    """The WSDL of an interface; None for one that no push uses."""
    if name not in SIGNATURES:
        return None
    kinds: set[str] = set()
    messages, operations, bound = [], [], []
    address = f"urn:iControl:{name.replace('.', '/')}"
    encoded = (
        f'<soap:body use="encoded" namespace="{address}" encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/>'
    )
    for method in methods(name):
        for kind in (*(kind for _, kind in method.arguments), method.answer):
            needed(kind, kinds)
        parts = "".join(f'<part name="{one}" type="{named(kind)}"/>' for one, kind in method.arguments)
        result = f'<part name="return" type="{named(method.answer)}"/>' if method.answer else ""
        ask, tell = f"{name}.{method.name}Request", f"{name}.{method.name}Response"
        messages.append(f'<message name="{ask}">{parts}</message><message name="{tell}">{result}</message>')
        inout = f'<input message="tns:{ask}"/><output message="tns:{tell}"/>'
        operations.append(f'<operation name="{method.name}">{inout}</operation>')
        both = f"<input>{encoded}</input><output>{encoded}</output>"
        bound.append(f'<operation name="{method.name}"><soap:operation soapAction="{address}"/>{both}</operation>')
    return (
        f'<?xml version="1.0"?><definitions name="{name}" targetNamespace="urn:iControl" xmlns:tns="urn:iControl" '
        'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" '
        'xmlns="http://schemas.xmlsoap.org/wsdl/"><types><xsd:schema targetNamespace="urn:iControl" '
        'xmlns="http://www.w3.org/2001/XMLSchema" xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/" '
        f'xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/">{"".join(type_of(kind) for kind in sorted(kinds))}</xsd:schema>'
        f'</types>{"".join(messages)}<portType name="{name}PortType">{"".join(operations)}</portType>'
        f'<binding name="{name}Binding" type="tns:{name}PortType"><soap:binding style="rpc" '
        f'transport="http://schemas.xmlsoap.org/soap/http"/>{"".join(bound)}</binding><service name="{name}">'
        f'<port name="{name}Port" binding="tns:{name}Binding"><soap:address location="https://url_to_service"/></port>'
        "</service></definitions>"
    )
