"""What the tests in a browser start from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers.browser.gradios import AVAILABLE
from tests.helpers.browser.site import Site, chromium, served
from tests.helpers.browser.visitor import Visitor

OWN = pytest.param("", id="current")
OLDER = tuple(pytest.param(version, marks=pytest.mark.slow, id=version) for version in AVAILABLE)


@pytest.fixture(scope="module", params=[OWN, *OLDER])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of the page, with the toy checkpoint as its only model; with ``--all`` under the hosts' Gradios too."""
    with served(tmp_path_factory.mktemp("page"), gradio=request.param) as found:
        yield found


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def visit(browser: Any, site: Site) -> Iterator[Callable[..., Visitor]]:
    """Opens the page, as often as it is called; nothing may have gone wrong in it unseen."""
    visitors: list[Visitor] = []

    def visited(**options: Any) -> Visitor:
        visitors.append(Visitor(browser, site, **options))
        return visitors[-1]

    yield visited
    for visitor in visitors:
        visitor.page.close()
    assert [trouble for visitor in visitors for trouble in visitor.troubles] == []
