"""The tables that people read: results/{hardware}/*.csv."""
