from .following import (
    StudyFollower as StudyFollower,
)
from .trackers import (
    TRACKERS as TRACKERS,
    Tracker as Tracker,
    check_tracker as check_tracker,
)
