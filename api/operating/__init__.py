"""What an operator asks of a system: where a ticket stands, what failed lately, what lies parked, what ends soon.

Everything is read from the database under the worker's role, and nothing of it shows personal data.
"""
