"""An example of every schema, made from what each field is called: one dossier of one invented citizen, told through.

A field that is new needs no entry while its form says enough (a number, a date, a choice); a text that no entry
fits is found by the test that validates every example.
"""

import re
from typing import Any, Final

from api.kernel import fold

_DOSSIER: Final = "H05.23.01-261120-0007"
_SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_ID: Final = "0191f3c2-7a4e-7c1b-9d7e-0b1a2c3d4e5f"

PARAMETERS: Final[dict[str, tuple[str, Any]]] = {
    "X-Dossier-Secret": ("Mã bí mật của hồ sơ / the dossier's secret.", "MFRGGZDFMZTWQ2LKNNWG23TPOA"),
    "X-File-Name": (
        "Tên tệp, UTF-8 mã hóa phần trăm / file name, percent-encoded UTF-8.",
        "to-khai%20%C4%91%C4%83ng.pdf",
    ),
    "Last-Event-ID": ("Phiên bản đã nhận gần nhất / the last version that was seen.", 3),
    "account_id": ("Tài khoản / the account.", _ID),
    "action": ("Bước / the step.", "receive"),
    "after": ("Nơi đọc tiếp, lấy từ `next` / where to go on, from `next`.", "WyJub3JtYWwiLG51bGxd"),
    "batch_id": ("Mã lượt ký / the ticket.", _ID),
    "before": ("Chỉ những gì cũ hơn mã này / only what is older than this one.", _ID),
    "check_id": ("Mã lần kiểm tra / the verification.", _ID),
    "code": ("Mã hồ sơ, mã kiểm tra hoặc mã thủ tục / the code.", _DOSSIER),
    "document_id": ("Văn bản / the document.", _ID),
    "dossier_id": ("Hồ sơ / the dossier.", _ID),
    "draft_id": ("Dự thảo / the draft.", _ID),
    "enrolment_id": ("Lần đăng ký yếu tố / the enrolment.", _ID),
    "form": ("Biểu mẫu / the form.", "intake_slip"),
    "holder": ("Nơi giữ khóa / the key holder.", "sp769"),
    "kind": ("Loại cơ quan / kind of agency.", "commune"),
    "limit": ("Số dòng nhiều nhất / at most so many lines.", 50),
    "number_id": ("Số đã cấp / the number.", _ID),
    "ordinal": ("Số thứ tự văn bản trong kết quả / the document's number in its result.", 1),
    "print_id": ("Bản in / the print.", _ID),
    "procedure_code": ("Mã thủ tục / the procedure.", "1.004873"),
    "profile": ("Tệp nộp vào hay tệp để ký / handed in, or to be signed.", "handed_in"),
    "proposal_id": ("Đề nghị / the proposal.", _ID),
    "request_id": ("Yêu cầu ký / the signature request.", _ID),
    "result_id": ("Kết quả / the result.", _ID),
    "revision_id": ("Bản của văn bản / the revision.", _ID),
    "scope": ("Việc của nhóm hay của tôi / everybody's work or mine.", "mine"),
    "search": ("Một phần tên hoặc mã, có dấu hay không / part of a name or code, with or without marks.", "hon nhan"),
    "series_id": ("Dãy số / the number series.", _ID),
    "session_id": ("Phiên làm việc / the session.", _ID),
    "since": ("Kể từ lúc / since this instant.", "2026-11-20T09:00:00+07:00"),
    "soon": ("Kể cả sắp đến hạn / those due soon, too.", True),
    "error": ("Lỗi mà trang xác nhận báo / the error that the page names.", "access_denied"),
    "iss": ("Máy chủ xác nhận tự xưng / who says that he answered (RFC 9207).", "https://ky.example.vn"),
    "state": ("Trạng thái / the state.", "waiting"),
    "task_id": ("Việc / the task.", _ID),
    "transaction_id": ("Giao dịch ở nơi giữ khóa / the transaction at a key holder.", "mc-0f8e3c1b5a7d4e6f"),
    "upload_id": ("Tệp đã tải lên / the upload.", _ID),
    "what": ("Bản gốc hay bản đã chuẩn bị / the base, or the prepared file.", "prepared"),
    "year": ("Năm của sổ / the register's year.", 2026),
}
"""What each parameter means, and one example."""

