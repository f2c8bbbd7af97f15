"""Numbers and names as pages show them."""

from __future__ import annotations

from msm_py.report.figures import MISSING, figure, p_text


def number(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """Return a number; a dash when it is missing."""
    return figure(value, digits, sign=sign)


def percent(value: float | None, digits: int = 1, *, sign: bool = True) -> str:
    """Return a decimal fraction in percent, with its sign.

    Examples
    --------
    >>> percent(0.0123), percent(-0.0123), percent(None)
    ('+1.2%', '-1.2%', '—')
    """
    return figure(value, digits, "%", sign=sign)


def p_value(p: float | None) -> str:
    """Return a p-value; a dash when it is missing."""
    return p_text(p)


def state_name(regime: str | None) -> str:
    """Return a state as a person says it.

    Examples
    --------
    >>> state_name("WEAK_RISK_ON_MAJORS"), state_name("BALANCED"), state_name(None)
    ('Weak majors', 'Balanced', '—')
    """
    if regime is None:
        return MISSING
    return regime.replace("RISK_ON_", "").replace("_", " ").capitalize()


def plain(text: str) -> str:
    """Return a text that Plotly shows as it is: its labels take some tags and entities for markup.

    Examples
    --------
    >>> plain("<b>A&B</b>")
    '&lt;b&gt;A&amp;B&lt;/b&gt;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
