"""The index of documents in the vault's own PostgreSQL schema: one for all hosts."""