_TEXTS: Final = {
    "accepted_sha256": _SHA256,
    "address": "Khu 5, phường Kinh Bắc, tỉnh Bắc Ninh",
    "agency": "Ủy ban nhân dân phường Kinh Bắc",
    "agency_code": "H05.23.01",
    "agency_name": "Ủy ban nhân dân phường Kinh Bắc",
    "basis": "Quyết định số 12/QĐ-UBND ngày 01/7/2025",
    "capacity": "KT.",
    "certificate": "MIIB" + "A" * 252,
    "code": "123456",
    "competent_agency_name": "Ủy ban nhân dân phường Kinh Bắc",
    "current": "mat-khau-cu-2025",
    "detail": "phải có ít nhất 1 ký tự",
    "detail_en": "must have at least 1 characters",
    "display_name": "Nguyễn Văn An",
    "dossier_code": _DOSSIER,
    "email": "binh@example.vn",
    "en": "The file is whole.",
    "explanation": "Hồ sơ cần xác minh thêm ở nơi cư trú cũ.",
    "field": "Signatory1",
    "file_name": "to-khai.pdf",
    "holder": "sp769",
    "id_number": "024085007654",
    "image_png": "iVBORw0KGgoAAAANSUhEUg",
    "issuer": "VNPT",
    "kind_code": "marital_status",
    "legal_basis": "Luật Hộ tịch 2014, Điều 18",
    "login": "tiepnhan.kinhbac",
    "name": "Trần Văn Bình",
    "new": "mot-cua-kinh-bac-2026",
    "note": "Công dân nhận trực tiếp",
    "number": "12/UBND-XNTTHN",
    "number_text": "12/UBND-XNTTHN",
    "opinion": "Đồng ý với dự thảo.",
    "owner": "024085007654",
    "organisation": "Ủy ban nhân dân phường Kinh Bắc",
    "part_code": "TK",
    "password": "mot-cua-kinh-bac-2026",
    "pattern": "{n}/UBND-XNTTHN",
    "per": "hồ sơ",
    "person_name": "Nguyễn Văn An",
    "phone": "0987654321",
    "procedure_code": "1.004873",
    "procedure_name": "Cấp giấy xác nhận tình trạng hôn nhân",
    "question": "Đề nghị cho ý kiến về nơi cư trú trước đây.",
    "reason": "Công dân không còn nhu cầu",
    "receipt_no": "BL-0001234",
    "recorded_sha256": _SHA256,
    "reference": "4bf92f3577b34da6a3ce929d0e0e4736",
    "role": "counter",
    "secret": "MFRGGZDFMZTWQ2LKNNWG23TPOA",
    "sha256": _SHA256,
    "subject": "CN=Nguyễn Văn An,O=Ủy ban nhân dân phường Kinh Bắc,C=VN",
    "serial": "5402a1f09c3b",
    "signer": "Nguyễn Văn An",
    "spoken_code": "MFRG-GZDF-MZTW-Q2LK",
    "stage": "asked",
    "stage_vi": "Đã nhận, chờ ký",
    "state": "open",
    "status_vi": "Đã tiếp nhận",
    "step": "receive",
    "system": "BTP-HT",
    "target": "cong-dvc-quoc-gia",
    "template": "marital_status",
    "territory_code": "09187",
    "source": "10.23.1.17",
    "title": "Công chức tiếp nhận và trả kết quả",
    "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Firefox/140.0",
    "token": "kJ2mV0yQb1m0o3cN5p4z7a8sT9uWxYz6hQeRtYuIoPa",
    "tracking_no": "EB123456789VN",
    "unit": "Bộ phận Một cửa",
    "verify_code": "7K3M-9QPX-2VWD",
    "vi": "Tệp còn nguyên vẹn.",
}
_SHORT: Final = "Ví dụ"

