"""A texture network: small, and its draws have the patches of real volumes."""
