"""How pytest-xdist hands out modules: those whose tests open pages in a browser go to one process, which starts one."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

IN_BROWSER = ("tests/e2e/test_dashboard_", "tests/e2e/test_reference.py")


class OneBrowser(LoadFileScheduling):
    """`--dist loadfile` but for these modules."""

    def _split_scope(self, nodeid: str) -> str:
        return "browser" if nodeid.startswith(IN_BROWSER) else super()._split_scope(nodeid)
