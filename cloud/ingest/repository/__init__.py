"""All SQL of ingest: literal, on asyncpg's connection, a few statements for any number of batches.

Columns travel as one text parameter each (`pg_array`): asyncpg's own array parameters look at every element twice and take ten times as
long.
"""
