"""The command `joulebench`: what is not a file, and so no target of Snakemake.

One module a command; `line` reads the words. A module imports the standard library alone until it runs, since `doctor`
has to work where nothing is installed yet.
"""
