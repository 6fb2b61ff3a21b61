"""Other makers' signers of PDFs, each a program that `python -m signing bench` starts once and asks for rounds."""
