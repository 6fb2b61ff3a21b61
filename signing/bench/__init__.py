"""`python -m signing bench`: what a signature costs here, against the cryptography in it and against plain pyHanko."""

from signing.bench.rounds import QUICK, WHOLE, Report, Size, measure, text

__all__ = ["QUICK", "WHOLE", "Report", "Size", "measure", "text"]
