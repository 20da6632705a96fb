"""Plan the changes of each node's files: from desired settings to operations, new bytes, and a plan to review."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..core.errors import FileError, NlbgenError, NodeError
from ..core.plan import Change, Plan
from ..spec.load import Spec
from ..spec.model import Node
from ..spec.references import MissingSecretError
from . import keys, public_url, service_plan, store_files, stores
from .config.edits import InsertElement, Operation, RemoveAttribute, SetAttribute, text_edits
from .config.effective import MACHINE_KEY, SESSION_STATE, Config
from .config.lexer import Element
from .config.webconfig import Document, TextPosition
from .config.xml_tree import XmlElement
from .fingerprints import Fingerprints
from .reading import keys_source, load_configs, raise_all
from .values import DesiredSetting, problem_of


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The planned changes of one node."""

    node: Node
    config: Config
    desired: tuple[DesiredSetting, ...]
    operations: tuple[Operation, ...]
    changes: tuple[Change, ...]
    files: tuple[tuple[service_plan.ServiceFile, bytes], ...] = field(repr=False)
    """Each file that changes, with its new bytes; empty if a secret is not known."""
    service_files: tuple[tuple[service_plan.ServiceFile, bytes], ...] = field(default=(), repr=False)
    """Those of them that belong to the services beside Orchestrator; they need no secret of the spec."""


@dataclass(frozen=True, slots=True)
class FarmPlan:
    """The planned changes of all nodes, and notes on what the plan cannot solve."""

    nodes: tuple[NodePlan, ...]
    plan: Plan
    fingerprints: Fingerprints
    notes: tuple[str, ...] = ()
    without_config: tuple[str, ...] = field(default=())
    """The nodes whose config the spec does not name."""
    missing: MissingSecretError | None = None
    """The secrets that are not known: such a plan shows placeholders, has no files, and cannot be applied."""


def plan_farm(spec: Spec, *, for_review: bool = False) -> FarmPlan:
    """What all nodes need to become one farm; raises NodeError, SpecError or SecretError, and nothing is planned.

    A plan `for_review` needs no secret: it shows a placeholder for each missing one.
    """
    loaded = load_configs(spec)
    source = keys_source(spec, loaded)
    return plan_configs(spec, loaded, source, for_review=for_review)


def plan_configs(spec: Spec, loaded: Mapping[Node, Config], source: Config, *, for_review: bool = False) -> FarmPlan:
    """What these nodes need to become one farm with the keys of `source`; see `plan_farm`."""
    cloned, shared = keys.keys_to_clone(source), stores.stores_of(spec, classic=source.kind == "classic")
    missing = _missing(shared, for_review=for_review) if loaded else None
    unknown = [part for part in shared.secrets if part.secret is None]
    fingerprints = Fingerprints(cloned.pepper, {part.marker: part.placeholder for part in unknown})
    plans, notes = [], list[str]()
    failures = Failures()
    for node, config in loaded.items():
        with failures:
            check_version(spec, config)
            desired = (
                *keys.desired_settings(cloned, config),
                *stores.desired_settings(spec, shared, config, source),
                *public_url.desired_settings(spec, config),
            )
            url = public_url.of(spec.farm)
            services = service_plan.planned(_target(node, config), config, source, fingerprints, url)
            plans.append(_with_services(plan_node(node, config, desired, fingerprints), services))
            notes += (
                *config.notes,
                *services.notes,
                *keys.notes(cloned, config),
                *store_files.notes(config, source),
                *_elsewhere(spec, config),
                *public_url.change_notes(spec, config),
            )
    failures.finish()
    base = {document.path.as_posix(): document.digest for plan in plans for document in plan.config.files}
    names = [_target(plan.node, plan.config) for plan in plans]
    incomplete = "" if missing is None else ", ".join(f"{part.source} is {part.state}" for part in unknown)
    plan = Plan((change for one in plans for change in one.changes), base, names, incomplete)
    without = tuple(node.name for node in spec.farm.nodes if node.config is None)
    return FarmPlan(tuple(plans), plan, fingerprints, tuple(dict.fromkeys(notes)), without, missing)


