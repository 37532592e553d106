"""The check of media stores a file in a folder or a bucket, says why that failed, and leaves nothing behind."""

import datetime as dt
import os
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from conversations.models import Alarm, AlarmMessage, CheckResult
from conversations.monitoring import alarms, media
from conversations.monitoring.rules import BY_KIND
from tests.conversations.monitoring.receivers import running

pytestmark = pytest.mark.django_db


class BucketHandler(BaseHTTPRequestHandler):
    """Answers each request for a bucket with the server's status and an empty body, and keeps the sizes of bodies."""

    def do_PUT(self) -> None:
        self.server.received.append(int(self.headers["Content-Length"]))  # type: ignore[attr-defined]
        self.rfile.read(self.server.received[-1])  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_DELETE(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        return


@pytest.mark.parametrize(("status", "detail"), [(200, ""), (404, "FileNotFoundError")])
def test_a_bucket_gets_a_small_file_and_a_missing_one_is_a_problem(
    settings: Any, monkeypatch: pytest.MonkeyPatch, status: int, detail: str
) -> None:
    s3 = pytest.importorskip("conversations.media.s3")  # needs the packages of an optional feature
    monkeypatch.setattr(s3, "server", s3.RemoteServer())
    with running(BucketHandler) as server:
        server.status = status
        options = {"bucket_name": "media", "endpoint_url": f"http://127.0.0.1:{server.port}", "region_name": "x"}
        default = {
            "BACKEND": "conversations.media.s3.S3MediaStorage",
            "OPTIONS": {**options, "access_key": "a", "secret_key": "b"},
        }
        settings.STORAGES = {**settings.STORAGES, "default": default}
        media.check()
        default_storage.client.close()  # type: ignore[attr-defined]
    (size,) = server.received
    result = CheckResult.objects.get(pk="media")
    assert size <= 4096
    assert (result.is_ok, result.detail) == (not detail, detail)


def test_what_a_killed_process_left_is_removed(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    media.check()
    (folder,) = tmp_path.iterdir()
    old, young, other = folder / "tmp1.part", folder / "tmp2.part", tmp_path / "1.part"
    for file in (old, young, other):
        file.write_bytes(b"half")
    for file in (old, other):
        os.utime(file, (0, 0))
    media.check()
    assert CheckResult.objects.get(pk="media").is_ok
    assert list(folder.iterdir()) == [young]  # another process may be writing it
    assert other.exists()


def test_a_single_failure_sends_nothing(settings: Any, tmp_path: Path) -> None:
    seconds = 60
    settings.ALARM_CHANNELS, settings.MONITORING_CHECKS = ["email"], {"media": seconds}
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MEDIA_ROOT.touch()  # a file in place of the folder: nothing can be written below it
    media.check()
    alarms.evaluate()
    Alarm.objects.update(since=timezone.now() - dt.timedelta(seconds=seconds))
    alarms.evaluate()
    settings.MEDIA_ROOT.unlink()
    media.check()
    alarms.evaluate()
    assert [alarm.ended_at is not None for alarm in Alarm.objects.filter(kind="media")] == [True]
    assert not AlarmMessage.objects.exists()
    patience = BY_KIND["media"].patience
    assert patience is not None
    assert seconds < patience < 2 * seconds
