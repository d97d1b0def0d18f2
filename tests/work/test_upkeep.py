"""What the worker clears away on its own."""

import datetime as dt

import sqlalchemy as sa

from farero.store.tables.objects import uploads


def test_uploads_in_parts_that_rested_for_a_week_are_aborted(cloud):
    s3 = cloud.client("s3")
    for key in ("old", "young"):
        begun = s3.create_multipart_upload(Bucket=cloud.bucket, Key=key)
        s3.upload_part(
            Bucket=cloud.bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"part"
        )
    for key, age in (("old", dt.timedelta(days=7, minutes=1)), ("young", dt.timedelta(days=6))):
        with cloud.app.store.begin() as db:
            began = cloud.app.clock.now() - age
            db.execute(sa.update(uploads).where(uploads.c.key == key).values(initiated=began))
    files = sum(1 for path in cloud.settings.objects_dir.rglob("*") if path.is_file())

    cloud.run()

    left = s3.list_multipart_uploads(Bucket=cloud.bucket)["Uploads"]
    assert [one["Key"] for one in left] == ["young"]
    assert sum(1 for path in cloud.settings.objects_dir.rglob("*") if path.is_file()) == files - 1
