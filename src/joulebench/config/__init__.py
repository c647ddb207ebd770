"""config.yaml: what may be written there, and what it means. Each block of it is a module; `whole` is all of it."""

from joulebench.config.whole import Config as Config
from joulebench.config.whole import hand_over as hand_over
from joulebench.config.whole import handed_over as handed_over
from joulebench.config.whole import load as load
from joulebench.config.whole import parse as parse
