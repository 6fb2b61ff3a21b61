"""What the support says next about an item that was not signed, by the code of its cause. Pure."""

from typing import Final

import msgspec

NEXT_STEPS: Final[dict[str, tuple[str, str]]] = {
    "second-factor-wrong": (
        "Nhập lại mã mới; kiểm tra giờ của điện thoại.",
        "Type a new code; check the phone's clock.",
    ),
    "second-factor-replayed": ("Chờ mã kế tiếp rồi ký lại.", "Wait for the next code, then sign again."),
    "second-factor-locked": ("Chờ 15 phút rồi ký lại.", "Wait 15 minutes, then sign again."),
    "second-factor-missing": ("Đăng ký yếu tố xác thực thứ hai.", "Enrol a second factor."),
    "second-factor-other": ("Mở lại danh sách và ký lại.", "Open the list again and sign anew."),
    "second-factor-stale": ("Ký lại; xác nhận trong vòng 5 phút.", "Sign again, and confirm within five minutes."),
    "second-factor-cloned": (
        "Khóa truy cập có thể đã bị sao chép: báo mất, rồi đăng ký khóa mới.",
        "The passkey may have been copied: report it lost, then enrol another.",
    ),
    "second-factor-blocked": (
        "Yếu tố đã bị khóa: đăng ký yếu tố mới, cần hai người.",
        "The factor is blocked: enrol another one; that takes two persons.",
    ),
    "factor-blocked": (
        "Yếu tố bị khóa sau khi ký: đăng ký yếu tố mới rồi ký lại.",
        "The factor was blocked after the ask: enrol another one, then sign again.",
    ),
    "account-without-post": (
        "Quản trị kiểm tra chức danh của tài khoản.",
        "An administrator checks the account's post.",
    ),
    "not-to-sign": ("Tải lại danh sách; văn bản đã được xử lý.", "Load the list again; it has been dealt with."),
    "chain-closed": ("Lượt trình ký đã kết thúc; trình lại nếu cần.", "The chain has ended; submit again if need be."),
    "digest-changed": ("Mở lại văn bản để xem bản mới rồi ký.", "Open the document anew, then sign."),
    "order": ("Chờ nhóm ký trước.", "Wait for the group before."),
    "document-busy": ("Chờ chữ ký đang thực hiện rồi ký lại.", "Wait for the signature under way, then sign again."),
    "not-yours": ("Chuyển cho đúng người ký.", "Pass it to whoever signs it."),
    "no-authority": ("Kiểm tra phân công, ủy quyền còn hiệu lực.", "Check that the assignment or mandate still holds."),
    "no-certificate": (
        "Gia hạn hoặc gắn chứng thư, hoặc chuyển người khác.",
        "Renew or bind a certificate, or reassign.",
    ),
    "certificate-revoked": (
        "Gắn chứng thư mới, hoặc chuyển người khác.",
        "Bind a new certificate, or reassign.",
    ),
    "certificate-on-hold": (
        "Hỏi tổ chức chứng thực; ký lại khi chứng thư được khôi phục, hoặc chuyển người khác.",
        "Ask the authority; sign again once the hold is lifted, or reassign.",
    ),
    "no-number": ("Cấp số rồi đóng dấu lại.", "Give a number, then seal again."),
    "not-signed": ("Chờ người có thẩm quyền ký.", "Wait for the signatory."),
    "main-not-sealed": ("Cấp số, ký số văn bản chính trước.", "Number and seal the main document first."),
    "no-decision": ("Chờ quyết định chứng thực.", "Wait for the certifying decision."),
    "number-day": ("Cấp số mới của hôm nay rồi ký lại.", "Give a number of today, then seal again."),
    "number-elsewhere": ("Cấp số mới cho văn bản này.", "Give this document a number of its own."),
    "authorisation-ended": ("Qua nửa đêm: ký lại hôm nay.", "Past midnight: sign again today."),
    "not-confirmed": ("Ký lại và xác nhận trên ứng dụng trong thời hạn.", "Sign again and confirm in the app in time."),
    "refused-at-holder": ("Hỏi người ký vì sao từ chối.", "Ask the signatory why it was refused."),
    "page-mixed-up": (
        "Kiểm tra địa chỉ và tên máy chủ xác nhận đã cấu hình; báo an ninh nếu đúng.",
        "Check the authorisation server's address and name in the settings; if they are right, tell security.",
    ),
    "page-failed": ("Ký lại; nếu lặp lại, hỏi nơi giữ khóa.", "Sign again; if it repeats, ask the key holder."),
    "page-code-refused": (
        "Ký lại và xác nhận một lần, không mở lại trang cũ.",
        "Sign again and authorise once; do not open the old page again.",
    ),
    "holder-failed": ("Xem nơi giữ khóa; ký lại khi đã khỏe.", "Look at the key holder; sign again when it is well."),
    "holder-silent": ("Xem nơi giữ khóa; ký lại khi trả lời.", "Look at the key holder; sign again when it answers."),
    "no-value": ("Ký lại riêng văn bản này.", "Sign this one again."),
    "parked": (
        "Xem việc tạm giữ, sửa nguyên nhân, rồi đưa lại chờ ký.",
        "Look at the parked work, mend it, release the item.",
    ),
}
"""Every cause that the signer gives of itself; a test compares them with its code."""

OTHERWISE: Final = ("Người xử lý xem văn bản rồi đưa lại chờ ký.", "A person looks at the document, then releases it.")


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why an item was not signed and what comes next."""

    code: str
    vi: str
    en: str
    next_vi: str
    next_en: str


def cause_of(detail: dict[str, str] | None, outcome: str) -> Cause:
    """Return the cause of an ending as the support may read it out; a value kept as evidence is not shown."""
    kept = detail or {}
    code = kept.get("code", outcome)
    following = NEXT_STEPS.get(code, OTHERWISE)
    return Cause(code=code, vi=kept.get("vi", "-"), en=kept.get("en", "-"), next_vi=following[0], next_en=following[1])
