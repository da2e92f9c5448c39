"""Ctrl-C, where it is the command's to hear and where it is not."""

from __future__ import annotations

import signal

import pytest

from skexplore.cli.interrupts import Interrupts


@pytest.fixture
def _in_the_background():
    """As a shell without job control starts a command that ends in ``&``."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_in_the_background")
def test_ctrl_c_that_is_ignored_stays_so():
    own = Interrupts()
    with own.heard(), own.counted() as presses:
        signal.raise_signal(signal.SIGINT)
        assert presses() == 0
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_the_first_ctrl_c_is_counted_and_the_next_ends():
    own, before = Interrupts(), signal.getsignal(signal.SIGINT)
    with own.heard(), own.counted() as presses:
        signal.raise_signal(signal.SIGINT)
        assert presses() == 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
