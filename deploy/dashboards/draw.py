"""Draw the Grafana dashboard: `python deploy/dashboards/draw.py` writes motcua.json from the table below."""

import json
from pathlib import Path
from typing import Any, Final

Panel = tuple[str, str, dict[str, str]]
"""A title, the unit as Grafana names it, and by legend what is drawn (PromQL)."""


def quantile(share: float, metric: str, by: str = "", where: str = "") -> str:
    """Return the quantile of a histogram over five minutes."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{where}}}[5m])))"


ROWS: Final[dict[str, list[Panel]]] = {
    "Ký số / Signing": [
        (
            "Đang ký, theo chặng / Under way, by stage",
            "short",
            {"{{stage}}": "max by (stage) (motcua_signatures_open)"},
        ),
        (
            "Chờ lâu nhất / Longest wait",
            "s",
            {
                "{{stage}}": "max by (stage) (motcua_signatures_oldest_seconds)",
                "mã lượt ký / ticket": "max(motcua_ticket_oldest_seconds)",
            },
        ),
        (
            "Kết quả / Endings",
            "ops",
            {"{{outcome}}": "sum by (outcome) (rate(motcua_signature_items_total[5m]))"},
        ),
        ("Lượt ký đang mở / Open tickets", "short", {"open": "max(motcua_tickets_open)"}),
        (
            "Thời gian từng chặng, p95 / Time of each stage, p95",
            "s",
            {"{{stage}} {{holder}}": quantile(0.95, "motcua_signature_stage_seconds", "stage, holder")},
        ),
        (
            "Từ lúc yêu cầu đến lúc ghi / From ask to record",
            "s",
            {
                f"p{int(share * 100)}": quantile(share, "motcua_signature_stage_seconds", where='stage="whole"')
                for share in (0.5, 0.95, 0.99)
            },
        ),
    ],
    "Mức chữ ký / Signature levels": [
        (
            "Chờ bổ sung / Owed",
            "short",
            {"nợ / owed": "max(motcua_level_debt)", "quá hạn / overdue": "max(motcua_level_debt_overdue)"},
        ),
        (
            "Hết nợ sau / Nothing owed after",
            "s",
            {
                "hết / nought": "max(motcua_level_debt_zero_seconds)",
                "cũ nhất / oldest": "max(motcua_level_debt_oldest_seconds)",
            },
        ),
        (
            "Dấu thời gian / Timestamps",
            "ops",
            {"{{authority}} {{ended}}": "sum by (authority, ended) (rate(motcua_timestamps_total[5m]))"},
        ),
    ],
    "Nơi giữ khóa / Key holders": [
        ("Trả lời được / Answers", "bool", {"{{holder}}": "max by (holder) (motcua_holder_up)"}),
        (
            "Lần trả lời cuối / Since the last answer",
            "s",
            {"{{holder}}": "time() - max by (holder) (motcua_holder_last_answer_timestamp_seconds)"},
        ),
        (
            "Thời gian gọi, p95 / Time of a call, p95",
            "s",
            {"{{holder}} {{call}}": quantile(0.95, "motcua_holder_seconds", "holder, call")},
        ),
        (
            "Lỗi / Errors",
            "ops",
            {"{{holder}} {{kind}}": "sum by (holder, kind) (rate(motcua_holder_errors_total[5m]))"},
        ),
        (
            "Ký thử lần cuối / Since the last trial signature",
            "s",
            {"{{instance}} {{holder}}": "motcua_canary_age_seconds"},
        ),
        (
            "Chứng thư sắp hết hạn / Certificates that end soon",
            "short",
            {"{{within_days}} ngày / days": "max by (within_days) (motcua_certificates_expiring)"},
        ),
    ],
    "Việc nền / Jobs": [
        ("Đang chờ / Waiting", "short", {"{{kind}}": "max by (kind) (motcua_jobs_waiting)"}),
        ("Chờ lâu nhất / Oldest", "s", {"{{kind}}": "max by (kind) (motcua_jobs_oldest_seconds)"}),
        ("Tạm giữ / Parked", "short", {"{{kind}}": "max by (kind) (motcua_jobs_parked)"}),
        (
            "Xong, hỏng / Endings",
            "ops",
            {"{{kind}} {{outcome}}": "sum by (kind, outcome) (rate(motcua_jobs_total[5m]))"},
        ),
        ("Thời gian làm, p95 / Time of work, p95", "s", {"{{kind}}": quantile(0.95, "motcua_job_seconds", "kind")}),
        ("Đẩy tiếp / Swept", "ops", {"{{what}}": "sum by (what) (rate(motcua_signatures_swept_total[5m]))"}),
        ("Tiến trình PDF / PDF processes", "short", {"{{job}} {{what}}": "sum by (job, what) (motcua_pdf_processes)"}),
    ],
    "Cửa vào / Edge": [
        ("Yêu cầu / Requests", "reqps", {"{{status}}": "sum by (status) (rate(motcua_http_requests_total[5m]))"}),
        (
            "Thời gian trả lời / Time to answer",
            "s",
            {f"p{int(share * 100)}": quantile(share, "motcua_http_seconds") for share in (0.5, 0.95, 0.99)},
        ),
        (
            "Bên trong / Inside",
            "short",
            {"{{work}}": "sum by (work) (motcua_admitted)", "tất cả / all": "sum(motcua_http_in_flight)"},
        ),
        ("Từ chối bớt / Turned away", "ops", {"{{work}}": "sum by (work) (rate(motcua_shed_total[5m]))"}),
        ("Hàng đợi đăng nhập / Log-in queue", "short", {"queue": "sum(motcua_password_queue)"}),
    ],
    "Kiểm toán / Audit": [
        (
            "Chưa niêm phong / Not sealed",
            "s",
            {"chờ / waits": "max(motcua_audit_unsealed_oldest_seconds)"},
        ),
        (
            "Điểm kiểm tra / Checkpoints",
            "short",
            {
                "chưa chép / to copy": "max(motcua_audit_checkpoints_to_copy)",
                "tuổi, giây / age, s": "max(motcua_audit_checkpoint_age_seconds)",
            },
        ),
    ],
    "Tài nguyên / Resources": [
        (
            "Trễ vòng lặp, p99 / Event-loop lag, p99",
            "s",
            {"{{job}}": quantile(0.99, "motcua_event_loop_lag_seconds", "job")},
        ),
        (
            "Kết nối cơ sở dữ liệu / Database connections",
            "percentunit",
            {"{{job}} {{pool}}": "max by (job, pool) (motcua_pool_in_use / motcua_pool_size)"},
        ),
        (
            "Không có kết nối / Got no connection",
            "ops",
            {"{{pool}} {{work}}": "sum by (pool, work) (rate(motcua_pool_refused_total[5m]))"},
        ),
        ("Đỉnh kết nối / Peak of connections", "short", {"{{job}} {{pool}}": "max by (job, pool) (motcua_pool_peak)"}),
        (
            "Đĩa còn trống / Free disk",
            "percentunit",
            {"{{files}}": "min by (files) (motcua_disk_free_bytes / motcua_disk_size_bytes)"},
        ),
        (
            "Lỗi kho tài liệu, đĩa cơ sở dữ liệu đầy / Store errors, database's disk full",
            "ops",
            {
                "{{cause}}": "sum by (cause) (rate(motcua_store_errors_total[5m]))",
                "database-full": "sum(rate(motcua_database_full_total[5m]))",
            },
        ),
        ("Vết / Spans", "ops", {"{{fate}}": "sum by (fate) (rate(motcua_spans_total[5m]))"}),
    ],
}

WIDTH, HEIGHT, ACROSS = 8, 7, 24
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row, drawn in ROWS.items():
        panels.append({"type": "row", "title": row, "gridPos": {"x": 0, "y": top, "w": ACROSS, "h": 1}})
        for place, (title, unit, targets) in enumerate(drawn):
            x, y = place * WIDTH % ACROSS, top + 1 + place * WIDTH // ACROSS * HEIGHT
            panels.append(
                {
                    "type": "timeseries",
                    "title": title,
                    "datasource": SOURCE,
                    "gridPos": {"x": x, "y": y, "w": WIDTH, "h": HEIGHT},
                    "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                    "targets": [
                        {"refId": chr(ord("A") + number), "expr": expr, "legendFormat": legend, "datasource": SOURCE}
                        for number, (legend, expr) in enumerate(targets.items())
                    ],
                }
            )
        top += 1 + -(-len(drawn) * WIDTH // ACROSS) * HEIGHT
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    source = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": "motcua",
        "title": "Một cửa / Motcua",
        "schemaVersion": 39,
        "timezone": "Asia/Ho_Chi_Minh",
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [source]},
        "panels": panels,
    }


def text() -> str:
    """Return the file's content."""
    return json.dumps(dashboard(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("motcua.json").write_text(text(), encoding="utf-8")
