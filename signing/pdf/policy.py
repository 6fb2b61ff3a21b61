"""What may change after a signature: later signatures, validation data, number and date with the seal; nothing else.

pyHanko's standard policy lets every form field be filled. This one lets only Number and IssuedDate be filled, from
empty to a value, in the very revision that the seal signs, and judges only objects which a revision really writes:
otherwise documents with form fields of their own are called changed although nobody touched them.
"""

from collections.abc import Iterable
from typing import Any, Final

from pyhanko.pdf_utils.generic import Reference, TextStringObject
from pyhanko.pdf_utils.misc import IndirectObjectExpected, LazyJoin
from pyhanko.pdf_utils.reader import HistoricalResolver
from pyhanko.sign.diff_analysis import (
    CatalogModificationRule,
    DocInfoRule,
    DSSCompareRule,
    FormUpdatingRule,
    MetadataUpdateRule,
    ModificationLevel,
    ObjectStreamRule,
    SigFieldCreationRule,
    SigFieldModificationRule,
    StandardDiffPolicy,
    XrefStreamRule,
)
from pyhanko.sign.diff_analysis.form_rules_api import FieldComparisonContext, FieldComparisonSpec, FormUpdate
from pyhanko.sign.diff_analysis.policy_api import SuspiciousModification
from pyhanko.sign.diff_analysis.rules.form_field_rules import GenericFieldModificationRule
from pyhanko.sign.diff_analysis.rules_api import ReferenceUpdate

from signing.pdf.fields import ISSUED_DATE, NUMBER, SEAL
from signing.pdf.reading import look

_FILLED_WITH_SEAL: Final = frozenset({NUMBER, ISSUED_DATE})
_Updates = Iterable[tuple[ModificationLevel, FormUpdate]]


class NumberAndDateRule(GenericFieldModificationRule):
    """Lets the seal's revision fill number and date, once (Decree 30/2020: they are given after the signature)."""

    def __init__(self) -> None:
        super().__init__(
            allow_in_place_appearance_stream_changes=False,
            always_modifiable=frozenset(),
            value_update_keys=frozenset({"/V", "/AP"}),
        )

    def check_form_field(self, fq_name: str, spec: FieldComparisonSpec, context: FieldComparisonContext) -> _Updates:
        """Yield the permitted updates of one field; whatever is not yielded stays unexplained and is refused."""
        if fq_name not in _FILLED_WITH_SEAL or spec.field_type != "/Tx" or spec.new_field_ref is None:
            return
        if spec.new_field_ref not in context.new.explicit_refs_in_revision():
            return
        before = context.new.reader.get_historical_resolver(context.new.revision - 1)
        old_value, new_value = _value(before, fq_name), _value(context.new, fq_name)
        if old_value or not new_value or not isinstance(new_value, TextStringObject):
            raise SuspiciousModification(f"{fq_name} may be filled once, from empty to a value")
        if _signed(before, SEAL) or not _signed(context.new, SEAL):
            raise SuspiciousModification(f"{fq_name} may be filled only in the revision that the seal signs")
        yield from super().check_form_field(fq_name, spec, context)


class WrittenMetadataRule(MetadataUpdateRule):
    """Judges the XMP packet only when a revision writes it; many honest files carry one that is not quite XMP."""

    def apply(self, old: HistoricalResolver, new: HistoricalResolver) -> Iterable[ReferenceUpdate]:
        """Look at the packet only where it is another one or written again."""
        before, after = _metadata(old), _metadata(new)
        if before is not None and before == after and after not in new.explicit_refs_in_revision():
            return ()
        return super().apply(old, new)


def _metadata(handler: HistoricalResolver) -> Reference | None:
    try:
        return handler.root.get_value_as_reference("/Metadata", optional=True)
    except IndirectObjectExpected:
        return None


class WrittenFieldsRule(FormUpdatingRule):
    """Judges only objects which the revision really writes."""

    def apply(self, old: HistoricalResolver, new: HistoricalResolver) -> _Updates:
        """Drop verdicts on objects that this revision leaves alone."""
        written = new.explicit_refs_in_revision()
        for level, update in super().apply(old, new):
            if update.updated_ref in written:
                yield level, update


def _field(handler: HistoricalResolver, name: str) -> Any:
    try:
        fields = handler.root["/AcroForm"]["/Fields"]
    except KeyError:
        return None
    for reference in fields:
        field = reference.get_object()
        if look(field, "/T") == name:
            return field
    return None


def _value(handler: HistoricalResolver, name: str) -> Any:
    field = _field(handler, name)
    return None if field is None else look(field, "/V")


def _signed(handler: HistoricalResolver, name: str) -> bool:
    return _value(handler, name) is not None


def explain(change: SuspiciousModification) -> str:
    """Return the reason of a refusal as one line."""
    said = change.args[0] if change.args else "unknown"
    return (str(said) if isinstance(said, LazyJoin) else f"{said}").splitlines()[0][:200]


SERVICE_POLICY: Final = StandardDiffPolicy(
    global_rules=[
        CatalogModificationRule(),
        DocInfoRule().as_qualified(ModificationLevel.LTA_UPDATES),
        XrefStreamRule().as_qualified(ModificationLevel.LTA_UPDATES),
        ObjectStreamRule().as_qualified(ModificationLevel.LTA_UPDATES),
        DSSCompareRule().as_qualified(ModificationLevel.LTA_UPDATES),
        WrittenMetadataRule().as_qualified(ModificationLevel.LTA_UPDATES),
    ],
    form_rule=WrittenFieldsRule(
        field_rules=[SigFieldCreationRule(), SigFieldModificationRule(), NumberAndDateRule()],
    ),
)
