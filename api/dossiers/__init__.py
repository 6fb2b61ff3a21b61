"""The life of a dossier (hồ sơ): five steps on site and their side states."""
