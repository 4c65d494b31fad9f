"""Amounts of money as whole billionths of a dollar, so that a thousand small ones add up to exactly what they are."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, InvalidOperation

from argosy_core.errors import InvalidArgument

NANO_PER_USD = 1_000_000_000
MAX_USD = 1_000_000_000


def nano_usd(amount: object, what: str = "amount") -> int:
    """*amount* in US dollars as billionths, a fraction of one rounded up: nothing that costs is free.

    Raises InvalidArgument for what is no number, negative, not finite or above a billion dollars.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | float | Decimal):
        raise InvalidArgument(f"{what} is no number", hint="give US dollars, like 0.05")
    try:
        exact = Decimal(repr(amount)) if isinstance(amount, float) else Decimal(amount)
        if not 0 <= exact <= MAX_USD:
            raise InvalidArgument(f"{what} is not between 0 and {MAX_USD} US dollars")
    except InvalidOperation as exc:
        raise InvalidArgument(f"{what} is no number", hint="give US dollars, like 0.05") from exc
    return int((exact * NANO_PER_USD).to_integral_value(ROUND_CEILING))


def usd(nano: int) -> float:
    """Billionths as US dollars, for showing."""
    return nano / NANO_PER_USD


def show_usd(nano: int) -> str:
    """Billionths as people write them: ``$0.05``, ``$1,200.00``, ``$0.000012``."""
    exact = Decimal(nano) / NANO_PER_USD
    return f"${exact:,.2f}" if exact == exact.quantize(Decimal("0.01")) else f"${exact.normalize():,f}"
