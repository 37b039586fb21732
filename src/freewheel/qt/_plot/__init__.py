"""The live plot of scalars: tables, fits, cursor, export."""
