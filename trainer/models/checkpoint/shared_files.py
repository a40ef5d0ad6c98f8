"""Which files others may cut short while they are mapped: to read such a page ends the whole program (SIGBUS).

Memory is only used for what needs it. A file that no one but its user can write is mapped: a copy would take as much
memory as the model, and nobody writes into a model they train on. One that others can write, or that is on another
machine, is read into memory. Windows lets nobody shorten a mapped file, unless it is on another machine.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Final

_OF_OTHER_MACHINES: Final = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs", "virtiofs")
"""Kinds of file systems; beside those that begin with ``fuse.``, as sshfs's and rclone's do."""


def may_be_cut_short(path: Path) -> bool:
    """Whether somebody else than the user of this program may shorten a file while it is mapped."""
    try:
        told = path.stat()
    except OSError:
        return False  # whoever opens it says so
    return _is_writable_by_others(told) or _is_on_other_machine(path, told)


if sys.platform == "win32":

    def _is_writable_by_others(_told: os.stat_result) -> bool:
        return False

    def _is_on_other_machine(path: Path, _told: os.stat_result) -> bool:
        import ctypes

        drive = os.path.splitdrive(path.resolve())[0]
        return drive.startswith("\\\\") or ctypes.windll.kernel32.GetDriveTypeW(f"{drive}\\") == 4  # DRIVE_REMOTE

else:

    def _is_writable_by_others(told: os.stat_result) -> bool:
        """By everybody, by a group that is not the user's own, or by an owner who is somebody else but not the root."""
        user = os.geteuid()
        of_group = bool(told.st_mode & stat.S_IWGRP) and told.st_gid not in (os.getegid(), 0)
        return bool(told.st_mode & stat.S_IWOTH) or of_group or told.st_uid not in (user, 0)

    def _is_on_other_machine(_path: Path, told: os.stat_result) -> bool:
        device = f"{os.major(told.st_dev)}:{os.minor(told.st_dev)}"
        try:
            mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
        except OSError:  # only Linux tells
            return False
        return any(_is_other_machines(mount) for mount in mounts if mount.split(" ", 3)[2:3] == [device])


def _is_other_machines(mount: str) -> bool:
    """Whether a line of Linux's mount table is about a file system on another machine."""
    kind = mount.partition(" - ")[2].split(" ")[0]
    return kind in _OF_OTHER_MACHINES or kind.startswith("fuse.")
