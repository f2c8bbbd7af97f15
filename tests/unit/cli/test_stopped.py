"""Ctrl-C before any command has begun."""

from __future__ import annotations

import signal

import pytest

from msm_py.cli import app as command_line


def test_ctrl_c_before_a_command_begins_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in command_line.STOPPING}
    monkeypatch.setattr(command_line, "app", interrupted)
    try:
        with pytest.raises(SystemExit) as end:
            command_line.main()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert end.value.code == command_line.INTERRUPTED
    assert capsys.readouterr().err.startswith("stopped; complete runs are kept")
