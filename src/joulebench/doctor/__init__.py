"""What this machine can measure and what is missing, for `joulebench doctor`: one module a kind of question.

Nothing here needs a network, and no module imports more than the standard library before it is asked: on a machine
where nothing is installed yet, what is missing is the answer.
"""