_STRUCTS: Final[dict[str, dict[str, Any]]] = {
    "NewDraft": {
        "template": "marital_status",
        "data": {"full_name": "Trần Văn Bình", "purpose": "Đăng ký kết hôn"},
    },
    "NewPrint": {"template": "intake_slip", "data": {"dossier_code": _DOSSIER}},
    "NewDocument": {"act": "main_document"},
    "NewResult": {},
    "DeliverIn": {"result_id": _ID, "channel": "counter", "received_by": "filer", "signed_for": True},
    "LogIn": {"login": "tiepnhan.kinhbac", "password": "mot-cua-kinh-bac-2026"},
    "SubmitForSignature": {"lane": "normal"},
    "Problem": {
        "type": "/problems/step-refused",
        "title": "Không thực hiện được ở trạng thái hiện tại",
        "status": 409,
        "code": "step-refused",
        "detail": "Hồ sơ đang chờ bổ sung nên chưa trình ký được.",
        "detail_en": "The dossier waits for a supplement and cannot be submitted for signature.",
        "next_step": "Tải lại để xem trạng thái mới nhất.",
        "next_step_en": "Reload to see the present state.",
        "reference": "4bf92f3577b34da6a3ce929d0e0e4736",
        "allowed": ["answer_supplement", "withdraw"],
    },
}
"""Structs whose fields exclude each other, or that say more as a whole."""
_OWN: Final = {
    ("Registration", "attestationObject"): "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YVikSZYN5Yg",
    ("Event", "id"): "4",
    ("Event", "data"): '{"ticket": "0191f3c2-7a4e-7c1b-9d7e-0b1a2c3d4e5f", "version": 4}',
    ("Agency", "code"): "H05.23.01",
    ("ForeignCode", "code"): "VNPT-2026-001",
    ("FieldError", "field"): "reason",
    ("FieldError", "where"): "body",
}
_CODED: Final = frozenset({"Dossier", "FiledWithSecret", "Stepped", "Tracked", "TrackedWithSecret"})
_DEPTH: Final = 6


class Samples:
    """Makes examples of schemas that may refer to the description's components."""

    def __init__(self, parts: dict[str, Any]) -> None:
        """Keep the components."""
        self._parts = parts

    def of(self, schema: dict[str, Any], name: str = "", owner: str = "", depth: int = _DEPTH) -> Any:
        """Return an example of a schema; `name` is the field it stands in, `owner` the Struct around it."""
        if "$ref" in schema:
            return self.of(self._parts[schema["$ref"].rpartition("/")[2]], name, owner, depth)
        if choices := schema.get("anyOf"):
            return self.of(next(one for one in choices if one != {"type": "null"}), name, owner, depth)
        if "enum" in schema:
            return schema["enum"][0]
        return self._plain(schema, name, owner, depth)

    def _plain(self, schema: dict[str, Any], name: str, owner: str, depth: int) -> Any:
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, owner, depth)
            case "integer" | "number":
                return max(schema.get("minimum", 1), min(schema.get("maximum", 1), schema.get("default") or 1))
            case "boolean":
                return bool(schema.get("default", True))
            case _:
                return _text(schema, name, owner)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        title = schema.get("title", "")
        if title in _STRUCTS:
            return dict(_STRUCTS[title])
        fields: dict[str, Any] = schema.get("properties", {})
        required = schema.get("required", [])
        wanted = fields if depth > 0 else {name: fields[name] for name in required}
        if "code" in wanted:  # a code or a passkey, never both
            wanted = {name: one for name, one in wanted.items() if name != "passkey"}
        return {name: self.of(one, name, title, depth - 1) for name, one in wanted.items()}

    def _array(self, schema: dict[str, Any], name: str, owner: str, depth: int) -> list[Any]:
        items = schema.get("items")
        if not isinstance(items, dict) or schema.get("maxItems") == 0:
            return [self.of(one, name, owner, depth - 1) for one in schema.get("prefixItems", [])]
        if depth <= 0 and not schema.get("minItems"):
            return []
        return [self.of(items, name, owner, depth - 1)]


def _text(schema: dict[str, Any], name: str, owner: str) -> Any:
    told = _FORMATS.get(schema.get("format") or schema.get("contentEncoding", ""))
    if told is not None:
        return told
    if name == "code" and owner in _CODED:
        return _DOSSIER
    text = _OWN.get((owner, name)) or _TEXTS.get(name) or schema.get("default") or _SHORT
    pattern = schema.get("pattern")
    if pattern and not re.search(pattern, text):
        text = next((one for one in _FORMS if re.search(pattern, one)), fold(text))
    return text[: schema.get("maxLength", len(text))]


_FORMATS: Final = {
    "uuid": _ID,
    "date-time": "2026-11-20T09:00:00+07:00",
    "date": "2026-11-20",
    "base64": "TW90Y3Vh",
}
_FORMS: Final = ("123456", "1.004873", _SHA256, "TK", "0987654321")
"""Texts of which one fits any pattern that a field's usual text does not."""
