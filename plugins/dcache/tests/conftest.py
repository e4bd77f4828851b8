"""The servers, for all tests of this plugin."""

from __future__ import annotations

from plugins.dcache.tests.servers import apache, certificates, homes, nginx, rclone, wsgidav, xrootd

__all__ = ["apache", "certificates", "homes", "nginx", "rclone", "wsgidav", "xrootd"]
