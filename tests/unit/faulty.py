"""What goes wrong in worker processes, for tests. They import this module: it imports little."""

import os
import signal
import time
from dataclasses import dataclass

from dfdc.stages.faces.detection.resize import resize_to_area
from dfdc.system.errors import UserError


@dataclass(frozen=True)
class Faulty:
    """Resizes as DSFD does, but for frames that are 40 pixels high, with which something happens."""

    fault: str

    def __call__(self, frame):
        if len(frame) == 40 and self.fault == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if len(frame) == 40 and self.fault == "hang":
            time.sleep(1000)
        if len(frame) == 40 and self.fault == "error":
            raise UserError("the frame is 40 pixels high")
        return resize_to_area(frame, 64)
