"""People: accounts and posts of officials, proposals of what the signer decides by, enrolment and loss of factors."""
