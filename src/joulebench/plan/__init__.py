"""What a config asks for: runs, their files, order and time, and the targets that are made of them."""

from joulebench.plan.matrix import Cell as Cell
from joulebench.plan.matrix import Plan as Plan
from joulebench.plan.matrix import plan as plan
