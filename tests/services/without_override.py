"""A command of ours in a process to which file modes apply, also if it is root's.

Run as `python without_override.py COMMAND OPTIONS`, for which tests fork a process; for setpriv they could not.
"""

from __future__ import annotations

import ctypes
import os

from tidewise.entry import main

VERSION = 0x20080522  # of the structures of Linux: two of 32 bits for each set
DAC_OVERRIDE = 1 << 1


class Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def give_up_override() -> None:
    """Drop the capability to ignore file modes."""
    libc, header, sets = ctypes.CDLL(None, use_errno=True), Header(VERSION, 0), (Sets * 2)()
    for call in (libc.capget, libc.capset):
        if call(ctypes.byref(header), sets):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        sets[0].effective &= ~DAC_OVERRIDE
        sets[0].permitted &= ~DAC_OVERRIDE


if __name__ == "__main__":
    give_up_override()
    main()
