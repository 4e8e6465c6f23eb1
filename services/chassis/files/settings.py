"""Settings of a service that keeps files."""

from pydantic import Field, SecretStr

from chassis.settings import ServiceSettings


class FileSettings(ServiceSettings):
    """`files`: the directory of the files, or an address such as `s3://bucket/folder`.

    `files_secret`: signs the links of downloads. `files_scanner`: where clamd is, as `tcp://host:3310` or
    `unix:///run/clamd.sock`; empty: files are not scanned.
    """

    files: str
    files_secret: SecretStr = Field(min_length=16)
    files_scanner: str = ""
