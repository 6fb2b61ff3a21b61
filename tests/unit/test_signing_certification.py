"""What a first signature certifies (DocMDP), as the procedure's version states it."""

import msgspec
import pikepdf
import pytest

import signing
from signing.contract import FieldPlan
from signing.pdf.reading import open_for_revision
from tests.paper import AT, mutool_says, page, pdfsig_valid, sign, trust
from tests.unit.test_signing_verify import annotate, overlay, put_validation_data

PERSON_AND_SEAL = ("Initials1", "Signatory1", "Seal")


def taken(room, level, names):
    """Take a document through all its signatures; return the files after each."""
    source = page(room / "source.pdf")
    plan: FieldPlan = msgspec.structs.replace(signing.default_plan(str(source), names), certification=level)
    signing.lay_fields(str(source), str(room / "0.pdf"), plan)
    for number, name in enumerate(names):
        who = "seal" if name == "Seal" else "leader"
        sign(room / f"{number}.pdf", room / f"{number + 1}.pdf", name, plan, who=who)
    return [room / f"{number + 1}.pdf" for number in range(len(names))]


def permitted(path):
    """Return who certifies at which level, and at which the last signature locks."""
    with pikepdf.open(path) as document:
        fields = {str(field.T): field.get("/V") for field in document.Root.AcroForm.Fields}
        held = document.Root.get("/Perms")
        certifier = next((n for n, v in fields.items() if held and v is not None and v == held.DocMDP), None)
        levels = [
            int(each.TransformParams.P) for each in (held.DocMDP.Reference if held else ())
            if each.TransformMethod == "/DocMDP"
        ]  # fmt: skip
        (last,) = fields["Seal"].Reference if "Seal" in fields and certifier != "Seal" else (None,)
        return certifier, levels, None if last is None else int(last.TransformParams.P)


@pytest.mark.parametrize(
    ("level", "names", "expected"),
    [
        ("none", PERSON_AND_SEAL, (None, [], 2)),
        ("forms", PERSON_AND_SEAL, ("Initials1", [2], 2)),
        ("final", PERSON_AND_SEAL, ("Initials1", [2], 1)),
        ("forms", ("Seal",), ("Seal", [2], None)),
        ("final", ("Seal",), ("Seal", [1], None)),
    ],
)
def test_the_first_signature_certifies_what_the_plan_says_and_all_stay_valid(tmp_path, level, names, expected):
    files = taken(tmp_path, level, names)
    for path in files:
        assert signing.verify(str(path), trust(), at=AT).ok
    assert pdfsig_valid(files[-1]) == len(mutool_says(files[-1])) == len(names)
    assert permitted(files[-1]) == expected


def drop_certification(writer):
    del writer.root["/Perms"]
    writer.update_root()


def revise(path, target, change):
    writer, buffer = open_for_revision(path.read_bytes())
    change(writer)
    writer.write_in_place()
    target.write_bytes(buffer.getvalue())
    return signing.verify(str(target), trust(), at=AT)


@pytest.mark.parametrize("level", ["forms", "final"])
@pytest.mark.parametrize("change", [annotate, overlay, drop_certification])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_certified_document_takes_no_other_change(tmp_path, level, change, after):
    path = taken(tmp_path, level, PERSON_AND_SEAL)[after - 1]
    assert not revise(path, tmp_path / "changed.pdf", change).ok


@pytest.mark.parametrize("names", [PERSON_AND_SEAL, ("Seal",)])
def test_validation_data_may_follow_also_where_nothing_else_may(tmp_path, names):
    path = taken(tmp_path, "final", names)[-1]
    assert revise(path, tmp_path / "with-dss.pdf", put_validation_data).ok
