"""Libraries are imported without their advice, and log everything else as before."""

from __future__ import annotations

import logging

import pytest

from trainer.config.imports import without_advice

ADVICE = "Failed to load CPU gemm_4bit_forward from kernels-community: %s. Please make sure you have kernels"


def test_advice_about_kernels_is_silent_and_everything_else_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    before = list(logger.filters), logger.level, logger.propagate, logger.disabled
    with without_advice():
        logger.warning(ADVICE, "No module named 'kernels'")
        logger.warning("something else")
        logging.getLogger("another").warning(ADVICE, "x")
    assert [(record.name, record.msg) for record in caplog.records] == [
        (logger.name, "something else"),
        ("another", ADVICE),
    ]
    logger.warning(ADVICE, "x")
    assert len(caplog.records) == 3
    with pytest.raises(ImportError), without_advice():
        raise ImportError
    assert (list(logger.filters), logger.level, logger.propagate, logger.disabled) == before
