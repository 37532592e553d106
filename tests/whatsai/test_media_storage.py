"""`MEDIA_STORAGE_URL` names a bucket; without it media are in a folder; a wrong value is named."""

import pytest

from whatsai.media_storage import FOLDER, storage

S3 = "conversations.media.s3.S3MediaStorage"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("s3://files", {"bucket_name": "files", "location": ""}),
        ("s3://files/a/b/", {"bucket_name": "files", "location": "a/b"}),
        (
            "s3://files?endpoint=https://host:9000&region=sa-east-1",
            {"bucket_name": "files", "location": "", "endpoint_url": "https://host:9000", "region_name": "sa-east-1"},
        ),
    ],
)
def test_a_bucket(url: str, options: dict[str, str]) -> None:
    assert storage(url) == {"BACKEND": S3, "OPTIONS": options}


def test_a_folder() -> None:
    assert storage("") == FOLDER


@pytest.mark.parametrize(
    "url",
    [
        "files", "s3://", "s3:///files", "https://files", "s3://key:secret@files", "s3://files:9000", "s3://files:x",
        "s3://files?acl=public", "s3://files?endpoint=host:9000",
    ],
)  # fmt: skip
def test_a_wrong_value(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has|Port) ") as error:
        storage(url)
    assert "secret" not in str(error.value)