def _missing(shared: stores.Stores, *, for_review: bool) -> MissingSecretError | None:
    """The error about missing secrets, None without any; raises it unless `for_review`, and all other problems."""
    problem = problem_of(shared.secrets)
    if problem is None or (for_review and isinstance(problem, MissingSecretError)):
        return problem
    raise problem


def _elsewhere(spec: Spec, config: Config) -> Iterator[str]:
    found = store_files.other_database(spec, config)
    if found is not None:
        yield f"{found[0]}: {found[1]} [database-differs]"


def check_version(spec: Spec, config: Config) -> None:
    """Raise ConfigError if the file is of another version than the spec says."""
    version = spec.farm.orchestrator.version
    if version is None or spec.farm.orchestrator.is_core == (config.kind == "core"):
        return
    looks = "of 2020.10 or later" if config.kind == "core" else "of a version before 2020.10"
    raise config.main.error(
        config.main.root.start,
        f"this file is {looks}, but the spec says that the Orchestrator is {version}",
        "correct `orchestrator: {version: ...}` in the spec, or the node's `config`",
        "node-version",
    )


def _target(node: Node, config: Config) -> str:
    return f"{node.name} ({config.path.as_posix()})"


def plan_node(node: Node, config: Config, desired: Sequence[DesiredSetting], fingerprints: Fingerprints) -> NodePlan:
    """What one node's files become with these settings."""
    edit = edited(_target(node, config), config, desired, fingerprints)
    return NodePlan(node, config, tuple(desired), edit.operations, edit.changes, edit.files)


def _with_services(plan: NodePlan, services: service_plan.ServicesEdited) -> NodePlan:
    """The plan of a node with the changes of its services' files."""
    known = all(setting.value is None or setting.value.is_known for setting in plan.desired)
    files = (*plan.files, *services.files) if known else ()
    return replace(plan, changes=(*plan.changes, *services.changes), files=files, service_files=services.files)


@dataclass(frozen=True, slots=True)
class Edited:
    """What a config's files become: the operations, the changes to show, and each new file with its bytes."""

    operations: tuple[Operation, ...]
    changes: tuple[Change, ...]
    files: tuple[tuple[Document, bytes], ...] = field(repr=False)


def edited(target: str, config: Config, desired: Sequence[DesiredSetting], fingerprints: Fingerprints) -> Edited:
    """What a config's files become with these settings; `target` names it in the changes."""
    operations: list[Operation] = []
    changes: list[Change] = []
    for section in dict.fromkeys(setting.section for setting in desired):
        config.require_open(section)
        group = [setting for setting in desired if setting.section == section]
        web = section in {MACHINE_KEY, SESSION_STATE}
        for setting, operation, where, old in (_web if web else _settings)(config, group):
            operations.append(operation)
            new = None if setting.value is None else setting.value.marked()
            secrecy = setting.secrecy
            changes.append(
                Change(
                    target,
                    setting.path,
                    None if old is None else fingerprints.shown(old, secrecy),
                    None if new is None else fingerprints.shown(new, secrecy),
                    where,
                )
            )
    merged = _merged(operations)
    known = all(setting.value is None or setting.value.is_known for setting in desired)
    files = tuple(_files(config, merged)) if known else ()
    return Edited(merged, tuple(changes), files)


Step = tuple[DesiredSetting, Operation, TextPosition, str | None]


def _settings(config: Config, desired: Iterable[DesiredSetting]) -> Iterator[Step]:
    """The operations that make the settings of a section of `<add>` say what is wanted."""
    for setting in desired:
        if setting.value is None:
            continue
        entries, value = config.entries(setting.section), setting.value.marked()
        entry = entries.get(setting.key)
        if entry is not None:
            if entry.value != value or entry.element.get("value") is None:
                where = TextPosition(entry.document, entry.element.start)
                _check_attribute(entry.document, entry.element, "value")
                yield setting, SetAttribute(entry.document, entry.element, "value", value), where, entry.value
            continue
        home = entries.home_of(setting.key)
        if home is None:
            raise config.main.error(
                config.main.root.start,
                f"the file has no section <{setting.section}>, but {setting.key} must be in it",
                "copy the complete file from the node again, and check that all nodes run the same version",
            )
        where = TextPosition(home.document, home.element.start)
        attributes = (("key", setting.key), ("value", value))
        yield setting, InsertElement(home.document, home.element, "add", attributes), where, None


