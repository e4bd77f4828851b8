"""The settings of the provider `s3`."""

from __future__ import annotations

from typing import Literal

from faas_supervisor.storage import Secret, setting
from faas_supervisor.values import value

__all__ = ["Settings"]


@value
class Settings:
    """What `storage_providers.s3.<id>` may hold. Without keys, AWS's own chain of credentials is asked."""

    access_key: str | None = setting("Access key ID; with secret_key.", default=None)
    secret_key: Secret | None = setting("Secret access key; with access_key.", default=None)
    session_token: Secret | None = setting("Session token of temporary keys.", default=None)
    region: str | None = setting("Region of the buckets; us-east-1 if nothing says otherwise.", default=None)
    endpoint: str | None = setting(
        "URL of a store other than Amazon's; https if it has no scheme.", default=None, env="AWS_ENDPOINT_URL_S3"
    )
    verify: bool = setting("Whether the server's certificate must be trusted.", default=True)
    ca_bundle: str | None = setting("PEM file with the certificates to trust.", default=None, env="AWS_CA_BUNDLE")
    profile: str | None = setting("Profile in AWS's configuration files.", default=None)
    role_arn: str | None = setting("Role to assume.", default=None)
    role_session_name: str = setting("Name of the session in the assumed role.", default="faas-supervisor")
    external_id: str | None = setting("External ID that the role asks for.", default=None)
    web_identity_token_file: str | None = setting(
        "File with the token that is changed for role_arn's credentials.", default=None
    )
    read_timeout: float = setting("Seconds that the server may be silent.", default=60.0)
    engine: Literal["obstore", "sdk"] = setting("What moves the bytes; sdk is boto3.", default="obstore")
