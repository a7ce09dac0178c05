"""Serves an instance for as long as somebody holds this program's standard input: `serve.py zope.ini`.

The tests start it so. However a test ends, killed ones included, its end of the pipe closes, and no Plone stays behind.
"""

import gc
import os
import sys
import threading

from Zope2.Startup.serve import main


def end_with_standard_input():
    while os.read(0, 4096):
        pass
    os._exit(0)


# A start makes millions of objects, all of which stay: to look for garbage among them is a fifth of it.
gc.set_threshold(100_000)
threading.Thread(target=end_with_standard_input, daemon=True).start()
sys.exit(main(["runwsgi", *sys.argv[1:]]))