def _web(config: Config, desired: Sequence[DesiredSetting]) -> Iterator[Step]:
    """The operations that make a section with attributes say what is wanted."""
    section = config.section(desired[0].section)
    if section is None:
        yield from _new_section(config, desired)
        return
    for setting in desired:
        attribute = section.element.attributes.get(setting.key)
        old = None if attribute is None else attribute.value
        new = None if setting.value is None else setting.value.marked()
        if old == new or (setting.secrecy == "key" and keys.same_machine_key(old, new)):
            continue
        _check_attribute(section.document, section.element, setting.key)
        where = TextPosition(section.document, section.element.start)
        operation: Operation
        if new is None:
            operation = RemoveAttribute(section.document, section.element, setting.key)
        else:
            operation = SetAttribute(section.document, section.element, setting.key, new)
        yield setting, operation, where, old


def _new_section(config: Config, desired: Sequence[DesiredSetting]) -> Iterator[Step]:
    name = desired[0].section.rpartition("/")[2]
    web = config.web()
    if web is None:
        raise config.main.error(
            config.main.root.start,
            f"the file has no section <system.web>, but <{name}> must be in it",
            "copy the complete file from the node again",
        )
    document, parent = web
    for setting in desired:
        if setting.value is not None:
            attributes = ((setting.key, setting.value.marked()),)
            where = TextPosition(document, parent.start)
            yield setting, InsertElement(document, parent, name, attributes), where, None


def _check_attribute(document: Document, element: Element, name: str) -> None:
    for written in element.attributes:
        if written != name and written.lower() == name.lower():
            raise document.error(
                element.attributes[written].name_start,
                f"the attribute {written} is unknown to ASP.NET: names are case-sensitive",
                f"write {name}",
            )


def _merged(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """The operations with the attributes of a new section in one element."""
    merged: dict[str | int, Operation] = {}
    """New sections by their names, the other operations by their positions."""
    for operation in operations:
        if isinstance(operation, InsertElement) and operation.name != "add":
            before = merged.get(operation.name)
            first = before.attributes if isinstance(before, InsertElement) else ()
            attributes = (*first, *operation.attributes)
            merged[operation.name] = InsertElement(operation.document, operation.parent, operation.name, attributes)
        else:
            merged[len(merged)] = operation
    return tuple(merged.values())


def _files(config: Config, operations: Sequence[Operation]) -> Iterator[tuple[Document, bytes]]:
    """The new bytes of each file that changes, read back by another parser than the one that planned them."""
    for document in config.documents:
        own = [operation for operation in operations if operation.document is document]
        if not own:
            continue
        try:
            edits = text_edits(document, own)
        except ValueError as error:
            raise NodeError(f"{document.path}: a value cannot be written: {error}", "choose another value") from None
        tree, content = document.edited(edits)
        if not all(_holds(tree, operation) for operation in own):
            raise RuntimeError(f"{document.path}: the edited text does not match the plan")
        yield document, content


def _holds(tree: XmlElement, operation: Operation) -> bool:
    """Whether the parser reads in the edited text what the operation was to bring about."""
    if isinstance(operation, InsertElement):
        parent = _counterpart(tree, operation.parent)
        wanted = dict(operation.attributes)
        new = list(parent)[operation.parent.size :]
        return any(one.tag.rpartition("}")[2] == operation.name and dict(one.attrib) == wanted for one in new)
    value = None if isinstance(operation, RemoveAttribute) else operation.value
    return _counterpart(tree, operation.element).get(operation.name) == value


def _counterpart(tree: XmlElement, element: Element) -> XmlElement:
    """The element of the parser's tree that stands where ours does: new elements only ever come last."""
    return tree if element.parent is None else _counterpart(tree, element.parent)[element.index]


class Failures:
    """Collect the errors of all nodes, and raise one NodeError with all of them."""

    def __init__(self) -> None:
        self._errors: list[NlbgenError] = []

    def __enter__(self) -> None:
        """Start the work on one node."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, NodeError | FileError):
            self._errors.append(error)
            return True
        return False

    def finish(self) -> None:
        """Raise the collected errors, each message once, if there are any."""
        raise_all(list({error.message: error for error in self._errors}.values()))
