"""Connection strings as their libraries read them: SqlClient and StackExchange.Redis, by their versions.

A string is split into tokens that keep their positions, held against the keywords of a library, compared by its
meaning, merged with what the spec names, and shown without secrets. Every step takes time linear in the length.

Imports core.
"""
