"""Who is asking: log-in of officials, server-side sessions, and the guard that every route of theirs carries.

Citizens do not pass here: code and secret of a dossier are checked where the dossier is.
"""
