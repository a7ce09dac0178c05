"""Serves an instance until its standard input closes: `serve.py zope.ini`.

The tests start Plone with it. When a test ends, even by a signal, its end of the pipe closes, and Plone ends, too.
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


# Starting creates millions of objects, which all stay in use. Searching them for garbage takes a fifth of the startup
# time.
gc.set_threshold(100_000)
threading.Thread(target=end_with_standard_input, daemon=True).start()
sys.exit(main(["runwsgi", *sys.argv[1:]]))
