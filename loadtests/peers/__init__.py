"""What the product is compared with: the same endpoints written as their own community would, and the plain floor."""
