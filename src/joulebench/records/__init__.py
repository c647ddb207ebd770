"""The raw records of a run: the schema of every table, and how they are written, read and checked.

    results/{hardware}/runs/{task}/{run}/          a run's repeat k > 1: {run}@{k}/
        run.json                     written last: the sweep is complete
        points/{NN}-{label}/         one folder a point, renamed into place when the point has ended
            requests.parquet  iterations.parquet  energy.parquet  point.json

All times are seconds on the monotonic clock, from the start of the point's load.
"""
