"""A lease that is a locked file."""

import asyncio
from pathlib import Path

import pytest

from ari_proxy.ingest.lease import factory as leases
from ari_proxy.ingest.lease.file import FileLease
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import load


def test_lock_file_that_can_not_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "lock"
    settings = load(lease={"kind": "file", "file": str(file)})

    with pytest.raises(SettingsError, match="No such file"):
        leases.lease(settings)


async def test_lock_file_belongs_to_one_at_a_time(tmp_path: Path) -> None:
    first, second = FileLease(tmp_path / "lock"), FileLease(tmp_path / "lock")
    await first.acquire()
    waiting = asyncio.ensure_future(second.acquire())
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done

    await first.release()
    async with asyncio.timeout(10):
        await waiting
    await second.release()


async def test_lease_that_is_closed_without_release_is_free_in_the_same_process(
    tmp_path: Path,
) -> None:
    """The kernel locks for each open file: one that is left open would lock out its own process."""
    failed, restarted = FileLease(tmp_path / "lock"), FileLease(tmp_path / "lock")
    await failed.acquire()

    await failed.close()
    async with asyncio.timeout(10):
        await restarted.acquire()
    await restarted.close()
