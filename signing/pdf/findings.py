"""What lint says: one finding each, with what the person can do about it."""

from typing import Final

from signing.contract import Problem

_PRINT_ANEW_VI: Final = "Xuất lại tệp PDF từ phần mềm soạn thảo (in ra PDF) rồi tải lên."
_PRINT_ANEW_EN: Final = "Export the PDF again from the program that made it (print to PDF) and upload that."


def _finding(code: str, vi: str, en: str, remedy_vi: str = _PRINT_ANEW_VI, remedy_en: str = _PRINT_ANEW_EN) -> Problem:
    return Problem(code=code, vi=vi, en=en, remedy_vi=remedy_vi, remedy_en=remedy_en)


NOT_A_PDF: Final = _finding(
    "not-a-pdf",
    "Tệp không phải là PDF",
    "The file is not a PDF",
    "Chuyển tài liệu sang PDF rồi tải lên.",
    "Convert the document to PDF and upload that.",
)
ENCRYPTED: Final = _finding(
    "encrypted",
    "Tệp PDF có mật khẩu hoặc bị hạn chế quyền",
    "The PDF is encrypted or has restricted permissions",
    "Mở tệp bằng mật khẩu, lưu lại không đặt mật khẩu và hạn chế, rồi tải lên.",
    "Open the file with its password, save it without password and restrictions, and upload that.",
)
NO_PAGES: Final = _finding("no-pages", "Tệp không có trang nào", "The file has no pages")
TOO_MANY_OBJECTS: Final = _finding("too-complex", "Tệp có quá nhiều đối tượng", "The file has too many objects")
SCRIPT: Final = _finding(
    "active-content",
    "Tệp chứa mã lệnh hoặc hành động tự chạy",
    "The file holds scripts or actions that run by themselves",
)
DYNAMIC_FORM: Final = _finding(
    "dynamic-form",
    "Tệp chứa biểu mẫu động (XFA)",
    "The file holds a dynamic form (XFA), whose look can change",
)
EXTERNAL_CONTENT: Final = _finding(
    "external-content",
    "Tệp lấy nội dung từ tệp khác bên ngoài",
    "The file takes content from other files",
)
FOREIGN_SIGNATURE: Final = _finding(
    "already-signed",
    "Tệp đã có chữ ký số của người khác nên không thể trình ký như bản dự thảo",
    "Others have signed this file, so it cannot be signed as a draft",
    "Tải lên bản dự thảo chưa ký; tệp đã ký thì nộp ở phần thành phần hồ sơ.",
    "Upload the unsigned draft; hand a signed file in as a part of the dossier.",
)
CERTIFIED: Final = _finding(
    "certified",
    "Tệp đã được người khác chứng nhận và khóa thay đổi (DocMDP); ký thêm sẽ làm hỏng chứng nhận đó",
    "Others have certified this file and locked it against changes (DocMDP); a signature of ours would break that",
    "Tải lên bản dự thảo chưa chứng nhận; bản đã chứng nhận thì nộp ở phần thành phần hồ sơ.",
    "Upload the draft before its certification; hand the certified file in as a part of the dossier.",
)
BROKEN_SIGNATURE: Final = _finding(
    "broken-signature",
    "Tệp có chữ ký số nhưng nội dung đã bị thay đổi sau khi ký",
    "The file carries a digital signature, but was changed after signing",
    "Lấy lại bản gốc từ nơi đã ký, không mở và lưu lại bằng phần mềm khác.",
    "Get the original from whoever signed it, and do not save it again with another program.",
)
BROKEN_AND_SIGNED: Final = _finding(
    "broken-and-signed",
    "Tệp có chữ ký số nhưng cấu trúc bị hỏng; không được sửa tệp đã ký",
    "The file carries a digital signature and its structure is broken; a signed file is never rewritten",
    "Lấy lại bản gốc từ nơi đã ký, không mở và lưu lại bằng phần mềm khác.",
    "Get the original from whoever signed it, and do not save it again with another program.",
)
PREPARED_ONLY: Final = _finding(
    "prepared-not-signed",
    "Tệp có trường chữ ký đã chuẩn bị nhưng chưa ký xong",
    "The file has a signature field that was prepared and never signed",
    "Ký cho xong ở nơi đã chuẩn bị, hoặc tải lên bản chưa có trường chữ ký.",
    "Finish signing where it was prepared, or upload a copy without that field.",
)
LOOKS_DIFFERENT: Final = _finding(
    "ambiguous-pages",
    "Tệp bị lỗi đến mức các phần mềm có thể hiển thị trang khác nhau, nên không tự sửa được",
    "The file is damaged so that programs may show different pages, so it cannot be repaired",
)
EARLIER_REVISIONS: Final = _finding(
    "earlier-revisions",
    "Tệp còn giữ các bản sửa trước; hệ thống sẽ viết lại thành một bản sạch trước khi ký",
    "The file keeps earlier revisions; it is rewritten into one clean revision before it is signed",
    "Không phải làm gì.",
    "Nothing to do.",
)
HYBRID: Final = _finding(
    "hybrid-xref",
    "Tệp có bảng tham chiếu lai; hệ thống sẽ viết lại trước khi ký",
    "The file has hybrid cross-references; it is rewritten before it is signed",
    "Không phải làm gì.",
    "Nothing to do.",
)


def too_large(limit: int) -> Problem:
    """Say how large a file may be."""
    mega = limit // (1024 * 1024)
    return _finding(
        "too-large",
        f"Tệp lớn hơn {mega} MB",
        f"The file is larger than {mega} MB",
        "Giảm độ phân giải khi quét (200 dpi là đủ) hoặc tách tệp.",
        "Scan at a lower resolution (200 dpi is enough) or split the file.",
    )


def too_many_pages(limit: int) -> Problem:
    """Say how many pages a file may have."""
    return _finding(
        "too-many-pages",
        f"Tệp có hơn {limit} trang",
        f"The file has more than {limit} pages",
        "Tách tệp.",
        "Split the file.",
    )


def missing_fonts(names: list[str]) -> Problem:
    """Say which fonts are not in the file; each machine then shows others in their place."""
    said = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return _finding(
        "font-not-embedded",
        f"Tệp không kèm phông chữ {said}; máy khác có thể hiển thị khác đi",
        f"The fonts {said} are not in the file; another machine may show other letters",
        "Nên xuất lại PDF với lựa chọn nhúng phông chữ (PDF/A).",
        "Better export the PDF again with its fonts embedded (PDF/A).",
    )


def damaged(error: Exception) -> Problem:
    """Say that a reader which takes no liberties cannot read the file."""
    return _finding(
        "damaged",
        "Cấu trúc tệp bị lỗi",
        f"The file's structure is damaged ({type(error).__name__})",
    )


def unreadable(error: Exception) -> Problem:
    """Say that nothing can read the file."""
    return _finding(
        "unreadable",
        "Không đọc được tệp, kể cả sau khi thử sửa",
        f"The file cannot be read, not even by repairing it ({type(error).__name__})",
    )
